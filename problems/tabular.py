"""Tables of measured networks as problems: every answer is known, and so is the best front."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from moocore import is_nondominated

from evonas.errors import InputError, unknown
from evonas.problems.architecture import INFEASIBLE, ArchitectureProblem
from evonas.problems.cells import numbers, read_cells
from evonas.problems.constraints import Constraint
from evonas.problems.quality import mean_excess_error
from evonas.problems.rows import Column, Rows
from evonas.problems.scale import Scale
from evonas.spaces import CategoricalSpace, SearchSpace

if TYPE_CHECKING:
    import numpy.typing as npt

# Objectives that cost a training; all others are known beforehand unless a table says otherwise.
DEAR = ("error", "loss", "accuracy")

MOST_CHOICES = 100_000  # of a gene


class TabularProblem(ArchitectureProblem):
    """A table of genomes and measured objectives.

    A genome without a row is infeasible. Genomes that are equal functions are one network where
    the table is complete and has one value for each class of them. Where it has not (independent
    trainings of equal networks), each row is a network of its own.

    Args:
        genes: int (n, n_var), counted from 0, in the numbering of ``space.base``. A genome may
            be repeated with the same values only.
        values: (n, len(objectives)), all minimised; a row with a NaN counts as missing.
        objectives: their names, two or more.
        space: what the genes mean; by default genes without networks, with as many choices as
            occur. Rows outside a restricted space are left out.
        cheap: objectives that are known without evaluation; by default all that are not named
            error, loss or accuracy.
        costs: further columns by name, each (n,): cheap, and not objectives; for constraints and
            for the columns of a front.
        constraints: limits on cheap columns.
        name: for messages and run folders.

    Attributes:
        genes: the rows that count, int (m, n_var), in the space's own numbering.
        values: their objectives, float (m, n_obj).

    Raises:
        InputError: shapes do not fit, a genome is none of the space or has two values, a value is
            infinite, or no row is left.
    """

    def __init__(
        self,
        genes: npt.ArrayLike,
        values: npt.ArrayLike,
        objectives: Sequence[str] = ("error", "params"),
        space: SearchSpace | None = None,
        cheap: Sequence[str] | None = None,
        *,
        costs: Mapping[str, npt.ArrayLike] | None = None,
        constraints: Sequence[str | Constraint] = (),
        name: str | None = None,
    ) -> None:
        """Check the table and look its front up."""
        for kind, names in (("objectives", objectives), ("cheap", cheap or ())):
            if isinstance(names, str):
                raise InputError(f"{kind} is the text '{names}'; give a list of names")
        if space is not None and not isinstance(space, SearchSpace):
            raise InputError(f"space is {space!r}; give a SearchSpace, such as get_space('macro')")
        if not isinstance(costs or {}, Mapping):
            raise InputError(f"costs is {costs!r}; give a mapping of names to columns")
        objectives = tuple(objectives)
        costs = dict(costs or {})
        table = _columns(values, objectives, costs)
        X = _integers(genes)
        if X.ndim != 2 or len(X) != len(table):
            raise InputError(
                f"genes of shape {X.shape} and {len(table)} rows of values do not fit; give an "
                "integer array (n, n_var) and values (n, objectives)"
            )
        kept = ~np.isnan(table).any(axis=1)
        X, table = X[kept], table[kept]
        if not len(X):
            raise InputError("the table has no row whose values are all there; give some")
        if not np.isfinite(table).all():
            row = int(np.flatnonzero(kept)[~np.isfinite(table).all(axis=1)][0])
            raise InputError(f"row {row} of the table has an infinite value; correct or remove it")
        space = _space_of(X) if space is None else space
        X = space.base.check(X)
        inside = space.holds(X)
        if not inside.any():
            raise InputError("no row of the table lies in the restricted space; restrict it less")
        X, table = _distinct(space.lower(X[inside]), table[inside], space)
        self._rows = Rows(X, space)
        self._table = dict(zip((*objectives, *costs), table.T, strict=True))
        self.genes, self.values = X, table[:, : len(objectives)]
        known_first = tuple(o for o in objectives if o not in DEAR) if cheap is None else cheap
        for cost in known_first:
            if cost not in objectives:
                raise unknown("cheap objective", cost, objectives)
        self.dear = tuple(o for o in objectives if o not in known_first)
        if not self.dear and cheap is None:
            warnings.warn(
                f"the objectives {', '.join(objectives)} all count as known without evaluation, "
                f"since none is named {' or '.join(DEAR)}; say which of them are with cheap=",
                stacklevel=2,
            )
        self.partial = len(X) < space.size
        merged = _agrees(space, X, table)
        super().__init__(
            space,
            objectives,
            constraints=constraints,
            costs={column: self._cost(column) for column in (*known_first, *costs)},
            canonical=space.canonical if merged else space.check,
            name=name,
        )
        F = self.values[self.feasible(X)]
        self._front = np.unique(F[is_nondominated(F)], axis=0)
        ends = self._front.min(axis=0), self._front.max(axis=0)
        self._scale = Scale(*ends, whole=Scale(*ends).volume(self._front))

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        genes: Sequence[str] | None = None,
        objectives: Sequence[str] = ("error", "params"),
        space: SearchSpace | None = None,
        cheap: Sequence[str] | None = None,
        constraints: Sequence[str | Constraint] = (),
        name: str | None = None,
    ) -> TabularProblem:
        """Read a table with a header.

        Args:
            path: a CSV file; an empty cell among the objectives makes a row count as missing.
            genes: columns of the genes. By default, with a ``space``, the column "network" in its
                notation; else all columns that are no objectives. Without a space a gene's
                choices are the values that occur, numbers in their order, else texts in
                theirs; ``problem.space.labels`` has them.
            objectives: columns to minimise.
            space: what the genes mean; their columns then hold its numbers.
            cheap: see `TabularProblem`.
            constraints: limits on cheap columns.
            name: by default the file's.

        Raises:
            InputError: the file or a column is missing, or a cell is no number; see also
                `TabularProblem`.
        """
        path = Path(path).expanduser()
        frame = read_cells(path)
        by_name = genes is None and space is not None and "network" in frame.columns
        names = [c for c in frame.columns if c not in objectives] if genes is None else list(genes)
        for column in (*objectives, *(["network"] if by_name else names)):
            if column not in frame.columns:
                raise InputError(f"{path}: {unknown('column', column, map(str, frame.columns))}")
        if not names:
            raise InputError(f"{path} has no column beside the objectives; name the genes' columns")
        values = np.column_stack(
            [numbers(path, frame[c].tolist(), c, gaps=True) for c in objectives]
        )
        if by_name:
            assert space is not None
            X = np.stack([space.base.encode(text) for text in frame["network"]])
        elif space is not None:
            X = np.column_stack([numbers(path, frame[c].tolist(), c) for c in names])
        else:
            columns = [_coded(frame[c].to_numpy(dtype=str)) for c in names]
            X = np.column_stack([codes for codes, _ in columns])
            labels = [choices for _, choices in columns]
            space = CategoricalSpace([len(choices) for choices in labels], labels=labels)
        return cls(
            X, values, objectives, space, cheap, constraints=constraints, name=name or path.stem
        )

    @classmethod
    def from_npz(
        cls,
        path: str | Path,
        *,
        genes: str = "genes",
        objectives: Sequence[str] = ("error", "params"),
        space: SearchSpace | None = None,
        cheap: Sequence[str] | None = None,
        constraints: Sequence[str | Constraint] = (),
        name: str | None = None,
    ) -> TabularProblem:
        """Read a table that numpy's ``savez`` wrote: genes (n, n_var), and (n,) an objective.

        Args:
            path: the file; nothing pickled is read.
            genes: name of the array of genes.
            objectives: names of the arrays to minimise.
            space: see `TabularProblem`.
            cheap: see `TabularProblem`.
            constraints: limits on cheap columns.
            name: by default the file's.

        Raises:
            InputError: the file or an array is missing or holds Python objects; see also
                `TabularProblem`.
        """
        path = Path(path).expanduser()
        try:
            with np.load(path, allow_pickle=False) as file:
                for array in (genes, *objectives):
                    if array not in file:
                        raise InputError(f"{path}: {unknown('array', array, file)}")
                X, columns = file[genes], [file[o] for o in objectives]
        except FileNotFoundError:
            raise InputError(f"there is no table {path}; check the path") from None
        except InputError:
            raise
        except Exception as error:  # numpy's and zipfile's readers raise many kinds
            reason = " ".join(str(error).split())
            raise InputError(
                f"cannot read {path} as a table ({reason}); give an npz file"
            ) from None
        if np.ndim(X) != 2 or any(np.shape(column) != (len(X),) for column in columns):
            raise InputError(f"{path}: genes (n, n_var) and objectives (n,) are wanted, of one n")
        values = np.column_stack(columns)
        return cls(
            X, values, objectives, space, cheap, constraints=constraints, name=name or path.stem
        )

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over genes and all columns, 32 hex digits."""
        digest = hashlib.sha256(repr(tuple(self._table)).encode())
        digest.update(np.ascontiguousarray(self.space.lift(self.genes), dtype="<i8").data)
        for column in self._table.values():
            digest.update(np.ascontiguousarray(column, dtype="<f8").data)
        return digest.hexdigest()[:32]

    @property
    def ideal(self) -> np.ndarray:
        """Least value of each objective on the true front, (n_obj,)."""
        return np.array(self._scale.ideal)

    @property
    def nadir(self) -> np.ndarray:
        """Largest value of each objective on the true front, (n_obj,)."""
        return np.array(self._scale.nadir)

    @property
    def scale(self) -> Scale:
        """What `hypervolume` measures with; 1 is that of the true front."""
        return self._scale

    def hypervolume(self, F: np.ndarray) -> float:
        """Dominated hypervolume as a share of that of the true front.

        Objectives are divided by the range of the true front; the reference point is 1.1.

        Args:
            F: (n, n_obj); no member need be non-dominated.

        Returns:
            0 to 1; 1 for the true front itself.
        """
        return super().hypervolume(F)

    def recall(self, F: np.ndarray) -> float:
        """Share of the distinct points of the true front that are among those given.

        Args:
            F: objectives (n, n_obj) as `evaluate` gives them.
        """
        found = {tuple(row) for row in self._objectives(F).tolist()}
        return float(np.mean([tuple(row) in found for row in self._front.tolist()]))

    def mean_excess_error(self, F: np.ndarray) -> float:
        """Points of error that a found front gives away; see `evonas.problems.mean_excess_error`.

        Args:
            F: true objectives (n, n_obj) of the found front's members.

        Raises:
            InputError: the objectives are not error and one cost.
        """
        if self.n_obj != 2 or "error" not in self.objectives:
            raise InputError(
                f"mean excess error is for error and one cost, not for {', '.join(self.objectives)}"
            )
        order = [self.objectives.index("error"), 1 - self.objectives.index("error")]
        worst = float(self._table["error"].max())
        F = self._objectives(F)
        return mean_excess_error(F[:, order], self._front[:, order], worst_error=worst)

    def _calc_pareto_front(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return self._front.copy()

    def _calc_pareto_set(self, *args: Any, **kwargs: Any) -> np.ndarray:
        optimal = {tuple(point) for point in self._front.tolist()}
        feasible = self.feasible(self.genes)
        rows = [
            tuple(f) in optimal and ok for f, ok in zip(self.values.tolist(), feasible, strict=True)
        ]
        return self.genes[rows]

    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        rows = self._rows(X)
        return {name: self._table[name][rows] for name in self.dear}

    def _has_values(self, C: np.ndarray) -> np.ndarray:
        return self._rows(C) >= 0

    def _worst(self, name: str) -> float:
        # Worse than everything there is, and outside what counts as hypervolume.
        column = self._table[name]
        return max(INFEASIBLE, float(2 * column.max() - column.min()))

    def _find_feasible(self) -> np.ndarray:
        feasible = self.feasible(self.genes)
        if not feasible.any():
            limits = " and ".join(map(str, self.constraints))
            raise InputError(f"no row of the table keeps {limits}; loosen one")
        return np.unique(self.canonical(self.genes[feasible]), axis=0)

    def _range(self, name: str) -> tuple[float, float]:
        column = self._table.get(name)
        return super()._range(name) if column is None else (column.min(), column.max())

    def _cost(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        column = self._table[name]
        # A genome without a row is infeasible, and its cost a finite number all the same.
        return Column(self._rows, np.append(column, column.max()))


def _columns(
    values: npt.ArrayLike, objectives: Sequence[str], costs: Mapping[str, npt.ArrayLike]
) -> np.ndarray:
    """Objectives and costs side by side, float (n, columns)."""
    try:
        table = np.asarray(values, dtype=float)
        more = {name: np.asarray(column, dtype=float) for name, column in costs.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"the table's values are no numbers ({error}); correct them") from None
    if table.ndim != 2 or table.shape[1] != len(objectives):
        raise InputError(
            f"values of shape {table.shape} do not fit the objectives {', '.join(objectives)}; "
            f"give an array (n, {len(objectives)})"
        )
    for name, column in more.items():
        if column.shape != (len(table),) or name in objectives:
            raise InputError(f"the cost '{name}' is no column of its own; give an array (n,)")
    return np.column_stack([table, *more.values()])


def _integers(genes: npt.ArrayLike) -> np.ndarray:
    """Genes as an integer array of any shape."""
    try:
        X = np.asarray(genes)
        whole = X.dtype.kind in "iu" or np.array_equal(X, np.round(X.astype(float)))
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise InputError("the genes of a table are whole numbers from 0, (n, n_var); recode them")
    return X.astype(np.int64)


def _space_of(X: np.ndarray) -> CategoricalSpace:
    """Genes with as many choices as occur."""
    if X.shape[1] == 0 or X.min() < 0:
        raise InputError("the genes of a table count from 0; recode them")
    if X.max() >= MOST_CHOICES:
        raise InputError(
            f"a gene of the table has the choice {X.max()}; count its choices from 0 (at most "
            f"{MOST_CHOICES})"
        )
    return CategoricalSpace([int(top) + 1 for top in X.max(axis=0)])


def _distinct(
    X: np.ndarray, table: np.ndarray, space: SearchSpace
) -> tuple[np.ndarray, np.ndarray]:
    """One row a genome, in the order of the table.

    Raises:
        InputError: a genome has two values.
    """
    _, first, which = np.unique(X, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(X):
        return X, table
    same = (table == table[first][which.reshape(-1)]).all(axis=1)
    if not same.all():
        genome = X[np.flatnonzero(~same)[0]]
        raise InputError(
            f"the genome {space.decode(genome)} stands in the table with different values; give "
            "one row a genome, such as their mean"
        )
    rows = np.sort(first)
    return X[rows], table[rows]


def _agrees(space: SearchSpace, X: np.ndarray, table: np.ndarray) -> bool:
    """Whether the table is complete and has one value for each class of equal genomes."""
    if len(X) < space.size:
        return False
    _, first, which = np.unique(space.canonical(X), axis=0, return_index=True, return_inverse=True)
    return bool((table == table[first][which.reshape(-1)]).all())


def _coded(cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Texts as numbers 0..k-1, and the text of each number."""
    try:
        keys = cells.astype(float)
    except ValueError:
        choices, codes = np.unique(cells, return_inverse=True)
        return codes.reshape(-1), choices.tolist()
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    return codes.reshape(-1), cells[first].tolist()
