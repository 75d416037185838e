from collections.abc import Mapping

import numpy as np
import pytest

from evonas.problems import ArchitectureProblem
from evonas.spaces import SearchSpace, get_space


class Counting(ArchitectureProblem):
    """Error and loss by formula; remembers every genome that it was asked for."""

    def __init__(self, space: SearchSpace, *args, **kwargs) -> None:
        super().__init__(space, *args, **kwargs)
        self.asked: list[tuple[int, ...]] = []

    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        self.asked += [tuple(x) for x in X.tolist()]
        error = 60.0 - 4.0 * (X == 1).sum(1) - 5.0 * (X == 2).sum(1)
        return {"error": error, "loss": error / 30}


@pytest.fixture(scope="session")
def macro() -> SearchSpace:
    return get_space("macro")


@pytest.fixture
def problem(macro) -> Counting:
    return Counting(macro)
