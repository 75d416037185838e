"""Operators that algorithms take where nothing is said."""

import numpy as np
from pymoo.core.problem import Problem

from evonas.operators import mutate_choices
from evonas.search.mutations import mutation_of
from evonas.search.parts import variation


def problem(choices):
    choices = np.asarray(choices)
    return Problem(n_var=len(choices), n_obj=2, xl=np.zeros(len(choices)), xu=choices - 1)


def test_offspring_are_neighbours_and_seldom_farther():
    mutation = mutation_of(problem([3] * 8 + [1] * 4), None)
    X, xl, xu = np.zeros((40_000, 12), int), np.zeros(12, int), np.array([2] * 8 + [0] * 4)
    Y = mutate_choices(
        X, xl, xu, random_state=np.random.default_rng(0), prob_var=mutation.prob_var.get()
    )
    moved = (Y != X).sum(axis=1)
    assert moved.min() == 1
    assert 0.0002 < np.mean(moved > 1) < 0.01  # far enough to leave an exhausted neighbourhood


def test_a_problem_without_free_genes_has_a_mutation_too():
    assert mutation_of(problem([1, 1]), "uniform").prob_var.get() <= 1


def test_a_mutation_by_name_is_the_default_one():
    named, default = (
        variation(problem([3, 3]), sampling=None, crossover=None, mutation=m)["mutation"]
        for m in ("uniform", None)
    )
    assert named.prob_var.get() == default.prob_var.get()
