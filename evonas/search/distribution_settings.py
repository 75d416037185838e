"""Settings of distributions of different complexity, and the `Learner` that a problem needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evonas.errors import InputError
from evonas.operators import CategoricalDistributions
from evonas.operators.genomes import integer_bounds
from evonas.search.beforehand import Beforehand
from evonas.search.learner import (
    STEPS,
    VARIANTS,
    Learner,
    checked_choice,
    checked_coefficients,
    cost_by_choice,
    spaced_penalties,
    spaced_weights,
)
from evonas.search.parts import population_size
from evonas.search.registry import DISTRIBUTIONS

SAMPLES = 2  # of each distribution in a generation


@dataclass(eq=False)
class DistributionSettings:
    """What `MultiDistributionSearch` is told; checked where it is made.

    Attributes:
        distributions: M; where there are coefficients, as many.
        samples_per_distribution: drawn from each at a time, from 2 on.
        pooled: whether each learns from the samples of all.
        variant: "a" or "b".
        step: "asng" or "fixed".
        coefficients: (M,) or (M, n_obj); None spaces them.
        self_normalised: whether ranks are shares of all importance of a distribution.
        stretched: whether steps are longer as the pool counts for more samples; a number makes all
            so many times longer.
        probabilities: to begin with, or `CategoricalDistributions`; None is uniform.

    Raises:
        InputError: a setting is wrong.
    """

    distributions: int = DISTRIBUTIONS
    samples_per_distribution: int = SAMPLES
    pooled: bool = True
    variant: str = "a"
    step: str = "asng"
    coefficients: Any = None
    self_normalised: bool = True
    stretched: bool | float = True
    probabilities: np.ndarray | CategoricalDistributions | None = None

    def __post_init__(self) -> None:
        """Check."""
        given = checked_coefficients(self.coefficients)
        M = population_size("distributions", self.distributions, least=1)
        if given is not None:
            if M not in (DISTRIBUTIONS, len(given)):
                raise InputError(
                    f"there are {len(given)} coefficients for {M} distributions; give one for each"
                )
            M = len(given)
        n = population_size("samples_per_distribution", self.samples_per_distribution, least=1)
        if n < 2:
            raise InputError(
                "samples_per_distribution=1 leaves nothing to rank once distributions part; give "
                "2 or more"
            )
        self.distributions, self.samples_per_distribution, self.coefficients = M, n, given
        self.pooled = bool(self.pooled)
        self.variant = checked_choice("variant", self.variant, VARIANTS)
        self.step = checked_choice("step", self.step, STEPS)
        self.self_normalised = bool(self.self_normalised)
        if isinstance(self.stretched, np.bool_):
            self.stretched = bool(self.stretched)
        if not isinstance(self.stretched, int | float) or not 0 <= self.stretched < np.inf:
            raise InputError(f"stretched={self.stretched!r}; give True, False, or a number above 0")
        if isinstance(self.probabilities, CategoricalDistributions):
            self.probabilities = self.probabilities.probabilities

    def learner(
        self, problem: Any, known: Beforehand, random_state: np.random.Generator
    ) -> Learner:
        """Distributions over the genomes of a problem, counted from 0, that have learnt nothing.

        Args:
            problem: any pymoo problem with integer bounds.
            known: what it says of genomes without evaluation.
            random_state: draws the genomes that tell the cost of a choice.

        Raises:
            InputError: the problem has one objective, a setting is not for its objectives or genes,
                or "b" has no cost that is known beforehand.
        """
        if problem.n_obj < 2:
            raise InputError(
                "MultiDistributionSearch trades objectives off; give a problem with two or more"
            )
        low, high = integer_bounds(problem)
        try:
            distributions = CategoricalDistributions(
                high - low + 1,
                self.distributions,
                probabilities=self.probabilities,  # type: ignore[arg-type]
            )
        except ValueError as error:
            raise InputError(f"{error}; give probabilities of this problem's genes") from None
        if len(distributions) != self.distributions:
            raise InputError(
                f"probabilities are of {len(distributions)} distributions, not of "
                f"{self.distributions}; give distributions={len(distributions)}"
            )
        weights, scale = self._trade_offs(problem, known, low, high)
        return Learner(
            distributions,
            weights,
            scale,
            pooled=self.pooled,
            step=self.step,
            self_normalised=self.self_normalised,
            stretched=self.stretched,
            **self._penalty(problem, known, low, high, random_state),
        )

    def coefficients_of(self, learner: Learner) -> np.ndarray | None:
        """What a learner of these settings trades off by.

        Returns:
            (M,) for two objectives, of the second in units of the first; weights (M, n_obj) for
            more, and where vectors were given; of variant "b" its own; None as long as samples have
            to tell the range of an objective.
        """
        if learner.penalty_weights is not None:
            return learner.penalty_weights
        if np.isnan(learner.scale).any():
            return None
        weights = learner.weights / learner.scale
        given = self.coefficients
        vectors = weights.shape[1] > 2 or (given is not None and given.ndim == 2)
        return weights if vectors else weights[:, 1] / weights[:, 0]

    def _trade_offs(
        self, problem: Any, known: Beforehand, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the objectives for each distribution, and what objectives are divided by."""
        M, n_obj, given = self.distributions, problem.n_obj, self.coefficients
        if self.variant == "b":
            return np.eye(n_obj)[np.zeros(M, dtype=int)], np.ones(n_obj)
        if given is not None and given.ndim == 2:
            if given.shape[1] != n_obj:
                raise InputError(
                    f"coefficients have {given.shape[1]} weights each; this problem has {n_obj} "
                    "objectives"
                )
            return given, np.ones(n_obj)
        if given is not None:
            if n_obj != 2:
                raise InputError(
                    f"one coefficient each is for two objectives; for {n_obj} give a vector of "
                    "weights for each distribution"
                )
            return np.stack([np.ones(M), given], axis=1), np.ones(2)
        scale = np.full(n_obj, np.nan)
        for j, cost in known.exact.items():
            scale[j] = np.ptp(np.asarray(cost(known.ends(cost, low, high)), float)) or 1.0
        return spaced_weights(M, n_obj), scale

    def _penalty(
        self,
        problem: Any,
        known: Beforehand,
        low: np.ndarray,
        high: np.ndarray,
        random_state: np.random.Generator,
    ) -> dict[str, Any]:
        if self.variant == "a":
            return {}
        if problem.n_obj != 2 or 1 not in known.exact:
            raise InputError(
                "variant='b' needs two objectives and a second one that is known beforehand; give "
                "cheap={1: function}, or variant='a'"
            )
        given = self.coefficients
        if given is not None and given.ndim == 2:
            raise InputError("variant='b' takes one coefficient for each distribution")
        weights = spaced_penalties(self.distributions) if given is None else given
        table = cost_by_choice(known.exact[1], low, high, random_state)
        return {"penalty": table, "penalty_weights": weights}
