"""What an evaluation of genomes returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Validation scores of n genomes, in the order in which they were given.

    Attributes:
        error: float64 (n,), misclassified validation images in percent.
        loss: float64 (n,), mean cross-entropy in nats.
    """

    error: np.ndarray
    loss: np.ndarray
