"""How the distributions of a multi-distribution search moved."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.quantities import frozen
from evonas.errors import InputError
from evonas.runs import RunFolder, Search, read_lines, read_searches

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class DistributionHistory:
    """Probabilities of M distributions, generation by generation; arrays are read-only.

    Attributes:
        evaluations: networks evaluated before each, int64 (g,).
        probabilities: float64 (g, M, n_var, max choices); 0 where a gene has no such choice.
        name: of the run, for titles.
    """

    evaluations: np.ndarray
    probabilities: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        """Freeze.

        Raises:
            InputError: the arrays have other shapes.
        """
        evaluations = frozen(self.evaluations, np.int64)
        probabilities = frozen(self.probabilities)
        if probabilities.ndim != 4 or evaluations.shape != probabilities.shape[:1]:
            raise InputError(
                f"evaluations {evaluations.shape} and probabilities {probabilities.shape} do not "
                "fit; give (g,) and (g, distributions, genes, choices)"
            )
        object.__setattr__(self, "evaluations", evaluations)
        object.__setattr__(self, "probabilities", probabilities)

    @classmethod
    def from_searches(cls, searches: Iterable[Search], *, name: str = "") -> "DistributionHistory":
        """What a journal holds of them.

        Args:
            searches: of `evonas.runs.read_searches`.
            name: of the run, for titles.

        Raises:
            InputError: it is of another algorithm.
        """
        evaluations: list[int] = []
        probabilities: list[list] = []
        before = 0
        for search in searches:
            for generation in search.generations:
                state = generation.state or {}
                if "probabilities" in state:
                    evaluations.append(before)
                    probabilities.append(state["probabilities"])
                before = generation.evaluations or before
        if not probabilities:
            raise InputError(
                f"{name or 'this run'} has no distributions; search with --algorithm "
                "multi-distribution"
            )
        return cls(np.array(evaluations), np.array(probabilities), name)

    @classmethod
    def load(cls, path: Path | str) -> "DistributionHistory":
        """Read them from a run folder.

        Raises:
            InputError: no such run, or one of another algorithm.
        """
        folder = RunFolder.open(path)
        lines, _ = read_lines(folder.journal)
        return cls.from_searches(read_searches(lines, folder.journal), name=folder.name)

    def __len__(self) -> int:
        """Number of generations."""
        return len(self.evaluations)

    def plot(self) -> "Figure":
        """Draw them, a panel for each distribution, into a new figure of pyplot's."""
        import matplotlib.pyplot as plt

        from evonas.analysis.figures import distributions_size, draw_distributions

        figure = plt.figure(figsize=distributions_size(self), layout="constrained")
        return draw_distributions(self, figure)
