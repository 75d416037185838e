"""What makes objectives of one problem comparable, and a hypervolume of them one number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymoo.indicators.hv import HV

# Normalised objectives are compared with this point, a little beyond the worst network, so that
# both ends of a front count.
REFERENCE = 1.1


@dataclass(frozen=True)
class Scale:
    """Ranges of objectives, and the hypervolume that counts as 1.

    Objectives are scaled from ``ideal`` .. ``nadir`` to 0 .. 1 and compared with the point that is
    1.1 in each.

    Attributes:
        ideal: what becomes 0, one number for each objective.
        nadir: what becomes 1.
        whole: the dominated volume, of scaled objectives, that is called 1; by default that of
            the box between ideal and reference.
    """

    ideal: tuple[float, ...]
    nadir: tuple[float, ...]
    whole: float = 0.0

    def __post_init__(self) -> None:
        """Make tuples of floats, and fill the default in."""
        object.__setattr__(self, "ideal", tuple(map(float, self.ideal)))
        object.__setattr__(self, "nadir", tuple(map(float, self.nadir)))
        object.__setattr__(self, "whole", float(self.whole or REFERENCE ** len(self.ideal)))
        if len(self.ideal) != len(self.nadir) or not np.isfinite((*self.ideal, *self.nadir)).all():
            raise ValueError(f"ideal {self.ideal} and nadir {self.nadir} are no ranges")

    @classmethod
    def of(cls, F: np.ndarray) -> "Scale":
        """The ranges of some points (n, n_obj), n > 0."""
        points = np.asarray(F, float)
        return cls(tuple(points.min(axis=0)), tuple(points.max(axis=0)))

    def scaled(self, F: np.ndarray) -> np.ndarray:
        """Objectives (n, n_obj) as shares of their ranges."""
        ideal, nadir = np.array(self.ideal), np.array(self.nadir)
        # A cost that is the same for all networks gets the span 1: it then changes nothing.
        return (F - ideal) / np.where(nadir > ideal, nadir - ideal, 1.0)

    def volume(self, F: np.ndarray) -> float:
        """Dominated volume of points (n, n_obj), of scaled objectives."""
        if len(F) == 0:
            return 0.0
        return float(HV(ref_point=np.full(len(self.ideal), REFERENCE))(self.scaled(F)))

    def hypervolume(self, F: np.ndarray) -> float:
        """Dominated hypervolume of points (n, n_obj) as a share of ``whole``."""
        return self.volume(F) / self.whole

    def to_record(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {"ideal": list(self.ideal), "nadir": list(self.nadir), "whole": self.whole}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Scale":
        """The inverse of `to_record`."""
        return cls(tuple(record["ideal"]), tuple(record["nadir"]), record["whole"])
