"""Histories of several runs of one problem: bands over seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.history import History
from evonas.analysis.quantities import frozen
from evonas.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class HistoryBands:
    """Quantiles of the hypervolume of several runs, by evaluations; arrays are read-only.

    Attributes:
        evaluations: at which any run's hypervolume is known, as far as all runs have one; int64
            (g,).
        levels: the quantiles, ascending.
        hypervolume: float64 (len(levels), g).
        runs: how many there are.
        name: for titles.
    """

    evaluations: np.ndarray
    levels: tuple[float, ...]
    hypervolume: np.ndarray
    runs: int
    name: str = ""

    def __post_init__(self) -> None:
        """Freeze."""
        object.__setattr__(self, "evaluations", frozen(self.evaluations, np.int64))
        object.__setattr__(self, "hypervolume", frozen(self.hypervolume))

    @classmethod
    def of(
        cls,
        histories: Iterable[History],
        levels: Sequence[float] = (0.25, 0.5, 0.75),
        *,
        name: str = "",
    ) -> "HistoryBands":
        """Quantiles over runs; between two generations a run stands where it last stood.

        They begin where every run has a hypervolume and end where the shortest one ends.

        Raises:
            InputError: there is no history, one has no hypervolume, a level is no quantile, or the
                runs have no number of evaluations in common.
        """
        known = []
        for history in histories:
            there = np.isfinite(history.hypervolume)
            if not there.any():
                raise InputError(f"{history.name or 'a history'} has no hypervolume; leave it out")
            known.append((history.evaluations[there], history.hypervolume[there]))
        if not known:
            raise InputError("no history is given; give one or more")
        levels = tuple(sorted(float(level) for level in levels))
        if not levels or not all(0 <= level <= 1 for level in levels):
            raise InputError(f"levels are {levels}; give quantiles from 0 to 1")
        first = max(at[0] for at, _ in known)
        last = min(at[-1] for at, _ in known)
        at = np.unique(np.concatenate([at for at, _ in known]))
        at = at[(at >= first) & (at <= last)]
        if not len(at):
            raise InputError(
                f"one run begins after {first} evaluations, where another has ended ({last}); "
                "compare runs of one length"
            )
        stand = [v[np.searchsorted(when, at, side="right") - 1] for when, v in known]
        return cls(at, levels, np.quantile(stand, levels, axis=0), len(known), name)

    @classmethod
    def load(cls, paths: Sequence[Path | str]) -> "HistoryBands":
        """Quantiles over runs on disk.

        Raises:
            InputError: as `History.load` and `HistoryBands.of`.
        """
        return cls.of(History.load(path) for path in paths)

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame: evaluations, and a column for each quantile, such as `q0.5`."""
        import pandas as pd

        columns = {
            f"q{level:g}": row for level, row in zip(self.levels, self.hypervolume, strict=True)
        }
        return pd.DataFrame({"evaluations": self.evaluations} | columns)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the middle quantile in the band of the outer ones; into `ax` or a new figure.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.drawing import new_axes
        from evonas.analysis.history_figure import draw_history_bands

        return draw_history_bands(self, new_axes() if ax is None else ax)
