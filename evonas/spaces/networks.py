"""Stand-alone networks: what ``space.build(x)`` returns."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Key = TypeVar("Key", bound=Hashable)


class ChainNetwork(nn.Module):
    """Stem, layers in a row, head.

    State names are ``stem.*``, ``layers.<gene>.*`` and ``head.*``.
    """

    def __init__(self, stem: nn.Module, layers: Iterable[nn.Module], head: nn.Module):
        """Takes the parts."""
        super().__init__()
        self.stem = stem
        self.layers = nn.ModuleList(layers)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, num_classes)``."""
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def cell_forward(
    x: Tensor,
    edges: Sequence[tuple[int, int, Key]],
    op: Callable[[Key], Callable[[Tensor], Tensor]],
) -> Tensor:
    """The output of one cell, from its live edges.

    Args:
        x: The cell's input, the value of node 0.
        edges: (target, source, key) in order of target, live edges only (``CellSpace.live``):
            the last target is then the output. None at all means that the cell is zero.
        op: Finds the operation of a key.

    Returns:
        A tensor of x's shape.
    """
    if not edges:
        return torch.zeros_like(x)
    return node_values((x,), edges, op)[edges[-1][0]]


def node_values(
    inputs: Iterable[Tensor],
    edges: Sequence[tuple[int, int, Key]],
    op: Callable[[Key], Callable[[Tensor], Tensor]],
) -> dict[int, Tensor]:
    """The values of a cell's inputs, nodes 0, 1, ..., and of its nodes that are not zero.

    Args:
        inputs: Values of the first nodes, each ``(n, c, h, w)``.
        edges: (target, source, key) in order of target, of which every source has a value.
        op: Finds the operation of a key.
    """
    values = dict(enumerate(inputs))
    for target, source, key in edges:
        y = op(key)(values[source])
        values[target] = values[target] + y if target in values else y
    return values


class Cell(nn.Module):
    """One cell of a genome; state names are ``ops.<gene>.*``, dead operations included.

    Args:
        ops: The operation of each gene.
        live: (target, source, gene) of the edges that matter, in order of target.
    """

    def __init__(self, ops: Iterable[nn.Module], live: Sequence[tuple[int, int, int]]):
        """Keeps the operations, and which of them matter."""
        super().__init__()
        self.ops = nn.ModuleDict({str(gene): op for gene, op in enumerate(ops)})
        self.live = [(target, source, str(gene)) for target, source, gene in live]
        used = {key for _, _, key in self.live}
        self.dead = [key for key in self.ops if key not in used]

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to the same shape."""
        y = cell_forward(x, self.live, self.ops.__getitem__)
        if self.dead:
            # As written, like NAS-Bench-201's own network: profilers and clocks see dead
            # operations at work, and nobody reads what they return. Canonical genomes have none.
            with torch.no_grad():
                for key in self.dead:
                    self.ops[key](x)
        return y


class CellNetwork(nn.Module):
    """Stem, cells and reductions in a row (``CellSpace.layout``), head.

    State names are ``stem.*``, ``cells.<place in the layout>.*`` and ``head.*``.
    """

    def __init__(self, stem: nn.Module, cells: Iterable[nn.Module], head: nn.Module):
        """Takes the parts."""
        super().__init__()
        self.stem = stem
        self.cells = nn.ModuleList(cells)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, num_classes)``."""
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        return self.head(x)
