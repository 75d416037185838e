"""Mutations by name, and the tables of saliency and cost that guide one."""

from typing import Any

import numpy as np
from pymoo.core.mutation import Mutation

from evonas.errors import InputError, unknown
from evonas.operators import ChoiceMutation, SaliencyMutation
from evonas.operators.genomes import integer_bounds
from evonas.operators.saliency import fitted_tables
from evonas.problems.costs import fitted_cost_table

NAMES = ("uniform", "saliency")

# Every offspring moves one gene and seldom more, so that anything can still be reached: expected
# number of moves, before the rule that at least one moves.
MOVES = 0.05

# NSGA-II, population 20, tables of a trained supernet, 62 seeds from 1001 on, evaluations to 99 %.
# NAS-Bench-Macro, main effects, a floor of 0.05, 0.1, 0.2 and 0.3: 50, 50, 56 and 59, uniformly
# 120; a temperature of 0.1 to 0.5 makes no difference, and rank effects neither.
# NAS-Bench-201, rank effects, a floor of 0.1 and a temperature of 0.3, 0.5 and 0.8: 247, 272 and
# 290 (main effects 314, 298 and 315); a floor and a temperature of 0.3 and 0.5: 294; uniformly 450.
FLOOR, TEMPERATURE = 0.1, 0.3


def mutation_of(problem: Any, mutation: Mutation | str | None, saliency: Any = None) -> Mutation:
    """The mutation: an operator itself, or one by its name; uniform where nothing is said.

    Args:
        problem: the pymoo problem, read and not kept.
        mutation: an operator, "uniform", "saliency" or None.
        saliency: the table of "saliency"; None asks the problem.

    Raises:
        InputError: it is no mutation, or there is no table.
    """
    if mutation is None or mutation == "uniform":
        return ChoiceMutation(prob_var=_moves(problem))
    if mutation == "saliency":
        return guided_mutation(problem, tables_of(problem, saliency))
    if isinstance(mutation, str):
        raise unknown("mutation", mutation, NAMES)
    if not isinstance(mutation, Mutation):
        raise InputError(f"mutation={mutation!r} is no pymoo Mutation")
    return mutation


def guided_mutation(problem: Any, tables: tuple[np.ndarray, np.ndarray]) -> Mutation:
    """Saliency mutation with the settings of searches, given what `tables_of` returns."""
    return SaliencyMutation(*tables, floor=FLOOR, temperature=TEMPERATURE, prob_var=_moves(problem))


def _moves(problem: Any) -> float:
    """Probability of each free gene to move."""
    low, high = integer_bounds(problem)
    return MOVES / max(1, int(np.sum(high > low)))


def tables_of(problem: Any, saliency: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Tables of saliency and cost for a problem's genes, (n_var, max choices) each.

    Args:
        problem: any pymoo problem with integer bounds; `saliency()` and `cost_table()` are asked
            where it has them.
        saliency: the table; None asks the problem.

    Raises:
        InputError: nobody gives a table, or it does not fit the problem.
    """
    low, high = integer_bounds(problem)
    if saliency is None:
        make = getattr(problem, "saliency", None)
        if not callable(make):
            raise InputError(
                "a search by saliency needs a table; give get_algorithm(..., saliency=) an array "
                "(n_var, max choices), such as evonas.supernet.saliency_table makes"
            )
        saliency = make()
    try:
        return fitted_tables(saliency, _cost_table(problem, low, high), high - low + 1)
    except ValueError as error:
        raise InputError(str(error)) from None


def _cost_table(problem: Any, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Of the first cost that is known without evaluation; None where none is."""
    values = getattr(problem, "cheap_values", None)
    if not callable(values) or getattr(problem, "cheap", None) == ():
        return None
    own = getattr(problem, "cost_table", None)
    if callable(own):
        return np.asarray(own())
    return fitted_cost_table(lambda X: np.asarray(values(X + low))[:, 0], high - low + 1)
