"""Figures of the choices of a space: what they were worth, and which of them went."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap

from evonas.analysis.drawing import drawn, save_in
from evonas.analysis.pruning import PruningAccount
from evonas.analysis.saliency import Saliency
from evonas.operators.saliency import standardised
from evonas.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_WRITTEN = 12  # choices of a gene whose numbers fit into its cells


def saliency_size(table: Saliency) -> tuple[float, float]:
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


def draw_saliency(table: Saliency, ax: "Axes") -> "Axes":
    """Draw genes by choices: colour compares the choices of a gene, numbers are the saliency."""
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
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label("above the mean of the gene\n(standard deviations)", fontsize=8)
    ax.set_title(" · ".join(filter(None, [table.name, "saliency"])), loc="left", fontsize=10)
    return ax


def pruning_size(account: PruningAccount) -> tuple[float, float]:
    """Width and height in inches of the figure of a pruning."""
    return _choices_size(len(account.labels), account.columns)


def draw_pruning(account: PruningAccount, ax: "Axes") -> "Axes":
    """Draw genes by choices: what stayed; of what went its number in the order, and the step."""
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
        bar = ax.figure.colorbar(image, ax=ax, pad=0.02, boundaries=np.arange(most + 1) + 0.5)
        bar.set_ticks(list(range(1, most + 1)) if most <= 12 else [1, most])
        bar.set_label("struck out, in order", fontsize=8)
    title = [account.name, account.sizes, "green stays"]
    ax.set_title(" · ".join(filter(None, title)), loc="left", fontsize=10)
    return ax


def save_saliency(folder: RunFolder) -> Path:
    """Draw `figures/saliency.png` from the run's `saliency.csv`, atomically.

    Raises:
        InputError: the table is missing or broken, or the disk is full.
    """
    table = Saliency.load(folder.path)
    figure = drawn(partial(draw_saliency, table), saliency_size(table))
    return save_in(folder, "saliency", figure)


def save_pruning(folder: RunFolder) -> Path:
    """Draw `figures/pruning.png` from the run's `pruning.csv`, atomically.

    Raises:
        InputError: the account is missing or broken, or the disk is full.
    """
    account = PruningAccount.load(folder.path)
    figure = drawn(partial(draw_pruning, account), pruning_size(account))
    return save_in(folder, "pruning", figure)
