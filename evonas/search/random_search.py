"""Random search without repeats: the baseline that every algorithm has to beat."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pymoo.algorithms.soo.nonconvex.random_search import RandomSearch
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.initialization import Initialization
from pymoo.core.population import Population
from pymoo.core.sampling import Sampling
from pymoo.util.display.multi import MultiObjectiveOutput

from evonas.operators import ChoiceSampling, SeenBefore
from evonas.operators.choice_mutation import mutate_choices
from evonas.operators.genomes import as_genomes, integer_bounds
from evonas.search.evaluator import DistinctEvaluator
from evonas.search.parts import canonical_of, choose_sampling, population_size

ATTEMPTS = 100  # draws to fill a batch with new genomes, as many as pymoo's mating makes


class DistinctRandomSearch(RandomSearch):
    """pymoo's random search with duplicate elimination.

    Where a problem with limits has `feasible` (`X -> bool (n,)`), only what keeps them is drawn:
    uniform genomes, and where these are found too seldom, a random walk from the problem's
    `feasible_genomes (k, n_var)`.
    """

    def __init__(
        self,
        *,
        pop_size: int,
        sampling: Any,
        eliminate_duplicates: DuplicateElimination,
        **kwargs: Any,
    ) -> None:
        """Store the settings.

        Args:
            pop_size: genomes in a batch.
            sampling: draws the batches; genomes or a Population are the first batch, whatever
                their feasibility, and the later ones are uniform.
            eliminate_duplicates: says which genomes are new.
            **kwargs: pymoo's own settings of an algorithm.
        """
        given = not isinstance(sampling, Sampling)
        super().__init__(
            n_points_per_iteration=pop_size,
            sampling=ChoiceSampling() if given else sampling,
            **kwargs,
        )
        self.pop_size = pop_size
        self.eliminate_duplicates = eliminate_duplicates
        self.initialization = Initialization(sampling, eliminate_duplicates=eliminate_duplicates)
        self._given = given

    def _initialize_infill(self) -> Population | None:
        if not self._given and self.problem.has_constraints():
            return self._infill()
        return self.initialization.do(
            self.problem, self.pop_size, random_state=self.random_state, algorithm=self
        )

    def _infill(self) -> Population | None:
        batch = Population.create()
        for draw in self._draws():
            for _ in range(ATTEMPTS):
                drawn = draw(self.pop_size - len(batch))
                batch = Population.merge(batch, self.eliminate_duplicates.do(drawn, batch))
                if len(batch) == self.pop_size:
                    return batch
        if len(batch) > 0:
            return batch
        self.termination.terminate()  # as pymoo's genetic algorithms do
        return None

    def _draws(self) -> Iterator[Callable[[int], Population]]:
        """Ways to draw so many genomes; the next one is for what the last one did not find."""
        problem, random_state = self.problem, self.random_state
        feasible = getattr(problem, "feasible", None)
        feasible = feasible if problem.has_constraints() and callable(feasible) else None

        def drawn(n: int) -> Population:
            sampled = self.sampling.do(problem, n, random_state=random_state)
            if feasible is None:
                return sampled
            return sampled[np.asarray(feasible(as_genomes(sampled.get("X"))), bool)]

        yield drawn
        if feasible is None:
            return
        near = as_genomes(getattr(problem, "feasible_genomes", np.empty((0, problem.n_var))))
        low, high = integer_bounds(problem)

        def walked(n: int) -> Population:
            nonlocal near
            if not len(near):
                return Population.create()
            start = near[random_state.integers(len(near), size=n)]
            X = np.concatenate([start, mutate_choices(start, low, high, random_state=random_state)])
            X = np.unique(X[np.asarray(feasible(X), bool)], axis=0)
            near = np.unique(np.concatenate([near, X]), axis=0)
            return Population.new(X=random_state.permutation(X)[:n])

        yield walked


def random_search(
    problem: Any, *, pop_size: int | None = None, sampling: Any = None
) -> DistinctRandomSearch:
    """Random search in batches of `pop_size`, no genome twice; settings as in `get_algorithm`.

    Sampling is uniform by default also where the problem has cheap values: the baseline knows
    nothing of them.
    """
    canonical = canonical_of(problem)
    return DistinctRandomSearch(
        pop_size=population_size("pop_size", pop_size, least=1),
        sampling=ChoiceSampling() if sampling is None else choose_sampling(problem, sampling),
        eliminate_duplicates=SeenBefore(canonical),
        evaluator=DistinctEvaluator(canonical),
        output=MultiObjectiveOutput(),
    )
