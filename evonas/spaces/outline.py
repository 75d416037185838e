"""What a network looks like, in words and shapes: what a block diagram is drawn from."""

from dataclasses import dataclass

Size = tuple[int, int]

JOINED = "joined"  # label of an arrow that hands a node on to an output of several side by side


@dataclass(frozen=True)
class Block:
    """One part of a chain of parts.

    Attributes:
        label: what it does.
        channels: that it puts out; None where nothing is known of its shape.
        size: height and width of what it puts out; None for logits.
        searched: whether a gene decides it.
        empty: whether it hands its input on unchanged.
    """

    label: str
    channels: int | None = None
    size: Size | None = None
    searched: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Arrow:
    """One operation of a cell.

    Attributes:
        source: node it reads.
        target: node it is added to.
        label: what it does; "" where it is no operation.
        live: whether anything of it reaches the output.
    """

    source: int
    target: int
    label: str
    live: bool = True


@dataclass(frozen=True)
class Cell:
    """A graph that a network repeats.

    Attributes:
        name: "cell", "normal cell", "reduction cell".
        nodes: their names, inputs first, the output last.
        arrows: by target, then source.
    """

    name: str
    nodes: tuple[str, ...]
    arrows: tuple[Arrow, ...]


@dataclass(frozen=True)
class Outline:
    """A network as parts in a row, and the cells that these repeat.

    Attributes:
        blocks: from image to logits.
        cells: none where blocks say it all.
        operations: labels of all that genes can choose, so that figures of several networks give
            one operation one colour.
    """

    blocks: tuple[Block, ...]
    cells: tuple[Cell, ...] = ()
    operations: tuple[str, ...] = ()


def halved(size: Size, stride: int) -> Size:
    """Height and width after a layer of a stride that keeps the size otherwise."""
    return -(-size[0] // stride), -(-size[1] // stride)
