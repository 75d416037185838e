"""Costs that add up: a number for each choice of each gene, as a function of genomes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.operators.saliency import main_effects
from evonas.problems.cells import numbers, read_cells
from evonas.spaces import SearchSpace
from evonas.spaces.space import add_up

if TYPE_CHECKING:
    import pandas as pd

Cost = Callable[[np.ndarray], np.ndarray]

# Columns that `evonas measure-latency` and people write beside the numbers; none holds a cost.
BESIDE = ("gene", "choice", "label", "unit", "space", "input_shape", "batch_size", "threads",
          "device", "rounds")  # fmt: skip


# Random genomes that a table is fitted to: so many at least, and for each choice.
LEAST_FITTED, FITTED_PER_CHOICE = 1000, 8
# Of the range of a cost: differences below it are none.
ROUNDED = 1e-6


class AdditiveCost:
    """A cost that is a sum over the genes, plus a constant part.

    Args:
        space: whose genomes are given; a restriction renumbers its genes.
        table: float (n_var, max choices of ``space.base``), in the numbering of ``space.base``.
            Cells of choices that the space does not hold do not matter.
        constant: what every network has, such as stem and head.
        name: for messages.

    Attributes:
        table: the numbers that matter; NaN elsewhere.
        constant: what every network has.

    Raises:
        InputError: the shape is wrong, or a number that matters is not finite.
    """

    def __init__(
        self,
        space: SearchSpace,
        table: npt.ArrayLike,
        constant: float = 0.0,
        *,
        name: str = "cost",
    ) -> None:
        """Check the numbers."""
        values = np.asarray(table, dtype=float)
        if values.shape != space.allowed.shape:
            raise InputError(
                f"the table of {name} has shape {values.shape}; the space '{space.name}' needs "
                f"{space.allowed.shape}: genes and choices"
            )
        missing = np.argwhere(space.allowed & ~np.isfinite(values))
        if len(missing):
            raise InputError(
                f"the table of {name} has no finite number for {_cell(space, *missing[0])}; give "
                "one"
            )
        if not np.isfinite(constant):
            raise InputError(f"the constant part of {name} is {constant}; give a finite number")
        self.space = space
        self.table = np.where(space.allowed, values, np.nan)
        self.constant = float(constant)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The cost of genomes (n, n_var) as written, float64 (n,)."""
        return add_up(self.table, self.constant, self.space.lift(X))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over all numbers that matter, 32 hex digits."""
        digest = hashlib.sha256(np.float64(self.constant).astype("<f8").tobytes())
        digest.update(np.where(np.isnan(self.table), np.inf, self.table).astype("<f8").tobytes())
        return digest.hexdigest()[:32]

    @classmethod
    def from_csv(cls, path: str | Path, space: SearchSpace, name: str) -> AdditiveCost:
        """Read a CSV file with columns gene, choice, and the cost.

        Genes and choices count from 0 in the numbering of ``space.base``; the row that leaves
        both empty is the constant part. The cost is the column of its name, else "cost", else the
        one column of numbers. Columns "space" ("macro") and "input_shape" ("3x32x32") must be those
        of the space; all others are ignored.

        Args:
            path: the file.
            space: whose genomes are given.
            name: of the cost.

        Raises:
            InputError: the file or a column is missing, or the numbers that the space needs are
                not there exactly once each, and finite; names gene and choice.
        """
        path = Path(path).expanduser()
        frame = read_cells(path, f"table of {name}")
        frame.columns = [str(column).strip() for column in frame.columns]
        for column in ("gene", "choice"):
            if column not in frame.columns:
                raise InputError(
                    f"{path} has no column '{column}' (it has {', '.join(frame.columns)}); give a "
                    f"row for each gene and choice with columns gene, choice and {name}"
                )
        measured_on = {"space": space.name, "input_shape": "x".join(map(str, space.input_shape))}
        for column, mine in measured_on.items():
            for other in set(frame.get(column, [])) - {"", mine}:
                raise InputError(
                    f"{path} is a table of the {column} {other}, not of {mine}; give one that was "
                    "measured on this space, for such images"
                )
        values = numbers(path, frame[_value_column(path, frame, name)].tolist(), name, gaps=True)
        genes = numbers(path, frame["gene"].tolist(), "gene", gaps=True)
        choices = numbers(path, frame["choice"].tolist(), "choice", gaps=True)
        table = np.full(space.allowed.shape, np.nan)
        constants = []
        seen = np.zeros(table.shape, dtype=bool)
        for line, (gene, choice, value) in enumerate(zip(genes, choices, values, strict=True), 2):
            if np.isnan(gene) and np.isnan(choice):
                constants.append(value)
                continue
            at = _place(space, gene, choice)
            if at is None:
                raise InputError(
                    f"line {line} of {path}: gene {gene:g}, choice {choice:g} is none of the space "
                    f"'{space.name}', which has {space.n_var} genes with choices from 0; give a "
                    "table of this space"
                )
            if seen[at]:
                raise InputError(f"{path} has two rows for {_cell(space, *at)}; keep one")
            seen[at], table[at] = True, value
        absent = np.argwhere(space.allowed & ~seen)
        if len(absent):
            raise InputError(
                f"{path} has no row for {_cell(space, *absent[0])} of the space '{space.name}'; "
                "add it, or give a table of this space"
            )
        if len(constants) > 1:
            raise InputError(
                f"{path} has {len(constants)} rows without gene and choice; add them up to one"
            )
        try:
            return cls(space, table, *constants, name=name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def fitted_cost_table(
    cost: Cost, n_choices: np.ndarray, genomes: np.ndarray | None = None
) -> np.ndarray:
    """The table whose sums are nearest to a cost, by least squares over genomes.

    Args:
        cost: function X (n, n_var) -> (n,) of genomes counted from 0.
        n_choices: choices of each gene (n_var,).
        genomes: those that have a cost, (n, n_var); random ones where all have.

    Returns:
        float64 (n_var, max choices), the least of each gene 0; NaN where there is no choice.

    Raises:
        InputError: there are too few genomes to tell choices apart.
    """
    X = genomes
    if X is None:
        n = max(LEAST_FITTED, FITTED_PER_CHOICE * int(np.sum(n_choices)))
        random_state = np.random.default_rng(0)
        X = random_state.integers(0, n_choices, size=(n, len(n_choices)))
    values = np.asarray(cost(X), dtype=float)
    try:
        table = main_effects(X, values, n_choices)
    except ValueError as error:
        raise InputError(f"what each choice costs is not known: {error}") from None
    table -= np.nanmin(table, axis=1, keepdims=True)
    # Choices of equal cost are equal, not one dearer by the last bit of a solution.
    grain = ROUNDED * float(np.ptp(values))
    return np.round(table / grain) * grain if grain > 0 else 0 * table


def _place(space: SearchSpace, gene: float, choice: float) -> tuple[int, int] | None:
    """Where a row belongs in the table; None where there is no such gene or choice."""
    if not (gene == np.floor(gene) and choice == np.floor(choice)):  # NaN is no number of either
        return None
    if not (0 <= gene < space.n_var and 0 <= choice < space.base.n_choices[int(gene)]):
        return None
    return int(gene), int(choice)


def _value_column(path: Path, frame: pd.DataFrame, name: str) -> str:
    for column in (name, "cost"):
        if column in frame.columns:
            return column
    left = [c for c in frame.columns if c not in BESIDE and _numeric(frame[c].tolist())]
    if len(left) != 1:
        raise InputError(
            f"{path} has no column '{name}' or 'cost', and "
            + (f"{' and '.join(left)} could both be it" if left else "no other one of numbers")
            + f" (it has {', '.join(frame.columns)}); name the column '{name}'"
        )
    return left[0]


def _numeric(cells: Sequence[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells if cell.strip()])
    except ValueError:
        return False


def _cell(space: SearchSpace, gene: int, choice: int) -> str:
    label = space.base.labels[gene][choice]
    return f"gene {gene}, choice {choice}" + ("" if label == str(choice) else f" ({label})")
