"""Mutation by a saliency table."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.optimize import minimize
from scipy.stats import chisquare

from evonas.operators import (
    ChoiceMutation,
    ChoiceSampling,
    SaliencyMutation,
    best_genomes,
    mutate_by_saliency,
    turning_prices,
)
from evonas.operators.saliency import standardised
from tests.operators.conftest import N_CHOICES

LOW, HIGH = np.zeros(8, int), N_CHOICES - 1
THERE = np.arange(N_CHOICES.max()) < N_CHOICES[:, None]


def table(seed=0):
    return np.where(THERE, np.random.default_rng(seed).normal(size=THERE.shape), np.nan)


def mutated(X, seed=0, **settings):
    return mutate_by_saliency(
        X, LOW, HIGH, random_state=np.random.default_rng(seed), **{"table": table(), **settings}
    )


def test_with_floor_1_it_is_the_uniform_mutation_bit_for_bit(plain):
    X = np.random.default_rng(1).integers(0, N_CHOICES, (300, 8))
    for prob_var in (None, 0.4):
        results = [
            mutation.do(plain(), Population.new(X=X), random_state=np.random.default_rng(7))
            for mutation in (
                ChoiceMutation(prob_var),
                SaliencyMutation(table(), table(1), floor=1, prob_var=prob_var),
            )
        ]
        assert (results[0].get("X") == results[1].get("X")).all()


@settings(max_examples=50, deadline=None)
@given(
    n_choices=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    xl=st.integers(-3, 3),
    n=st.integers(0, 6),
    floor=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 1000),
)
def test_mutants_differ_and_stay_within_bounds(n_choices, xl, n, floor, seed):
    random_state = np.random.default_rng(seed)
    low = np.full(len(n_choices), xl)
    high = low + n_choices - 1
    X = random_state.integers(low, high + 1, size=(n, len(low)))
    before = X.copy()
    saliency, cost = random_state.normal(size=(2, len(low), max(n_choices)))
    Y = mutate_by_saliency(X, low, high, saliency, cost, random_state=random_state, floor=floor).X
    assert (X == before).all() and Y.shape == X.shape and Y.dtype == np.int64
    assert (Y >= low).all() and (Y <= high).all()
    assert ((X != Y).any(axis=1) == (max(n_choices) > 1)).all()


def test_as_many_genes_move_as_by_uniform_mutation():
    X = np.zeros((2000, 8), int)
    random = [np.random.default_rng(3) for _ in range(2)]
    uniform = mutate_by_saliency(
        X, LOW, HIGH, table(), random_state=random[0], floor=1, prob_var=0.3
    )
    guided = mutate_by_saliency(
        X, LOW, HIGH, table(), random_state=random[1], floor=0, prob_var=0.3
    )
    assert ((uniform.X != X).sum(1) == (guided.X != X).sum(1)).all()


def test_gene_and_choice_are_drawn_in_proportion_to_their_weights():
    X = np.tile([0, 1, 2, 0, 0, 3, 1, 2], (40_000, 1))
    Y = mutated(X, floor=0, temperature=0.7, prob_var=1e-9).X
    worth = standardised(table())
    regret = np.nanmax(worth, axis=1) - worth[np.arange(8), X[0]]
    expected = np.where(N_CHOICES > 1, np.exp(regret / 0.7), 0)
    counts = (Y != X).sum(axis=0)
    free = N_CHOICES > 1
    assert counts[~free].sum() == 0
    shares = expected[free] / expected[free].sum()
    assert chisquare(counts[free], shares * counts.sum()).pvalue > 0.001
    gene = int(counts.argmax())
    taken = np.bincount(Y[Y[:, gene] != X[:, gene], gene], minlength=N_CHOICES[gene])
    weights = np.exp(worth[gene, : N_CHOICES[gene]] / 0.7)
    weights[X[0, gene]] = 0
    there = weights > 0
    wanted = weights[there] / weights.sum() * taken.sum()
    assert taken[~there].sum() == 0 and chisquare(taken[there], wanted).pvalue > 0.001


def test_both_ends_of_the_front_are_approached():
    saliency, cost = table(), np.abs(table(1))
    X = np.random.default_rng(2).integers(0, N_CHOICES, (500, 8))
    for _ in range(60):
        X = mutated(X, seed=int(X.sum()), table=saliency, cost=cost, floor=0, temperature=0.05).X
    genes = np.arange(8)
    worth, price = saliency[genes, X].sum(1), cost[genes, X].sum(1)
    assert worth.max() > np.nanmax(saliency, 1).sum() - 0.5
    assert price.min() < np.nanmin(cost, 1).sum() + 0.5


def test_the_unit_of_either_table_does_not_matter():
    X = np.random.default_rng(2).integers(0, N_CHOICES, (200, 8))
    cost = np.abs(table(1))
    first = mutated(X, cost=cost)
    other = mutated(X, table=1000 * table() + 5, cost=1e-6 * cost + 3)
    assert (first.X == other.X).all()


def test_individuals_say_what_moved_them(plain, random_state):
    X = np.zeros((400, 8), int)
    pop = SaliencyMutation(table(), table(1), prob=0.8).do(
        plain(), Population.new(X=X), random_state=random_state
    )
    told = [ind for ind in pop if ind.get("moved") is not None]
    assert 250 < len(told) < 390
    for ind in pop:
        moved = ind.get("moved")
        assert ((ind.X != 0) == (False if moved is None else moved)).all()
    guided = np.array([ind.get("guided") for ind in told])
    prices = np.array([ind.get("price") for ind in told])
    assert 0.6 < guided.mean() < 0.8
    assert (np.isnan(prices) == ~guided).all() and (prices[guided] > 0).all()


def test_in_a_plain_pymoo_program(plain):
    problem = plain(xl=2)
    algorithm = NSGA2(
        pop_size=10,
        sampling=ChoiceSampling(),
        mutation=SaliencyMutation(table()),
    )
    results = [minimize(problem, algorithm, ("n_gen", 5), seed=1) for _ in range(2)]
    np.testing.assert_array_equal(results[0].X, results[1].X)


@given(seed=st.integers(0, 10_000), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_prices_turn_where_the_best_genome_does(seed, ties):
    random_state = np.random.default_rng(seed)
    saliency, cost = random_state.normal(size=(2, 3, 3))
    if ties:
        saliency, cost = np.round(saliency), np.round(cost)
    prices = turning_prices(saliency, cost)
    assert (np.diff(prices) > 0).all() and (prices > 0).all()
    every = np.array(list(itertools.product(range(3), repeat=3)))
    worth = saliency[np.arange(3), every].sum(1)
    spent = cost[np.arange(3), every].sum(1)
    best = best_genomes(saliency, cost)
    assert len(best) == len(prices) + 1
    middle = (prices[1:] + prices[:-1]) / 2
    for price in [*middle, *(1.5 * prices[-1:]), *(0.5 * prices[:1])]:
        values = worth - price * spent
        mine = saliency[np.arange(3), best].sum(1) - price * cost[np.arange(3), best].sum(1)
        assert mine.max() == pytest.approx(values.max())
    assert worth.max() == pytest.approx(saliency[np.arange(3), best[0]].sum())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"table": [1.0, 2.0]}, "give \\(n_var, max choices\\)"),
        ({"table": [["a"]]}, "no number"),
        ({"table": [[np.inf, 1.0]]}, "infinite for gene 0, choice 0"),
        ({"table": np.ones((2, 2)), "cost": np.ones((2, 3))}, "the same genes and choices"),
        ({"table": np.ones((2, 2)), "floor": 1.5}, "floor=1.5"),
        ({"table": np.ones((2, 2)), "temperature": 0}, "temperature=0"),
        ({"table": np.ones((2, 2)), "floor": "a"}, "floor='a' is no number"),
        ({"table": np.ones((2, 2)), "prob_var": 2}, "prob_var=2"),
        ({"table": np.ones((2, 2)), "prob": 2}, "prob=2"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        SaliencyMutation(**settings)


def test_a_table_that_does_not_fit_the_problem(plain, random_state):
    pop = Population.new(X=np.zeros((2, 8), int))
    with pytest.raises(ValueError, match=r"shape \(8, 4\).*need \(8, 5\)"):
        SaliencyMutation(np.ones((8, 4))).do(plain(), pop, random_state=random_state)
    holed = np.ones((8, 5))
    holed[2, 3] = np.nan
    with pytest.raises(ValueError, match="no number for gene 2, choice 3"):
        SaliencyMutation(holed).do(plain(), pop, random_state=random_state)
    with pytest.raises(ValueError, match="cost table has no number for gene 2, choice 3"):
        SaliencyMutation(np.ones((8, 5)), holed).do(plain(), pop, random_state=random_state)
