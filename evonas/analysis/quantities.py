"""The quantities of a front: which measure quality, how they are written, what axes call them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Quantity:
    """How one column is written and drawn.

    Attributes:
        label: for axes, with the unit.
        count: whether it is a whole number, written without a decimal point.
        quality: whether it says how well a network does; everything else is a cost.
        short: for a value in running text; `{}` takes the formatted number.
    """

    label: str
    count: bool = False
    quality: bool = False
    short: str = "{}"


QUANTITIES = {
    "error": Quantity("validation error [%]", quality=True, short="{} % error"),
    "loss": Quantity("validation loss [nats]", quality=True, short="loss {}"),
    "test_error": Quantity("test error [%]", quality=True, short="{} % test error"),
    "estimated_error": Quantity("estimated error [%]", quality=True, short="{} % estimated error"),
    "true_error": Quantity("true error [%]", quality=True, short="{} % true error"),
    "params": Quantity("parameters", count=True, short="{} parameters"),
    "macs": Quantity("multiply-adds (MACs)", count=True, short="{} MACs"),
    "generation": Quantity("generation", count=True),
    "evaluations": Quantity("networks evaluated", count=True),
    "training_step": Quantity("training steps", count=True),
    "gene": Quantity("gene", count=True),
    "level": Quantity("level", count=True),
    "struck": Quantity("struck", count=True),
    "step": Quantity("step", count=True),
    "choice": Quantity("choice", count=True),
    "epochs": Quantity("epochs", count=True),
    "seeds": Quantity("seeds", count=True),
    "networks": Quantity("networks scored", count=True),
    "phase": Quantity("phase", count=True),
    "kept": Quantity("kept", count=True),
    "exceeds_noise": Quantity("exceeds noise", count=True),
    "latency": Quantity("latency [ms]", short="{} ms"),
}


def quantity(name: str) -> Quantity:
    """What is known of a column; a name that is unknown is its own label."""
    return QUANTITIES.get(name) or Quantity(name.replace("_", " "), short=f"{name} {{}}")


def costs_and_qualities(objectives: Sequence[str]) -> tuple[list[str], list[str]]:
    """Objectives that are costs, and those that measure quality, each in order.

    Where no name is known as a quality, the first objective is taken for it, and where all are,
    the last one for the cost.
    """
    qualities = [name for name in objectives if quantity(name).quality]
    if not qualities:
        qualities = list(objectives[:1])
    elif len(qualities) == len(objectives) > 1:
        qualities = qualities[:-1]
    return [name for name in objectives if name not in qualities], qualities


def format_number(value: float, digits: int = 4) -> str:
    """At most so many digits, with k, M or G: `950`, `12.3k`, `1.235M`, `4.2`."""
    magnitude = abs(value)
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if magnitude >= size:
            return f"{value / size:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


def format_numbers(values: Sequence[float]) -> list[str]:
    """Different numbers with as many digits as tell them apart, from four to ten."""
    for digits in range(4, 11):
        texts = [format_number(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def format_value(name: str, value: float) -> str:
    """A value with its unit, such as `4.2 % error` or `12.3k parameters`."""
    return quantity(name).short.format(format_number(value))


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 network`, `2 networks`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def many(count: int) -> str:
    """A number of genomes: all digits, or a power of ten where these say nothing."""
    return f"{count:,}" if count < 10**7 else f"10^{math.log10(count):.1f}"


def wide(values: np.ndarray, *, factor: float = 8.0) -> bool:
    """Whether positive values span so much that a logarithmic axis shows them better."""
    return len(values) > 1 and bool(values.min() > 0 and values.max() > factor * values.min())


def frozen(values: Any, dtype: type = np.float64) -> np.ndarray:
    """A read-only copy as an array; records hold these."""
    array: np.ndarray = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array
