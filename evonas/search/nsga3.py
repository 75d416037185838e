"""NSGA-III (Deb & Jain, 2014)."""

from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.selection import Selection
from pymoo.core.survival import Survival
from pymoo.operators.selection.tournament import TournamentSelection

from evonas.errors import InputError
from evonas.search.directions import check_directions, reference_directions
from evonas.search.parts import genetic, population_size


def nsga3(
    problem: Any,
    *,
    pop_size: int | None = None,
    n_offsprings: int | None = None,
    sampling: Any = None,
    crossover: Crossover | None = None,
    mutation: Mutation | str | None = None,
    selection: Selection | None = None,
    survival: Survival | None = None,
    ref_dirs: np.ndarray | None = None,
) -> NSGA3:
    """NSGA-III, pymoo's, with categorical operators; settings as in `get_algorithm`.

    By default there are as many directions as a regular lattice has within the population (20
    for two objectives, 15 for three); with `ref_dirs` given the population is as large as these.

    Raises:
        InputError: the population is smaller than the number of directions.
    """
    if ref_dirs is None:
        pop_size = population_size("pop_size", pop_size)
        directions = reference_directions(problem.n_obj, pop_size)
    else:
        directions = check_directions(ref_dirs, problem.n_obj)
        pop_size = population_size("pop_size", pop_size, default=len(directions))
        if pop_size < len(directions):
            raise InputError(
                f"pop_size={pop_size} is below the {len(directions)} reference directions; give "
                f"pop_size={len(directions)} or more, or fewer directions"
            )
    return genetic(
        NSGA3,
        problem,
        pop_size=pop_size,
        n_offsprings=n_offsprings,
        sampling=sampling,
        crossover=crossover,
        mutation=mutation,
        selection=selection,
        tournament=TournamentSelection(func_comp=less_violation_else_random),
        survival=survival,
        ref_dirs=directions,
    )


def less_violation_else_random(
    pop: Any, P: np.ndarray, *, random_state: np.random.Generator, **kwargs: Any
) -> np.ndarray:
    """NSGA-III's tournament: the smaller constraint violation wins, ties are drawn.

    pymoo's own breaks ties between infeasible individuals with a generator of its own, without
    a seed, so that a constrained run cannot be repeated.

    Args:
        pop: the population.
        P: int `(n, 2)`, pairs of positions in it.
        random_state: numpy Generator.
        **kwargs: what else pymoo hands over.

    Returns:
        int `(n, 1)`, the winners.
    """
    violation = pop.get("CV")[:, 0]
    a, b = P.T
    drawn = np.where(random_state.random(len(P)) < 0.5, a, b)
    winner = np.where(
        violation[a] < violation[b], a, np.where(violation[a] > violation[b], b, drawn)
    )
    return winner[:, None]
