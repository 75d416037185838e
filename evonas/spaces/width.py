"""One rule for narrower networks."""

import math

from evonas.errors import InputError


def scaled(channels: int, width: float) -> int:
    """Channels times width, to the nearest integer (halves up), at least 1.

    Raises:
        InputError: If width is not a positive number.
    """
    if not (width > 0 and math.isfinite(width)):
        raise InputError(f"width is {width}; give a positive number, 1 for full width")
    return max(1, math.floor(channels * width + 0.5))
