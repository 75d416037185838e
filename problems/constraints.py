"""Limits on cheap objectives, as text such as "params<=500000"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from evonas.errors import InputError, unknown

_FORM = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(<=|>=)(.*)$")
_NUMBER = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([kMG]?)\s*$")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Constraint:
    """A bound on one cost.

    Attributes:
        cost: name of a cheap objective.
        bound: the limit, itself allowed.
        upper: True for "<=", False for ">=".
    """

    cost: str
    bound: float
    upper: bool

    @classmethod
    def parse(cls, text: str, costs: Iterable[str]) -> "Constraint":
        """Read "params<=500000", "params<=500k" or "macs >= 1e6".

        Raises:
            InputError: the text has another form or names no known cost.
        """
        match = _FORM.match(text)
        if not match:
            raise InputError(f"'{text}' is no constraint; write it like params<=500000")
        cost, sign, number = match.groups()
        if cost not in (known := tuple(costs)):
            raise unknown("cost in a constraint", cost, known)
        try:
            bound = read_number(number)
        except ValueError:
            raise InputError(f"'{text}' is no constraint; write it like params<=500000") from None
        return cls(cost, bound, sign == "<=")

    def violation(self, values: np.ndarray) -> np.ndarray:
        """Pymoo's G: at most 0 where the limit is kept, relative to the bound.

        Args:
            values: the cost of n genomes, (n,).

        Returns:
            float64 (n,).
        """
        excess = values - self.bound if self.upper else self.bound - values
        return excess / max(abs(self.bound), 1.0)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.cost}{'<=' if self.upper else '>='}{format_bound(self.bound)}"


def read_number(text: str) -> float:
    """A number from 0 as people write it: "500000", "500k", "1e6".

    Raises:
        ValueError: the text is none.
    """
    match = _NUMBER.match(text)
    if not match:
        raise ValueError(f"'{text}' is no number")
    return float(match[1]) * _UNITS[match[2]]


def format_bound(value: float) -> str:
    """A whole number with all its digits, any other with six."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"
