"""What is exported: a network and what whoever uses it has to know."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evonas.errors import InputError

if TYPE_CHECKING:
    from torch import nn

FROM_SUPERNET = "taken from the supernet, not retrained: its accuracy is an estimate"


@dataclass(frozen=True, kw_only=True)
class ExportedNetwork:
    """A trained network with everything that is needed to use it.

    Attributes:
        network: takes normalised images ``(n, *input_shape)``, returns logits. It may lie on any
            device and be in any mode, and stays as it is: what is exported is a copy.
        genome: its genome with the space's name in front, ``macro:22212220``.
        input_shape: channels, height and width of an image.
        mean: of each channel, in the units of the bytes (0..255), as ``SearchData.mean``.
        std: likewise; above 0.
        class_names: one for each logit.
        weights: where the weights come from, a sentence such as "trained from scratch for 120
            epochs"; ``FROM_SUPERNET`` where they were not trained alone.
        numbers: what is known of the network, each with its name, such as ``test error (%)``.

    Raises:
        InputError: Lengths do not fit, or a number is not finite.
    """

    network: "nn.Module"
    genome: str
    input_shape: tuple[int, int, int]
    mean: Sequence[float]
    std: Sequence[float]
    class_names: Sequence[str]
    weights: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the lengths, and turns tensors and arrays into numbers of Python's own."""
        own = {
            "input_shape": tuple(int(side) for side in self.input_shape),
            "mean": tuple(map(_brief, self.mean)),
            "std": tuple(map(_brief, self.std)),
            "class_names": tuple(str(name) for name in self.class_names),
            "numbers": {name: _own(name, value) for name, value in self.numbers.items()},
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise InputError(
                f"input_shape {self.input_shape} is no image; give (channels, height, width)"
            )
        channels = self.input_shape[0]
        if len(self.mean) != channels or len(self.std) != channels:
            raise InputError(
                f"mean and std have {len(self.mean)} and {len(self.std)} numbers; give one for "
                f"each of the {channels} channels"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise InputError("mean or std cannot normalise; give finite numbers, std above 0")
        if not self.class_names or not self.genome.strip() or not self.weights.strip():
            raise InputError(
                "an export says genome, class_names and where the weights come from; give all three"
            )


def _brief(value: float) -> float:
    """A number with no more digits than float32 has, where it is one: 125.3, not 125.30000305."""
    value = float(value)
    single = np.float32(value)
    return float(str(single)) if single == value else value


def _own(name: str, value: float) -> float:
    """A number as an int or a float; raises InputError where it is not finite."""
    number = float(value)
    if not math.isfinite(number):
        raise InputError(f"the number '{name}' is {number}; leave out what is not known")
    return int(number) if number.is_integer() and not isinstance(value, float) else number
