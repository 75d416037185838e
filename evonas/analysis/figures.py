"""Figures of a run: for each a record of the numbers drawn, then a function that draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evonas.analysis.distributions import DistributionHistory
from evonas.analysis.drawing import (
    BLUE,
    CHOICES,
    GREY,
    ORANGE,
    SIZE,
    STEPS,
    colour_bar,
    dot_size,
    figures_folder,
    plain_ticks,
    save,
    save_in,
    style,
)
from evonas.analysis.front import Front, Member
from evonas.analysis.history import History
from evonas.analysis.pruning import PruningAccount
from evonas.analysis.quantities import (
    costs_and_qualities,
    format_value,
    plural,
    quantity,
    wide,
)
from evonas.analysis.saliency import SaliencyTable
from evonas.errors import InputError
from evonas.operators.saliency import standardised
from evonas.runs import RunFolder

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
    order = np.lexsort((y, x))
    best = np.minimum.accumulate(y[order]) if len(front) else y
    new = np.r_[True, best[1:] < best[:-1]] if len(front) else np.empty(0, dtype=bool)
    return FrontPicture(
        x=x,
        y=y,
        names=tuple(names),
        colour=front.column(names[2]) if len(names) > 2 else None,
        stairs=np.column_stack([x, y])[order][new],
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
    left, right, bottom, top = _limits(picture)
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


def distributions_size(history: DistributionHistory) -> tuple[float, float]:
    """Width and height in inches of the figure of distributions."""
    _, M, genes, _ = history.probabilities.shape
    rows, columns = _grid(M)
    return 0.6 + 2.4 * columns, 1.0 + rows * (0.7 + 0.19 * max(genes, 6))


def _grid(panels: int) -> tuple[int, int]:
    """Rows and columns of so many panels, four in a row."""
    columns = min(4, panels)
    return -(-panels // columns), columns


def draw_distributions(history: DistributionHistory, figure: Figure) -> Figure:
    """Draw how the probabilities of each gene moved, a panel for each distribution.

    A gene is a band, which its choices divide: what fills it in the end is what was learnt.
    """
    g, M, genes, choices = history.probabilities.shape
    axes = figure.subplots(*_grid(M), sharex=True, sharey=True, squeeze=False)
    # A generation is drawn up to the next one; the last one, too, has to be seen.
    x = np.append(history.at, max(history.at[-1], 1) * 1.02)
    for m, ax in enumerate(axes.flat):
        if m >= M:
            ax.remove()
            continue
        for gene in range(genes):
            edges = np.cumsum(history.probabilities[:, m, gene], axis=1)
            edges = np.column_stack([np.zeros(g), edges])
            edges = gene + 0.06 + 0.88 * np.vstack([edges, edges[-1:]])
            for choice in range(choices):
                ax.fill_between(
                    x, edges[:, choice], edges[:, choice + 1], step="post", linewidth=0,
                    color=CHOICES[choice % len(CHOICES)],
                    label=f"choice {choice}" if gene == m == 0 else None,
                )  # fmt: skip
        ax.set_title(f"distribution {m + 1}", loc="left", fontsize=9)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.set(xlim=(0, x[-1]), ylim=(genes, 0))
        every = -(-genes // 20)
        ax.set_yticks(np.arange(0, genes, every) + 0.5, [str(j) for j in range(0, genes, every)])
        ax.tick_params(left=False)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, steps=STEPS))
    figure.supxlabel(history.counted, fontsize=10)
    figure.supylabel("gene", fontsize=10)
    figure.legend(loc="outside upper right", ncols=min(choices, 8), frameon=False, fontsize=9)
    if history.name:
        figure.suptitle(history.name, x=0.01, ha="left", fontsize=10)
    return figure


MOST_WRITTEN = 12  # choices of a gene whose numbers fit into its cells


def saliency_size(table: SaliencyTable) -> tuple[float, float]:
    """Width and height in inches of the figure of a saliency table."""
    return _choices_size(len(table.values), table.columns)


def _choices_size(genes: int, columns: Sequence[str]) -> tuple[float, float]:
    """Width and height in inches of a figure of genes by choices."""
    each = 1.0 if len(columns) <= MOST_WRITTEN else 0.3
    height = 1.6 + 0.36 * genes + 0.06 * max(map(len, columns))
    return max(4.5, 1.6 + each * len(columns)), height


def _label_choices(ax: "Axes", genes: int, columns: Sequence[str]) -> None:
    """Ticks of a picture of genes by choices; grey is what no gene has."""
    ax.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize=8)
    ax.set_yticks(range(genes))
    ax.set_ylabel("gene")
    ax.set_facecolor("#dddddd")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def draw_saliency(table: SaliencyTable, figure: Figure) -> Figure:
    """Draw genes by choices: colour compares the choices of a gene, numbers are the saliency."""
    ax = figure.subplots()
    values = table.values
    shade = standardised(values)
    reach = float(np.nanmax(np.abs(shade))) or 1.0
    image = ax.imshow(shade, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto")
    if values.shape[1] <= MOST_WRITTEN:
        for gene, choice in np.argwhere(~np.isnan(values)):
            dark = abs(shade[gene, choice]) > 0.55 * reach
            ax.text(
                choice, gene, f"{values[gene, choice]:.2g}", ha="center", va="center", fontsize=8,
                color="white" if dark else "black",
            )  # fmt: skip
    _label_choices(ax, len(values), table.columns)
    bar = figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label("above the mean of the gene\n(standard deviations)", fontsize=8)
    ax.set_title(" · ".join(filter(None, [table.name, "saliency"])), loc="left", fontsize=10)
    return figure


def save_saliency(folder: RunFolder) -> Path:
    """Draw `figures/saliency.png` from the run's `saliency.csv`, atomically.

    Raises:
        InputError: the table is missing or broken, or the disk is full.
    """
    table = SaliencyTable.load(folder.path)
    figure = Figure(figsize=saliency_size(table), layout="constrained")
    return save_in(folder, "saliency", draw_saliency(table, figure))


def pruning_size(account: PruningAccount) -> tuple[float, float]:
    """Width and height in inches of the figure of a pruning."""
    return _choices_size(len(account.labels), account.columns)


def draw_pruning(account: PruningAccount, figure: Figure) -> Figure:
    """Draw genes by choices: what stayed; of what went its number in the order, and the step."""
    ax = figure.subplots()
    order, allowed = account.order, account.allowed
    shade = np.where(allowed, np.nan, order)
    ax.imshow(np.where(allowed, 1.0, np.nan), cmap=ListedColormap(["#bfe3cf"]), aspect="auto")
    most = max(1, len(account.struck))
    image = ax.imshow(shade, cmap="Oranges_r", vmin=1, vmax=1.6 * most, aspect="auto")
    if allowed.shape[1] <= MOST_WRITTEN:
        for number, struck in enumerate(account.struck, start=1):
            ax.text(
                struck.choice, struck.gene, f"{number}: step {struck.step}", ha="center",
                va="center", fontsize=8, color="white" if number < 0.45 * most else "black",
            )  # fmt: skip
    bounds = np.flatnonzero(np.diff(account.levels)) + 0.5
    ax.hlines(bounds, -0.5, allowed.shape[1] - 0.5, color="white", linewidth=1.5)
    _label_choices(ax, len(allowed), account.columns)
    ax.set_ylabel("gene, from shallow to deep")
    if account.struck:
        bar = figure.colorbar(image, ax=ax, pad=0.02, boundaries=np.arange(most + 1) + 0.5)
        bar.set_ticks(list(range(1, most + 1)) if most <= 12 else [1, most])
        bar.set_label("struck out, in order", fontsize=8)
    title = [account.name, account.sizes, "green stays"]
    ax.set_title(" · ".join(filter(None, title)), loc="left", fontsize=10)
    return figure


def save_pruning(folder: RunFolder) -> Path:
    """Draw `figures/pruning.png` from the run's `pruning.csv`, atomically.

    Raises:
        InputError: the account is missing or broken, or the disk is full.
    """
    account = PruningAccount.load(folder.path)
    figure = Figure(figsize=pruning_size(account), layout="constrained")
    return save_in(folder, "pruning", draw_pruning(account, figure))


def save_figures(folder: RunFolder) -> list[Path]:
    """Draw `figures/front.png` and `figures/hypervolume.png` from the run's two CSVs.

    Of a multi-distribution search also `figures/distributions.png`, from its journal.

    Returns:
        The files written.

    Raises:
        InputError: a CSV is missing or broken, or the disk is full.
    """
    front = figures_folder(folder) / "front.png"
    volume = folder.figures / "hypervolume.png"
    save_front(Front.load(folder.path), front)
    history = History.load(folder.path)
    save_history(history, volume)
    if "entropy_1" not in history.details and not folder.distributions.is_file():
        return [front, volume]
    distributions = folder.figures / "distributions.png"
    save_distributions(DistributionHistory.load(folder.path), distributions)
    return [front, volume, distributions]


def save_front(front: Front, path: Path | str) -> None:
    """Draw a front into a file, atomically; leaves pyplot alone."""
    figure = Figure(figsize=SIZE, layout="constrained")
    draw_front(front_picture(front), figure.subplots())
    save(figure, path)


def save_history(history: History, path: Path | str) -> None:
    """Draw a history into a file, atomically; leaves pyplot alone."""
    figure = Figure(figsize=SIZE, layout="constrained")
    draw_history(history_picture(history), figure.subplots())
    save(figure, path)


def save_distributions(history: DistributionHistory, path: Path | str) -> None:
    """Draw how distributions moved into a file, atomically; leaves pyplot alone."""
    figure = Figure(figsize=distributions_size(history), layout="constrained")
    save(draw_distributions(history, figure), path)


def _limits(picture: FrontPicture) -> tuple[float, float, float, float]:
    """Left, right, bottom, top: the members with a margin, proportional on a logarithmic axis."""
    x = np.log(picture.x) if picture.log_x else picture.x
    pad = 0.06 * (np.ptp(x) or abs(x[0]) or 1.0)
    left, right = x.min() - pad, x.max() + 2 * pad
    if picture.log_x:
        left, right = np.exp(left), np.exp(right)
    y = picture.y
    pad = 0.07 * (np.ptp(y) or abs(y[0]) or 1.0)
    return float(left), float(right), float(y.min() - pad), float(y.max() + 2 * pad)
