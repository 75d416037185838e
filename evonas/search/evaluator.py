"""An evaluator that spends evaluations on new networks only."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.core.evaluator import Evaluator
from pymoo.core.individual import Individual
from pymoo.core.population import Population

from evonas.operators.genomes import as_genomes, genome_keys


class DistinctEvaluator(Evaluator):
    """pymoo's evaluator, except that a network is evaluated and counted once.

    A genome whose canonical form was evaluated before gets the values of then; the problem is not
    asked again and `n_eval` does not move. Nor does it for what `problem.feasible` (`X -> bool
    (n,)`, where there is one) rules out, since that is known without evaluation.

    The repeats of an algorithm without duplicate elimination (MOEA/D) are free by that. Such an
    algorithm would never reach `("n_eval", n)` on a space with fewer than `n` networks: after
    `patience` iterations without a new network the algorithm is ended.

    Attributes:
        n_eval: distinct feasible networks evaluated so far.
        exhausted: whether this evaluator has ended the algorithm for want of new networks.
    """

    def __init__(
        self,
        canonical: Callable[[np.ndarray], np.ndarray] | None = None,
        *,
        patience: int = 50,
        **kwargs: Any,
    ) -> None:
        """Store the settings.

        Args:
            canonical: `X -> X`, both `(n, n_var)`, giving equal genomes to equal networks; by
                default genomes are compared as they are. Held by reference, never copied.
            patience: iterations without a new network after which the algorithm ends.
            **kwargs: pymoo's own settings of an evaluator.
        """
        super().__init__(**kwargs)
        self.canonical = canonical
        self.patience = patience
        self.exhausted = False
        self._known: dict[bytes, dict[str, np.ndarray]] = {}
        self._n_new = 0
        self._last_progress = 0

    def eval(
        self,
        problem: Any,
        pop: Any,
        skip_already_evaluated: bool | None = None,
        evaluate_values_of: list[Any] | None = None,
        count_evals: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Give every individual its values; pymoo's interface.

        Args:
            problem: the pymoo problem.
            pop: a population or one individual.
            skip_already_evaluated: leave individuals that carry values alone (the default).
            evaluate_values_of: names of the values wanted; F, G and H by default.
            count_evals: whether new networks count.
            **kwargs: `algorithm`, for the rule that ends it; passed on to the problem.

        Returns:
            What was given as `pop`.
        """
        self._n_new = 0
        self._remember(_evaluated([pop] if isinstance(pop, Individual) else pop))
        pop = super().eval(
            problem,
            pop,
            skip_already_evaluated=skip_already_evaluated,
            evaluate_values_of=evaluate_values_of,
            count_evals=False,
            **kwargs,
        )
        self._count(count_evals, kwargs.get("algorithm"))
        return pop

    def _eval(
        self, problem: Any, pop: Population, evaluate_values_of: list[str], **kwargs: Any
    ) -> None:
        """Evaluate the networks not known yet, and serve all from what is known then."""
        keys = self._keys(pop)
        names = set(evaluate_values_of)
        first: dict[bytes, int] = {}
        for i, key in enumerate(keys):
            if not names <= self._known.get(key, {}).keys():
                first.setdefault(key, i)
        if first:
            self._n_new += _dear(
                problem, pop[[i for k, i in first.items() if k not in self._known]]
            )
            new = pop[list(first.values())]
            super()._eval(problem, new, evaluate_values_of, **kwargs)
            self._remember(new)
        for i, (key, individual) in enumerate(zip(keys, pop, strict=True)):
            if first.get(key) == i:
                continue
            for name in evaluate_values_of:
                individual.set(name, self._known[key][name].copy())
            individual.evaluated.update(names)

    def knows(self, X: np.ndarray) -> np.ndarray:
        """Whether genomes (n, n_var) stand for networks that were evaluated, bool (n,)."""
        X = X if self.canonical is None else self.canonical(X)
        return np.array([key in self._known for key in genome_keys(X)], dtype=bool)

    def _remember(self, individuals: Any) -> None:
        """Store the values of evaluated individuals."""
        for key, individual in zip(self._keys(individuals), individuals, strict=True):
            known = self._known.setdefault(key, {})
            for name in individual.evaluated - known.keys():
                known[name] = np.array(individual.get(name))

    def _count(self, count_evals: bool, algorithm: Any) -> None:
        if count_evals:
            self.n_eval += self._n_new
        if algorithm is None or algorithm.n_iter is None:
            return
        if self._n_new:
            self._last_progress = algorithm.n_iter
        elif algorithm.n_iter - self._last_progress >= self.patience:
            self.exhausted = True
            algorithm.termination.terminate()

    def _keys(self, individuals: Any) -> list[bytes]:
        if len(individuals) == 0:
            return []
        X = as_genomes([individual.X for individual in individuals])
        return genome_keys(X if self.canonical is None else self.canonical(X))

    def __deepcopy__(self, memo: dict[int, Any]) -> "DistinctEvaluator":
        """An independent copy that shares the stored values, which never change."""
        new = copy.copy(self)
        new._known = {key: dict(values) for key, values in self._known.items()}
        return new


def _dear(problem: Any, new: Population) -> int:
    """How many individuals took an evaluation: all but those that a free check rules out."""
    feasible = getattr(problem, "feasible", None)
    if not callable(feasible) or not len(new):
        return len(new)
    return int(np.sum(feasible(as_genomes(new.get("X")))))


def _evaluated(pop: Any) -> list[Individual]:
    return [individual for individual in pop if individual.evaluated]
