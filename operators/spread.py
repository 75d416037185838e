"""Array functions behind stratified sampling: the ends of a cost, and an even choice between."""

import math
from collections.abc import Callable

import numpy as np

Values = Callable[[np.ndarray], np.ndarray]

LISTED = 10_000  # spaces up to this size are listed whole instead of searched

SHIFTS = 64  # starts of a descent of each kind, where genes have more choices
TRIED = 1_000  # choices of a gene that a descent tries


def all_genomes(xl: np.ndarray, xu: np.ndarray) -> np.ndarray | None:
    """Every genome between two bounds, int64 `(size, n_var)`; None above `LISTED` of them."""
    sizes = [int(k) for k in xu - xl + 1]
    if math.prod(sizes) > LISTED:
        return None
    return np.indices(sizes).reshape(len(sizes), -1).T.astype(np.int64) + xl


def extreme_genomes(cost: Values, xl: np.ndarray, xu: np.ndarray) -> np.ndarray:
    """The genomes of least and of largest cost.

    Exact for a cost that is a sum over genes, and in any space small enough to be listed;
    otherwise the best of several coordinate descents. Nothing is random.

    Args:
        cost: `(n, n_var) -> (n,)`, finite.
        xl: first choice of each gene, int `(n_var,)`.
        xu: last choice of each gene, int `(n_var,)`, inclusive.

    Returns:
        int64 `(2, n_var)`: least cost, largest cost.
    """
    xl, xu = np.asarray(xl, dtype=np.int64), np.asarray(xu, dtype=np.int64)
    genomes = all_genomes(xl, xu)
    if genomes is not None:
        values = np.asarray(cost(genomes))
        return genomes[[values.argmin(), values.argmax()]]
    # all first choices, all second ones, ..., and as many rows in which choices alternate
    shift = _some(int((xu - xl).max()) + 1, SHIFTS)[:, None]
    starts = np.concatenate(
        [np.minimum(shift, xu - xl), (shift + np.arange(len(xl))) % (xu - xl + 1)]
    )
    lows = coordinate_descent(cost, starts + xl, xl, xu)
    highs = coordinate_descent(lambda X: -cost(X), starts + xl, xl, xu)
    return np.stack([lows[np.argmin(cost(lows))], highs[np.argmax(cost(highs))]])


def coordinate_descent(
    value: Values, X: np.ndarray, xl: np.ndarray, xu: np.ndarray, *, max_sweeps: int = 20
) -> np.ndarray:
    """Lower a value gene by gene, all starts at once, until no gene helps any more.

    Exact after one sweep where the value is a sum over genes; a local optimum otherwise. Of a gene
    with over 1,000 choices 1,000 are tried, evenly spaced with both ends.

    Args:
        value: `(n, n_var) -> (n,)`; inf where a genome is not allowed.
        X: starts, int `(n, n_var)`.
        xl: first choice of each gene, int `(n_var,)`.
        xu: last choice of each gene, int `(n_var,)`, inclusive.
        max_sweeps: sweeps over the genes at most.

    Returns:
        int array `(n, n_var)`, each row at least as good as its start.
    """
    X = X.copy()
    rows = np.arange(len(X))
    best = value(X)
    for _ in range(max_sweeps):
        start = best.copy()
        for gene in np.flatnonzero(xu > xl):
            choices = xl[gene] + _some(int(xu[gene] - xl[gene]) + 1, TRIED)
            trial = np.repeat(X, len(choices), axis=0)
            trial[:, gene] = np.tile(choices, len(X))
            values = value(trial).reshape(len(X), len(choices))
            winner = values.argmin(axis=1)
            better = values[rows, winner] < best
            X[better, gene] = choices[winner[better]]
            best = np.where(better, values[rows, winner], best)
        if not (best < start).any():
            break
    return X


def _some(n: int, most: int) -> np.ndarray:
    """0..n-1, or `most` of them evenly spaced with both ends, int64."""
    return np.arange(n) if n <= most else np.round(np.linspace(0, n - 1, most)).astype(np.int64)


def blend(A: np.ndarray, B: np.ndarray, *, random_state: np.random.Generator) -> np.ndarray:
    """Mix genomes row by row, the share of `B` uniform between none and all.

    Args:
        A: int `(n, n_var)`, or `(n_var,)` for one genome in all rows.
        B: the same; at least one of the two has rows.
        random_state: numpy Generator.

    Returns:
        int array `(n, n_var)`, each gene from `A` or from `B`.
    """
    A, B = np.broadcast_arrays(A, B)
    share = random_state.random((len(A), 1))
    return np.where(random_state.random(A.shape) < share, B, A)


def choose_evenly(values: np.ndarray, n: int, *, random_state: np.random.Generator) -> np.ndarray:
    """Choose members whose values are spread evenly from the smallest to the largest.

    The range is cut into `n` strata around evenly spaced targets; each stratum gives a random
    member of its own, one that holds nothing the nearest member left over. Smallest and largest
    are always among them (for `n` of 2 or more).

    Args:
        values: float `(m,)`, finite.
        n: how many to choose, at most `m`.
        random_state: numpy Generator.

    Returns:
        int array `(n,)` of distinct positions, in ascending order of target.
    """
    order = np.lexsort((random_state.random(len(values)), values))  # ties in random order
    ranked = values[order]
    if n < 2:
        return order[random_state.integers(len(order), size=n)]
    targets = np.linspace(ranked[0], ranked[-1], n)
    half = (ranked[-1] - ranked[0]) / (n - 1) / 2
    free = np.ones(len(order), dtype=bool)
    chosen = np.full(n, -1)

    def take(stratum: int, position: int) -> None:
        chosen[stratum] = position
        free[position] = False

    take(0, 0)
    take(n - 1, len(order) - 1)
    first = np.searchsorted(ranked, targets - half, side="left")
    last = np.searchsorted(ranked, targets + half, side="left")
    for i in range(1, n - 1):
        members = first[i] + np.flatnonzero(free[first[i] : last[i]])
        if len(members):
            take(i, int(random_state.choice(members)))
    for i in np.flatnonzero(chosen < 0).tolist():
        left = np.flatnonzero(free)
        take(i, int(left[np.abs(ranked[left] - targets[i]).argmin()]))
    return order[chosen]
