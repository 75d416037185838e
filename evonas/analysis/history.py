"""How a search went: evaluations, hypervolume and seconds after each generation."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
    """

    generation: np.ndarray
    evaluations: np.ndarray
    hypervolume: np.ndarray
    seconds: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        """Freeze."""
        for column in COLUMNS:
            dtype = np.int64 if column in _WHOLE else np.float64
            values = np.array(getattr(self, column), dtype=dtype)
            values.flags.writeable = False
            object.__setattr__(self, column, values)

    @classmethod
    def from_searches(cls, searches: Iterable[Search], *, name: str = "") -> "History":
        """The history that a journal holds.

        Args:
            searches: of `evonas.runs.read_searches`.
            name: of the run, for titles.
        """
        rows: list[tuple[int, int, float, float]] = []
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
            before = rows[-1][3] if rows else 0.0
        return cls._from_values(np.array(rows, dtype=float).reshape(-1, len(COLUMNS)), name)

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
        return cls._from_values(values[:, [columns.index(column) for column in COLUMNS]], name)

    @classmethod
    def _from_values(cls, values: np.ndarray, name: str) -> "History":
        return cls(values[:, 0], values[:, 1], values[:, 2], values[:, 3], name)

    def write(self, path: Path | str) -> None:
        """Write `history.csv`, atomically.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        values = np.column_stack([getattr(self, column) for column in COLUMNS])
        write_table(path, COLUMNS, values)

    def __len__(self) -> int:
        """Number of generations."""
        return len(self.generation)

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame with the four columns."""
        import pandas as pd

        return pd.DataFrame({column: getattr(self, column) for column in COLUMNS})

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw hypervolume over evaluations; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.figures import draw_history, history_picture, new_axes

        return draw_history(history_picture(self), new_axes() if ax is None else ax)
