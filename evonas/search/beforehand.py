"""What a problem says of genomes without evaluating them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from evonas.errors import InputError
from evonas.operators import extreme_genomes
from evonas.operators.genomes import as_genomes
from evonas.problems.costs import Cost
from evonas.problems.own_costs import Checked

# Cheap values may be rounded on the way through a problem.
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Beforehand:
    """What is known of genomes X (n, n_var) without evaluation.

    A problem of somebody else's may have attributes of these names that mean something else;
    those are passed over.

    Attributes:
        exact: objectives, by index -> function (n,).
        costs: everything that is known, objective or not, functions (n,).
        feasible: bool (n,); None where an evaluation tells.
        genomes: some that are feasible, (k, n_var); None where the problem names none.
        equal: X -> X, equal genomes for equal functions.
    """

    exact: dict[int, Cost] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    feasible: Cost | None = None
    genomes: np.ndarray | None = None
    equal: Cost | None = None

    @classmethod
    def of(cls, problem: Any, cheap: Mapping[int, Cost] | None = None) -> "Beforehand":
        """Ask a pymoo problem.

        Args:
            problem: any.
            cheap: objectives that are known, instead of those that the problem names.

        Raises:
            InputError: `cheap` names no objective, or holds something else than functions.
        """
        exact = _named(problem) if cheap is None else _given(problem, cheap)
        costs = getattr(problem, "costs", None)
        canonical = getattr(problem, "canonical", None)
        if isinstance(costs, Mapping) and costs and all(map(callable, costs.values())):
            known: list[Cost] = [partial(_of_network, cost, canonical) for cost in costs.values()]
        else:
            known = list(exact.values())
        feasible = getattr(problem, "feasible", None)
        equal = getattr(getattr(problem, "space", None), "canonical", None)
        genomes = np.asarray(getattr(problem, "feasible_genomes", ()))
        return cls(
            exact,
            known,
            feasible if callable(feasible) else None,
            genomes if genomes.ndim == 2 and genomes.shape[1] == problem.n_var else None,
            equal if callable(equal) else None,
        )

    def ends(self, cost: Cost, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Genomes of least and of largest cost, (2, n_var), feasible ones where some are named.

        Args:
            cost: one of `exact`.
            low: first choice of each gene (n_var,).
            high: last choice of each gene (n_var,).
        """
        if self.genomes is None:
            return extreme_genomes(cost, low, high)
        genomes = as_genomes(self.genomes)
        values = np.asarray(cost(genomes), float)
        return genomes[[int(np.argmin(values)), int(np.argmax(values))]]

    def check(self, X: np.ndarray, F: np.ndarray) -> None:
        """Compare what was known with what was evaluated.

        Args:
            X: feasible genomes (n, n_var), one or more.
            F: their objectives (n, n_obj).

        Raises:
            InputError: they differ.
        """
        for j, cost in self.exact.items():
            values = cost(X)
            wrong = np.flatnonzero(~np.isclose(values, F[:, j], rtol=TOLERANCE, equal_nan=True))
            if len(wrong):
                i = wrong[0]
                raise InputError(
                    f"objective {j} is {F[i, j]:g} for the genome {X[i].tolist()}, but "
                    f"{values[i]:g} by the function that is said to know it; correct one of them"
                )


def _given(problem: Any, cheap: Mapping[int, Cost]) -> dict[int, Cost]:
    if not isinstance(cheap, Mapping):
        raise InputError(f"cheap is {cheap!r}; give {{index of an objective: its function}}")
    for j in cheap:
        if isinstance(j, bool) or not isinstance(j, int) or not 0 <= j < problem.n_obj:
            raise InputError(
                f"cheap names objective {j!r}; this problem has 0 to {problem.n_obj - 1}"
            )
    return {j: Checked(f"objective {j}", function) for j, function in cheap.items()}


def _named(problem: Any) -> dict[int, Cost]:
    names, values = getattr(problem, "cheap", None), getattr(problem, "cheap_values", None)
    objectives = getattr(problem, "objectives", None)
    if not isinstance(names, tuple) or not isinstance(objectives, tuple) or not callable(values):
        return {}
    return {objectives.index(name): partial(_column, values, k) for k, name in enumerate(names)}


def _column(values: Cost, k: int, X: np.ndarray) -> np.ndarray:
    return np.asarray(values(X), float)[:, k]


def _of_network(cost: Cost, canonical: Cost | None, X: np.ndarray) -> np.ndarray:
    return cost(X if canonical is None else as_genomes(canonical(X)))
