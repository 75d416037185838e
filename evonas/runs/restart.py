"""Begin a search that knows results already: they are its archive and its first population."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.initialization import Initialization
from pymoo.core.population import Population
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from evonas.runs.genomes import from_record
from evonas.runs.memory import hand_over
from evonas.runs.records import Result


def begin_with(algorithm: Algorithm, problem: Any, known: Sequence[Result]) -> None:
    """Make `known` the results that an algorithm, set up but not asked yet, begins with.

    They are evaluated without cost through the algorithm's evaluator, so that its count goes on
    from them. The first population is the best of them by rank and crowding. An algorithm with
    `start_from(population)` is given them all instead; one without a first population (random
    search) only knows them.

    Args:
        algorithm: set up for `problem`.
        problem: a `RememberingProblem`, or one with `remember(X, F)`.
        known: results of earlier searches on the same problem.
    """
    if not known:
        return
    X = from_record(problem, [result.genome for result in known])
    hand_over(problem, X, known)
    population = Population.new(X=X)
    algorithm.evaluator.eval(problem, population, algorithm=algorithm)
    if hasattr(algorithm, "eliminate_duplicates"):
        # An elimination that remembers all that was evaluated has not met these yet.
        algorithm.eliminate_duplicates.do(Population.empty(), population)
    if hasattr(algorithm, "start_from"):
        algorithm.start_from(population)
    elif hasattr(algorithm, "initialization"):
        first = _first_population(algorithm, problem, population)
        # No duplicate elimination: everything in it has been seen, that is its point.
        algorithm.initialization = Initialization(first)


def _first_population(algorithm: Any, problem: Any, known: Population) -> Population:
    size = algorithm.pop_size
    if len(known) >= size:
        return RankAndCrowding().do(
            problem, known, n_survive=size, random_state=algorithm.random_state
        )
    # Algorithms with one place per reference direction need exactly `size` members.
    fresh = algorithm.initialization.do(
        problem, size, algorithm=algorithm, random_state=algorithm.random_state
    )
    seen = {tuple(x) for x in known.get("X").tolist()}
    is_new = np.array([tuple(x) not in seen for x in fresh.get("X").tolist()], dtype=bool)
    order = np.argsort(~is_new, kind="stable")
    return Population.merge(known, fresh[order][: size - len(known)])
