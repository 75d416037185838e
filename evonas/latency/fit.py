"""From times of whole networks to a number for each choice, and how well those add up."""

from dataclasses import dataclass

import numpy as np

from evonas.operators.genomes import one_hot
from evonas.spaces import SearchSpace


@dataclass(frozen=True)
class Agreement:
    """How far two lists of times of the same networks agree.

    Attributes:
        tau: Kendall's rank correlation; NaN where a list is constant.
        error: mean absolute relative error.
    """

    tau: float
    error: float

    @classmethod
    def of(cls, estimated: np.ndarray, measured: np.ndarray) -> "Agreement":
        """Compare estimates with measurements, both (n,)."""
        from scipy.stats import kendalltau

        return cls(
            float(kendalltau(estimated, measured).statistic),
            float(np.mean(np.abs(estimated - measured) / measured)),
        )


def fit_table(space: SearchSpace, X: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, float]:
    """The additive table that fits the times of networks best, by least squares.

    The cheapest choice of each gene gets 0; the constant is what is left: a network of cheapest
    choices. A choice that never occurs gets the average of its gene.

    Args:
        space: not restricted.
        X: genomes (n, n_var).
        seconds: their times (n,), in any unit.

    Returns:
        Table (n_var, max choices), NaN where a gene has no choice, and the constant.
    """
    hot = one_hot(X, space.n_choices)
    # Centred columns make the solution of least norm the one whose genes average 0.
    numbers = np.linalg.lstsq(hot - hot.mean(axis=0), seconds - seconds.mean(), rcond=1e-9)[0]
    constant = seconds.mean() - hot.mean(axis=0) @ numbers
    table = np.full(space.allowed.shape, np.nan)
    table[space.allowed] = numbers
    cheapest = np.nanmin(table, axis=1)
    return table - cheapest[:, None], float(constant + cheapest.sum())
