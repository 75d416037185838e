"""How a search went: evaluations, hypervolume and seconds after each generation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.quantities import frozen
from evonas.analysis.tables import read_table, write_table
from evonas.runs import RunFolder, Search

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = ("generation", "evaluations", "hypervolume", "seconds")
_WHOLE = ("generation", "evaluations")


@dataclass(frozen=True, eq=False)
class History:
    """A search by generations; arrays of equal length, read-only.

    Attributes:
        generation: int64, from 1, going on after a restart.
        evaluations: int64, so far.
        hypervolume: float64, of everything feasible so far; NaN where the problem has none.
        seconds: float64, spent searching so far.
        name: of the run, for titles.
        details: more numbers of the algorithm by name, float64, NaN where there was none; of
            `MultiDistributionSearch` for each distribution m, from 1, `effective_samples_m`,
            `entropy_m` (nats) and `step_m` (Fisher norm); of a raced search `images_saved`, the
            validation images that its new networks were not scored on.
    """

    generation: np.ndarray
    evaluations: np.ndarray
    hypervolume: np.ndarray
    seconds: np.ndarray
    name: str = ""
    details: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze."""
        for column in COLUMNS:
            dtype = np.int64 if column in _WHOLE else np.float64
            object.__setattr__(self, column, frozen(getattr(self, column), dtype))
        details = {name: frozen(values) for name, values in self.details.items()}
        object.__setattr__(self, "details", details)

    @classmethod
    def from_searches(cls, searches: Iterable[Search], *, name: str = "") -> "History":
        """The history that a journal holds.

        Args:
            searches: of `evonas.runs.read_searches`.
            name: of the run, for titles.
        """
        rows: list[tuple[int, int, float, float]] = []
        details: list[Mapping[str, float]] = []
        before = 0.0
        for search in searches:
            for generation in search.generations:
                if generation.evaluations is None or generation.seconds is None:
                    continue
                volume = generation.hypervolume
                rows.append(
                    (
                        len(rows) + 1,
                        generation.evaluations,
                        np.nan if volume is None else volume,
                        before + generation.seconds,
                    )
                )
                details.append(generation.details)
            before = rows[-1][3] if rows else 0.0
        values = np.array(rows, dtype=float).reshape(-1, len(COLUMNS))
        names = dict.fromkeys(key for each in details for key in each)
        more = {key: np.array([each.get(key, np.nan) for each in details]) for key in names}
        return cls(**dict(zip(COLUMNS, values.T, strict=True)), name=name, details=more)

    @classmethod
    def load(cls, path: Path | str) -> "History":
        """Read a run's history.

        Args:
            path: a run folder, or its `history.csv`.

        Raises:
            InputError: no such run or file, or the table is broken.
        """
        path = Path(path)
        name = path.stem
        if path.is_dir() or not path.suffix:
            folder = RunFolder.open(path)
            path, name = folder.require(folder.history), folder.name
        _, columns, values = read_table(path, required=COLUMNS)
        table = dict(zip(columns, values.T, strict=True))
        whole = {column: table.pop(column) for column in COLUMNS}
        return cls(**whole, name=name, details=table)

    def write(self, path: Path | str) -> None:
        """Write `history.csv`, atomically.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        table = self._table()
        write_table(path, list(table), np.column_stack(list(table.values())))

    def __len__(self) -> int:
        """Number of generations."""
        return len(self.generation)

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame with the four columns, and those of the algorithm behind them."""
        import pandas as pd

        return pd.DataFrame(self._table())

    def _table(self) -> dict[str, np.ndarray]:
        return {column: getattr(self, column) for column in COLUMNS} | dict(self.details)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw hypervolume over evaluations; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.drawing import new_axes
        from evonas.analysis.history_figure import draw_history, history_picture

        return draw_history(history_picture(self), new_axes() if ax is None else ax)
