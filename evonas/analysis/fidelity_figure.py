"""The figure of rank fidelity: a record of the numbers drawn, then a function that draws them."""

import textwrap
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.drawing import (
    BLUE,
    GREY,
    ORANGE,
    colour_bar,
    dot_size,
    drawn,
    plain_ticks,
    save_in,
    style,
)
from evonas.analysis.fidelity import RankFidelity
from evonas.analysis.front import Front
from evonas.analysis.quantities import plural, wide
from evonas.analysis.ranks import in_words
from evonas.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 76  # letters that fit beneath the axes
# An axis is logarithmic where the largest error is so many times the least: a sample spread over
# cost holds a few poor networks, which would press all others into a corner.
WIDE = 4.0
DIGITS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)  # of its ticks; it spans about one decade


@dataclass(frozen=True, eq=False)
class FidelityPicture:
    """What a figure of rank fidelity shows.

    Attributes:
        x, y: true and estimated errors, percent, (k,).
        colour: the first cost, (k,); None where there is none.
        cost: its name.
        members: which are on the front, bool (k,).
        log_x, log_y: whether an axis is logarithmic.
        limits: of both axes, (left, right, bottom, top).
        source: where the true errors come from.
        title: of the figure, two lines.
    """

    x: np.ndarray
    y: np.ndarray
    colour: np.ndarray | None
    cost: str
    members: np.ndarray
    log_x: bool
    log_y: bool
    limits: tuple[float, float, float, float]
    source: str
    title: str

    @property
    def diagonal(self) -> bool:
        """Whether estimates and truth have enough in common for a line where they are equal."""
        (left, right), (bottom, top) = ((v.min(), v.max()) for v in (self.x, self.y))
        common = min(right, top) - max(left, bottom)
        return bool(common > 0 and common >= 0.5 * min(right - left, top - bottom))


def fidelity_picture(fidelity: RankFidelity, front: Front | None = None) -> FidelityPicture:
    """The numbers of the figure of rank fidelity.

    Args:
        fidelity: the sample.
        front: whose members are marked.
    """
    x, y, columns = fidelity.true_error, fidelity.estimated_error, fidelity.columns
    log_x, log_y = wide(x, factor=WIDE), wide(y, factor=WIDE)
    numbers = [f"Kendall's tau {in_words(fidelity.tau, fidelity.tau_interval)}"]
    numbers += [f"by {name} alone {in_words(fidelity.cost_tau(name))}" for name in columns[:1]]
    return FidelityPicture(
        x=x,
        y=y,
        colour=fidelity.costs[:, 0] if columns else None,
        cost=columns[0] if columns else "",
        members=np.isin(fidelity.networks, front.networks if front else ()),
        log_x=log_x,
        log_y=log_y,
        limits=(*_limits(x, log_x), *_limits(y, log_y)),
        source=fidelity.source,
        title=" · ".join(filter(None, [fidelity.name, plural(len(fidelity), "network")]))
        + "\n"
        + " · ".join(numbers),
    )


def draw_fidelity(picture: FidelityPicture, ax: "Axes") -> "Axes":
    """Draw estimated over true errors, coloured by cost; rings mark the front's members."""
    style(ax, picture.title)
    ax.set_xlabel("\n".join(textwrap.wrap(f"true error [%]: {picture.source}", LINE)))
    ax.set_ylabel("estimated error [%]")
    if picture.log_x:
        ax.set_xscale("log")
    if picture.log_y:
        ax.set_yscale("log")
    left, right, bottom, top = picture.limits
    ax.set(xlim=(left, right), ylim=(bottom, top))
    if picture.diagonal:
        # many points, since the line is curved where one axis is logarithmic
        line = np.linspace(max(left, bottom), min(right, top), 200)
        ax.plot(line, line, color=GREY, linewidth=1.0, linestyle=":", label="estimate = truth")
    size = dot_size(len(picture.x))
    if picture.colour is None:
        ax.scatter(picture.x, picture.y, s=size, color=BLUE, linewidth=0, zorder=3)
    else:
        dots = ax.scatter(
            picture.x, picture.y, s=size, c=picture.colour, cmap="cividis", linewidth=0, zorder=3,
            norm="log" if wide(picture.colour) else "linear",
        )  # fmt: skip
        colour_bar(dots, ax, picture.cost, picture.colour)
    if picture.members.any():
        ax.scatter(
            picture.x[picture.members], picture.y[picture.members], s=size + 60, facecolor="none",
            edgecolor=ORANGE, linewidth=1.4, zorder=4, label="on the front",
        )  # fmt: skip
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=9, loc="upper left")
    plain_ticks(ax.xaxis, picture.log_x, digits=DIGITS)
    plain_ticks(ax.yaxis, picture.log_y, digits=DIGITS)
    return ax


def save_fidelity(folder: RunFolder) -> Path:
    """Draw `figures/fidelity.png` from the run's `fidelity.csv`, atomically.

    Where there is a `front.csv` its members are marked.

    Raises:
        InputError: a table is missing or broken, or the disk is full.
    """
    fidelity = RankFidelity.load(folder.path)
    front = Front.load(folder.path) if folder.front.is_file() else None
    figure = drawn(partial(draw_fidelity, fidelity_picture(fidelity, front)))
    return save_in(folder, "fidelity", figure)


def _limits(values: np.ndarray, log: bool) -> tuple[float, float]:
    """Ends of an axis: the values with a margin, proportional on a logarithmic axis."""
    scaled = np.log(values) if log else values
    pad = 0.06 * (np.ptp(scaled) or abs(scaled[0]) or 1.0)
    ends = np.array([scaled.min() - pad, scaled.max() + pad])
    low, high = (np.exp(ends) if log else ends).tolist()
    return low, high
