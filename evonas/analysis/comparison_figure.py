"""Figures of several fronts: over each other, and as bands."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.comparison import Attainment, Comparison
from evonas.analysis.drawing import (
    BLUE,
    CHOICES,
    GREY,
    MARKERS,
    dot_size,
    drawn,
    plain_ticks,
    save,
    stairs,
    style,
)
from evonas.analysis.quantities import costs_and_qualities, plural, quantity, wide
from evonas.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 8  # runs that have a colour of their own, and a line in the legend


def draw_comparison(comparison: Comparison, ax: "Axes") -> "Axes":
    """Draw fronts over each other, by their first cost and their first quality.

    Each has a colour and a marker; of more than eight, those that follow are grey.

    Raises:
        InputError: they have fewer than two objectives.
    """
    if len(comparison.objectives) < 2:
        raise InputError("fronts need two objectives to be drawn; name them with objectives=")
    costs, qualities = costs_and_qualities(comparison.objectives)
    names = (costs[0], qualities[0])
    x, y = ([front.column(name) for front in comparison.fronts] for name in names)
    style(ax, plural(len(comparison), "run"))
    log = wide(np.concatenate(x))
    if log:
        ax.set_xscale("log")
    right = max(values.max() for values in x) * (1.05 if log else 1.0)
    for i, (name, volume) in enumerate(zip(comparison.names, comparison.hypervolume, strict=True)):
        colour = CHOICES[i] if i < MOST_NAMED else GREY
        corners = stairs(x[i], y[i])
        ends = np.r_[corners[:, 0], right], np.r_[corners[:, 1], corners[-1, 1]]
        ax.step(*ends, where="post", color=colour, linewidth=1.3, zorder=3 if i < MOST_NAMED else 2)
        ax.scatter(
            x[i], y[i], s=dot_size(len(x[i])), color=colour, marker=MARKERS[i % len(MARKERS)],
            linewidth=0, zorder=4 if i < MOST_NAMED else 2,
            label=f"{name}: {volume:.4f}" if i < MOST_NAMED else None,
        )  # fmt: skip
    title = "run: dominated hypervolume"
    if len(comparison) > MOST_NAMED:
        title += f" (grey: {len(comparison) - MOST_NAMED} more)"
    ax.legend(frameon=False, fontsize=8, title=title, title_fontsize=8, alignment="left")
    ax.set_xlabel(quantity(names[0]).label)
    ax.set_ylabel(quantity(names[1]).label)
    plain_ticks(ax.xaxis, log)
    return ax


def draw_attainment(attainment: Attainment, ax: "Axes") -> "Axes":
    """Draw the surface of the middle level, in the band between those of the outer ones."""
    style(ax, plural(attainment.runs, "run"))
    everything = np.concatenate([surface for surface in attainment.surfaces if len(surface)])
    log = wide(everything[:, 0])
    if log:
        ax.set_xscale("log")
    left, right = everything[:, 0].min(), everything[:, 0].max() * (1.05 if log else 1.0)
    top = everything[:, 1].max()
    middle = len(attainment.levels) // 2
    x = np.unique(np.r_[everything[:, 0], left, right])
    outer = [height(attainment.surfaces[k], x) for k in (0, -1)]
    if len(attainment.levels) > 2:
        low, high = (f"{100 * attainment.levels[k]:g}" for k in (0, -1))
        ax.fill_between(
            x, outer[0], np.where(np.isfinite(outer[1]), outer[1], top), step="post", color=BLUE,
            alpha=0.3, linewidth=0, where=np.isfinite(outer[0]),
            label=f"attained by {low} to {high} % of the runs",
        )  # fmt: skip
    if len(attainment.surfaces[middle]):
        level = attainment.levels[middle]
        label = "the median run" if level == 0.5 else f"{100 * level:g} % of the runs"
        y = height(attainment.surfaces[middle], x)
        ax.step(x, y, where="post", color=BLUE, linewidth=1.6, label=label)
    ax.legend(frameon=False, fontsize=8)
    ax.set_xlabel(quantity(attainment.objectives[0]).label)
    ax.set_ylabel(quantity(attainment.objectives[1]).label)
    plain_ticks(ax.xaxis, log)
    return ax


def save_comparison(comparison: Comparison, path: Path | str) -> None:
    """Draw fronts over each other into a file, atomically; leaves pyplot alone.

    Raises:
        InputError: the ending of the file is none of a figure, or it cannot be written.
    """
    save(drawn(partial(draw_comparison, comparison)), path)


def height(corners: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The least y of corners up to each x; infinite before the first one."""
    at = np.searchsorted(corners[:, 0], x, side="right") - 1
    return np.where(at < 0, np.inf, corners[np.maximum(at, 0), 1] if len(corners) else np.inf)
