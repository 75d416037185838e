import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.core.population import Population
from scipy.stats import binom, chisquare

from evonas.operators import ChoiceMutation, mutate_choices

FREE = 7  # of the eight genes of the problem in conftest


def mutated(problem, start, n=6000, seed=0, **settings):
    xl, xu = problem.xl.astype(int), problem.xu.astype(int)
    X = np.tile(np.asarray(start) + xl, (n, 1))
    return X, mutate_choices(X, xl, xu, random_state=np.random.default_rng(seed), **settings)


@pytest.mark.parametrize("xl", [0, -2, 5])
def test_a_moved_gene_takes_each_other_choice_equally_often(plain, xl):
    problem = plain(xl=xl)
    X, Y = mutated(problem, [1, 3, 0, 2, 0, 1, 2, 0])
    for gene, n in enumerate(problem.n_choices):
        moved = Y[:, gene] != X[:, gene]
        counts = np.bincount(Y[moved, gene] - xl, minlength=n)
        own = X[0, gene] - xl
        assert len(counts) == n and counts[own] == 0
        if n > 2:
            assert chisquare(np.delete(counts, own)).pvalue > 0.001


@pytest.mark.parametrize("prob_var", [None, 0.05, 0.4, 1.0])
def test_number_of_moved_genes_is_binomial_but_at_least_one(plain, prob_var):
    X, Y = mutated(plain(), [0] * 8, prob_var=prob_var)
    counts = np.bincount((X != Y).sum(axis=1), minlength=FREE + 1)
    expected = binom.pmf(np.arange(FREE + 1), FREE, prob_var or 1 / FREE) * len(X)
    expected[1] += expected[0]
    assert counts[0] == 0
    last = max(k for k in range(1, FREE + 1) if expected[k:].sum() > 5)  # the rest in one class
    observed = np.append(counts[1:last], counts[last:].sum())
    wanted = np.append(expected[1:last], expected[last:].sum())
    first = np.flatnonzero(wanted > 5)[0]
    observed, wanted = observed[first:], wanted[first:]
    wanted *= observed.sum() / wanted.sum()
    assert observed.sum() > 0.99 * len(X)
    assert len(observed) == 1 or chisquare(observed, wanted).pvalue > 0.001


def test_every_free_gene_moves_equally_often(plain):
    X, Y = mutated(plain(), [0] * 8, prob_var=1e-9)  # exactly one gene each
    counts = (X != Y).sum(axis=0)
    assert counts[4] == 0
    assert chisquare(np.delete(counts, 4)).pvalue > 0.001


def test_nothing_moves_where_every_gene_has_one_choice(plain):
    X, Y = mutated(plain([1, 1], xl=3), [0, 0], n=5)
    assert (X == Y).all() and Y is not X


@settings(max_examples=50, deadline=None)
@given(
    n_choices=st.lists(st.integers(1, 6), min_size=1, max_size=10),
    xl=st.integers(-5, 5),
    n=st.integers(0, 8),
    seed=st.integers(0, 1000),
)
def test_mutants_differ_and_stay_within_bounds(n_choices, xl, n, seed):
    low = np.full(len(n_choices), xl)
    high = low + n_choices - 1
    random_state = np.random.default_rng(seed)
    X = random_state.integers(low, high + 1, size=(n, len(low)))
    before = X.copy()
    Y = mutate_choices(X, low, high, random_state=random_state)
    assert (X == before).all() and Y.shape == X.shape and Y.dtype == np.int64
    assert (Y >= low).all() and (Y <= high).all()
    assert ((X != Y).any(axis=1) == (max(n_choices) > 1)).all()
    assert (Y[:, low == high] == xl).all()


def test_in_a_pymoo_population(plain, random_state):
    pop = Population.new(X=np.zeros((50, 8), dtype=int))
    off = ChoiceMutation().do(plain(), pop, inplace=False, random_state=random_state)
    assert (pop.get("X") == 0).all()
    assert (off.get("X") != 0).any(axis=1).all() and off.get("X").dtype == np.int64
    some = ChoiceMutation(prob=0.5).do(plain(), pop, random_state=random_state)
    assert 10 < (some.get("X") != 0).any(axis=1).sum() < 40


def test_takes_genomes_that_pymoo_made_floats(plain, random_state):
    pop = Population.new(X=np.zeros((5, 8)))
    assert ChoiceMutation()(plain(), pop, random_state=random_state).get("X").dtype == np.int64


def test_refuses_what_is_no_genome_and_no_probability(plain, random_state):
    for prob_var in (0, -0.1, 1.5):
        with pytest.raises(ValueError, match="prob_var"):
            ChoiceMutation(prob_var)
    with pytest.raises(ValueError, match="prob=2"):
        ChoiceMutation(prob=2)
    with pytest.raises(ValueError, match="outside"):
        ChoiceMutation()(plain(), Population.new(X=[[9] * 8]), random_state=random_state)
    with pytest.raises(ValueError, match="whole numbers"):
        ChoiceMutation()(plain(), Population.new(X=[[0.5] * 8]), random_state=random_state)
