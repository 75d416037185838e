"""How good a found front is where the truth is known."""

import numpy as np
from moocore import is_nondominated


def mean_excess_error(
    found: np.ndarray, true_front: np.ndarray, *, worst_error: float, members: int = 40
) -> float:
    """Points of error that a found front gives away against the true one, on average.

    For each truly optimal network: the true error of the best member of the found front with at
    most as many params, minus its own.

    Args:
        found: (error in percent, params) of the found front's members, errors being the published
            ones and not the search's estimates; (n, 2).
        true_front: (error, params) of the truly optimal networks, (k, 2).
        worst_error: error taken where no member is small enough: 100 minus the table's worst
            accuracy.
        members: a larger front, without those that another one beats, is thinned to this many,
            evenly by rank of params with both ends.

    Returns:
        Mean over the true front, in points of error; 0 for the true front itself.
    """
    found = np.asarray(found, float).reshape(-1, 2)
    found = found[is_nondominated(found)] if len(found) else found
    found = found[np.lexsort((found[:, 0], found[:, 1]))]
    if len(found) > members:
        found = found[np.round(np.linspace(0, len(found) - 1, members)).astype(int)]
    fits = found[None, :, 1] <= np.asarray(true_front)[:, None, 1]
    best = np.where(fits, found[None, :, 0], worst_error).min(axis=1, initial=worst_error)
    return float(np.mean(best - np.asarray(true_front)[:, 0]))
