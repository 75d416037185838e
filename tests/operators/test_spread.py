import numpy as np
import pytest

from evonas.operators import extreme_genomes
from evonas.operators.spread import (
    LISTED,
    all_genomes,
    blend,
    choose_evenly,
    coordinate_descent,
)


@pytest.mark.parametrize("n_choices", [[3, 4, 1, 5], [3] * 12, [7] * 21], ids=len)
@pytest.mark.parametrize("xl", [0, 4])
def test_ends_of_an_additive_cost_are_exact(plain, n_choices, xl):
    problem = plain(n_choices, xl=xl)
    xl, xu = problem.xl.astype(int), problem.xu.astype(int)
    ends = extreme_genomes(problem.total, xl, xu)
    np.testing.assert_allclose(problem.total(ends), problem.ends())
    assert ends.dtype == np.int64 and (ends >= xl).all() and (ends <= xu).all()


def test_ends_of_any_cost_are_exact_in_a_small_space():
    low, high = np.zeros(6, int), np.full(6, 3)
    genomes = all_genomes(low, high)
    values = np.random.default_rng(0).random(len(genomes))

    def cost(X):
        return values[X @ 4 ** np.arange(6)]

    np.testing.assert_array_equal(
        cost(extreme_genomes(cost, low, high)), [values.min(), values.max()]
    )


def test_descent_never_leaves_what_is_allowed(plain, random_state):
    problem = plain([4] * 10)
    limit = 5.0

    def value(X):
        total = problem.total(X)
        return np.where(total <= limit, -total, np.inf)

    starts = random_state.integers(0, 4, (200, 10))
    starts = starts[problem.total(starts) <= limit]
    found = coordinate_descent(value, starts, np.zeros(10, int), np.full(10, 3))
    assert (value(found) <= value(starts)).all()
    assert limit - 0.05 < problem.total(found).max() <= limit


def test_all_genomes_lists_each_once_up_to_a_size():
    genomes = all_genomes(np.array([2, 0, 1]), np.array([3, 2, 1]))
    assert len(np.unique(genomes, axis=0)) == len(genomes) == 6
    assert genomes.min(axis=0).tolist() == [2, 0, 1] and genomes.max(axis=0).tolist() == [3, 2, 1]
    assert all_genomes(np.zeros(1, int), np.array([LISTED])) is None


def test_blend_takes_every_share(random_state):
    mixed = blend(np.zeros(50, int), np.ones((4000, 50), int), random_state=random_state)
    shares = np.histogram(mixed.mean(axis=1), bins=5, range=(0, 1))[0]
    assert shares.min() > 600


def test_even_choice_fills_every_stratum(random_state):
    values = random_state.normal(size=5000) ** 3  # bunched in the middle, long ends
    chosen = choose_evenly(values, 30, random_state=random_state)
    assert len(set(chosen)) == 30
    assert values[chosen].min() == values.min() and values[chosen].max() == values.max()
    uniform = np.random.default_rng(1).random(5000)
    chosen = choose_evenly(uniform, 30, random_state=random_state)
    assert np.abs(np.sort(uniform[chosen]) - np.linspace(0, 1, 30)).max() < 0.02


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_even_choice_of_few_levels_and_of_all(n, random_state):
    for values in (np.zeros(10), np.arange(10) // 5, np.arange(10.0)):
        chosen = choose_evenly(values, n, random_state=random_state)
        assert len(chosen) == len(set(chosen)) == n
        if n > 1:
            assert {values.min(), values.max()} <= set(values[chosen])


def test_wide_bounds_cost_no_memory():
    low, high = np.zeros(3, int), np.full(3, 1_000_000)
    ends = extreme_genomes(lambda X: X.sum(axis=1), low, high)
    assert ends.tolist() == [low.tolist(), high.tolist()]
