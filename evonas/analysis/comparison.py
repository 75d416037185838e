"""Fronts of several runs side by side, in numbers that compare."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from moocore import epsilon_additive, is_nondominated

from evonas.analysis.front import Front
from evonas.analysis.quantities import costs_and_qualities
from evonas.errors import InputError
from evonas.problems.scale import Scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

AT_ONCE = 2**24  # comparisons of two numbers


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fronts of the same objectives; rows of all arrays are in their order.

    Attributes:
        fronts: two or more, or one; none of them is empty.
        merged: what is non-dominated of all together.
        scale: what makes their objectives comparable: that of the runs where they have the same
            one, else the ranges of all members.
    """

    fronts: tuple[Front, ...]
    merged: Front
    scale: Scale

    @classmethod
    def of(cls, fronts: Iterable[Front]) -> "Comparison":
        """Compare fronts.

        Raises:
            InputError: there is none, one is empty, or they have different objectives.
        """
        given = tuple(fronts)
        merged = Front.merge(given, name="all")
        for front in given:
            if not len(front):
                raise InputError(f"{front.name or 'a front'} has no network; leave it out")
        F = np.concatenate([_objectives(front, merged.objectives) for front in given])
        first = given[0]
        same = all(
            front.scale == first.scale and front.objectives == first.objectives for front in given
        )
        scale = first.scale if same and first.scale else Scale.of(F)
        return cls(given, merged, scale)

    @classmethod
    def load(cls, paths: Sequence[Path | str]) -> "Comparison":
        """Compare the fronts of runs, or of CSV files; see `Front.load`.

        Raises:
            InputError: as `Front.load` and `Comparison.of`.
        """
        return cls.of(Front.load(path) for path in paths)

    def __len__(self) -> int:
        """Number of fronts."""
        return len(self.fronts)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives, in the order of the first front."""
        return self.merged.objectives

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fronts, all different: `run 2` has no name, `name (2)` had that of another."""
        names: list[str] = []
        for number, front in enumerate(self.fronts, start=1):
            name, again = front.name or f"run {number}", 1
            while name in names:
                again += 1
                name = f"{front.name or f'run {number}'} ({again})"
            names.append(name)
        return tuple(names)

    @property
    def points(self) -> tuple[np.ndarray, ...]:
        """Objectives of each front, float (n, n_obj), in the order of `objectives`."""
        return tuple(_objectives(front, self.objectives) for front in self.fronts)

    @cached_property
    def hypervolume(self) -> np.ndarray:
        """Of each front, by `scale`, float (runs,)."""
        return np.array([self.scale.hypervolume(F) for F in self.points])

    @cached_property
    def on_merged(self) -> np.ndarray:
        """Members of each front that no other front dominates, int (runs,)."""
        return np.array([int((~_covered(F, self._best, strictly=True)).sum()) for F in self.points])

    @cached_property
    def epsilon(self) -> np.ndarray:
        """What each front lacks to all together, float (runs,).

        The additive epsilon indicator (Zitzler et al., 2003), objectives scaled: the least number
        that all its objectives must be lowered by for it to be as good. 0 is the best.
        """
        best = self.scale.scaled(self._best)
        return np.array([epsilon_additive(self.scale.scaled(F), ref=best) for F in self.points])

    @cached_property
    def _best(self) -> np.ndarray:
        """Non-dominated points of all; a network may be there twice, with two estimates."""
        F = np.concatenate(self.points)
        return np.unique(F[is_nondominated(F)], axis=0)

    @cached_property
    def coverage(self) -> np.ndarray:
        """Share of the members of the front in a column that a row's front covers, (runs, runs).

        A member is covered by one that is no worse in any objective (C metric; Zitzler and
        Thiele, 1999); the diagonal is 1.
        """
        return np.array([[_covered(G, F).mean() for G in self.points] for F in self.points])

    def to_frame(self) -> "pd.DataFrame":
        """A row for each front: run, networks, hypervolume, on_merged, epsilon, best of each."""
        import pandas as pd

        table = {
            "run": self.names,
            "networks": [len(front) for front in self.fronts],
            "hypervolume": self.hypervolume,
            "on_merged": self.on_merged,
            "epsilon": self.epsilon,
        }
        for i, name in enumerate(self.objectives):
            table[f"least_{name}"] = [F[:, i].min() for F in self.points]
        return pd.DataFrame(table)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the fronts over each other; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.comparison_figure import draw_comparison
        from evonas.analysis.drawing import new_axes

        return draw_comparison(self, new_axes() if ax is None else ax)


@dataclass(frozen=True, eq=False)
class Attainment:
    """What shares of several runs attain: bands over seeds, for two objectives.

    A point is attained by a run that has a member no worse in both objectives. The surface of a
    level is the boundary of what at least that share of the runs attain (empirical attainment
    function; Grunert da Fonseca, Fonseca and Hall, 2001; computed by moocore).

    Attributes:
        objectives: a cost, then a quality.
        levels: shares of the runs, ascending, above 0.
        surfaces: for each level corners by growing cost, float (k, 2); of none it may be empty.
        runs: how many there are.
    """

    objectives: tuple[str, str]
    levels: tuple[float, ...]
    surfaces: tuple[np.ndarray, ...]
    runs: int

    @classmethod
    def of(
        cls, fronts: Iterable[Front], levels: Sequence[float] = (0.25, 0.5, 0.75)
    ) -> "Attainment":
        """The surfaces of some fronts.

        Raises:
            InputError: as `Comparison.of`; or they have other than two objectives; or a level is
                no share.
        """
        from moocore import eaf

        fronts = Comparison.of(fronts).fronts
        if len(fronts[0].objectives) != 2:
            raise InputError(
                f"bands are for two objectives, not {', '.join(fronts[0].objectives)}; load the "
                "fronts with objectives= of two"
            )
        levels = tuple(sorted(float(level) for level in levels))
        if not levels or not all(0 < level <= 1 for level in levels):
            raise InputError(f"levels are {levels}; give shares of the runs, above 0 and up to 1")
        costs, qualities = costs_and_qualities(fronts[0].objectives)
        names = (costs[0], qualities[0])
        points = np.concatenate([_objectives(front, names) for front in fronts])
        sets = np.repeat(np.arange(len(fronts)) + 1, [len(front) for front in fronts])
        found = eaf(points, sets=sets, percentiles=[100 * level for level in levels])
        surfaces = []
        for level in levels:
            corners = found[np.isclose(found[:, 2], 100 * level), :2]
            surfaces.append(corners[np.argsort(corners[:, 0], kind="stable")])
        return cls(names, levels, tuple(surfaces), len(fronts))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the middle surface in the band of the outer ones; into `ax` or a new figure.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.comparison_figure import draw_attainment
        from evonas.analysis.drawing import new_axes

        return draw_attainment(self, new_axes() if ax is None else ax)


def _objectives(front: Front, names: Sequence[str]) -> np.ndarray:
    """Columns of a front, float (n, len(names))."""
    return np.column_stack([front.column(name) for name in names])


def _covered(points: np.ndarray, by: np.ndarray, *, strictly: bool = False) -> np.ndarray:
    """Whether each point has one among `by` that is no worse in any objective, bool (n,).

    Args:
        points: (n, n_obj).
        by: (m, n_obj).
        strictly: it must also be better in one.
    """
    step = max(1, AT_ONCE // by.size)
    found = np.zeros(len(points), dtype=bool)
    for at in range(0, len(points), step):
        part = points[at : at + step, None]
        covers = np.all(by <= part, axis=2)
        if strictly:
            covers &= np.any(by < part, axis=2)
        found[at : at + step] = covers.any(axis=1)
    return found
