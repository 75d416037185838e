"""Reference directions for algorithms that decompose the objective space."""

from math import comb
from typing import Any

import numpy as np
from pymoo.util.ref_dirs import get_reference_directions

from evonas.errors import InputError


def reference_directions(n_obj: int, at_most: int) -> np.ndarray:
    """The largest regular lattice of directions (Das & Dennis, 1998) not above a size.

    For two objectives that is any size, for three 3, 6, 10, 15, 21, 28, ...

    Args:
        n_obj: number of objectives, at least 2.
        at_most: the size of the population.

    Returns:
        float array `(n, n_obj)`, rows that sum to one.

    Raises:
        InputError: fewer than two objectives, or a population smaller than their number.
    """
    if n_obj < 2:
        raise InputError(f"reference directions need two objectives or more; there is {n_obj}")
    if at_most < n_obj:
        raise InputError(f"pop_size={at_most} is too small for {n_obj} objectives; give {n_obj}+")
    n_partitions = 1
    while comb(n_partitions + n_obj, n_obj - 1) <= at_most:
        n_partitions += 1
    return get_reference_directions("das-dennis", n_obj, n_partitions=n_partitions)


def check_directions(ref_dirs: Any, n_obj: int) -> np.ndarray:
    """Directions that the user gave, as an array `(n, n_obj)`.

    Raises:
        InputError: wrong shape.
    """
    directions = np.asarray(ref_dirs, dtype=float)
    if directions.ndim != 2 or directions.shape[1] != n_obj or len(directions) == 0:
        raise InputError(
            f"ref_dirs has shape {directions.shape}; for this problem it is (n, {n_obj})"
        )
    return directions
