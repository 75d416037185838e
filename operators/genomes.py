"""What the operators need to know about genomes: integer bounds, integer arrays, keys."""

from typing import Any

import numpy as np


def as_genomes(X: Any) -> np.ndarray:
    """Genomes as an int64 array.

    Args:
        X: array-like `(n, n_var)` of whole numbers; pymoo may have made them floats.

    Returns:
        int64 array `(n, n_var)`; `X` itself where it already is one.

    Raises:
        ValueError: `X` is not two-dimensional or holds something that is no whole number.
    """
    given = np.asarray(X)
    if given.ndim != 2:
        raise ValueError(f"genomes are an array (n, n_var); got shape {given.shape}")
    if given.dtype.kind in "iub":
        return given.astype(np.int64, copy=False)
    try:
        numbers = given.astype(float)
    except (TypeError, ValueError):
        raise ValueError("genomes are whole numbers; got something that is no number") from None
    if not (np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all()):
        raise ValueError("genomes are whole numbers; got fractions, so this is no integer problem")
    return numbers.astype(np.int64)


def integer_bounds(problem: Any) -> tuple[np.ndarray, np.ndarray]:
    """First and last choice of each gene of a pymoo problem.

    Args:
        problem: anything with `xl` and `xu` of shape `(n_var,)`; pymoo stores them as floats.

    Returns:
        Two int64 arrays `(n_var,)`, both inclusive.

    Raises:
        ValueError: bounds are missing, no whole numbers, or crossed, or the problem says that its
            variables are real numbers.
    """
    if getattr(problem, "vtype", None) in (float, np.float64):
        raise ValueError("genomes are whole numbers; the problem has real ones (vtype=float)")
    xl, xu = getattr(problem, "xl", None), getattr(problem, "xu", None)
    if xl is None or xu is None:
        raise ValueError("a categorical operator needs a problem with bounds xl and xu")
    low, high = as_genomes([xl, xu])
    if (low > high).any():
        gene = int(np.flatnonzero(low > high)[0])
        raise ValueError(f"gene {gene} has no choice: xl {low[gene]} is above xu {high[gene]}")
    return low, high


def genome_keys(X: np.ndarray) -> list[bytes]:
    """A hashable key for each genome; equal genomes have equal keys.

    Args:
        X: array `(n, n_var)` of whole numbers.

    Returns:
        A list of `n` keys.
    """
    return [row.tobytes() for row in np.ascontiguousarray(as_genomes(X))]


def one_hot(X: np.ndarray, n_choices: np.ndarray) -> np.ndarray:
    """A column for each choice of each gene.

    Args:
        X: int `(n, n_var)`, counted from 0.
        n_choices: choices of each gene, int `(n_var,)`.

    Returns:
        float `(n, sum of n_choices)` of 0 and 1.
    """
    hot = np.zeros((len(X), int(np.sum(n_choices))))
    starts = np.cumsum(n_choices) - n_choices
    hot[np.arange(len(X))[:, None], X + starts] = 1.0
    return hot
