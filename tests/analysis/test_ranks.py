"""How well one list of numbers ranks another: by hand, against scipy, and on simulated networks."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from evonas.analysis import Interval, bootstrap_interval, kendall_tau, spearman, top_regret
from evonas.analysis.ranks import in_words
from evonas.errors import InputError


def simulated(n, correlation, random_state):
    """Errors of which Kendall's tau is 2/pi asin(correlation)."""
    true, noise = random_state.standard_normal((2, n))
    return correlation * true + np.sqrt(1 - correlation**2) * noise, true


def test_by_hand():
    # six pairs, one tied in the estimates, one in the wrong order
    estimated, true = [10, 20, 20, 30], [5, 8, 7, 7.5]
    assert kendall_tau(estimated, true) == pytest.approx((4 - 1) / np.sqrt(5 * 6))
    assert spearman([1, 2, 3, 4], [5, 8, 7, 9]) == pytest.approx(1 - 6 * 2 / (4 * 15))


@pytest.mark.parametrize("steps", [1e9, 3])
def test_against_scipy(steps, random_state):
    for n in (3, 10, 50):
        estimated, true = simulated(n, 0.8, random_state)
        estimated = np.round(estimated * steps) / steps
        assert kendall_tau(estimated, true) == kendalltau(estimated, true).statistic
        assert spearman(estimated, true) == spearmanr(estimated, true).statistic


def test_perfect_and_reversed_orders():
    values = np.arange(5.0)
    for statistic in (kendall_tau, spearman):
        assert statistic(values, values**3) == pytest.approx(1)
        assert statistic(-values, values) == pytest.approx(-1)


@pytest.mark.parametrize("statistic", [kendall_tau, spearman])
def test_where_there_is_no_order(statistic):
    for n in (0, 1, 2):
        assert np.isnan(statistic(np.arange(n), np.arange(n)))
    flat, values = np.full(4, 7.0), np.arange(4)
    assert np.isnan(statistic(flat, values)) and np.isnan(statistic(values, flat))


def test_networks_that_are_there_twice_leave_tau_alone(random_state):
    for repeats in (2, 3):
        estimated, true = simulated(12, 0.7, random_state)
        again = kendall_tau(np.repeat(estimated, repeats), np.repeat(true, repeats))
        assert again == pytest.approx(kendall_tau(estimated, true))


def test_regret_by_hand():
    estimated, true = [20, 21, 22, 23, 24], [7.0, 6.5, 9.0, 6.0, 8.0]
    assert [top_regret(estimated, true, top) for top in range(1, 6)] == [1.0, 0.5, 0.5, 0, 0]


def test_regret_is_the_mean_over_all_ways_to_break_ties(random_state):
    for n in (2, 5, 9):
        for _ in range(10):
            estimated = random_state.integers(3, size=n)
            true = random_state.random(n)
            for top in range(1, n + 1):
                last = np.sort(estimated)[top - 1]
                sure = np.flatnonzero(estimated < last)
                ways = combinations(np.flatnonzero(estimated == last), top - len(sure))
                best = [true[[*sure, *way]].min() for way in ways]
                expected = np.mean(best) - true.min()
                assert top_regret(estimated, true, top) == pytest.approx(expected, abs=1e-12)


def test_regret_of_many_ties():
    assert top_regret(np.zeros(20_000), np.arange(20_000.0), 10_000) == pytest.approx(1, rel=1e-3)
    assert top_regret([0, 0, 0], [0.1 + 0.2, 0.3, 0.3], 2) == 0


def test_numbers_do_not_depend_on_the_order_of_networks(random_state):
    estimated = random_state.integers(6, size=15)
    true = random_state.random(15)
    order = random_state.permutation(15)
    for statistic in (kendall_tau, spearman, top_regret):
        assert statistic(estimated[order], true[order]) == pytest.approx(statistic(estimated, true))


@pytest.mark.parametrize("top", [0, -1, 4])
def test_a_top_that_is_none(top):
    with pytest.raises(InputError, match=f"no {top} best of 3 networks"):
        top_regret([1, 2, 3], [1, 2, 3], top)


@pytest.mark.parametrize("statistic", [kendall_tau, spearman, top_regret])
def test_what_cannot_be_ranked(statistic):
    with pytest.raises(InputError, match="do not fit"):
        statistic([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="do not fit"):
        statistic(np.ones((3, 2)), np.ones((3, 2)))
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="not finite"):
            statistic([1, 2, bad], [1, 2, 3])
        with pytest.raises(InputError, match="not finite"):
            statistic([1, 2, 3], [1, 2, bad])


def test_an_interval_is_the_middle_of_resamples():
    estimated, true = simulated(12, 0.8, np.random.default_rng(5))
    before = str(np.random.get_state())  # noqa: NPY002
    interval = bootstrap_interval(
        kendall_tau, estimated, true, random_state=np.random.default_rng(0), resamples=50,
        confidence=0.8,
    )  # fmt: skip
    assert str(np.random.get_state()) == before  # noqa: NPY002
    rows = np.random.default_rng(0).integers(12, size=(50, 12))
    values = [kendalltau(estimated[r], true[r]).statistic for r in rows]
    assert interval == pytest.approx(tuple(np.quantile(values, [0.1, 0.9])))
    assert interval.low < kendall_tau(estimated, true) < interval.high


def test_resamples_of_one_network_alone_are_left_out():
    # of three networks one resample in nine is of one alone, and has no tau
    interval = bootstrap_interval(
        kendall_tau, [1, 2, 3], [1, 3, 2], random_state=np.random.default_rng(0), resamples=100
    )
    assert interval == pytest.approx((-1, 1))


def test_what_has_no_interval(random_state):
    perfect = np.arange(8.0)
    nothing = [(kendall_tau, perfect), (spearman, perfect), (top_regret, perfect)]
    nothing += [(kendall_tau, np.ones(8)), (kendall_tau, perfect[:2]), (kendall_tau, perfect[:0])]
    for statistic, values in nothing:
        interval = bootstrap_interval(
            statistic, values, values, random_state=random_state, resamples=50
        )
        assert np.isnan(interval).all(), (statistic, values)
    for wrong in ({"confidence": 1.0}, {"confidence": 0.0}, {"resamples": 0}):
        with pytest.raises(InputError, match="is no interval"):
            bootstrap_interval(kendall_tau, perfect, perfect, random_state=random_state, **wrong)


def test_intervals_hold_the_truth():
    random_state = np.random.default_rng(2026)
    correlation, held = 0.9, []
    truth = 2 / np.pi * np.arcsin(correlation)
    for _ in range(40):
        interval = bootstrap_interval(
            kendall_tau, *simulated(16, correlation, random_state), random_state=random_state,
            resamples=150,
        )  # fmt: skip
        held.append(interval.low <= truth <= interval.high)
    # 98 % of 400 such samples; of 40 at nominal coverage 35 or more in 98 % of cases
    assert sum(held) >= 35


def test_in_words():
    assert in_words(0.714, Interval(0.52, 0.8449)) == "0.71 (95 %: 0.52 to 0.84)"
    assert in_words(0.3, Interval(0, 1.25), " points") == "0.30 points (95 %: 0.00 to 1.25)"
    assert in_words(1.0, Interval(np.nan, np.nan)) == "1.00 (no interval)"
    assert in_words(0.5) == "0.50"
    assert in_words(np.nan, Interval(np.nan, np.nan)) == in_words(np.nan) == "not defined"
