"""The figure of retrained networks: true errors beside the estimated front."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.drawing import BLUE, GREY, ORANGE, drawn, plain_ticks, save_in, stairs, style
from evonas.analysis.front import Front
from evonas.analysis.quantities import plural, quantity, wide
from evonas.analysis.retrained import RetrainedNetworks
from evonas.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_retrained(retrained: RetrainedNetworks, front: Front | None, ax: "Axes") -> "Axes":
    """Draw validation and test errors of retrained networks over their first cost.

    The area that the true front dominates is shaded.

    Args:
        retrained: what is known of them.
        front: the estimated front, drawn behind; None for none.
        ax: where to draw.
    """
    cost = retrained.costs[0]
    x, error, test = (retrained.column(name) for name in (cost, "error", "test_error"))
    distinct = len(set(retrained.networks))
    parts = [plural(distinct, "network"), "trained alone"]
    parts += ["in several ways"] if distinct < len(retrained) else []
    style(ax, " · ".join(filter(None, [retrained.name, " ".join(parts)])))
    ax.set_xlabel(quantity(cost).label)
    ax.set_ylabel("error [%]")
    if front is not None and len(front) and {cost, "error"} <= set(front.columns):
        order = np.argsort(front.column(cost), kind="stable")
        ax.plot(
            front.column(cost)[order], front.column("error")[order], color=GREY, linewidth=0.8,
            marker=".", markersize=4, alpha=0.8, drawstyle="steps-post",
            label="front, estimated by the search",
        )  # fmt: skip
    true = retrained.front()
    corners = stairs(true.column(cost), true.column("error"))
    ax.step(*corners.T, where="post", color=BLUE, linewidth=1.2)
    ax.scatter(x, error, s=36, color=BLUE, zorder=3, label="validation images, trained alone")
    ax.scatter(
        x, test, s=36, facecolor="none", edgecolor=ORANGE, linewidth=1.4, zorder=4,
        label="test images, opened once",
    )  # fmt: skip
    everything = np.concatenate([line.get_ydata() for line in ax.get_lines()] + [error, test])
    log_y = bool(wide(everything))
    if log_y:
        ax.set_yscale("log")
    if wide(x if front is None or cost not in front.columns else front.column(cost)):
        ax.set_xscale("log")
    _fill(ax, *corners.T)
    plain_ticks(ax.xaxis, ax.get_xscale() == "log")
    plain_ticks(ax.yaxis, log_y)
    ax.legend(frameon=False, fontsize=8)
    return ax


def _fill(ax: "Axes", cost: np.ndarray, error: np.ndarray) -> None:
    """Shade what the true front dominates, as far as the axes go."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    x, y = np.r_[cost, right], np.r_[error, error[-1]]
    ax.fill_between(x, y, top, step="post", color=BLUE, alpha=0.10, linewidth=0)
    ax.set(xlim=(left, right), ylim=(bottom, top))


def save_retrained(folder: RunFolder) -> Path:
    """Draw `figures/retrained.png` from the run's `retrained.csv`, atomically.

    Raises:
        InputError: a table is missing or broken, or the disk is full.
    """
    front = Front.load(folder.path) if folder.front.is_file() else None
    figure = drawn(partial(draw_retrained, RetrainedNetworks.load(folder.path), front))
    return save_in(folder, "retrained", figure)
