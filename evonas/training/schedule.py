"""What a training is made of before any torch: its schedule and the least it can do with."""

import math

from evonas.errors import InputError

# Fewer steps than this train nothing worth searching.
LEAST_STEPS = 20


def warmup_cosine(step: int, steps: int, *, peak: float, warmup: float) -> float:
    """Linear rise over the first ``warmup`` share of the steps, then a half cosine to zero.

    Args:
        step: 0-based number of the step about to be taken.
        steps: steps in all.
        peak: highest learning rate.
        warmup: share of ``steps`` spent rising, 0 to below 1.

    Returns:
        The learning rate of this step; positive for every step.
    """
    rise = max(1, round(steps * warmup)) if warmup > 0 else 0
    if step < rise:
        return peak * (step + 1) / (rise + 1)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def check_batch(images: int, networks: int) -> None:
    """Refuse a batch that its networks cannot divide: each needs two images to normalise.

    Raises:
        InputError: the batch is too small.
    """
    if images < 2 * networks:
        raise InputError(
            f"a batch of {images} images is too small for the {networks} networks of a step; "
            f"give a --training.batch-size of at least {2 * networks}"
        )
