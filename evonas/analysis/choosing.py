"""Choosing from a front: rows of an array of objectives, all minimised."""

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from moocore import hv_contributions, is_nondominated

from evonas.analysis.quantities import format_number, wide
from evonas.errors import InputError
from evonas.problems.constraints import Constraint
from evonas.problems.scale import REFERENCE, Scale


def scaled(F: np.ndarray) -> np.ndarray:
    """Objectives (n, n_obj) scaled to 0..1 over the front; one that is the same for all is 0."""
    return Scale.of(F).scaled(F) if len(F) else np.asarray(F)


def non_dominated(F: np.ndarray) -> np.ndarray:
    """Rows of (n, n_obj) that no other one dominates, ascending; equal ones are all kept."""
    return np.flatnonzero(is_nondominated(F, keep_weakly=True)) if len(F) else np.arange(0)


def knee(F: np.ndarray) -> int:
    """Row of the member with the least sum of scaled objectives; the first of equals.

    Of two objectives it is the one farthest below the line through the ends (Das 1999).
    """
    return int(scaled(F).sum(axis=1).argmin())


def pseudo_weights(F: np.ndarray) -> np.ndarray:
    """How much each member puts on each objective, (n, n_obj); rows sum to 1.

    The distance to the worst member in an objective, as a share of all its distances (Deb 2001,
    "Multi-objective optimization using evolutionary algorithms", section 8.2.4; pymoo's
    `PseudoWeights`). A member that is worst in all that differs puts the same on each.
    """
    with warnings.catch_warnings():
        # pymoo 0.6.2 asks scipy for a name that has moved
        warnings.simplefilter("ignore", DeprecationWarning)
        from pymoo.mcdm.pseudo_weights import PseudoWeights

    n_obj = F.shape[1]
    even = np.full(n_obj, 1 / n_obj)
    differ = np.ptp(F, axis=0) > 0
    weights = np.zeros(F.shape)
    if not differ.any():
        return weights + even
    with np.errstate(invalid="ignore", divide="ignore"):
        _, weights[:, differ] = PseudoWeights(even[differ]).do(
            F[:, differ], return_pseudo_weights=True
        )
    weights[np.isnan(weights).any(axis=1)] = differ / differ.sum()
    return weights


def weighted(F: np.ndarray, weights: np.ndarray) -> int:
    """Row of the member whose pseudo-weights are nearest to some, which need not sum to 1."""
    apart = np.abs(pseudo_weights(F) - weights / weights.sum()).sum(axis=1)
    return int(apart.argmin())


def best_within(
    column: Callable[[str], np.ndarray], limits: Sequence[Constraint], keys: Sequence[np.ndarray]
) -> int:
    """Row of the best member that keeps limits.

    Args:
        column: gives the values of a name, (n,).
        limits: on columns.
        keys: arrays (n,) that are to be least, the first one above all.

    Raises:
        InputError: no member keeps them; one whose value is unknown (NaN) keeps nothing.
    """
    kept = ~np.isnan(np.stack(keys)).any(axis=0)
    for limit in limits:
        values = column(limit.cost)
        keeps = limit.violation(values) <= 0  # NaN is not
        if not keeps.any():
            if np.isnan(values).all():
                raise InputError(f"no network has a known {limit.cost}; leave {limit} out")
            nearest = format_number(np.nanmin(values) if limit.upper else np.nanmax(values))
            raise InputError(f"no network keeps {limit}; the nearest has {nearest}")
        kept &= keeps
    if not kept.any() and not limits:
        raise InputError("no network has the numbers that decide; choose by another column")
    if not kept.any():
        raise InputError(f"no network keeps {' and '.join(map(str, limits))}; loosen one")
    return min(np.flatnonzero(kept).tolist(), key=lambda i: [key[i] for key in keys])


def nearest(wanted: Iterable[tuple[np.ndarray, float]]) -> int:
    """Row of the member nearest to numbers, the first of equals.

    Args:
        wanted: values of a column, (n,), and the number that is wanted of it. Columns are scaled
            to 0..1 over the front, wide ones by their logarithm; distances are Euclidean.

    Raises:
        InputError: no member has a number (NaN) in each of the columns.
    """
    squares = []
    for have, want in wanted:
        known = have[~np.isnan(have)]
        if wide(known) and want > 0:
            have, known, want = np.log(have), np.log(known), float(np.log(want))
        span = np.ptp(known) if len(known) else 0.0
        squares.append(((have - want) / (span or 1.0)) ** 2)
    apart = np.sum(squares, axis=0)
    if np.isnan(apart).all():
        raise InputError("no network has a number in each of these columns; leave one out")
    return int(np.nanargmin(apart))


def representatives(F: np.ndarray, n: int) -> np.ndarray:
    """Rows of at most `n` members that stand for all, ascending.

    Members are dropped one at a time, each time the one whose share of the dominated hypervolume
    is least, objectives scaled to 0..1 over the front and compared with 1.1 (greedy hypervolume
    subset selection; Bradstreet, While and Barone, 2007). Of equals the last goes first.
    """
    points, rows = scaled(F), np.arange(len(F))
    while len(rows) > n:
        shares = hv_contributions(points[rows], ref=np.full(F.shape[1], REFERENCE))
        rows = np.delete(rows, len(rows) - 1 - shares[::-1].argmin())
    return rows


def spread(F: np.ndarray, n: int) -> np.ndarray:
    """Rows of at most `n` members from all over the front, ascending: ends, knee, and between.

    With one it is the knee. Of two objectives, members between are even in the order of the
    front; the one nearest to the knee, if that is none of them, gives way to it. Of more, the ends
    are the best of each objective, and the knee is followed by what is farthest from all that was
    picked.
    """
    if len(F) <= n:
        return np.arange(len(F))
    if n == 1:
        return np.array([knee(F)])
    if F.shape[1] > 2:
        return np.sort(_farthest(F, n))
    rows = np.round(np.linspace(0, len(F) - 1, n)).astype(int)
    bend = knee(F)
    if n > 2 and bend not in rows:
        rows[1 + np.abs(rows[1:-1] - bend).argmin()] = bend
    return np.sort(rows)


def _farthest(F: np.ndarray, n: int) -> list[int]:
    """Ends, knee, then each time the member farthest from those before; n rows at most."""
    points = scaled(F)
    rows = list(dict.fromkeys([*F.argmin(axis=0).tolist(), knee(F)]))[:n]
    while len(rows) < n:
        apart = np.linalg.norm(points[:, None] - points[rows], axis=2).min(axis=1)
        apart[rows] = -1.0  # of members with equal objectives
        rows.append(int(apart.argmax()))
    return rows
