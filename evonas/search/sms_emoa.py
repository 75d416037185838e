"""SMS-EMOA (Beume, Naujoks & Emmerich, 2007): survival by contribution to the hypervolume."""

from typing import Any

from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.selection import Selection
from pymoo.core.survival import Survival

from evonas.search.parts import genetic


def sms_emoa(
    problem: Any,
    *,
    pop_size: int | None = None,
    n_offsprings: int | None = None,
    sampling: Any = None,
    crossover: Crossover | None = None,
    mutation: Mutation | str | None = None,
    selection: Selection | None = None,
    survival: Survival | None = None,
    normalize: bool = True,
) -> SMSEMOA:
    """SMS-EMOA, pymoo's, with categorical operators; settings as in `get_algorithm`.

    `normalize` scales objectives by the range of the population.
    """
    return genetic(
        SMSEMOA,
        problem,
        pop_size=pop_size,
        n_offsprings=n_offsprings,
        sampling=sampling,
        crossover=crossover,
        mutation=mutation,
        selection=selection,
        survival=survival,
        normalize=normalize,
    )
