"""What an evaluation of genomes returns."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Of a margin between logits, at which an image is half right: the less, the more the smoothed
# error is the error. On CIFAR-10 with 0.25 the two correlate by 0.998 over networks, and the
# difference of two networks has 0.4 of the variance on few images.
SOFTNESS = 0.25

Array = TypeVar("Array", Tensor, np.ndarray)


@dataclass(frozen=True)
class Scores:
    """Validation scores of n genomes, in the order in which they were given.

    Attributes:
        error: float64 (n,), misclassified validation images in percent.
        loss: float64 (n,), mean cross-entropy in nats.
    """

    error: np.ndarray
    loss: np.ndarray


class Outcomes(NamedTuple, Generic[Array]):
    """What n genomes make of each image.

    Attributes:
        wrong: bool (n, images), whether it is misclassified.
        loss: (n, images), its cross-entropy in nats.
        smoothed: (n, images), 0 where it is told right by far, 1 where wrong by far; see
            `smoothed_errors`.
    """

    wrong: Array
    loss: Array
    smoothed: Array


def outcomes_of(logits: Tensor, labels: Tensor) -> Outcomes[Tensor]:
    """What networks make of images.

    Args:
        logits: float (n, images, classes).
        labels: int (images,).
    """
    each = labels.expand(len(logits), -1)
    loss = F.cross_entropy(logits.flatten(0, 1), each.flatten(), reduction="none")
    return Outcomes(logits.argmax(-1) != labels, loss.view_as(each), smoothed_errors(logits, each))


def smoothed_errors(logits: Tensor, labels: Tensor) -> Tensor:
    """The smoothed 0-1 loss: a sigmoid of the margin (Nguyen and Sanner, ICML 2013).

    Two networks alike disagree on images that both are unsure of. These count by halves, and the
    difference between networks is told by fewer images.

    Args:
        logits: float (..., classes).
        labels: int (...).

    Returns:
        float (...), between 0 and 1.
    """
    own = logits.gather(-1, labels[..., None])
    best_other = logits.scatter(-1, labels[..., None], -torch.inf).amax(-1)
    # In float64, whose last bits may depend on an image's place in memory; those of float32 hardly.
    return torch.sigmoid((best_other - own[..., 0]).double() / SOFTNESS).float()
