"""NSGA-II (Deb et al., 2002)."""

from typing import Any

from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.selection import Selection
from pymoo.core.survival import Survival

from evonas.search.parts import genetic


def nsga2(
    problem: Any,
    *,
    pop_size: int | None = None,
    n_offsprings: int | None = None,
    sampling: Any = None,
    crossover: Crossover | None = None,
    mutation: Mutation | str | None = None,
    selection: Selection | None = None,
    survival: Survival | None = None,
) -> NSGA2:
    """NSGA-II, pymoo's, with categorical operators; settings as in `get_algorithm`."""
    return genetic(
        NSGA2,
        problem,
        pop_size=pop_size,
        n_offsprings=n_offsprings,
        sampling=sampling,
        crossover=crossover,
        mutation=mutation,
        selection=selection,
        survival=survival,
    )
