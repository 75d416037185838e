"""What a training is made of before any torch: its schedule and the least it can do with."""

import math

from evonas.errors import InputError

# Fewer steps than this train nothing worth searching.
LEAST_STEPS = 20

# A step on images of half the side takes about this share of one on full images: a quarter of the
# pixels, but small tensors are slow (measured on 2 cores: 0.3 to 0.55). Only tells time left.
HALF_STEP = 0.4


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


def half_steps(steps: int, half_resolution: float | None) -> int:
    """Steps, from the first on, that see images of half the side."""
    return round((half_resolution or 0.0) * steps)


def check_batch(images: int, networks: int, workers: int = 1) -> None:
    """Refuse a batch that its networks cannot divide: each needs two images to normalise.

    Args:
        images: in the batch.
        networks: that a step trains, each on a part of the batch.
        workers: that share the images of each network.

    Raises:
        InputError: the batch is too small.
    """
    least = 2 * networks * workers
    if images < least:
        shared = f", shared by {workers} workers" if workers > 1 else ""
        raise InputError(
            f"a batch of {images} images is too small for the {networks} networks of a step"
            f"{shared}; give a --training.batch-size of at least {least}"
        )
