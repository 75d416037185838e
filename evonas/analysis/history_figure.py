"""The figure of a history: a record of the numbers drawn, then a function that draws them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from evonas.analysis.drawing import BLUE, GREY, STEPS, drawn, save, style
from evonas.analysis.history import History
from evonas.analysis.history_bands import HistoryBands
from evonas.analysis.quantities import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class HistoryPicture:
    """What a figure of a history shows.

    Attributes:
        evaluations: so far, by generation, (n,).
        hypervolume: so far, (n,).
        title: of the figure.
    """

    evaluations: np.ndarray
    hypervolume: np.ndarray
    title: str


def history_picture(history: History) -> HistoryPicture:
    """The numbers of a history's figure; generations without a hypervolume are left out."""
    known = np.isfinite(history.hypervolume)
    return HistoryPicture(
        evaluations=history.evaluations[known],
        hypervolume=history.hypervolume[known],
        title=" · ".join(filter(None, [history.name, plural(len(history), "generation")])),
    )


def draw_history(picture: HistoryPicture, ax: "Axes") -> "Axes":
    """Draw hypervolume over evaluations: a step for each generation."""
    style(ax, picture.title)
    ax.set_xlabel("networks evaluated")
    ax.set_ylabel("dominated hypervolume")
    if not len(picture.evaluations):
        text = "no generation with a hypervolume"
        ax.text(0.5, 0.5, text, ha="center", transform=ax.transAxes, color=GREY)
        return ax
    x, y = picture.evaluations, picture.hypervolume
    ax.step(x, y, where="post", color=BLUE, linewidth=1.6)
    ax.scatter(x, y, s=14, color=BLUE, zorder=3)
    ax.annotate(
        f"{y[-1]:.4f}", (x[-1], y[-1]), xytext=(4, 6), textcoords="offset points", color=BLUE,
        ha="right", va="bottom",
    )  # fmt: skip
    ax.margins(y=0.12)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=STEPS))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=STEPS))
    return ax


def draw_history_bands(bands: HistoryBands, ax: "Axes") -> "Axes":
    """Draw the middle quantile over evaluations, in the band between the outer ones."""
    style(ax, " · ".join(filter(None, [bands.name, plural(bands.runs, "run")])))
    ax.set_xlabel("networks evaluated")
    ax.set_ylabel("dominated hypervolume")
    x, middle = bands.evaluations, len(bands.levels) // 2
    if len(bands.levels) > 2:
        low, high = (f"{100 * bands.levels[k]:g}" for k in (0, -1))
        ax.fill_between(
            x, bands.hypervolume[0], bands.hypervolume[-1], step="post", color=BLUE, alpha=0.2,
            linewidth=0, label=f"{low} % to {high} % quantile of the runs",
        )  # fmt: skip
    level = bands.levels[middle]
    label = "median" if level == 0.5 else f"{100 * level:g} % quantile of the runs"
    ax.step(x, bands.hypervolume[middle], where="post", color=BLUE, linewidth=1.6, label=label)
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=STEPS))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=STEPS))
    return ax


def save_history(history: History, path: Path | str) -> None:
    """Draw a history into a file, atomically; leaves pyplot alone."""
    figure = drawn(partial(draw_history, history_picture(history)))
    save(figure, path)
