"""Genomes looked up in a table, many at once."""

import numpy as np

from evonas.spaces import SearchSpace


class Rows:
    """Where genomes stand in a table.

    Args:
        X: the genomes of its rows, int (rows, n_var), each once.
        space: what the genes mean.
    """

    def __init__(self, X: np.ndarray, space: SearchSpace) -> None:
        """Sort the rows."""
        self._check = space.check
        self._shape = tuple(space.n_choices.tolist())
        self._small = space.size < 2**62
        if self._small:
            codes = self._codes(X)
            self._order = np.argsort(codes)
            self._sorted = codes[self._order]
        else:
            self._at = {row.tobytes(): i for i, row in enumerate(X)}

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Row of each genome, int (n,); -1 where there is none."""
        X = self._check(X)
        if not self._small:
            return np.array([self._at.get(row.tobytes(), -1) for row in X], dtype=np.int64)
        codes = self._codes(X)
        at = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
        return np.where(self._sorted[at] == codes, self._order[at], -1)

    def _codes(self, X: np.ndarray) -> np.ndarray:
        code = np.zeros(len(X), dtype=np.int64)
        for gene, choices in enumerate(self._shape):
            code = code * choices + X[:, gene]
        return code


class Column:
    """A column as a function of genomes.

    Args:
        rows: where genomes stand.
        column: a number for each row, and a last one for genomes without a row, (rows + 1,).
    """

    def __init__(self, rows: Rows, column: np.ndarray) -> None:
        """Store both."""
        self._rows, self._values = rows, column

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Of genomes (n, n_var), (n,)."""
        return self._values[self._rows(X)]
