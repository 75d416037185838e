"""The front of a search: a record of networks and their numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from moocore import hv_contributions, is_nondominated, normalise

from evonas.analysis.quantities import costs_and_qualities, format_value, frozen
from evonas.analysis.tables import column, read_table, to_frame, write_table
from evonas.errors import InputError
from evonas.runs import Result, RunFolder, read_lines, read_searches
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

    Raises:
        InputError: shapes that do not fit together, or an objective that is no column or no
            finite number.
    """

    networks: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    objectives: tuple[str, ...]
    name: str = ""

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
        if len(front):
            front = front.take(np.flatnonzero(is_nondominated(front.F, keep_weakly=True)))
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
            path: a run folder, or a CSV file.
            objectives: the columns that were minimised. If None, what the journal beside the file
                says; without a journal the first two columns after the network.

        Raises:
            InputError: no such run or file, the run has no front yet, or the table is broken.
        """
        path = Path(path)
        folder = RunFolder(path.parent)
        if path.is_dir() or not path.suffix:
            folder = RunFolder.open(path)
            path = folder.require(folder.front)
        name = folder.name if folder.journal.exists() else path.stem
        if objectives is None:
            objectives = searched_objectives(folder)
        networks, columns, values = read_table(path, text="network", required=objectives or ())
        if objectives is None:
            objectives = columns[:2]
        return cls(tuple(networks), tuple(columns), values, tuple(objectives), name)

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
        return Front(
            tuple(self.networks[i] for i in chosen),
            self.columns,
            self.values[chosen],
            self.objectives,
            self.name,
        )

    def member(self, index: int) -> Member:
        """One network with its numbers."""
        values = dict(zip(self.columns, self.values[index].tolist(), strict=True))
        return Member(range(len(self))[index], self.networks[index], values)

    def knee(self) -> Member:
        """The best compromise: where the front bends most.

        Each objective is scaled to 0..1 over the front; the knee is the member farthest below the
        plane through the ends, which is the one with the least sum (Das 1999, "On characterizing
        the knee of the Pareto curve"). The first of equals.

        Raises:
            InputError: the front is empty.
        """
        if not len(self):
            raise InputError("an empty front has no knee; loosen the constraint and search again")
        # An objective that is the same for all members is scaled to 0.
        scaled = np.nan_to_num(normalise(self.F, to_range=[0.0, 1.0]))
        return self.member(int(scaled.sum(axis=1).argmin()))

    def representatives(self, n: int) -> "Front":
        """At most so many members that stand for all of them, in the same order.

        For whatever costs something per network, such as training each from scratch. Members are
        dropped one at a time, each time the one whose share of the dominated hypervolume is
        least, objectives scaled to 0..1 over the front and compared with 1.1 (greedy hypervolume
        subset selection; Bradstreet, While and Barone, 2007). Of equals the last goes first.

        Raises:
            InputError: `n` is below 1.
        """
        if n < 1:
            raise InputError(f"{n} networks cannot stand for a front; ask for at least 1")
        scaled = np.nan_to_num(normalise(self.F, to_range=[0.0, 1.0])) if len(self) else self.F
        rows = np.arange(len(self))
        while len(rows) > n:
            shares = hv_contributions(scaled[rows], ref=np.full(scaled.shape[1], 1.1))
            rows = np.delete(rows, len(rows) - 1 - shares[::-1].argmin())
        return self.take(rows)

    def spread(self, n: int) -> "Front":
        """At most so many members from all over the front: ends, knee, and evenly between.

        With one it is the knee. Of two objectives, members between are even in the order of the
        front, which goes by cost; the one nearest to the knee gives way to it. Of more, the ends
        are the best of each objective, and the knee is followed by what is farthest from all that
        was picked, objectives scaled to 0..1.

        Raises:
            InputError: `n` is below 1.
        """
        if n < 1:
            raise InputError(f"{n} networks cannot be picked from a front; ask for at least 1")
        if n == 1 and len(self):
            return self.take([self.knee().index])
        if len(self) <= n:
            return self
        if len(self.objectives) > 2:
            return self.take(np.sort(self._farthest(n)))
        rows = np.round(np.linspace(0, len(self) - 1, n)).astype(int)
        if n > 2:
            knee = self.knee().index
            rows[1 + np.abs(rows[1:-1] - knee).argmin()] = knee
        return self.take(np.unique(rows))

    def _farthest(self, n: int) -> list[int]:
        """Ends, knee, then each time the member farthest from those before; n rows at most."""
        scaled = np.nan_to_num(normalise(self.F, to_range=[0.0, 1.0]))
        rows = list(dict.fromkeys([*self.F.argmin(axis=0).tolist(), self.knee().index]))[:n]
        while len(rows) < n:
            apart = np.linalg.norm(scaled[:, None] - scaled[rows], axis=2).min(axis=1)
            apart[rows] = -1.0  # of members with equal objectives
            rows.append(int(apart.argmax()))
        return rows

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame: `network`, then the columns; counts are integers."""
        return to_frame(self.networks, self.columns, self.values)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the front; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.drawing import new_axes
        from evonas.analysis.figures import draw_front, front_picture

        return draw_front(front_picture(self), new_axes() if ax is None else ax)


def searched_objectives(folder: RunFolder) -> tuple[str, ...] | None:
    """What the search of a run minimised; None where there was none.

    Raises:
        InputError: its journal is broken.
    """
    searches = read_searches(read_lines(folder.journal)[0], folder.journal)
    return tuple(searches[0].objectives) if searches else None
