"""The first of all genomes that differ only in where the identities of a run stand."""

import numpy as np

from evonas.spaces.space import IntArray


def first_members(held: IntArray, codes: IntArray) -> IntArray:
    """Places each genome's operations, in their order, as early in the alphabet as possible.

    Of all genomes of allowed choices with the same sequence of operations other than
    identities, the lexicographically first. Nothing is enumerated: a table says which
    remainders of the sequence fit which remaining layers, then layer by layer the smallest
    choice is taken that leaves a remainder that fits.

    Args:
        held: The operation in each layer, ``(n, L)``; 0 is an identity, 1.. are the others.
        codes: The operation behind each choice, ``(L, max choices)``; -1 where there is no
            choice or it is not allowed. Layers may differ in their candidates and order.

    Returns:
        Choices, int64 ``(n, L)``.
    """
    n, n_layers = held.shape
    n_codes = int(max(held.max(initial=0), codes.max())) + 1
    none = codes.shape[1]  # larger than any choice
    # The first allowed choice that holds an operation, (L, n_codes).
    choice_of = np.full((n_layers, n_codes), none, dtype=np.int64)
    for layer, choice in np.argwhere(codes >= 0)[::-1]:
        choice_of[layer, codes[layer, choice]] = choice

    # Operations to the front in their order; zeros fill up and stand for "none left".
    sequence = np.take_along_axis(held, np.argsort(held == 0, axis=1, kind="stable"), axis=1)
    sequence = np.concatenate([sequence, np.zeros((n, 1), dtype=np.int64)], axis=1)
    # fits[layer][:, i]: operations i, i+1, ... fit into layers layer, layer+1, ...
    last = np.zeros((n, n_layers + 1), dtype=bool)
    last[np.arange(n), (held != 0).sum(axis=1)] = True
    fits = [last]
    for layer in reversed(range(n_layers)):
        later = fits[-1]
        placed = (sequence > 0) & (choice_of[layer][sequence] < none)
        now = placed & np.roll(later, -1, axis=1)
        if choice_of[layer, 0] < none:
            now |= later
        fits.append(now)
    fits.reverse()

    rows = np.arange(n)
    taken = np.zeros(n, dtype=np.int64)  # operations placed so far
    result = np.empty((n, n_layers), dtype=np.int64)
    for layer in range(n_layers):
        operation = sequence[rows, taken]
        following = np.minimum(taken + 1, n_layers)
        place = np.where(
            (operation > 0) & fits[layer + 1][rows, following], choice_of[layer][operation], none
        )
        wait = np.where(fits[layer + 1][rows, taken], choice_of[layer, 0], none)
        result[:, layer] = np.minimum(place, wait)
        taken = np.where(place < wait, following, taken)
    return result
