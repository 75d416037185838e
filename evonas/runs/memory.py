"""A pymoo problem that remembers: recorded values are served, others are evaluated once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pymoo.core.problem import Problem

from evonas.runs.records import Result

Values = dict[str, np.ndarray]


class RememberingProblem(Problem):
    """Any pymoo problem, with a memory of values by genome; canonical, if the problem says how.

    A replayed search gets recorded values through it, so that pymoo's evaluator counts as it did.
    Problems with a `remember` of their own (evonas's) need none of this. What is no part of pymoo's
    `Problem` (a `hypervolume` method, say) is looked up in the wrapped problem.

    Args:
        problem: the problem that evaluates what is not remembered.
    """

    def __init__(self, problem: Problem) -> None:  # noqa: D107
        super().__init__(
            n_var=problem.n_var,
            n_obj=problem.n_obj,
            n_ieq_constr=problem.n_ieq_constr,
            n_eq_constr=problem.n_eq_constr,
            xl=problem.xl,
            xu=problem.xu,
            vtype=problem.vtype,
        )
        self.wrapped = problem
        self._values: dict[tuple[Any, ...], Values] = {}

    def remember(
        self,
        X: np.ndarray,
        F: np.ndarray,
        G: np.ndarray | None = None,
        H: np.ndarray | None = None,
    ) -> None:
        """Serve these values from now on.

        Args:
            X: genomes (n, n_var).
            F: objectives (n, n_obj).
            G: inequality constraints (n, n_ieq_constr); None where there are none.
            H: equality constraints (n, n_eq_constr); None where there are none.
        """
        for i, key in enumerate(self._keys(X)):
            values = {"F": F[i]}
            if G is not None:
                values["G"] = G[i]
            if H is not None:
                values["H"] = H[i]
            self._values[key] = values

    def _evaluate(self, X: np.ndarray, out: Values, *args: Any, **kwargs: Any) -> None:
        keys = self._keys(X)
        missing: dict[tuple[Any, ...], int] = {}
        for i, key in enumerate(keys):
            if key not in self._values:
                missing.setdefault(key, i)
        if missing:
            rows = list(missing.values())
            new = self.wrapped.evaluate(
                X[rows], return_values_of=list(self._names()), return_as_dictionary=True
            )
            self.remember(X[rows], new["F"], new.get("G"), new.get("H"))
        for name in self._names():
            out[name] = np.array([self._values[key][name] for key in keys])

    def _keys(self, X: np.ndarray) -> list[tuple[Any, ...]]:
        canonical = getattr(self.wrapped, "canonical", None)
        X = np.asarray(X if canonical is None else canonical(X))
        return [tuple(row) for row in X.tolist()]

    def _names(self) -> list[str]:
        names = ["F"]
        if self.n_ieq_constr:
            names.append("G")
        if self.n_eq_constr:
            names.append("H")
        return names

    def _calc_pareto_front(self, *args: Any, **kwargs: Any) -> Any:
        return self.wrapped.pareto_front(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Attributes of the wrapped problem."""
        if name in ("wrapped", "_values") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.wrapped, name)


def hand_over(problem: Any, X: np.ndarray, results: Sequence[Result]) -> None:
    """Let a problem serve recorded values instead of evaluating.

    Args:
        problem: a `RememberingProblem`, or one with a `remember(X, F)` of its own.
        X: genomes (n, n_var) in the problem's numbering.
        results: their results, in order.
    """
    F = np.array([result.objectives for result in results], dtype=float)
    if isinstance(problem, RememberingProblem):
        G = np.array([result.constraints for result in results], dtype=float)
        H = np.array([result.equalities for result in results], dtype=float)
        problem.remember(X, F, G, H)
        return
    # Infeasible genomes are settled by the problem itself, before anything is looked up; but not
    # those that could not be evaluated.
    feasible = np.array([result.feasible or bool(result.failed) for result in results], dtype=bool)
    if not feasible.any():
        return
    raced = [result for result in results if result.feasible or result.failed]
    if not any(result.race or result.images_saved for result in raced):
        problem.remember(X[feasible], F[feasible])
        return
    saved = np.array([result.images_saved for result in raced], dtype=np.int64)
    problem.remember(X[feasible], F[feasible], saved, [result.race for result in raced])
