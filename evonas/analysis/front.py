"""The front of a search: a record of networks and their numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.analysis import choosing
from evonas.analysis.quantities import (
    costs_and_qualities,
    format_value,
    frozen,
)
from evonas.analysis.tables import column, read_table, to_frame, write_table
from evonas.errors import InputError, unknown
from evonas.problems.constraints import Constraint, read_number
from evonas.problems.scale import Scale
from evonas.runs import Result, RunFolder, searches_of
from evonas.runs.genomes import from_record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Member:
    """One network of a front.

    Attributes:
        index: its place in the front, from 0.
        network: in its space's notation, such as "macro:22212220".
        values: by column name.
    """

    index: int
    network: str
    values: dict[str, float]

    def __str__(self) -> str:
        """The network and its numbers."""
        numbers = ", ".join(format_value(name, value) for name, value in self.values.items())
        return f"{self.network} ({numbers})"


@dataclass(frozen=True, eq=False)
class Front:
    """Networks with their objectives and other costs, in a fixed order.

    Attributes:
        networks: n texts, such as "macro:22212220".
        columns: names of the value columns, objectives first.
        values: float64 (n, len(columns)), read-only.
        objectives: the columns that the search minimised.
        name: of the run, for titles.
        scale: what hypervolumes of the run are measured with; None where unknown.

    Raises:
        InputError: shapes that do not fit together, an objective given twice, or one that is no
            column or no finite number.
    """

    networks: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    objectives: tuple[str, ...]
    name: str = ""
    scale: Scale | None = None

    def __post_init__(self) -> None:
        """Check and freeze."""
        values = frozen(np.reshape(self.values, (-1, len(self.columns))))
        object.__setattr__(self, "networks", tuple(self.networks))
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "values", values)
        if len(values) != len(self.networks):
            raise InputError(
                f"{len(self.networks)} networks and {len(values)} rows of values; give one each"
            )
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise InputError(
                f"objectives of a front are {', '.join(self.objectives) or 'none'}; give different "
                f"ones of {', '.join(self.columns)}"
            )
        for objective in self.objectives:
            if objective not in self.columns:
                raise InputError(
                    f"objective '{objective}' is no column; choose from {', '.join(self.columns)}"
                )
        if not np.isfinite(self.F).all():
            row = int(np.flatnonzero(~np.isfinite(self.F).all(axis=1))[0])
            raise InputError(
                f"network {self.networks[row]} has an objective that is no finite number; "
                "correct or remove it"
            )

    @classmethod
    def from_arrays(
        cls,
        networks: Sequence[str],
        values: np.ndarray,
        *,
        columns: Sequence[str],
        objectives: Sequence[str] | None = None,
        name: str = "",
    ) -> "Front":
        """The non-dominated ones of any networks, sorted by cost, then error, then name.

        Networks with equal objectives are all kept: they are different networks, and which one
        to take is not for a file to decide. Of rows with the same text the first is kept.

        Args:
            networks: n texts.
            values: (n, len(columns)).
            columns: names of the columns of `values`.
            objectives: the columns to minimise; all of them if None.
            name: of the run, for titles.

        Raises:
            InputError: see `Front`.
        """
        front = cls(tuple(networks), tuple(columns), values, tuple(objectives or columns), name)
        first = sorted({text: i for i, text in reversed(list(enumerate(front.networks)))}.values())
        front = front.take(first)
        front = front.take(choosing.non_dominated(front.F))
        costs, qualities = costs_and_qualities(front.objectives)
        keys = [front.column(key) for key in costs + qualities]
        order = sorted(
            range(len(front)), key=lambda i: (*(key[i] for key in keys), front.networks[i])
        )
        return front.take(order)

    @classmethod
    def from_results(
        cls,
        results: Iterable[Result],
        objectives: Sequence[str],
        *,
        problem: Any = None,
        name: str = "",
    ) -> "Front":
        """The feasible non-dominated set of everything evaluated.

        Args:
            results: of a journal, in order of evaluation.
            objectives: their names.
            problem: adds its further costs as columns: every entry of `problem.costs` (name ->
                function of canonical genomes) that is no objective.
            name: of the run, for titles.
        """
        feasible = [result for result in results if result.feasible]
        columns = list(objectives)
        front = cls.from_arrays(
            [result.key for result in feasible],
            np.array([result.objectives for result in feasible]).reshape(-1, len(columns)),
            columns=columns,
            name=name,
        )
        more = {n: f for n, f in getattr(problem, "costs", {}).items() if n not in columns}
        if not more or not len(front):
            return cls(
                front.networks,
                (*columns, *more),
                np.hstack([front.values, np.empty((len(front), len(more)))]),
                front.objectives,
                name,
            )
        genomes = {result.key: result.genome for result in reversed(feasible)}
        X = from_record(problem, [genomes[network] for network in front.networks])
        X = problem.canonical(X)
        extra = [np.asarray(cost(X), dtype=float) for cost in more.values()]
        values = np.column_stack([front.values, *extra])
        return cls(front.networks, (*columns, *more), values, front.objectives, name)

    @classmethod
    def load(cls, path: Path | str, *, objectives: Sequence[str] | None = None) -> "Front":
        """Read a run's front, or any CSV with a column `network`.

        Args:
            path: a run folder, or a CSV file such as `retrained.csv`.
            objectives: the columns that were minimised. If None, what the journal beside the file
                says; without a journal the first two columns after the network.

        Raises:
            InputError: no such run or file, the run has no front yet, the table is broken, or lacks
                a column that was asked for.
        """
        path = Path(path).expanduser()
        folder = RunFolder(path.parent)
        whole = path.is_dir() or not path.suffix
        if whole:
            folder = RunFolder.open(path)
            path = folder.require(folder.front)
        name = folder.name if whole or folder.journal.exists() else path.stem
        search = next(iter(searches_of(folder)[-1:]), None)
        recorded = search.objectives if search and objectives is None else ()
        networks, columns, values = read_table(
            path, text="network", required=recorded, ignored=("method",)
        )
        for objective in objectives or ():
            if objective not in columns:
                raise InputError(
                    f"{path} has no column '{objective}' for an objective; give some of: "
                    f"{', '.join(columns)}"
                )
        if objectives is None:
            objectives = recorded or columns[:2]
        known = search and search.objectives == tuple(objectives)
        scale = search.scale if search and known else None
        return cls(tuple(networks), tuple(columns), values, tuple(objectives), name, scale)

    def write(self, path: Path | str) -> None:
        """Write `front.csv`, atomically; equal fronts give equal bytes.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        write_table(path, self.columns, self.values, texts=("network", self.networks))

    def __len__(self) -> int:
        """Number of networks."""
        return len(self.networks)

    @property
    def F(self) -> np.ndarray:  # noqa: N802
        """Objectives, float (n, len(objectives)); all minimised."""
        return self.values[:, [self.columns.index(name) for name in self.objectives]]

    def column(self, name: str) -> np.ndarray:
        """One column, float (n,).

        Raises:
            InputError: there is none of that name.
        """
        return column(name, self.columns, self.values)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Front":
        """The front with these rows, in this order."""
        chosen = np.asarray(rows, dtype=int)
        networks = tuple(self.networks[i] for i in chosen)
        return replace(self, networks=networks, values=self.values[chosen])

    def member(self, index: int) -> Member:
        """One network with its numbers."""
        values = dict(zip(self.columns, self.values[index].tolist(), strict=True))
        return Member(range(len(self))[index], self.networks[index], values)

    def knee(self) -> Member:
        """The best compromise: where the front bends most.

        Each objective is scaled to 0..1 over the front; the knee is the member with the least sum,
        which of two objectives is the one farthest below the line through the ends (Das 1999, "On
        characterizing the knee of the Pareto curve"). Scales are linear, also where a figure's
        are not. The first of equals.

        Raises:
            InputError: the front is empty.
        """
        self._need_members("knee")
        return self.member(choosing.knee(self.F))

    def pick(self, *, by: str | None = None, **limits: str | float) -> Member:
        """The best member within limits: ``front.pick(params="<=300k", macs="<=20M")``.

        Args:
            by: the column that is to be least; by default the first objective that measures
                quality and has no limit, else the first one without a limit. Of equals the one
                with the least cost is taken.
            limits: of columns, as text ("<=300k", ">=2") or as a number, the largest allowed.

        Raises:
            InputError: there is no such column, a limit is none, or no member keeps them all.
        """
        self._need_members("best member")
        parsed = [self._limit(name, limit) for name, limit in limits.items()]
        costs, qualities = costs_and_qualities(self.objectives)
        order = [*qualities, *costs]
        if by is None:
            by = next((name for name in order if name not in limits), order[0])
        keys = [self.column(name) for name in (by, *order)]
        return self.member(choosing.best_within(self.column, parsed, keys))

    def nearest(self, **values: str | float) -> Member:
        """The member nearest to numbers: ``front.nearest(params="300k", error=8)``.

        Columns are scaled to 0..1 over the front, positive ones that span a factor of eight or
        more by their logarithm; distances are Euclidean. The first of equals.

        Raises:
            InputError: there is no such column, or a value is no number.
        """
        self._need_members("nearest member")
        if not values:
            raise InputError("name what the member is to be near to, such as params='300k'")
        wanted = [(self.column(name), _number(name, text)) for name, text in values.items()]
        return self.member(choosing.nearest(wanted))

    def pseudo_weights(self) -> np.ndarray:
        """How much each member puts on each objective, float (n, len(objectives)).

        Rows sum to 1; see `evonas.analysis.choosing.pseudo_weights`.
        """
        return choosing.pseudo_weights(self.F)

    def weighted(self, **weights: float) -> Member:
        """The member whose pseudo-weights are nearest: ``front.weighted(error=0.8, params=0.2)``.

        Args:
            weights: of objectives; those left out have none. They are scaled to sum to 1.

        Raises:
            InputError: no such objective, a negative weight, or all are zero.
        """
        self._need_members("member of any weight")
        for name in weights:
            if name not in self.objectives:
                raise unknown("objective", name, self.objectives)
        wanted = np.array([float(weights.get(name, 0.0)) for name in self.objectives])
        if not (wanted >= 0).all() or not 0 < wanted.sum() < np.inf:
            raise InputError(f"weights are {weights}; give numbers from 0, not all of them 0")
        return self.member(choosing.weighted(self.F, wanted))

    def hypervolume(self, scale: Scale | None = None) -> float:
        """Dominated hypervolume, a share from 0 to 1.

        Args:
            scale: what it is measured with, such as ``problem.scale``; by default that of the run
                the front is of, so that the number is that of `History`; of any other front its
                own ranges, which compares with nothing else.
        """
        if not len(self):
            return 0.0
        return (scale or self.scale or Scale.of(self.F)).hypervolume(self.F)

    @classmethod
    def merge(cls, fronts: Iterable["Front"], *, name: str = "") -> "Front":
        """What is non-dominated of several fronts together.

        Columns are those that all have. A network that several fronts hold with different numbers
        counts with all of them; what is left of it is once in the merged front.

        Raises:
            InputError: none is given, or they have different objectives.
        """
        fronts = list(fronts)
        if not fronts:
            raise InputError("no front is given; give one or more")
        first = fronts[0]
        for front in fronts[1:]:
            if set(front.objectives) != set(first.objectives):
                raise InputError(
                    f"{first.name or 'one front'} minimised {', '.join(first.objectives)} and "
                    f"{front.name or 'another one'} {', '.join(front.objectives)}; give fronts of "
                    "the same objectives"
                )
        columns = [c for c in first.columns if all(c in front.columns for front in fronts)]
        values = np.concatenate([np.column_stack([f.column(c) for c in columns]) for f in fronts])
        networks = [network for front in fronts for network in front.networks]
        F = values[:, [columns.index(name) for name in first.objectives]]
        best = choosing.non_dominated(F)
        merged = cls.from_arrays(
            [networks[i] for i in best],
            values[best],
            columns=columns,
            objectives=first.objectives,
            name=name,
        )
        same = all(front.scale == first.scale for front in fronts)
        return replace(merged, scale=first.scale if same else None)

    def representatives(self, n: int) -> "Front":
        """At most so many members that stand for all of them, in the same order.

        For whatever costs something per network, such as training each from scratch; see
        `evonas.analysis.choosing.representatives`.

        Raises:
            InputError: `n` is below 1.
        """
        if n < 1:
            raise InputError(f"{n} networks cannot stand for a front; ask for at least 1")
        return self.take(choosing.representatives(self.F, n))

    def spread(self, n: int) -> "Front":
        """At most so many members from all over the front: ends, knee, and evenly between.

        Those that another one dominates, as in a table edited by hand, are not looked at. In the
        order of the front; see `evonas.analysis.choosing.spread`.

        Raises:
            InputError: `n` is below 1.
        """
        if n < 1:
            raise InputError(f"{n} networks cannot be picked from a front; ask for at least 1")
        if not len(self):
            return self
        best = choosing.non_dominated(self.F)
        costs, _ = costs_and_qualities(self.objectives)
        best = best[np.argsort(self.column(costs[0])[best], kind="stable")]
        return self.take(np.sort(best[choosing.spread(self.F[best], n)]))

    def _need_members(self, what: str) -> None:
        if not len(self):
            raise InputError(
                f"an empty front has no {what}; loosen the constraint and search again"
            )

    def _limit(self, name: str, limit: str | float) -> Constraint:
        if name not in self.columns:
            raise unknown("column", name, self.columns)
        if isinstance(limit, str):
            try:  # columns of a user's own may have names that no constraint has
                return replace(Constraint.parse(f"limit{limit}", ["limit"]), cost=name)
            except InputError:
                raise InputError(
                    f"'{name}{limit}' is no constraint; write it like params<=500000"
                ) from None
        return Constraint(name, _number(name, limit), upper=True)

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame: `network`, then the columns; counts are integers."""
        return to_frame(self.networks, self.columns, self.values)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the front; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.drawing import new_axes
        from evonas.analysis.front_figure import draw_front, front_picture

        return draw_front(front_picture(self), new_axes() if ax is None else ax)


def _number(name: str, value: str | float) -> float:
    try:
        number = read_number(value) if isinstance(value, str) else float(value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"{name}={value!r} is no number; write it like 300000 or '300k'")
    return number
