"""What all figures share: colours and size, axes and ticks, and how they become files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter, LogLocator, NullFormatter, NullLocator

from evonas.analysis.quantities import format_number, format_numbers, quantity, wide
from evonas.atomic import cannot_write, replacing
from evonas.errors import InputError
from evonas.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.cm import ScalarMappable

# Okabe and Ito's palette: told apart with any kind of colour vision, and in grey.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7f7f7f"
CHOICES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7f7f7f")
MARKERS = "osD^vPX*"
SIZE = (7.2, 4.5)
DPI = 150
STEPS = [1, 2, 2.5, 5, 10]  # between ticks; matplotlib's own choice makes multiples of 0.08


def new_axes(size: tuple[float, float] = SIZE) -> "Axes":
    """Axes in a new figure of pyplot's, which notebooks show; width and height in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def drawn(draw: Callable[["Axes"], object], size: tuple[float, float] = SIZE) -> Figure:
    """A figure of one Axes that something has been drawn into; leaves pyplot alone."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name with dollar signs is no formula
    return figure


def save_in(folder: RunFolder, name: str, figure: Figure) -> Path:
    """Save a figure of a run under its name; where it lies."""
    path = figures_folder(folder) / f"{name}.png"
    save(figure, path)
    return path


def save(figure: Figure, path: Path | str) -> None:
    """Save a figure, atomically; its ending says as what: png, svg, pdf.

    Raises:
        InputError: there is no such kind of figure, or the disk is full.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _METADATA:
        known = ", ".join(sorted(_METADATA))
        raise InputError(f"{path} has no ending of a figure; give one of {known}")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata=_METADATA[suffix])


# No software version and no date in a file: the same numbers give the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def style(ax: "Axes", title: str) -> None:
    """Title, grid and spines."""
    ax.set_title(title, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)


def figures_folder(folder: RunFolder) -> Path:
    """The folder of figures, made if it is missing."""
    try:
        folder.figures.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder.figures, error) from error
    return folder.figures


def plain_ticks(axis: "Axis", log: bool, *, digits: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """Numbers such as 200k and 1M; on a logarithmic axis at these digits of each decade."""
    if log:
        axis.set_major_locator(LogLocator(subs=digits))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FormatTicks())


class FormatTicks(Formatter):
    """Numbers such as 200k and 1M, with as many digits as tell neighbours apart."""

    def __call__(self, value: float, pos: int | None = None) -> str:
        """One number."""
        return format_number(value)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """All numbers of an axis."""
        return format_numbers(values)


def colour_bar(dots: "ScalarMappable", ax: "Axes", name: str, values: np.ndarray) -> None:
    """The bar beside axes that says what the colour of dots means.

    Args:
        dots: what is coloured.
        ax: the axes.
        name: of the quantity.
        values: of the dots, (n,).
    """
    bar = ax.figure.colorbar(dots, ax=ax, pad=0.02)
    bar.set_label(quantity(name).label)
    plain_ticks(bar.ax.yaxis, wide(values))


def dot_size(count: int) -> float:
    """Smaller dots for many members, in square points."""
    return float(np.clip(1500 / count, 9, 36))


def stairs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Corners of what points attain, by growing x, float (k, 2)."""
    order = np.lexsort((y, x))
    best = np.minimum.accumulate(y[order]) if len(x) else y
    new = np.r_[True, best[1:] < best[:-1]] if len(x) else np.empty(0, dtype=bool)
    return np.column_stack([x, y])[order][new]
