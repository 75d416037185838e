"""How the distributions of a multi-distribution search moved."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.quantities import frozen
from evonas.errors import InputError
from evonas.runs import JointDistributions, RunFolder, Search, searches_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Distributions:
    """Probabilities of M distributions as they learnt; arrays are read-only.

    Attributes:
        at: when each was: networks evaluated before it, or training steps done; int64 (g,).
        probabilities: float64 (g, M, n_var, max choices); 0 where a gene has no such choice.
        name: of the run, for titles.
        counted: what `at` counts.
    """

    at: np.ndarray
    probabilities: np.ndarray
    name: str = ""
    counted: str = "networks evaluated"

    def __post_init__(self) -> None:
        """Freeze.

        Raises:
            InputError: the arrays have other shapes.
        """
        at = frozen(self.at, np.int64)
        probabilities = frozen(self.probabilities)
        if probabilities.ndim != 4 or at.shape != probabilities.shape[:1]:
            raise InputError(
                f"at {at.shape} and probabilities {probabilities.shape} do not "
                "fit; give (g,) and (g, distributions, genes, choices)"
            )
        object.__setattr__(self, "at", at)
        object.__setattr__(self, "probabilities", probabilities)

    @classmethod
    def from_searches(cls, searches: Iterable[Search], *, name: str = "") -> "Distributions":
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
    def load(cls, path: Path | str) -> "Distributions":
        """Read them from a run folder; of a joint search those of its training.

        Raises:
            InputError: no such run, or one of another algorithm.
        """
        folder = RunFolder.open(path)
        if folder.distributions.is_file():
            moments = JointDistributions.load(folder).moments
            steps, probabilities = zip(*moments, strict=True)
            return cls(np.array(steps), np.array(probabilities), folder.name, "training steps")
        return cls.from_searches(searches_of(folder), name=folder.name)

    def __len__(self) -> int:
        """Number of generations."""
        return len(self.at)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw them, a panel for each distribution; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.distributions_figure import distributions_size, draw_distributions
        from evonas.analysis.drawing import new_axes

        return draw_distributions(self, new_axes(distributions_size(self)) if ax is None else ax)
