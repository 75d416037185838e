"""How well estimated errors rank networks: Kendall's tau, Spearman, regret, and their intervals."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evonas.errors import InputError

CONFIDENCE = 0.95
RESAMPLES = 1000
FEWEST = 3  # networks; of two the order is right or wrong, which measures nothing

Statistic = Callable[[np.ndarray, np.ndarray], float]


class Interval(NamedTuple):
    """Where a number may well lie; NaN and NaN where the sample does not say."""

    low: float
    high: float


def kendall_tau(estimated: np.ndarray, true: np.ndarray) -> float:
    """Kendall's rank correlation tau-b, from -1 to 1: pairs in the right order minus wrong ones.

    Pairs that are tied in one list are neither; the number is relative to the (geometric mean of
    the) numbers of pairs that are not tied in each list.

    Args:
        estimated: a number for each network, (n,).
        true: what it stands for, (n,).

    Returns:
        tau; NaN for fewer than three networks, and where either list is constant.

    Raises:
        InputError: other shapes, or a number that is not finite.
    """
    estimated, true = checked(estimated, true)
    if _undefined(estimated, true):
        return np.nan
    from scipy.stats import kendalltau

    return float(kendalltau(estimated, true).statistic)


def spearman(estimated: np.ndarray, true: np.ndarray) -> float:
    """Spearman's rank correlation, from -1 to 1: that of the ranks, tied ones averaged.

    Arguments, result and errors are those of `kendall_tau`.
    """
    estimated, true = checked(estimated, true)
    if _undefined(estimated, true):
        return np.nan
    from scipy.stats import spearmanr

    return float(spearmanr(estimated, true).statistic)


def top_regret(estimated: np.ndarray, true: np.ndarray, top: int = 1) -> float:
    """What is lost when only the networks that look best are looked at.

    The least true error among the `top` networks of least estimated error, minus the least true
    error of all. Of networks that tie for the last places any may be taken: the number is the
    mean over all ways to take them, so it does not depend on their order.

    Args:
        estimated: estimated errors (n,).
        true: true errors (n,).
        top: how many are looked at, 1 to n.

    Returns:
        The regret in the unit of `true`, 0 or more.

    Raises:
        InputError: other shapes, a number that is not finite, or `top` out of range.
    """
    estimated, true = checked(estimated, true)
    if not 1 <= top <= len(true):
        raise InputError(f"there are no {top} best of {len(true)} networks; ask for 1 to all")
    last = np.partition(estimated, top - 1)[top - 1]
    sure, tied = true[estimated < last], np.sort(true[estimated == last])
    # The chance of each to be taken where none better was: places left over networks left.
    taken = np.minimum((top - len(sure)) / np.arange(len(tied), 0, -1), 1.0)
    chance = taken * np.cumprod(np.r_[1.0, 1.0 - taken[:-1]])
    best = np.minimum(tied, sure.min(initial=np.inf))
    return float(chance @ (best - true.min()))


def bootstrap_interval(
    statistic: Statistic,
    estimated: np.ndarray,
    true: np.ndarray,
    *,
    random_state: np.random.Generator,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """The percentile interval of a statistic, by a bootstrap over networks.

    Networks are drawn with replacement, as many as there are, each with both of its numbers; the
    interval holds the middle `confidence` of what the statistic is on those samples.

    A network drawn twice makes a pair tied in both lists. tau-b counts no such pair, neither above
    nor below the line, and so is not drawn towards 0 (as tau-a would be, by one part in n): over
    resamples of simulated networks it was off by 0.002 at most. Percentiles, and not BCa, since on
    those (10 to 60 networks; tau about 0.4, 0.7, 0.85; with ties and without; 400 samples each)
    95 % intervals held the true tau in 93 to 98.5 % and Spearman in 94 to 98.5 %, BCa in 95 to
    99.5 % and 91 to 98 %; and BCa does not exist where a sample is ranked without a mistake.

    Regret is made of minima, for which a bootstrap is rough: of the best one or three of 12 to 50
    networks the interval held the mean regret of other such samples in 76 to 96 % of cases. Read
    it as how much the number depends on which networks were drawn.

    Args:
        statistic: such as `kendall_tau`, of two arrays (n,).
        estimated: (n,).
        true: (n,).
        random_state: numpy Generator.
        confidence: between 0 and 1.
        resamples: how many samples are drawn. Those without a value are left out (all of one
            network, which a few networks make now and then; scipy's bootstrap gives NaN then).

    Returns:
        Both ends; NaN where they would be equal, as for a perfect order: what the sample never
        shows to vary has no interval, and one of no width would claim certainty.

    Raises:
        InputError: other shapes, a number that is not finite, or a setting out of range.
    """
    estimated, true = checked(estimated, true)
    if not 0 < confidence < 1 or resamples < 1:
        raise InputError(
            f"confidence {confidence} of {resamples} resamples is no interval; give a share "
            "between 0 and 1, and at least one resample"
        )
    if not len(true):
        return Interval(np.nan, np.nan)
    drawn = random_state.integers(len(true), size=(resamples, len(true)))
    values = np.array([statistic(estimated[rows], true[rows]) for rows in drawn])
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    if high - low < 1e-9:  # equal but for rounding
        return Interval(np.nan, np.nan)
    return Interval(float(low), float(high))


def in_words(value: float, interval: Interval | None = None, unit: str = "") -> str:
    """A number, with its interval if one is given: `0.71 (95 %: 0.52 to 0.84)`, `not defined`."""
    if np.isnan(value):
        return "not defined"
    text = f"{value:.2f}{unit}"
    if interval is None:
        return text
    if np.isnan(interval.low):
        return f"{text} (no interval)"
    return f"{text} ({100 * CONFIDENCE:.0f} %: {interval.low:.2f} to {interval.high:.2f})"


def checked(estimated: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float arrays (n,).

    Raises:
        InputError: other shapes, or a number that is not finite.
    """
    estimated, true = np.asarray(estimated, dtype=float), np.asarray(true, dtype=float)
    if estimated.ndim != 1 or estimated.shape != true.shape:
        raise InputError(
            f"estimates {estimated.shape} and truth {true.shape} do not fit; give a number of each "
            "for each network"
        )
    if not (np.isfinite(estimated).all() and np.isfinite(true).all()):
        raise InputError("an estimate or true number is not finite; leave out its network")
    return estimated, true


def _undefined(estimated: np.ndarray, true: np.ndarray) -> bool:
    """Whether ranks say nothing: of too few networks, or of a constant list."""
    return len(true) < FEWEST or not np.ptp(estimated) or not np.ptp(true)
