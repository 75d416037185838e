"""Searches that a saliency table guides, and the one that only selects by it."""

import copy

import numpy as np
import pytest
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.operators import SaliencyMutation, SaliencySampling, best_genomes
from evonas.search import SaliencySearch, get_algorithm
from evonas.search.mutations import FLOOR, TEMPERATURE, mutation_of, tables_of
from evonas.search.saliency import halving

from .conftest import N_CHOICES

THERE = np.arange(N_CHOICES.max()) < N_CHOICES[:, None]


@pytest.fixture
def table(problem):
    """Higher where the error's additive part is lower."""
    return np.where(THERE, -problem.tables[1], np.nan)


GUIDED = ("nsga2", "nsga3", "sms-emoa", "age-moea", "moead", "screened")


@pytest.mark.parametrize("name", GUIDED)
def test_any_genetic_algorithm_takes_the_mutation(name, problem, table):
    if name == "moead" and problem.has_constraints():
        pytest.skip("moead takes no constraints")
    algorithm = get_algorithm(name, problem, mutation="saliency", saliency=table)
    fronts = [minimize(problem, algorithm, ("n_eval", 60), seed=1).F for _ in range(2)]
    np.testing.assert_array_equal(*fronts)


def test_offspring_say_what_moved_them(problem, table):
    algorithm = get_algorithm("nsga2", problem, mutation="saliency", saliency=table)
    algorithm.setup(problem, termination=("n_eval", 60), seed=1)
    algorithm.next()
    algorithm.next()
    guided = [ind.get("guided") for ind in algorithm.off if ind.get("guided") is not None]
    assert len(guided) > 10 and any(guided)


def test_the_mutation_has_the_settings_of_searches(problem, table):
    mutation = mutation_of(problem, "saliency", table)
    assert isinstance(mutation, SaliencyMutation)
    assert (mutation.floor, mutation.temperature) == (FLOOR, TEMPERATURE)
    assert mutation.prob_var.get() == mutation_of(problem, "uniform").prob_var.get()


def test_costs_are_asked_of_the_problem(problem, table):
    _, cost = tables_of(problem, table)
    if not hasattr(problem, "cheap_values"):
        assert (cost[THERE] == 0).all()
        return
    wanted = 1e5 * problem.tables[0]
    wanted -= np.where(THERE, wanted, np.inf).min(axis=1, keepdims=True)
    np.testing.assert_allclose(cost[THERE], wanted[THERE], atol=1)


def test_screened_starts_at_what_the_table_thinks_best(problem, table):
    algorithm = get_algorithm("screened", problem, saliency=table)
    assert isinstance(algorithm.sampling, SaliencySampling)
    own = get_algorithm(
        "screened", problem, saliency=table, sampling=np.zeros((3, 8), int) + problem.xl.astype(int)
    )
    assert isinstance(own.sampling, np.ndarray)
    minimize(problem, algorithm, ("n_eval", 30), seed=1)


def test_sampling_spreads_over_prices_and_fills_up_with_neighbours(problem, table):
    saliency, cost = tables_of(problem, table)
    best = best_genomes(saliency, cost) + problem.xl.astype(int)
    sampling = SaliencySampling(saliency, cost)
    for n in (1, 2, len(best), len(best) + 9):
        X = sampling.do(problem, n, random_state=np.random.default_rng(0)).get("X")
        assert X.shape == (n, 8) and (problem.xl <= X).all() and (problem.xu >= X).all()
        if 1 < n <= len(best):
            assert (X[[0, -1]] == best[[0, -1]]).all()
        elif n > len(best):
            assert (X[: len(best)] == best).all()


def test_selection_evaluates_the_best_of_every_price(problem, table):
    saliency, cost = tables_of(problem, table)
    best = best_genomes(saliency, cost) + problem.xl.astype(int)
    if hasattr(problem, "feasible") and problem.has_constraints():
        best = best[problem.feasible(best)]
    algorithm = get_algorithm("saliency", problem, saliency=table, pop_size=3)
    before = copy.deepcopy(algorithm)
    for one in (algorithm, before):
        problem.asked.clear()
        result = minimize(problem, one, ("n_eval", 500), seed=1)
        asked = np.array(problem.asked)
        assert len(np.unique(asked, axis=0)) == len(asked)
        if not hasattr(problem, "canonical"):
            np.testing.assert_array_equal(asked, best[halving(len(best))])
        if not problem.has_constraints():
            assert len(result.F)


def test_selection_without_a_network_that_keeps_the_limits(problem, table):
    if not (hasattr(problem, "feasible") and problem.has_constraints()):
        pytest.skip("feasibility is not known beforehand")
    problem.feasible = lambda X: np.zeros(len(X), bool)
    with pytest.raises(InputError, match="keeps the limits"):
        minimize(problem, SaliencySearch(table), ("n_eval", 10))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nsga2", {"mutation": "saliency"}, "needs a table"),
        ("saliency", {}, "needs a table"),
        ("nsga2", {"mutation": "saliency", "saliency": np.ones((2, 2))}, "shape \\(2, 2\\)"),
        ("saliency", {"saliency": np.full(THERE.shape, np.nan)}, "no number for gene 0, choice 0"),
        ("nsga2", {"saliency": np.ones(THERE.shape)}, "mutation='saliency' with it"),
        ("random", {"saliency": np.ones(THERE.shape)}, "no setting 'saliency'"),
        ("nsga2", {"mutation": "salience"}, "did you mean saliency"),
    ],
)
def test_what_makes_no_sense_is_refused(problem, name, settings, message):
    with pytest.raises(InputError, match=message):
        get_algorithm(name, problem, **settings)


def test_both_ends_first_and_then_halves():
    assert halving(0) == [] and halving(1) == [0] and halving(2) == [0, 1]
    assert halving(9) == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    for n in range(40):
        assert sorted(halving(n)) == list(range(n))


def test_few_evaluations_are_spread_over_all_prices(problem, table):
    """Of more architectures than evaluations, both ends are among those evaluated."""
    best = best_genomes(*tables_of(problem, table)) + problem.xl.astype(int)
    if hasattr(problem, "feasible") and problem.has_constraints():
        best = best[problem.feasible(best)]
    algorithm = get_algorithm("saliency", problem, saliency=table, pop_size=3)
    algorithm.setup(problem, termination=("n_eval", 3), seed=1)
    X = algorithm.infill().get("X")
    if not hasattr(problem, "canonical"):
        np.testing.assert_array_equal(X, best[halving(len(best))[:3]])
