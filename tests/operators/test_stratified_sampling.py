import copy

import numpy as np
import pytest

from evonas.operators import ChoiceSampling, StratifiedSampling
from evonas.operators.spread import all_genomes

SPACES = {"small": [3, 4, 5, 3, 1, 4, 5], "large": [3, 4, 5, 3, 1, 4, 5, 3] * 2, "huge": [7] * 21}


def sample(problem, n=20, seed=0, **settings):
    random_state = np.random.default_rng(seed)
    return StratifiedSampling(**settings)(problem, n, random_state=random_state, to_numpy=True)


def occupied(values, low, high, bins):
    return (np.histogram(values, bins=bins, range=(low, high))[0] > 0).sum()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("xl", [0, 3])
@pytest.mark.parametrize("n", [10, 20, 100])
def test_spread_over_the_whole_range(cheap, space, xl, n):
    problem = cheap(SPACES[space], xl=xl)
    X = sample(problem, n)
    assert X.shape == (n, problem.n_var) and X.dtype == np.int64
    assert (X >= problem.xl).all() and (X <= problem.xu).all()
    assert len(np.unique(X, axis=0)) == n
    low, high = problem.ends()
    total = problem.total(X)
    np.testing.assert_allclose([total.min(), total.max()], [low, high])
    assert occupied(total, low, high, n // 2) >= 0.95 * (n // 2)
    uniform = ChoiceSampling()(problem, n, random_state=np.random.default_rng(0), to_numpy=True)
    assert occupied(problem.total(uniform), low, high, n // 2) <= 0.8 * (n // 2)


def test_no_part_of_the_range_is_preferred(cheap):
    problem = cheap(SPACES["huge"])
    low, high = problem.ends()
    total = np.concatenate([problem.total(sample(problem, 20, seed)) for seed in range(5)])
    counts = np.histogram(total, bins=5, range=(low, high))[0]
    assert counts.min() >= 15 and counts.max() <= 25


def test_genes_vary_within_the_range(cheap):
    problem = cheap(SPACES["huge"])
    X = np.concatenate([sample(problem, 20, seed) for seed in range(5)])
    assert all(len(np.unique(column)) == 7 for column in X.T)


def test_a_cost_given_comes_before_the_problem_s_own(cheap, plain):
    problem = cheap(SPACES["large"])

    def cost(X):
        return (X[:, 0] + X[:, 1]).astype(float)

    for one in (problem, plain(SPACES["large"])):
        assert set(cost(sample(one, 12, cost=cost))) == set(range(6))


def test_columns_weigh_alike(cheap):
    class Two(cheap):
        def cheap_values(self, X):
            return np.stack([X[:, 0] * 1e6, X[:, 1] * 1.0, np.zeros(len(X))], axis=1)

    X = sample(Two([5] * 10), 9)
    assert set(X[:, 0] + X[:, 1]) == set(range(9))


@pytest.mark.parametrize("space", ["small", "large", "huge"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_only_feasible_genomes_over_their_own_range(limited, space, share):
    low, high = limited(SPACES[space]).ends()
    problem = limited(SPACES[space], limit=low + share * (high - low))
    X = sample(problem, 20)
    total = problem.total(X)
    assert problem.feasible(X).all()
    listed = all_genomes(problem.xl.astype(int), problem.xu.astype(int))
    if listed is None:
        n_feasible, highest = 20, problem.limit
    else:
        n_feasible = problem.feasible(listed).sum()
        highest = problem.total(listed[problem.feasible(listed)]).max()
    assert len(np.unique(X, axis=0)) == min(20, n_feasible)
    assert np.isclose(total.min(), low)
    if n_feasible >= 20:
        assert occupied(total, low, problem.limit, 5) == 5
        assert total.max() >= low + 0.97 * (highest - low)


def test_few_feasible_genomes_are_found_and_repeated(limited):
    problem = limited(SPACES["large"])
    # the cheapest genome, and the next ones: one gene away from it, at its second cheapest choice
    steps = []
    for row, n in zip(problem.table, problem.n_choices, strict=True):
        steps.extend(np.sort(np.sort(row[:n])[1:2] - row[:n].min()))
    steps = np.sort(steps)
    problem.limit = problem.ends()[0] + steps[0] + steps[1] - 1e-9
    X = sample(problem, 20)
    assert len(X) == 20 and problem.feasible(X).all()
    assert len(np.unique(X, axis=0)) >= 3


def test_no_feasible_genome_is_an_error(limited):
    for space in SPACES.values():
        with pytest.raises(ValueError, match="no feasible genome found"):
            sample(limited(space, limit=-1.0))


def test_distinct_as_networks_where_the_problem_merges_genomes(cheap):
    problem = cheap(SPACES["large"], merge=True)
    X = sample(problem, 30)
    assert len(np.unique(problem.canonical(X), axis=0)) == 30


def test_repeats_only_where_the_space_is_used_up(cheap):
    assert len(np.unique(sample(cheap([2, 3]), 20), axis=0)) == 6
    assert len(np.unique(sample(cheap([2, 3]), 6), axis=0)) == 6
    assert sample(cheap([1, 1]), 3).tolist() == [[0, 0]] * 3


def test_same_seed_same_sample_and_another_seed_another(cheap):
    problem = cheap(SPACES["large"])
    assert (sample(problem) == sample(problem)).all()
    assert (sample(problem) != sample(problem, seed=1)).any()


def test_a_copy_does_not_copy_what_the_cost_belongs_to(cheap):
    problem = cheap()
    sampling = copy.deepcopy(StratifiedSampling(problem.total))
    assert sampling.cost.__self__ is problem


def test_refuses_to_guess_a_cost(plain, cheap):
    with pytest.raises(ValueError, match="needs a cost: give StratifiedSampling"):
        sample(plain())

    class Nothing(cheap):
        def cheap_values(self, X):
            return np.empty((len(X), 0))

    with pytest.raises(ValueError, match="no cheap objective"):
        sample(Nothing())
    with pytest.raises(ValueError, match="gave shape"):
        sample(plain(), cost=lambda X: X)
    with pytest.raises(ValueError, match="NaN"):
        sample(plain(), cost=lambda X: np.full(len(X), np.nan))


def test_feasible_genomes_that_the_problem_names_are_where_it_starts(limited):
    problem = limited(SPACES["huge"])
    wanted = np.arange(problem.n_var) % problem.n_choices
    problem.feasible = lambda X: (X != wanted).sum(axis=1) <= 1
    with pytest.raises(ValueError, match="no feasible genome found"):
        sample(problem)
    problem.feasible_genomes = wanted[None]
    assert problem.feasible(sample(problem, 20)).all()
