"""AGE-MOEA (Panichella, 2019): survival by an estimate of the front's geometry."""

from importlib.util import find_spec
from typing import Any

from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.selection import Selection

from evonas.errors import InputError
from evonas.search.parts import genetic


def age_moea(
    problem: Any,
    *,
    pop_size: int | None = None,
    n_offsprings: int | None = None,
    sampling: Any = None,
    crossover: Crossover | None = None,
    mutation: Mutation | str | None = None,
    selection: Selection | None = None,
) -> Any:
    """AGE-MOEA, pymoo's, with categorical operators; settings as in `get_algorithm`.

    Raises:
        InputError: numba, which pymoo's implementation is compiled with, is not installed.
    """
    if find_spec("numba") is None:
        raise InputError("age-moea needs numba; install it with: pip install numba")
    from pymoo.algorithms.moo.age import AGEMOEA

    return genetic(
        AGEMOEA,
        problem,
        pop_size=pop_size,
        n_offsprings=n_offsprings,
        sampling=sampling,
        crossover=crossover,
        mutation=mutation,
        selection=selection,
    )
