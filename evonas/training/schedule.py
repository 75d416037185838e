"""Learning-rate schedules: pure functions of the step."""

import math

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
