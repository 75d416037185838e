"""Stopping the evaluation of networks that cannot matter any more; numpy alone.

Validation images come in a fixed random order. A network is out of the race as soon as one that
costs no more, and is known on all images, is better: surely (`exact`: even if all images left were
told right), or at a stated confidence (`confident`: by the paired differences on the images seen).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from moocore import is_nondominated

from evonas.errors import InputError, unknown

RACING = ("off", "exact", "confident")
# Probability that a network that is no worse than its rival is nowhere told worse than it.
CONFIDENCE = 0.95

# Share of the images, on the clock of `half_width`, at which a mean is told most closely.
TIGHTEST = 0.1

# Of many networks, those that are scored before all others.
FIRST = 16

# What is known of a network image by image: called with the number of a batch, gives (images,).
Outcomes = Callable[[int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Rival:
    """A network that is known on all images.

    Attributes:
        cost: everything it is compared by beside the value, (k,); less is better.
        value: mean outcome over all images; less is better.
        outcomes: one number for each image, of a batch.
    """

    cost: np.ndarray
    value: float
    outcomes: Outcomes


class Race:
    """The networks that others race against, and who is out.

    Args:
        mode: "exact" or "confident".
        confidence: of being told worse only where a network is, over all looks at it together.
        unit: the largest difference between two outcomes of an image, or a typical one.

    Attributes:
        rivals: the non-dominated of those that were added.

    Raises:
        InputError: there is no such mode, or the confidence is not above 0.5 and below 1.
    """

    def __init__(self, mode: str, *, confidence: float = CONFIDENCE, unit: float = 1.0) -> None:
        """No rivals yet."""
        if mode not in RACING[1:]:
            raise unknown("racing", mode, RACING)
        if not 0.5 < confidence < 1:
            raise InputError(f"a confidence of {confidence:g}; give one above 0.5 and below 1")
        self.mode, self.confidence, self.unit = mode, confidence, unit
        self.rivals: list[Rival] = []

    def add(self, rivals: Sequence[Rival]) -> None:
        """Take more networks in that are known on all images."""
        every = [*self.rivals, *rivals]
        if every:
            points = np.array([[*rival.cost, rival.value] for rival in every])
            self.rivals = [every[i] for i in np.flatnonzero(is_nondominated(points))]

    def rival(self, cost: np.ndarray) -> Rival | None:
        """The best one of those that cost no more in any respect."""
        cheaper = [rival for rival in self.rivals if np.all(rival.cost <= cost)]
        return min(cheaper, key=lambda rival: rival.value, default=None)

    def out(
        self,
        sums: np.ndarray,
        differences: np.ndarray,
        squares: np.ndarray,
        values: np.ndarray,
        *,
        seen: int,
        images: int,
    ) -> np.ndarray:
        """Whether networks need not be seen any further, bool (n,).

        Args:
            sums: of their outcomes so far, (n,).
            differences: sums of outcome minus that of the rival, (n,).
            squares: sums of the squares of these differences, (n,).
            values: mean outcomes of the rivals over all images, (n,).
            seen: images so far.
            images: all images.
        """
        if self.mode == "exact":
            return sums / images > values
        # One difference of a unit more each way: few that are not 0 say little of the variance.
        variance = (squares + 2 * self.unit**2) / seen - (differences / seen) ** 2
        return differences / seen > half_width(variance, seen, images, 1 - self.confidence)


def first_and_rest(costs: np.ndarray) -> list[np.ndarray]:
    """Which of many networks are scored first, for the others to race against, and which then.

    Args:
        costs: (n, k).

    Returns:
        Positions: some that are spread over the first cost, and the others; all, of a few.
    """
    order = np.argsort(costs[:, 0], kind="stable")
    if len(order) < 2 * FIRST:
        return [np.sort(order)]
    first = order[np.linspace(0, len(order) - 1, FIRST).round().astype(int)]
    return [np.sort(first), np.setdiff1d(order, first)]


def half_width(variance: np.ndarray, n: int, of: int, alpha: float) -> np.ndarray:
    """By how much a mean of n numbers may exceed that of all they are drawn from, one-sided, (k,).

    An asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform
    central limit theory, 2021): looking after every batch costs no confidence. What is drawn is not
    put back, so that what was seen is told of for sure: deviations of the mean, times n / (of - n),
    are a martingale, whose clock n / (1 - n / of) takes the place of n.

    Args:
        variance: of the numbers, (k,).
        n: how many were drawn.
        of: how many there are.
        alpha: probability that a mean is ever told too large by more than that.
    """
    left = 1 - n / of
    clock = n / left
    tuned = (-2 * math.log(2 * alpha) + math.log(1 - 2 * math.log(2 * alpha))) / (TIGHTEST * of)
    scale = clock * tuned + 1
    bound = math.log1p(math.sqrt(scale) / (2 * alpha))
    return np.asarray(left / n * np.sqrt(variance * 2 * scale / tuned * bound))
