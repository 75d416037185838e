"""What each choice adds to a cost, and what a trained supernet says that it is worth."""

import numpy as np
import pytest

from evonas.errors import InputError
from evonas.problems import AdditiveCost, get_problem
from evonas.search import get_algorithm
from tests.problems.conftest import Counting


def test_counts_are_exact(problem, macro):
    np.testing.assert_array_equal(problem.cost_table(), macro.param_table())
    np.testing.assert_array_equal(problem.cost_table("macs"), macro.mac_table())


def test_a_table_of_ones_own_is_exact_also_where_the_space_is_restricted(macro):
    table = np.random.default_rng(0).random(macro.allowed.shape)
    allowed = macro.allowed.copy()
    allowed[2, 0] = allowed[5, 1] = False
    part = macro.restrict(allowed)
    costs = {"latency": AdditiveCost(part, table, 3.0)}
    problem = Counting(part, ("error", "latency"), costs=costs)
    np.testing.assert_array_equal(problem.cost_table(), part.lower_table(table))


def test_of_a_function_it_is_the_main_effects(macro):
    weights = np.random.default_rng(0).integers(0, 5, macro.allowed.shape).astype(float)
    costs = {"energy": lambda X: 7 + 1e6 * weights[np.arange(8), X].sum(1)}
    problem = Counting(macro, ("error", "energy"), costs=costs)
    # Identities move freely within a stage; without them a genome is its network.
    table = Counting(
        macro.restrict(macro.allowed & [False, True, True]), ("error", "energy"),
        costs={"energy": lambda X: 7 + 1e6 * weights[np.arange(8), X].sum(1)},
    ).cost_table()  # fmt: skip
    wanted = 1e6 * (weights[:, :2] - weights[:, :2].min(1, keepdims=True))
    np.testing.assert_allclose(table, wanted, atol=10)
    assert problem.cost_table().shape == (8, 3)


def test_choices_of_equal_cost_are_equal():
    problem = get_problem("digits-params")
    problem.costs["flat"] = lambda X: np.full(len(X), 2.0)
    np.testing.assert_array_equal(np.nan_to_num(problem.cost_table("flat")), 0)


def test_an_unknown_cost(problem):
    with pytest.raises(InputError, match="unknown cost 'parms'; did you mean params"):
        problem.cost_table("parms")
    with pytest.raises(InputError, match="known without evaluation; name one of params, macs"):
        Counting(problem.space, ("error", "loss")).cost_table()


def test_the_supernet_of_a_problem_guides_its_search(monkeypatch):
    problem = get_problem("digits-params")
    with pytest.raises(InputError, match=r"problem.train\('2m'\)"):
        problem.saliency()
    problem.train(steps=30, seed=1)
    table = problem.saliency()
    assert (np.isfinite(table) == problem.space.allowed).all()
    assert problem.saliency("fisher").shape == table.shape
    assert not np.array_equal(problem.saliency(half_resolution=True), table, equal_nan=True)
    mutation = get_algorithm("nsga2", problem, mutation="saliency").mating.mutation
    np.testing.assert_array_equal(mutation.table, table)

    import evonas.supernet

    monkeypatch.setattr(evonas.supernet, "saliency_table", None)  # nothing is computed twice
    np.testing.assert_array_equal(problem.saliency(), table)

    allowed = problem.space.allowed.copy()
    allowed[1, 0] = False
    part = get_problem("digits-params", problem.space.restrict(allowed), supernet=problem.supernet)
    monkeypatch.undo()
    assert part.saliency().shape == (6, int(part.space.n_choices.max()))
    np.testing.assert_array_equal(part.saliency(), part.space.lower_table(table))
