"""Random search without repeats: the baseline that every algorithm has to beat."""

from typing import Any

from pymoo.algorithms.soo.nonconvex.random_search import RandomSearch
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.initialization import Initialization
from pymoo.core.population import Population
from pymoo.core.sampling import Sampling
from pymoo.util.display.multi import MultiObjectiveOutput

from evonas.operators import ChoiceSampling, SeenBefore
from evonas.search.evaluator import DistinctEvaluator
from evonas.search.parts import canonical_of, choose_sampling, population_size

ATTEMPTS = 100  # draws to fill a batch with new genomes, as many as pymoo's mating makes


class DistinctRandomSearch(RandomSearch):
    """pymoo's random search with duplicate elimination."""

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
            sampling: draws the batches; genomes or a Population are the first batch, and the later
                ones are uniform.
            eliminate_duplicates: says which genomes are new.
            **kwargs: pymoo's own settings of an algorithm.
        """
        later = sampling if isinstance(sampling, Sampling) else ChoiceSampling()
        super().__init__(n_points_per_iteration=pop_size, sampling=later, **kwargs)
        self.pop_size = pop_size
        self.eliminate_duplicates = eliminate_duplicates
        self.initialization = Initialization(sampling, eliminate_duplicates=eliminate_duplicates)

    def _initialize_infill(self) -> Population:
        return self.initialization.do(
            self.problem, self.pop_size, random_state=self.random_state, algorithm=self
        )

    def _infill(self) -> Population | None:
        batch = Population.create()
        for _ in range(ATTEMPTS):
            missing = self.pop_size - len(batch)
            drawn = self.sampling.do(self.problem, missing, random_state=self.random_state)
            batch = Population.merge(batch, self.eliminate_duplicates.do(drawn, batch))
            if len(batch) == self.pop_size:
                return batch
        if len(batch) > 0:
            return batch
        self.termination.terminate()  # as pymoo's genetic algorithms do
        return None


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
