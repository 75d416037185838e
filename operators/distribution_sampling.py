"""Sampling of genomes from learnt distributions."""

from typing import Any

import numpy as np
from pymoo.core.sampling import Sampling

from evonas.operators.categorical_distributions import CategoricalDistributions
from evonas.operators.genomes import integer_bounds


class DistributionSampling(Sampling):
    """Initial genomes from given distributions, as many from each as from any other.

    With what a multi-distribution search has learnt, any algorithm can go on from there.
    """

    def __init__(self, probabilities: np.ndarray | CategoricalDistributions) -> None:
        """Store the distributions.

        Args:
            probabilities: of each choice, (n_var, max choices) or, for M distributions,
                (M, n_var, max choices); or the distributions themselves. What lies beyond a gene's
                choices is ignored.

        Raises:
            ValueError: an array of another number of dimensions.
        """
        super().__init__()
        if isinstance(probabilities, CategoricalDistributions):
            probabilities = probabilities.probabilities
        given = np.array(probabilities, dtype=float)
        if given.ndim not in (2, 3):
            raise ValueError(
                f"probabilities have the shape {given.shape}; give (n_var, max choices) or "
                "(M, n_var, max choices)"
            )
        self.probabilities = given if given.ndim == 3 else given[None]

    def _do(
        self,
        problem: Any,
        n_samples: int,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> np.ndarray:
        low, high = integer_bounds(problem)
        distributions = CategoricalDistributions(high - low + 1, probabilities=self.probabilities)
        each = -(-n_samples // len(distributions))
        X = distributions.sample(each, random_state)
        # in turn, so that no distribution is left out of a few
        return X.transpose(1, 0, 2).reshape(-1, len(low))[:n_samples] + low
