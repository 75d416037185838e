"""The front as points in a picture of the report, with axes; in units of the picture."""

from dataclasses import dataclass

import numpy as np

from evonas.analysis.front import Front
from evonas.analysis.quantities import format_number, format_numbers, quantity, wide

WIDTH, HEIGHT = 720.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 72.0, 12.0, 12.0, 46.0
ROOM = 30.0  # for half of the number at a tick near the edge


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: with its unit.
        ticks: place in the picture, and text, of each.
    """

    label: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, eq=False)
class Chart:
    """A front as points.

    Attributes:
        x, y: its axes.
        points: of the members, in their order, (n, 2).
        colours: of the members, by the third objective; one for all where there is none.
        stairs: the boundary of what they attain, as the path of an SVG.
        area: what it dominates, as the path of an SVG.
        radius: of a point.
        third: label of the third objective, its least and its largest value; "" without one.
    """

    x: Axis
    y: Axis
    points: np.ndarray
    colours: tuple[str, ...]
    stairs: str
    area: str
    radius: float
    third: str


def chart_of(front: Front) -> Chart:
    """The chart of a front with one member or more.

    Raises:
        InputError: it has fewer than two objectives.
    """
    from evonas.analysis.drawing import BLUE
    from evonas.analysis.front_figure import front_limits, front_picture

    picture = front_picture(front)
    left, right, bottom, top = front_limits(picture)

    def across(values: np.ndarray) -> np.ndarray:
        v, a, b = (np.log(p) if picture.log_x else np.asarray(p) for p in (values, left, right))
        return LEFT + (v - a) / (b - a) * (WIDTH - LEFT - RIGHT)

    def up(values: np.ndarray) -> np.ndarray:
        return HEIGHT - BOTTOM - (values - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    def ticks(values: np.ndarray, place: np.ndarray) -> tuple[tuple[float, str], ...]:
        return tuple(
            (round(float(p), 2), text)
            for text, p in zip(format_numbers(values.tolist()), place, strict=True)
            if p < WIDTH - ROOM
        )

    at_x, at_y = tick_values(left, right, log=picture.log_x), tick_values(bottom, top, log=False)
    corners_x, corners_y = across(picture.stairs[:, 0]), up(picture.stairs[:, 1])
    path = [f"M{corners_x[0]:.1f} {TOP:.1f}"]
    for cx, cy in zip(corners_x, corners_y, strict=True):
        path.append(f"H{cx:.1f}V{cy:.1f}")
    path.append(f"H{WIDTH - RIGHT:.1f}")
    stairs = "".join(path)
    colours, third = (BLUE,) * len(front), ""
    if picture.colour is not None:
        colours, third = _coloured(picture.names[2], picture.colour)
    return Chart(
        x=Axis(quantity(picture.names[0]).label, ticks(at_x, across(at_x))),
        y=Axis(quantity(picture.names[1]).label, ticks(at_y, up(at_y))),
        points=np.column_stack([across(picture.x), up(picture.y)]),
        colours=colours,
        stairs=stairs,
        area=f"{stairs}V{TOP:.1f}Z",
        radius=float(np.clip(60 / np.sqrt(len(front)), 2.0, 5.5)),
        third=third,
    )


def tick_values(low: float, high: float, *, log: bool) -> np.ndarray:
    """Numbers to write at an axis, inside its limits."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    if log:
        decades = np.log10(high / low)
        digits = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
        values = LogLocator(subs=digits).tick_values(low, high)
    else:
        values = MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return np.array([value for value in values if low <= value <= high])


def _coloured(name: str, values: np.ndarray) -> tuple[tuple[str, ...], str]:
    """A colour for each value, and what the colours mean."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize, to_hex

    scale = (LogNorm if wide(values) else Normalize)(values.min(), values.max())
    shades = colormaps["cividis"](scale(values))
    ends = f"{format_number(values.min())} (dark) to {format_number(values.max())} (light)"
    return tuple(to_hex(shade) for shade in shades), f"colour: {quantity(name).label}, {ends}"
