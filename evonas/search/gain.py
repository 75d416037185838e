"""What a point would add to the dominated hypervolume of a front."""

from collections.abc import Callable, Collection

import numpy as np
from moocore import hypervolume, is_nondominated

from evonas.problems.scale import REFERENCE  # of objectives scaled to 0 .. 1

SHORTLIST = 100  # points whose expected gain is computed at once
LUCK = np.arange(2.0, 8.5, 0.5)  # standard deviations better than expected
MOST_BOXED = 3  # objectives; for more, hypervolumes are computed point by point
CHUNK = 1_000_000  # points times boxes at once: 8 MB an array


def free_boxes(front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint boxes that together are what a front leaves undominated, up to the reference.

    A sweep along the last objective holds the staircase of the points so far as strips; a point
    closes the strips that it cuts (the decomposition of Yang et al., 2019, in another form). Of n
    points there are n + 1 boxes for two objectives and at most 2 n + 1 for three.

    Args:
        front: (k, 2) or (k, 3), scaled, non-dominated.

    Returns:
        Lower and upper corners, each (boxes, n_obj); lower ones may be -inf.
    """
    front = front[(front < REFERENCE).all(axis=1)]
    if front.shape[1] == 2:
        front = np.column_stack([front, np.full(len(front), -np.inf)])
        lower, upper = free_boxes(front)
        return lower[:, :2], upper[:, :2]
    boxes: list[tuple[float, ...]] = []
    # each: from where to where in the first objective, below what in the second, since when in
    # the third; ordered by the first, so that the second falls
    strips = [(-np.inf, REFERENCE, REFERENCE, -np.inf)]
    for x, y, z in front[np.lexsort(front.T)].tolist():
        left = [strip for strip in strips if strip[1] <= x]
        cut = [strip for strip in strips if strip[1] > x and strip[2] > y]
        right = [strip for strip in strips if strip[1] > x and strip[2] <= y]
        if not cut:
            continue
        begin, end, height, since = cut[0]
        if begin < x:
            left.append((begin, x, height, since))
            cut[0] = (x, end, height, since)
        boxes += [(*strip, z) for strip in cut if strip[3] < z]
        strips = [*left, (x, cut[-1][1], y, z), *right]
    boxes += [(*strip, REFERENCE) for strip in strips]
    begin_, end_, height_, since_, until = np.array(boxes).T
    return (
        np.column_stack([begin_, np.full(len(boxes), -np.inf), since_]),
        np.column_stack([end_, height_, until]),
    )


def gains(points: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Hypervolume that each point alone adds to a front.

    Args:
        points: (m, n_obj), scaled.
        front: (k, n_obj), scaled, non-dominated.

    Returns:
        (m,), not negative; the reference is 1.1 in each objective.
    """
    if front.shape[1] > MOST_BOXED:
        return _gains_one_by_one(points, front)
    lower, upper = free_boxes(front)
    result = np.zeros(len(points))
    inside = np.flatnonzero((points < REFERENCE).all(axis=1))
    for rows in np.array_split(inside, 1 + len(inside) * len(lower) // CHUNK):
        volume = np.ones((len(rows), len(lower)))
        for j in range(points.shape[1]):
            corner = np.maximum(lower[:, j], points[rows, j, None])
            volume *= np.maximum(upper[:, j] - corner, 0.0)
        result[rows] = volume.sum(axis=1)
    return result


def _gains_one_by_one(points: np.ndarray, front: np.ndarray) -> np.ndarray:
    ref = np.full(front.shape[1], REFERENCE)
    base = hypervolume(front, ref=ref) if len(front) else 0.0
    result = np.zeros(len(points))
    for i in np.flatnonzero((points < ref).all(axis=1)):
        result[i] = hypervolume(np.vstack([front, points[i]]), ref=ref) - base
    return np.maximum(result, 0.0)


def choose(
    at: Callable[[np.ndarray], np.ndarray],
    z: np.ndarray,
    shares: np.ndarray,
    cells: np.ndarray,
    front: np.ndarray,
    n: int,
    weights: np.ndarray,
    exact: Collection[int] = (),
) -> list[int]:
    """Candidates with the largest expected hypervolume gain, one after the other.

    After each choice the front is taken to hold its mean (a "believer": Ginsbourger et al., 2010),
    and candidates of the same cell wait until every cell has one, so that the choices of one step
    differ. Where no
    more promise a gain within the deviations given, those follow that would have one by the fewest
    deviations beyond.

    Args:
        at: standard deviations from the mean, (s, n_dear or more) -> points (m, s, n_obj).
        z: deviations that stand for all, (s, columns).
        shares: how likely each of them is, (s,).
        cells: a number for each candidate, (m,).
        front: non-dominated points so far, (k, n_obj).
        n: how many to choose.
        weights: what the gain of a candidate is multiplied by, (m,).
        exact: objectives that are known of every candidate.

    Returns:
        Positions of at most n candidates; fewer where no others can gain.
    """
    low, high = _ends(at(z.min(axis=0)[None])[:, 0], front, list(exact))
    span = np.where(high > low, high - low, 1.0)
    front = (front - low) / span

    def scaled(deviations: np.ndarray) -> np.ndarray:
        # What may lie beyond an end counts as if there.
        return np.minimum((at(deviations) - low) / span, 1.0)

    means = scaled(np.zeros((1, z.shape[1])))[:, 0]
    left = np.ones(len(means), dtype=bool)
    chosen: list[int] = []
    steps = [(z, shares)]
    if z.shape[1]:
        steps += [(np.full((1, z.shape[1]), -k), np.ones(1)) for k in LUCK]
    for deviations, likely in steps:
        if len(chosen) == n or not left.any():
            break
        samples = scaled(deviations)
        bound = _first_bound(samples, likely, front) * weights
        while len(chosen) < n and left.any():
            i = _best(samples, likely, front, weights, left, bound)
            if i is None:
                break
            chosen.append(i)
            left &= cells != cells[i]
            if not left.any():  # each cell has its choice: another round
                left[:] = True
                left[chosen] = False
            front = np.vstack([front, means[i]])
            front = front[is_nondominated(front)]
    return chosen


def _ends(best: np.ndarray, front: np.ndarray, exact: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest values of a front, each (n_obj,).

    A front may go on beyond its present ends, and where it would is known of exact objectives: up
    to the largest network that could still be better than all smaller ones. Were it to end with
    the largest one found so far, nothing larger would be worth much.

    Args:
        best: the luckiest that each candidate may be, (m, n_obj).
        front: (k, n_obj).
        exact: objectives whose ends may lie beyond.
    """
    low, high = front.min(axis=0), front.max(axis=0)
    beaten = np.any((front[None] <= best[:, None]).all(axis=2), axis=1)
    high[exact] = np.maximum(high, best[~beaten].max(axis=0, initial=-np.inf))[exact]
    return low, high


def _first_bound(samples: np.ndarray, shares: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Expected gains (m,) where they are cheap; else the gain of the best that each may be."""
    m, s, n_obj = samples.shape
    if n_obj > 2:
        return gains(samples.min(axis=1), front)
    return gains(samples.reshape(-1, n_obj), front).reshape(m, s) @ shares


def _best(
    samples: np.ndarray,
    shares: np.ndarray,
    front: np.ndarray,
    weights: np.ndarray,
    left: np.ndarray,
    bound: np.ndarray,
) -> int | None:
    """The candidate with the largest expected gain; None where none has any.

    A growing front only lowers gains: what was computed for an earlier one is a bound, and only
    candidates whose bound is above the best need be looked at again.

    Args:
        samples: (m, s, n_obj).
        shares: how likely each sample is, (s,).
        front: (k, n_obj).
        weights: (m,).
        left: which may be chosen, bool (m,).
        bound: of their gains, (m,); tightened in place.
    """
    s, n_obj = samples.shape[1:]
    best, most = None, 0.0
    rows_left = np.flatnonzero(left & (bound > 0))
    order = rows_left[np.argsort(-bound[rows_left], kind="stable")]
    for rows in np.split(order, range(SHORTLIST, len(order), SHORTLIST)):
        if not len(rows) or bound[rows[0]] <= most:
            break
        each = gains(samples[rows].reshape(-1, n_obj), front).reshape(-1, s)
        bound[rows] = expected = each @ shares * weights[rows]
        if expected.max() > most:
            best, most = int(rows[expected.argmax()]), float(expected.max())
        if n_obj > 2 and best is not None:
            break  # the bounds are loose there, and the best of the first ones is good enough
    return best
