"""Genomes as numbers that a model compares networks by."""

from collections.abc import Callable
from typing import Any

import numpy as np

from evonas.errors import InputError
from evonas.operators.genomes import as_genomes, one_hot
from evonas.operators.spread import extreme_genomes
from evonas.search.beforehand import Beforehand, Cost

# Costs beside the genes tell a model how networks compare; on a scale that far above a gene's.
COST_SCALE = 3.0

MOST_CHOICES = 10_000  # of all genes together, each a column


class Features:
    """A column for each choice of each gene, and one for each cost.

    Args:
        known: what the problem says of genomes.
        low: first choice of each gene, int (n_var,).
        high: last choice of each gene, int (n_var,).

    Raises:
        InputError: the genes have more choices than can be told apart one by one.
    """

    def __init__(self, known: Beforehand, low: np.ndarray, high: np.ndarray) -> None:
        """Find the range of each cost."""
        choices = int(np.sum(high - low + 1))
        if choices > MOST_CHOICES:
            raise InputError(
                f"ScreenedSearch tells choices apart one by one, and these genes have {choices}; "
                f"give genes with at most {MOST_CHOICES} choices in all"
            )
        self._equal, self._free = known.equal, high > low
        self._low, self._n_choices = low[self._free], (high - low + 1)[self._free]
        self._costs = [ScaledCost(cost, low, high) for cost in known.costs]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Features of genomes (n, n_var), float (n, columns)."""
        # Equal functions should look equal also where a table holds a training of each.
        genes = X if self._equal is None else as_genomes(self._equal(X))
        hot = one_hot(genes[:, self._free] - self._low, self._n_choices)
        return np.column_stack([hot, *(cost(X) for cost in self._costs)])


class ScaledCost:
    """A cost on a scale from 0 to `COST_SCALE`, logarithmic where it is positive."""

    def __init__(self, cost: Cost, low: np.ndarray, high: np.ndarray) -> None:
        """Ask for its range."""
        least, most = np.asarray(cost(extreme_genomes(cost, low, high)), float)
        self._cost = cost
        self._change: Callable[[Any], Any] = np.log if least > 0 else np.asarray
        self._least = self._change(least)
        self._span = self._change(most) - self._least or 1.0

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Of genomes (n, n_var), float (n,)."""
        values = self._change(np.asarray(self._cost(X), float))
        return COST_SCALE * (values - self._least) / self._span
