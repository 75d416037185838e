"""The figure of distributions: how the probabilities of each gene moved."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.distributions import Distributions
from evonas.analysis.drawing import CHOICES, GREY, drawn, save
from evonas.analysis.quantities import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Between panels, in widths of one, and in genes.
GAP, SPACE = 0.12, 2.5


def distributions_size(history: Distributions) -> tuple[float, float]:
    """Width and height in inches of the figure of distributions."""
    _, M, genes, _ = history.probabilities.shape
    rows, columns = _grid(M)
    return max(4.5, 0.6 + 2.4 * columns), 1.0 + rows * (0.7 + 0.19 * max(genes, 6))


def _grid(panels: int) -> tuple[int, int]:
    """Rows and columns of so many panels, four in a row."""
    columns = min(4, panels)
    return -(-panels // columns), columns


def draw_distributions(history: Distributions, ax: "Axes") -> "Axes":
    """Draw how the probabilities of each gene moved, a panel for each distribution.

    A gene is a band, which its choices divide: what fills it in the end is what was learnt. Panels
    stand side by side in the axes; beneath each are its first and its last moment.
    """
    g, M, genes, choices = history.probabilities.shape
    _, columns = _grid(M)
    # A generation is drawn up to the next one; the last one, too, has to be seen.
    x = np.append(history.at, max(history.at[-1], 1) * 1.02)
    every = -(-genes // 20)
    places: list[tuple[float, float]] = []
    for m in range(M):
        left, top = (m % columns) * (1 + GAP), (m // columns) * (genes + SPACE)
        places.append((left, top))
        for gene in range(genes):
            edges = np.cumsum(history.probabilities[:, m, gene], axis=1)
            edges = np.column_stack([np.zeros(g), edges])
            edges = top + gene + 0.06 + 0.88 * np.vstack([edges, edges[-1:]])
            for choice in range(choices):
                ax.fill_between(
                    left + x / x[-1], edges[:, choice], edges[:, choice + 1], step="post",
                    linewidth=0, color=CHOICES[choice % len(CHOICES)],
                    label=f"choice {choice}" if gene == m == 0 else None,
                )  # fmt: skip
        ax.text(left, top - 0.15, f"distribution {m + 1}", fontsize=9, va="bottom")
        for at, side in ((0.0, "left"), (1.0, "right")):
            ax.text(
                left + at, top + genes + 0.15, format_number(at * history.at[-1]), fontsize=8,
                va="top", ha=side, color=GREY,
            )  # fmt: skip
    tops = sorted({top for _, top in places})
    ax.set(xlim=(0, max(left for left, _ in places) + 1), ylim=(tops[-1] + genes + 1, -1))
    ax.set_yticks(
        [top + gene + 0.5 for top in tops for gene in range(0, genes, every)],
        [str(gene) for _ in tops for gene in range(0, genes, every)],
    )
    ax.set_xticks([])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(history.counted)
    ax.set_ylabel("gene")
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=min(choices, 2 + 2 * min(columns, 3)),
        frameon=False, fontsize=9, borderaxespad=0.1, handlelength=1.2,
    )  # fmt: skip
    ax.set_title(history.name, loc="left", fontsize=10, pad=22)
    return ax


def save_distributions(history: Distributions, path: Path | str) -> None:
    """Draw how distributions moved into a file, atomically; leaves pyplot alone."""
    figure = drawn(partial(draw_distributions, history), distributions_size(history))
    save(figure, path)
