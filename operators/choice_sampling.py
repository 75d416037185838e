"""Uniform sampling of categorical genomes."""

from typing import Any

import numpy as np
from pymoo.core.sampling import Sampling

from evonas.operators.genomes import integer_bounds


def sample_choices(
    n: int, xl: np.ndarray, xu: np.ndarray, *, random_state: np.random.Generator
) -> np.ndarray:
    """Draw genomes with every choice of every gene equally likely.

    Args:
        n: number of genomes.
        xl: first choice of each gene, int `(n_var,)`.
        xu: last choice of each gene, int `(n_var,)`, inclusive.
        random_state: numpy Generator.

    Returns:
        int64 array `(n, n_var)`; genomes are independent, so repeats are possible.
    """
    return random_state.integers(xl, xu, size=(n, len(xl)), endpoint=True, dtype=np.int64)


class ChoiceSampling(Sampling):
    """Initial genomes drawn uniformly over the choices of each gene, independently."""

    def _do(
        self,
        problem: Any,
        n_samples: int,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> np.ndarray:
        xl, xu = integer_bounds(problem)
        return sample_choices(n_samples, xl, xu, random_state=random_state)
