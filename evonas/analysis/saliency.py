"""What each choice of each gene was worth to a run's supernet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.choices import choice_names, labels_of
from evonas.analysis.quantities import frozen
from evonas.analysis.tables import in_run, read_table, write_table
from evonas.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Saliency:
    """A number for each choice of each gene; higher is worth more.

    Attributes:
        values: float64 (n_var, max choices) in the numbering of the base space, read-only; NaN
            where there is no choice.
        labels: the name of each choice of each gene; "" where there is none.
        name: of the run, for titles.
    """

    values: np.ndarray
    labels: tuple[tuple[str, ...], ...]
    name: str = ""

    def __post_init__(self) -> None:
        """Freeze.

        Raises:
            InputError: values and labels do not fit.
        """
        object.__setattr__(self, "values", frozen(self.values))
        labels = tuple(tuple(row) for row in self.labels)
        object.__setattr__(self, "labels", labels)
        if self.values.ndim != 2 or any(len(row) > self.values.shape[1] for row in labels):
            raise InputError(
                f"saliency {self.values.shape} and labels of {len(labels)} genes do not fit; give "
                "(n_var, max choices), and a label for each"
            )
        if len(labels) != len(self.values):
            raise InputError(f"{len(self.values)} genes have labels for {len(labels)}")

    @classmethod
    def load(cls, path: Path | str) -> "Saliency":
        """Read `saliency.csv`, or that of a run folder.

        Raises:
            InputError: there is no such file or run, or the file is broken.
        """
        path, name = in_run(
            path, "saliency", "run with --mutation saliency, or --algorithm saliency"
        )
        texts, columns, cells = read_table(
            path, text="operation", required=("gene", "choice", "saliency")
        )
        gene, choice, value = (cells[:, columns.index(c)] for c in ("gene", "choice", "saliency"))
        at = np.stack([gene, choice], axis=1)
        if not len(at) or not (np.isfinite(at).all() and (at >= 0).all() and (at % 1 == 0).all()):
            raise InputError(f"{path} names a gene or choice that is none; restore the file")
        places = at.astype(int)
        if len(np.unique(places, axis=0)) < len(places):
            raise InputError(f"{path} has two rows for one choice of a gene; restore the file")
        values = np.full(places.max(axis=0) + 1, np.nan)
        values[tuple(places.T)] = value
        return cls(values, labels_of(places, texts), name)

    def write(self, path: Path | str) -> None:
        """Write a row for each choice: operation, gene, choice, saliency.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        places = [
            (j, k) for j, row in enumerate(self.labels) for k, text in enumerate(row) if text != ""
        ]
        rows = np.array([(j, k, self.values[j, k]) for j, k in places])
        texts = [self.labels[j][k] for j, k in places]
        write_table(path, ("gene", "choice", "saliency"), rows, texts=("operation", texts))

    @property
    def columns(self) -> Sequence[str]:
        """A name for each choice: its operation where all genes agree, else its number."""
        return choice_names(self.labels, self.values.shape[1])

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw genes by choices; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.choices_figure import draw_saliency, saliency_size
        from evonas.analysis.drawing import new_axes

        return draw_saliency(self, new_axes(saliency_size(self)) if ax is None else ax)
