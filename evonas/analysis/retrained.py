"""True errors of retrained networks, beside what the search thought of them."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.front import Front
from evonas.analysis.quantities import frozen
from evonas.analysis.tables import column, in_run, read_table, to_frame, write_table
from evonas.errors import InputError
from evonas.runs import RunFolder, searches_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = ("error", "test_error", "estimated_error", "epochs", "seeds")


@dataclass(frozen=True, eq=False)
class RetrainedNetworks:
    """Networks that were trained alone, sorted by their first cost.

    Attributes:
        networks: n texts.
        methods: how each was trained, in words.
        columns: "error" (of the validation images, in percent), "test_error", "estimated_error"
            (what the search thought; NaN where it knew nothing), "epochs", "seeds", then costs.
        values: float64 (n, len(columns)), read-only.
        name: of the run, for titles.
        objectives: "error", and the costs that the search minimised; if empty, the first cost.
    """

    networks: tuple[str, ...]
    methods: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    name: str = ""
    objectives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and freeze."""
        values = frozen(np.reshape(self.values, (-1, len(self.columns))))
        object.__setattr__(self, "values", values)
        if not self.objectives:
            object.__setattr__(self, "objectives", ("error", *self.costs[:1]))
        if not len(self.networks) == len(self.methods) == len(values):
            raise InputError(
                f"{len(self.networks)} networks, {len(self.methods)} methods and {len(values)} "
                "rows of values; give one each"
            )

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the costs."""
        return tuple(name for name in self.columns if name not in COLUMNS)

    def column(self, name: str) -> np.ndarray:
        """One column, float (n,).

        Raises:
            InputError: there is none of that name.
        """
        return column(name, self.columns, self.values)

    def front(self) -> Front:
        """The true front: what no other one beats in validation error and the costs of the search.

        The test error is a column of it, and decides nothing.
        """
        return Front.from_arrays(
            self.networks,
            self.values,
            columns=self.columns,
            objectives=self.objectives,
            name=self.name,
        )

    def __len__(self) -> int:
        """Number of networks."""
        return len(self.networks)

    @classmethod
    def load(cls, path: Path | str) -> "RetrainedNetworks":
        """Read a run's `retrained.csv`.

        Args:
            path: a run folder, or the file.

        Raises:
            InputError: no such run or file, or the table is broken.
        """
        remedy = f"train some with: evonas retrain {shlex.quote(str(path))}"
        file, name = in_run(path, "retrained", remedy)
        networks, columns, values = read_table(
            file, text="network", required=COLUMNS, ignored=("method",)
        )
        methods, _, _ = read_table(file, text="method", ignored=("network",))
        minimised = [
            o for search in searches_of(RunFolder(file.parent))[:1] for o in search.objectives
        ]
        objectives = ("error", *(c for c in minimised if c in columns and c not in COLUMNS))
        return cls(
            tuple(networks), tuple(methods), tuple(columns), values, name,
            objectives if len(objectives) > 1 else (),
        )  # fmt: skip

    def write(self, path: Path | str) -> None:
        """Write `retrained.csv`, atomically.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        write_table(
            path,
            self.columns,
            self.values,
            texts=("network", self.networks),
            notes=("method", self.methods),
        )

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame: `network`, the columns, and `method`; counts are integers."""
        frame = to_frame(self.networks, self.columns, self.values)
        frame["method"] = list(self.methods)
        return frame

    def plot(self, ax: "Axes | None" = None, *, front: Front | None = None) -> "Axes":
        """Draw true errors beside the estimated front.

        Args:
            ax: where to draw; a new figure of pyplot's if None.
            front: the estimated front, drawn behind.
        """
        from evonas.analysis.drawing import new_axes
        from evonas.analysis.retrained_figure import draw_retrained

        return draw_retrained(self, front, new_axes() if ax is None else ax)
