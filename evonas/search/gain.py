"""What a point would add to the dominated hypervolume of a front."""

from collections.abc import Callable

import numpy as np
from moocore import hypervolume, is_nondominated

REFERENCE = 1.1  # in objectives scaled to 0..1 over the front

SHORTLIST = 100  # points whose expected gain is computed, where that is dear


def gains(points: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Hypervolume that each point alone adds to a front.

    Args:
        points: (m, n_obj), scaled.
        front: (k, n_obj), scaled, non-dominated.

    Returns:
        (m,), not negative; the reference is 1.1 in each objective.
    """
    if front.shape[1] == 2:
        return _gains_of_two(points, front)
    ref = np.full(front.shape[1], REFERENCE)
    base = hypervolume(front, ref=ref) if len(front) else 0.0
    inside = (points < ref).all(axis=1)
    result = np.zeros(len(points))
    for i in np.flatnonzero(inside):
        result[i] = hypervolume(np.vstack([front, points[i]]), ref=ref) - base
    return np.maximum(result, 0.0)


def _gains_of_two(points: np.ndarray, front: np.ndarray) -> np.ndarray:
    """All at once: the front is a staircase, and a point adds a strip of each of its steps."""
    front = front[(front < REFERENCE).all(axis=1)]
    front = front[np.argsort(front[:, 1])]
    left = np.concatenate([[-np.inf], front[:, 1]])
    right = np.concatenate([front[:, 1], [REFERENCE]])
    height = np.concatenate([[REFERENCE], front[:, 0]])
    width = np.maximum(right - np.maximum(left, points[:, [1]]), 0.0)
    return (width * np.maximum(height - points[:, [0]], 0.0)).sum(axis=1)


def choose(
    at: Callable[[np.ndarray], np.ndarray],
    z: np.ndarray,
    cells: np.ndarray,
    front: np.ndarray,
    n: int,
    weights: np.ndarray,
) -> list[int]:
    """Candidates with the largest expected hypervolume gain, one after the other.

    After each choice the front is taken to hold its mean (a "believer": Ginsbourger et al., 2010),
    and candidates of the same cell are left out, so that the choices of one step differ.

    Args:
        at: standard deviations from the mean, (s, n_dear or more) -> points (m, s, n_obj).
        z: equally likely deviations, (s, columns).
        cells: a number for each candidate, (m,).
        front: non-dominated points so far, (k, n_obj).
        n: how many to choose.
        weights: probability that a candidate counts at all, (m,).

    Returns:
        Positions of at most n candidates; fewer where no others promise a gain.
    """
    low, high = front.min(axis=0), front.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    front = (front - low) / span
    means = (at(np.zeros((1, z.shape[1])))[:, 0] - low) / span
    samples = (at(z) - low) / span
    m, s, n_obj = samples.shape
    left = np.ones(m, dtype=bool)
    chosen: list[int] = []
    while len(chosen) < n and left.any():
        rows = np.flatnonzero(left)
        if n_obj > 2 and len(rows) > SHORTLIST:
            # The best that each may be says which are worth the full sum.
            hoped = gains(samples[rows].min(axis=1), front)
            rows = rows[np.argsort(-hoped, kind="stable")[:SHORTLIST]]
        each = gains(samples[rows].reshape(-1, n_obj), front).reshape(-1, s)
        expected = each.mean(axis=1) * weights[rows]
        best = int(expected.argmax())
        if expected[best] <= 0:
            break
        i = int(rows[best])
        chosen.append(i)
        left &= cells != cells[i]
        front = np.vstack([front, means[i]])
        front = front[is_nondominated(front)]
    return chosen
