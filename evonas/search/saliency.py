"""Selection by saliency: the architectures that a table thinks best, for all prices of cost.

Picking an architecture from a table of saliency is what it was made for (Hao, Cai, Li, Zhu, Neural
Computing and Applications 34, 2022); with a price on cost there is one for each trade-off.
"""

from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.util.display.multi import MultiObjectiveOutput

from evonas.errors import InputError
from evonas.operators import SeenBefore, best_genomes
from evonas.operators.genomes import as_genomes, integer_bounds
from evonas.search.evaluator import DistinctEvaluator
from evonas.search.mutations import tables_of
from evonas.search.parts import POP_SIZE, canonical_of, check_settings, population_size


class SaliencySearch(Algorithm):
    """Evaluates the architectures of highest saliency - price * cost, and nothing else.

    One has the highest saliency, another the lowest cost. Between them there is one for each range
    of prices; those that break a limit which is known beforehand are left out. Both ends are
    evaluated first, then the one halfway between them, and so on: with fewer evaluations than
    architectures they are spread over all prices.

    Args:
        saliency: float (n_var, max choices); None asks the problem.
        pop_size: architectures evaluated in one step.

    Raises:
        InputError: there is no such setting.
    """

    def __init__(self, saliency: Any = None, *, pop_size: int = POP_SIZE, **kwargs: Any) -> None:
        """Store the settings."""
        check_settings(self, kwargs)
        super().__init__(output=MultiObjectiveOutput(), **kwargs)
        self.saliency, self.pop_size = saliency, pop_size
        self.known: Population = Population.empty()
        self._left = np.empty((0, 0), np.int64)

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        low, _ = integer_bounds(problem)
        X = best_genomes(*tables_of(problem, self.saliency)) + low
        feasible = getattr(problem, "feasible", None)
        if problem.has_constraints() and callable(feasible):
            X = X[np.asarray(feasible(X), dtype=bool)]
            if not len(X):
                raise InputError(
                    "no architecture of highest saliency keeps the limits; loosen them, or search "
                    "with another algorithm (--supernet takes the trained weights of a run)"
                )
        new = SeenBefore(canonical_of(problem)).do(Population.new(X=X[halving(len(X))]))
        self._left = as_genomes(new.get("X"))

    def _initialize_infill(self) -> Population | None:
        return self._infill()

    def _infill(self) -> Population | None:
        X, self._left = self._left[: self.pop_size], self._left[self.pop_size :]
        if not len(X):
            self.termination.terminate()  # as pymoo's genetic algorithms do
            return None
        return Population.new(X=X)

    def _initialize_advance(self, infills: Any = None, **kwargs: Any) -> None:
        self._advance(infills)

    def _advance(self, infills: Any = None, **kwargs: Any) -> None:
        if infills is not None:
            self.known = Population.merge(self.known, infills)
        self.pop = self.known


def halving(n: int) -> list[int]:
    """The numbers below n: both ends, what is halfway between, halfway between these, and so on."""
    order = [0, n - 1] if n > 1 else list(range(n))
    gaps = [(0, n - 1)]
    for low, high in gaps:  # it grows
        if high - low > 1:
            middle = (low + high) // 2
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return order


def saliency_search(
    problem: Any, *, pop_size: int | None = None, saliency: Any = None
) -> SaliencySearch:
    """`SaliencySearch`; settings as in `get_algorithm`.

    `saliency` is a table (n_var, max choices), by default that of the problem's trained supernet.
    """
    table, _ = tables_of(problem, saliency)
    return SaliencySearch(
        table,
        pop_size=population_size("pop_size", pop_size, least=1),
        evaluator=DistinctEvaluator(canonical_of(problem)),
    )
