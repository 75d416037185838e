"""The figure of a front: a record of the numbers drawn, then a function that draws them."""

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
    save,
    stairs,
    style,
)
from evonas.analysis.front import Front, Member
from evonas.analysis.quantities import costs_and_qualities, format_value, plural, quantity, wide
from evonas.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class FrontPicture:
    """What a figure of a front shows.

    Attributes:
        x, y: cost and quality of the members, (n,).
        names: of x and y; a third objective, shown by colour, comes last.
        colour: the third objective, (n,); None for two.
        stairs: corners of the attained boundary, (k, 2), by growing x: members that no other
            beats in x and y.
        log_x: whether the x axis is logarithmic.
        knee: the best compromise; None for fewer than three members.
        title: of the figure.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    colour: np.ndarray | None
    stairs: np.ndarray
    log_x: bool
    knee: Member | None
    title: str


def front_picture(front: Front) -> FrontPicture:
    """The numbers of a front's figure.

    Raises:
        InputError: the front has fewer than two objectives.
    """
    if len(front.objectives) < 2:
        raise InputError("a front needs two objectives to be drawn; name them with objectives=")
    costs, qualities = costs_and_qualities(front.objectives)
    names = [costs[0], qualities[0]]
    names += [name for name in front.objectives if name not in names][:1]
    x, y = front.column(names[0]), front.column(names[1])
    return FrontPicture(
        x=x,
        y=y,
        names=tuple(names),
        colour=front.column(names[2]) if len(names) > 2 else None,
        stairs=stairs(x, y),
        log_x=wide(x),
        knee=front.knee() if len(front) > 2 else None,
        title=" · ".join(
            filter(None, [front.name, plural(len(front), "network") + " on the front"])
        ),
    )


def draw_front(picture: FrontPicture, ax: "Axes") -> "Axes":
    """Draw a front: members, the stairs they attain, and the area that these dominate."""
    style(ax, picture.title)
    ax.set_xlabel(quantity(picture.names[0]).label)
    ax.set_ylabel(quantity(picture.names[1]).label)
    if picture.log_x:
        ax.set_xscale("log")
    if not len(picture.x):
        ax.text(0.5, 0.5, "no feasible network", ha="center", transform=ax.transAxes, color=GREY)
        return ax
    left, right, bottom, top = front_limits(picture)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    # From the upper edge down to the first corner, and from the last one to the right edge.
    x = np.r_[picture.stairs[0, 0], picture.stairs[:, 0], right]
    y = np.r_[top, picture.stairs[:, 1], picture.stairs[-1, 1]]
    if picture.colour is None:
        ax.fill_between(x, y, top, step="post", color=BLUE, alpha=0.10, linewidth=0)
        ax.step(x, y, where="post", color=BLUE, linewidth=1.2, alpha=0.8)
        ax.scatter(
            picture.x, picture.y, s=dot_size(len(picture.x)), color=BLUE, zorder=3, linewidth=0
        )
    else:
        ax.step(x, y, where="post", color=GREY, linewidth=1.0, alpha=0.7)
        dots = ax.scatter(
            picture.x, picture.y, s=dot_size(len(picture.x)), c=picture.colour, cmap="cividis",
            zorder=3, norm="log" if wide(picture.colour) else "linear",
        )  # fmt: skip
        colour_bar(dots, ax, picture.names[2], picture.colour)
    if picture.knee is not None:
        values = picture.knee.values
        text = ", ".join(format_value(name, values[name]) for name in picture.names[1::-1])
        point = (values[picture.names[0]], values[picture.names[1]])
        ax.scatter(*point, s=90, facecolor="none", edgecolor=ORANGE, linewidth=1.8, zorder=4)
        ax.annotate(
            f"knee: {text}", point, xytext=(14, 16), textcoords="offset points", color=ORANGE,
            arrowprops={"arrowstyle": "-", "color": ORANGE, "linewidth": 1.0, "shrinkB": 6},
        )  # fmt: skip
    plain_ticks(ax.xaxis, picture.log_x)
    return ax


def save_front(front: Front, path: Path | str) -> None:
    """Draw a front into a file, atomically; leaves pyplot alone."""
    figure = drawn(partial(draw_front, front_picture(front)))
    save(figure, path)


def front_limits(picture: FrontPicture) -> tuple[float, float, float, float]:
    """Left, right, bottom, top: the members with a margin, proportional on a logarithmic axis."""
    x = np.log(picture.x) if picture.log_x else picture.x
    pad = 0.06 * (np.ptp(x) or abs(x[0]) or 1.0)
    left, right = x.min() - pad, x.max() + 2 * pad
    if picture.log_x:
        left, right = np.exp(left), np.exp(right)
    y = picture.y
    pad = 0.07 * (np.ptp(y) or abs(y[0]) or 1.0)
    return float(left), float(right), float(y.min() - pad), float(y.max() + 2 * pad)
