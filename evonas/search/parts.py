"""The parts that algorithms have in common, chosen from the settings and the problem."""

import weakref
from collections.abc import Callable, Iterable
from inspect import Parameter, signature
from typing import Any, TypeVar

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.sampling import Sampling
from pymoo.core.selection import Selection
from pymoo.util.archive import MultiObjectiveArchive

from evonas.errors import InputError, unknown
from evonas.operators import (
    ArchiveSelection,
    ChoiceSampling,
    SeenBefore,
    StratifiedSampling,
    UniformCrossover,
)
from evonas.operators.genomes import as_genomes
from evonas.search.evaluator import DistinctEvaluator
from evonas.search.mutations import mutation_of
from evonas.search.widening import widened

A = TypeVar("A", bound=Algorithm)

POP_SIZE = 20

# Share of matings that cross two parents; the others only mutate one. NSGA-II, population 20,
# published errors against params, 62 seeds: with 0.05 for this and for `mutations.MOVES` 86 % of
# the true front of NAS-Bench-Macro are found by 400 evaluations, with 0.25 for both 81 %; no less
# of NAS-Bench-201 (CIFAR-100), and of a made-up problem of 20 genes.
CROSSOVER = 0.05


class Elite(MultiObjectiveArchive):
    """All non-dominated individuals so far, however many. A pickle of pymoo's own is broken."""

    def __new__(cls, individuals: Any = (), **settings: Any) -> "Elite":
        """Without a largest size: pymoo's would cut at random, with a generator of its own."""
        unlimited = {"max_size": None, "truncate_size": None, "duplicate_elimination": None}
        return super().__new__(cls, individuals=individuals, **{**settings, **unlimited})

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew of its members."""
        return type(self), (list(self),)


class Borrowed:
    """A bound method called through a weak reference: whoever holds this keeps no problem alive."""

    def __init__(self, method: Callable[[np.ndarray], np.ndarray]) -> None:
        """Store the settings.

        Args:
            method: a bound method.
        """
        self._method = weakref.WeakMethod(method)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Call the method.

        Raises:
            RuntimeError: what it belonged to is gone.
        """
        method = self._method()
        if method is None:
            raise RuntimeError("the problem that this algorithm was made for no longer exists")
        return method(X)


def canonical_of(problem: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """The problem's `canonical`, without a reference to the problem; None where it has none."""
    canonical = getattr(problem, "canonical", None)
    if canonical is not None and getattr(canonical, "__self__", None) is problem:
        return Borrowed(canonical)
    return canonical


def check_settings(algorithm: Algorithm, given: Iterable[str]) -> None:
    """Refuse names of settings that neither this algorithm has nor pymoo's, which takes any.

    Raises:
        InputError: there is such a name.
    """
    takes = {
        name
        for maker in (type(algorithm), Algorithm)
        for name, parameter in signature(maker).parameters.items()
        if parameter.kind is not Parameter.VAR_KEYWORD
    }
    for name in given:
        if name not in takes:
            raise unknown("setting", name, takes)


def population_size(
    name: str, value: int | None, *, default: int = POP_SIZE, least: int = 2
) -> int:
    """A checked number of individuals; `default` where None is given.

    Raises:
        InputError: it is no whole number of at least `least`.
    """
    size = default if value is None else value
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < least:
        raise InputError(f"{name}={value!r} is no population size; give a number from {least} on")
    return int(size)


def choose_sampling(problem: Any, sampling: Any) -> Sampling | Population | np.ndarray:
    """The initial sampling: what was given, checked, or the default for this problem.

    Raises:
        InputError: it is no sampling, or holds genomes of another problem.
    """
    if sampling is None:
        cheap = getattr(problem, "cheap", None)
        has_cost = callable(getattr(problem, "cheap_values", None)) and cheap != ()
        return StratifiedSampling() if has_cost else ChoiceSampling()
    if isinstance(sampling, Sampling):
        return sampling
    try:
        X = as_genomes(sampling.get("X") if isinstance(sampling, Population) else sampling)
    except ValueError as error:
        raise InputError(f"sampling is no pymoo Sampling and no array: {error}") from None
    if X.shape[1] != problem.n_var or (X < problem.xl).any() or (X > problem.xu).any():
        raise InputError(
            f"the genomes given as sampling do not fit the problem's {problem.n_var} genes and "
            "their bounds"
        )
    return sampling if isinstance(sampling, Population) else X


def variation(
    problem: Any, *, sampling: Any, crossover: Crossover | None, mutation: Mutation | str | None
) -> dict[str, Any]:
    """Sampling, crossover, mutation and evaluator as pymoo's arguments.

    Args:
        problem: the pymoo problem, read and not kept.
        sampling: an operator, genomes, a Population, or None.
        crossover: an operator; None is uniform crossover of a twentieth of the matings.
        mutation: as of `mutation_of`.

    Raises:
        InputError: one of them is not what it should be.
    """
    crossover = UniformCrossover(prob=CROSSOVER) if crossover is None else crossover
    if not isinstance(crossover, Crossover):
        raise InputError(f"crossover={crossover!r} is no pymoo Crossover")
    return {
        "sampling": choose_sampling(problem, sampling),
        "evaluator": DistinctEvaluator(canonical_of(problem)),
        "crossover": crossover,
        "mutation": mutation_of(problem, mutation),
    }


def genetic(
    kind: Callable[..., A],
    problem: Any,
    *,
    pop_size: int | None,
    n_offsprings: int | None,
    sampling: Any,
    crossover: Crossover | None,
    mutation: Mutation | str | None,
    selection: Selection | None,
    tournament: Selection | None = None,
    **others: Any,
) -> A:
    """A pymoo genetic algorithm that evaluates nothing twice, and looks further where it must.

    Where no `selection` is given, half of the matings take their parents from all non-dominated
    networks evaluated so far and the others by `tournament`, by default pymoo's of this `kind`.
    `others` are passed on to `kind` where they are given; None leaves pymoo's default.
    """
    size = population_size("pop_size", pop_size)
    algorithm = kind(
        pop_size=size,
        n_offsprings=population_size("n_offsprings", n_offsprings, default=size, least=1),
        eliminate_duplicates=SeenBefore(canonical_of(problem)),
        archive=Elite(),
        **variation(problem, sampling=sampling, crossover=crossover, mutation=mutation),
        **{name: value for name, value in others.items() if value is not None},
    )
    algorithm.mating.selection = selection or ArchiveSelection(
        tournament or algorithm.mating.selection
    )
    return widened(algorithm)
