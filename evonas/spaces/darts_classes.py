"""Which cells of DARTS compute the same function.

The values of a cell's nodes are numbers: the sum modulo 2**64 of a pseudo-random number for each
term. Equal multisets of terms have equal sums, and zero is the sum of no terms; that different
values of one cell agree by chance has a probability below 1e-15.
"""

import numpy as np
import numpy.typing as npt

from evonas.spaces.space import BoolArray, IntArray

HashArray = npt.NDArray[np.uint64]

# What an operation does with its input; larger codes are operations, equal ones the same.
ZERO, SAME = 0, 1
# Genomes at a time: sums over all pairs of choices then stay in the cache.
CHUNK = 512


def preferred_pairs(params: IntArray, allowed: BoolArray, kinds: IntArray) -> IntArray:
    """Pairs of choices for the two edges of a node, those to be preferred first.

    Fewest parameters, then first in order. Left out is a pair whose value always equals that of
    an earlier one: the other order of two choices, and one zero instead of another.

    Args:
        params: Parameters of each choice of both edges ``(2, choices)``.
        allowed: Which choices there are, bool ``(2, choices)``.
        kinds: What each choice does with its input, ``(choices,)``.

    Returns:
        int64 ``(pairs, 2)``.
    """
    first, second = (np.flatnonzero(row) for row in allowed)
    pairs = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    cost = params[0, pairs[:, 0]] + params[1, pairs[:, 1]]
    pairs = pairs[np.argsort(cost, kind="stable")]
    alike = np.sort(np.where(kinds[pairs] == ZERO, -1, pairs), axis=1)
    _, earliest = np.unique(alike, axis=0, return_index=True)
    return pairs[np.sort(earliest)]


def first_of_class(X: IntArray, kinds: IntArray, pairs: list[IntArray]) -> IntArray:
    """The preferred cell among those of which each node has the same value.

    The output of a cell holds the value of each of its nodes, so a node is free to choose among
    all pairs that give its value, whatever the others chose.

    Args:
        X: Cells ``(n, 2 * nodes)``; a choice is input * operations + operation.
        kinds: What each operation does with each input, ``(nodes + 1, operations)``.
        pairs: For each node what ``preferred_pairs`` returns, of choices that every cell of X uses
            too, so that some pair gives the value.

    Returns:
        int64 ``(n, 2 * nodes)``.
    """
    result = np.empty_like(X)
    for start in range(0, len(X), CHUNK):
        rows = slice(start, start + CHUNK)
        result[rows] = _chunk(np.ascontiguousarray(X[rows].T), kinds, pairs).T
    return result


def _chunk(genes: IntArray, kinds: IntArray, pairs: list[IntArray]) -> IntArray:
    n_operations, n = kinds.shape[1], genes.shape[1]
    rows = np.arange(n)
    terms = np.empty((kinds.size, n), dtype=np.uint64)  # of each choice
    result = np.empty_like(genes)
    inputs = _mix(np.arange(1, 3, dtype=np.uint64))
    for source, row in enumerate(kinds):
        if source < 2:
            value = np.full(n, inputs[source])
        else:
            edges = slice(2 * source - 4, 2 * source - 2)
            value = terms[genes[edges], rows].sum(axis=0, dtype=np.uint64)
            result[edges] = _first(pairs[source - 2], terms, value)
        choices = slice(source * n_operations, (source + 1) * n_operations)
        terms[choices] = _terms(row, value)
    last = terms[genes[-2:], rows].sum(axis=0, dtype=np.uint64)
    result[-2:] = _first(pairs[-1], terms, last)
    return result


def _first(pairs: IntArray, terms: HashArray, value: HashArray) -> IntArray:
    """For each genome the first pair whose terms add up to its value, ``(2, n)``."""
    found = terms[pairs[:, 0]] + terms[pairs[:, 1]] == value
    return pairs[found.argmax(axis=0)].T


def _terms(kinds: IntArray, value: HashArray) -> HashArray:
    """What each operation makes of values, ``(operations, n)``; of zero each makes zero."""
    made = _mix(value ^ _mix(kinds)[:, None])
    made[kinds == SAME] = value
    made[kinds == ZERO] = 0
    made[:, value == 0] = 0
    return made


def _mix(numbers: npt.ArrayLike) -> HashArray:
    """A bijection of 64 bits without visible pattern (splitmix64, Steele et al. 2014)."""
    x = np.asarray(numbers, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
