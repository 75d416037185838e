"""Offspring from further away, where everything near a population has been evaluated."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.duplicate import NoDuplicateElimination
from pymoo.core.mating import Mating
from pymoo.core.population import Population

from evonas.operators.choice_mutation import mutate_choices
from evonas.operators.choice_sampling import sample_choices
from evonas.operators.genomes import as_genomes, integer_bounds

A = TypeVar("A", bound=Algorithm)

ATTEMPTS = 20  # of the mating itself, before it looks further
ROUNDS = 5  # draws at each distance

Draw = Callable[[np.ndarray], np.ndarray]


def further(problem: Any, random_state: np.random.Generator) -> Iterator[Draw]:
    """Ever larger steps from given genomes, `X (n, n_var) -> X (n, n_var)`; at last anywhere.

    Args:
        problem: gives the bounds `xl` and `xu`.
        random_state: numpy Generator.
    """
    low, high = integer_bounds(problem)
    free = int(np.sum(high > low))
    moves = 2
    while moves < free:
        for _ in range(ROUNDS):
            yield lambda X, share=moves / free: mutate_choices(  # type: ignore[misc]
                X, low, high, random_state=random_state, prob_var=share
            )
        moves *= 2
    for _ in range(ROUNDS):
        yield lambda X: sample_choices(len(X), low, high, random_state=random_state)


class WideningMating(Mating):
    """pymoo's mating, except that it moves more genes where a few lead to nothing new.

    A converged population has few neighbours. Once these are evaluated, a search that only makes
    neighbours finds no offspring any more and ends, with most of a space unseen.
    """

    def do(
        self,
        problem: Any,
        pop: Population,
        n_offsprings: int,
        random_state: np.random.Generator | None = None,
        n_max_iterations: int | None = None,
        **kwargs: Any,
    ) -> Population:
        """Make offspring; pymoo's interface."""
        off = super().do(
            problem,
            pop,
            n_offsprings,
            random_state=random_state,
            n_max_iterations=n_max_iterations,
            **kwargs,
        )
        if isinstance(self.eliminate_duplicates, NoDuplicateElimination) or not len(pop):
            return off
        assert random_state is not None
        draws = further(problem, random_state)
        parents = as_genomes(pop.get("X"))
        while len(off) < n_offsprings and (draw := next(draws, None)):
            chosen = random_state.integers(len(parents), size=n_offsprings - len(off))
            new = Population.new(X=draw(parents[chosen]))
            off = Population.merge(off, self.eliminate_duplicates.do(new, pop, off))
        return off


def widened(algorithm: A) -> A:
    """The same algorithm with a `WideningMating` of its own operators."""
    mating = algorithm.mating
    algorithm.mating = WideningMating(
        mating.selection,
        mating.crossover,
        mating.mutation,
        repair=mating.repair,
        eliminate_duplicates=mating.eliminate_duplicates,
        n_max_iterations=ATTEMPTS,
    )
    return algorithm
