"""Figures of architectures: block diagrams, and the genes of a front."""

import itertools
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from evonas.analysis.architecture import Diagram, GeneFrequencies
from evonas.analysis.drawing import CHOICES, GREY
from evonas.analysis.quantities import format_number, plural, quantity
from evonas.spaces import Arrow, Block, Cell
from evonas.spaces.outline import JOINED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOX, HEIGHT = 0.8, 2.6  # of a block, in units of the distance between two
FIXED = "#e8e8e8"
LETTERS = 11  # of a title, that fit into an inch


def diagram_size(diagram: Diagram) -> tuple[float, float]:
    """Width and height in inches of the figure of a network."""
    width = max(5.0, 0.36 * len(diagram.outline.blocks))
    width = max([width, *(1.3 * len(cell.nodes) for cell in diagram.outline.cells)])
    return width, 2.3 + sum(_room(cell) for cell in diagram.outline.cells) * 0.45


def draw_diagram(diagram: Diagram, ax: "Axes") -> "Axes":
    """Draw blocks from image to logits, shapes beneath, and above them the cells they repeat.

    Colour tells operations apart; what no gene decides is grey, and what hands its input on is
    dashed. Of a cell, operations whose output nobody uses are pale.
    """
    outline = diagram.outline
    labels = [block.label for block in outline.blocks if block.searched and not block.empty]
    arrows = [arrow for cell in outline.cells for arrow in cell.arrows]
    labels += [arrow.label for arrow in arrows if arrow.label not in ("", JOINED)]
    colours = _colours([*outline.operations, *labels])
    n = len(outline.blocks)
    for i, block in enumerate(outline.blocks):
        _draw_block(ax, i, block, colours)
    ax.plot([-0.9, n - 0.1], [HEIGHT / 2] * 2, color="black", linewidth=0.9, zorder=0)
    _label_shapes(ax, outline.blocks)
    top = HEIGHT + 0.4
    for cell in reversed(outline.cells):
        top = _draw_cell(ax, cell, top, n - 1, colours)
    ax.set(xlim=(-1.0, n), ylim=(-1.7, top + 0.1))
    ax.set_axis_off()
    inches = ax.get_window_extent().width / ax.figure.dpi
    line = max(30, int(LETTERS * inches))
    title = "\n".join(textwrap.wrap(diagram.title or diagram.network, line))
    ax.set_title(title, loc="left", fontsize=10)
    return ax


def _colours(labels: list[str]) -> dict[str, str]:
    """A colour for each operation, in order."""
    return {label: CHOICES[i % (len(CHOICES) - 1)] for i, label in enumerate(dict.fromkeys(labels))}


def _draw_block(ax: "Axes", i: int, block: Block, colours: dict[str, str]) -> None:
    colour = colours.get(block.label, FIXED) if block.searched and not block.empty else FIXED
    ax.add_patch(
        FancyBboxPatch(
            (i - BOX / 2, 0), BOX, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="white" if block.empty else colour, edgecolor=GREY if block.empty else colour,
            linestyle="--" if block.empty else "-", linewidth=1.0, zorder=2,
        )
    )  # fmt: skip
    ax.text(
        i, HEIGHT / 2, block.label, rotation=90, ha="center", va="center", fontsize=8, zorder=3,
        color=GREY if block.empty else _ink(colour),
    )  # fmt: skip


def _ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"


def _label_shapes(ax: "Axes", blocks: tuple[Block, ...]) -> None:
    """A bracket beneath blocks of one shape, with channels and size."""
    at = 0
    for (channels, size), run in itertools.groupby(blocks, lambda b: (b.channels, b.size)):
        start, at = at, at + len(list(run))
        if channels is None:
            continue
        ax.plot([start - BOX / 2, at - 1 + BOX / 2], [-0.25] * 2, color=GREY, linewidth=1.0)
        text = f"{channels}" if size is None else f"{channels}\n{size[0]}x{size[1]}"
        ax.text((start + at - 1) / 2, -0.4, text, ha="center", va="top", fontsize=7)


def _room(cell: Cell) -> float:
    """Height of a cell's drawing, in units of the distance between two blocks."""
    return 2.0 + max((height for _, height in _arcs(cell)), default=1.0)


def _arcs(cell: Cell) -> list[tuple[Arrow, float]]:
    """Operations, and how high their arcs rise: no label lies on another one."""
    arcs: list[tuple[Arrow, float]] = []
    placed: list[tuple[float, float]] = []
    for arrow in sorted(cell.arrows, key=lambda a: (a.target - a.source, a.target, a.source)):
        if not arrow.label:
            continue
        middle, height = (arrow.source + arrow.target) / 2, 0.85 * (arrow.target - arrow.source)
        if arrow.label != JOINED:
            while any(abs(middle - m) < 0.8 and abs(height - h) < 0.65 for m, h in placed):
                height += 0.35
            placed.append((middle, height))
        arcs.append((arrow, height))
    return arcs


def _draw_cell(
    ax: "Axes", cell: Cell, bottom: float, right: float, colours: dict[str, str]
) -> float:
    """Draw a cell as nodes in a row with its operations as arcs; where the next one may begin."""
    room = _room(cell)
    x = np.linspace(0, right, len(cell.nodes))
    y = bottom + 0.5
    ax.text(-0.9, bottom + room - 0.2, cell.name, fontsize=9, va="top")
    t = np.linspace(0, 1, 60)
    for arrow, height in _arcs(cell):
        joined = arrow.label == JOINED
        colour = colours[arrow.label] if arrow.live and not joined else GREY
        alpha = 1.0 if arrow.live else 0.45
        xs = x[arrow.source] + t * (x[arrow.target] - x[arrow.source])
        ys = y + 4 * height * t * (1 - t)
        ax.plot(xs, ys, color=colour, linewidth=1.0 if joined else 2.0, alpha=alpha,
                linestyle="-" if arrow.live and not joined else ":", zorder=1)  # fmt: skip
        tip = np.searchsorted(t, 0.93)
        ax.add_patch(
            FancyArrowPatch(
                (xs[tip - 2], ys[tip - 2]), (xs[tip], ys[tip]), arrowstyle="-|>", mutation_scale=9,
                color=colour, alpha=alpha, linewidth=0, zorder=1,
            )
        )  # fmt: skip
        if not joined:
            ax.text(
                (x[arrow.source] + x[arrow.target]) / 2, y + height, arrow.label, fontsize=7,
                ha="center", va="center", zorder=4, color="black" if arrow.live else GREY,
                bbox={"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.15",
                      "linewidth": 0.8},
            )  # fmt: skip
    for place, name in zip(x, cell.nodes, strict=True):
        ax.text(
            place, y, name, ha="center", va="center", fontsize=8, zorder=5,
            bbox={"facecolor": FIXED, "edgecolor": "black", "boxstyle": "round,pad=0.25",
                  "linewidth": 0.8},
        )  # fmt: skip
    return bottom + room


def frequencies_size(genes: GeneFrequencies) -> tuple[float, float]:
    """Width and height in inches of the figure of a front's genes."""
    return 7.2, max(2.6, 1.5 + 0.24 * len(genes.labels))


def draw_frequencies(genes: GeneFrequencies, ax: "Axes") -> "Axes":
    """Draw a band for each gene: which share of the members holds what, from cheap to dear.

    Members that stand side by side are counted together, so that there are 24 columns at most.
    Seven operations have a colour, the most frequent ones; the others are grey.
    """
    common = genes.common(len(CHOICES) - 1)
    colour = dict(zip(common, CHOICES, strict=False))
    groups = genes.groups()
    shares = np.stack([np.nan_to_num(genes.frequencies(rows)) for rows in groups])
    x = np.arange(len(groups) + 1) - 0.5
    for gene, names in enumerate(genes.labels):
        base = np.full(len(groups), gene + 0.06)
        # What has no colour comes last, so that each band begins with what is told apart.
        for choice in sorted(range(len(names)), key=lambda c: names[c] not in colour):
            top = base + 0.88 * shares[:, gene, choice]
            low, high = np.append(base, base[-1]), np.append(top, top[-1])
            shade = colour.get(names[choice], "#c8c8c8")
            ax.fill_between(x, low, high, step="post", color=shade, linewidth=0)
            base = top
    n = len(genes.labels)
    every = -(-n // 24)
    ax.set_yticks(np.arange(0, n, every) + 0.5, [str(gene) for gene in range(0, n, every)])
    ax.set(xlim=(-0.5, len(groups) - 0.5), ylim=(n, 0))
    marks = np.unique(np.linspace(0, len(groups) - 1, min(7, len(groups))).round().astype(int))
    middle = [float(np.median(genes.costs[groups[i]])) for i in marks]
    ax.set_xticks(marks, [format_number(value) for value in middle])
    ax.tick_params(left=False)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlabel(f"{quantity(genes.cost).label} of the members, from the cheapest to the dearest")
    ax.set_ylabel("gene")
    handles = [Patch(color=colour[name], label=name) for name in common]
    held = {genes.labels[g][c] for row in genes.genomes.tolist() for g, c in enumerate(row)}
    if held - set(common):
        handles.append(Patch(color="#c8c8c8", label="others"))
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False,
        fontsize=8, borderaxespad=0.2, handlelength=1.2,
    )  # fmt: skip
    title = " · ".join(filter(None, [genes.name, plural(len(genes.costs), "member")]))
    ax.set_title(title, loc="left", fontsize=10, pad=14 * (1 + (len(handles) - 1) // 4) + 6)
    return ax
