"""Distributions of different complexity that learn from objectives, whoever evaluates them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evonas.errors import InputError
from evonas.operators import (
    CategoricalDistributions,
    effective_sample_size,
    quantile_utility,
)
from evonas.operators.choice_sampling import sample_choices
from evonas.problems.costs import Cost

VARIANTS = ("a", "b")
STEPS = ("asng", "fixed")

# Coefficients of M distributions are spaced evenly on a logarithmic scale, from what makes the
# whole range of cost worth this share of the range of error, to this many times that range. On
# NAS-Bench-Macro 95 % of the best hypervolume are there after 66 evaluations and after 114 with
# 0.01 to 10 (medians of 62 seeds); on NAS-Bench-201 the latter is a little better (188 and 151).
LEAST, MOST = 0.03, 50.0
# The same for the penalty of variant "b", which is compared with a utility from -1 to 1.
LEAST_PENALTY, MOST_PENALTY = 0.03, 10.0

CONTEXTS = 64  # random genomes over which the cost of a choice is averaged


@dataclass(frozen=True, eq=False)
class Learnt:
    """One step of M distributions.

    Attributes:
        effective_samples: as how many samples of its own all samples count for each, (M,).
        entropy: after the step, in nats, (M,).
        step: its length in the Fisher norm, (M,).
    """

    effective_samples: np.ndarray
    entropy: np.ndarray
    step: np.ndarray

    def numbers(self) -> dict[str, float]:
        """Under names, one for each distribution m, from 1: `effective_samples_m` and so on."""
        return {
            f"{name}_{m}": float(value)
            for name in ("effective_samples", "entropy", "step")
            for m, value in enumerate(getattr(self, name), start=1)
        }


class Learner:
    """M distributions that each minimise a weighted sum of the objectives.

    Args:
        distributions: as they are at the beginning.
        weights: of each objective for each distribution, not negative (M, n_obj); those of the
            first objective alone where there is a penalty.
        scale: what objectives are divided by, (n_obj,); NaN for those of which the first samples
            that differ tell the range.
        pooled: whether each learns from the samples of all.
        step: "asng" or "fixed".
        self_normalised: whether ranks are shares of all importance of a distribution.
        stretched: whether a step of "asng" is as many times longer as samples count for more than
            a distribution's own; a number makes all so many times longer.
        penalty: gradient of this cost of each choice (n_var, max choices) is subtracted, times
            `penalty_weights` (M,).
        penalty_weights: see there.
    """

    def __init__(
        self,
        distributions: CategoricalDistributions,
        weights: np.ndarray,
        scale: np.ndarray,
        *,
        pooled: bool = True,
        step: str = "asng",
        self_normalised: bool = True,
        stretched: bool | float = True,
        penalty: np.ndarray | None = None,
        penalty_weights: np.ndarray | None = None,
    ) -> None:
        """Nothing is learnt yet."""
        self.distributions, self.weights, self.scale = distributions, weights, scale
        self.pooled, self.step = pooled, step
        self.self_normalised, self.stretched = self_normalised, stretched
        self.penalty, self.penalty_weights = penalty, penalty_weights

    def draw(self, n: int, random_state: np.random.Generator) -> np.ndarray:
        """Samples, n of each distribution and those of one together, (M n, n_var)."""
        X = self.distributions.sample(n, random_state)
        return X.reshape(-1, X.shape[2])

    def mostly_feasible(
        self,
        X: np.ndarray,
        met: np.ndarray,
        genomes: Callable[[], np.ndarray],
        random_state: np.random.Generator,
    ) -> np.ndarray:
        """Samples in which the infeasible are replaced, where they are more than half.

        By genomes that are known to be feasible, as likely as the distribution makes them that the
        infeasible one is of: of the networks of a table with gaps uniform samples would hit none.

        Args:
            X: what `draw` gave, (M n, n_var).
            met: whether each is feasible, bool (M n,).
            genomes: gives feasible ones, (k, n_var), one or more; asked where they are needed.
            random_state: draws.
        """
        if met.mean() >= 0.5:
            return X
        wrong = np.flatnonzero(~met)
        each = len(X) // len(self.distributions)
        X = X.copy()
        X[wrong] = self.distributions.sample_among(genomes(), wrong // each, random_state)
        return X

    def learn(self, X: np.ndarray, F: np.ndarray, violation: np.ndarray | None = None) -> Learnt:
        """One step of every distribution.

        Args:
            X: what `draw` gave, (M n, n_var).
            F: its objectives, (M n, n_obj).
            violation: of its constraints, (M n,): what is above 0 ranks behind all that is not.
        """
        M = len(self.distributions)
        met = np.ones(len(X), dtype=bool) if violation is None else violation <= 0
        if np.isnan(self.scale).any():
            self.scale = np.where(np.isnan(self.scale), _ranges(F[met]), self.scale)
        scale = np.where(np.isnan(self.scale), 1.0, self.scale)
        keys = self.weights @ np.where(met, (F / scale).T, 0.0)
        if not met.all():
            assert violation is not None
            worst = keys[:, met].max(axis=1, initial=0.0) + 1.0
            keys[:, ~met] = worst[:, None] + violation[~met]
        if self.pooled:
            importance = self.distributions.importance(X)
        else:
            own = np.arange(M)[:, None] == np.repeat(np.arange(M), len(X) // M)
            importance = M * own.astype(float)
        utility = quantile_utility(
            keys, importance, normalised=self.self_normalised or not self.pooled
        )
        gradient = self.distributions.gradient(X, importance * utility)
        if self.penalty is not None:
            assert self.penalty_weights is not None
            slope = self.distributions.cost_gradient(self.penalty)
            gradient -= self.penalty_weights[:, None, None] * slope
        effective = effective_sample_size(importance)
        if self.step == "fixed":
            step = self.distributions.fixed_step(gradient)
        else:
            step = self.distributions.asng_step(gradient, self._stretch(effective, len(X) // M))
        return Learnt(effective, self.distributions.entropy(), step)

    def _stretch(self, effective: np.ndarray, own: int) -> np.ndarray | float:
        if self.stretched is True:
            return np.maximum(effective / own, 1.0)
        return float(self.stretched or 1.0)

    def state(self) -> dict[str, Any]:
        """All that a later step depends on, as JSON can hold it."""
        scale = [None if np.isnan(value) else value for value in self.scale.tolist()]
        return {"scale": scale, **self.distributions.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.scale = np.array([np.nan if v is None else v for v in state["scale"]], dtype=float)
        self.distributions.restore(state)


def _ranges(F: np.ndarray) -> np.ndarray:
    """Differences between largest and smallest values, (n_obj,); NaN where there is none yet."""
    if len(F) < 2:
        return np.full(F.shape[1], np.nan)
    span = np.ptp(F, axis=0)
    return np.where(span > 0, span, np.nan)


def checked_coefficients(coefficients: Any) -> np.ndarray | None:
    """Coefficients (M,) in ascending order, or preference vectors (M, n_obj); None as it is.

    Raises:
        InputError: they are empty, negative, no numbers, unsorted, or a vector has no weight.
    """
    if coefficients is None:
        return None
    try:
        given = np.array(coefficients, dtype=float)
    except (TypeError, ValueError):
        raise InputError(
            f"coefficients={coefficients!r} are no numbers; give one for each distribution, or a "
            "vector with one for each objective"
        ) from None
    if given.ndim not in (1, 2) or not given.size:
        raise InputError(
            f"coefficients={coefficients!r} are none; give one for each distribution, or a vector "
            "with one for each objective"
        )
    if not np.isfinite(given).all() or (given < 0).any():
        bad = given[~(np.isfinite(given) & (given >= 0))][0]
        raise InputError(f"coefficients hold {bad:g}; give numbers from 0 on")
    if given.ndim == 1 and (np.diff(given) < 0).any():
        at = int(np.flatnonzero(np.diff(given) < 0)[0])
        raise InputError(
            f"coefficients are not sorted: {given[at + 1]:g} comes after {given[at]:g}; give them "
            "in ascending order, from the largest networks to the smallest"
        )
    if given.ndim == 2 and not given.any(axis=1).all():
        raise InputError("coefficients hold a vector of zeros; give some objective a weight")
    return given


def spaced_weights(n_distributions: int, n_obj: int) -> np.ndarray:
    """Weights of scaled objectives, (M, n_obj), that spread M distributions over a front.

    Directions are spread evenly over the simplex (for two objectives exactly, for more by Riesz
    energy: Blank et al., 2021), and taken as logarithms of the weights: fronts of networks bend
    so sharply that what is even on a linear scale all meets at their knee.
    """
    if n_obj == 2:
        share = np.linspace(0.0, 1.0, n_distributions) if n_distributions > 1 else np.array([0.5])
        return np.stack([np.ones(n_distributions), LEAST * (MOST / LEAST) ** share], axis=1)
    if n_distributions == 1:
        return np.ones((1, n_obj))
    from pymoo.util.ref_dirs import get_reference_directions

    if n_distributions <= n_obj:
        directions = np.eye(n_obj)[:n_distributions]
    else:
        directions = get_reference_directions("energy", n_obj, n_distributions, seed=1)
    decades = np.sqrt(MOST / LEAST)
    weights = decades**directions
    weights[:, 1:] *= np.sqrt(MOST * LEAST)
    return np.asarray(weights)


def spaced_penalties(n_distributions: int) -> np.ndarray:
    """Coefficients of variant "b", (M,)."""
    if n_distributions == 1:
        return np.array([np.sqrt(LEAST_PENALTY * MOST_PENALTY)])
    return np.geomspace(LEAST_PENALTY, MOST_PENALTY, n_distributions)


def cost_by_choice(
    cost: Cost, low: np.ndarray, high: np.ndarray, random_state: np.random.Generator
) -> np.ndarray:
    """What each choice adds to a cost on average, over the largest of all such additions.

    Exact for a cost that adds up over the genes.

    Args:
        cost: X (n, n_var) -> (n,).
        low: first choice of each gene (n_var,).
        high: last choice of each gene (n_var,).
        random_state: draws the genomes over which is averaged.

    Returns:
        (n_var, max choices), from 0 to 1; the cheapest choice of each gene has 0.
    """
    n_choices = high - low + 1
    table = np.zeros((len(low), int(n_choices.max())))
    X = sample_choices(CONTEXTS, low, high, random_state=random_state)
    for gene in np.flatnonzero(n_choices > 1):
        for choice in range(n_choices[gene]):
            changed = X.copy()
            changed[:, gene] = low[gene] + choice
            table[gene, choice] = np.mean(np.asarray(cost(changed), float))
        row = table[gene, : n_choices[gene]]
        row -= row.min()
    return np.asarray(table / (table.max() or 1.0))


def checked_choice(name: str, value: Any, known: Sequence[str]) -> str:
    """A setting that is one of a few words.

    Raises:
        InputError: it is none of them.
    """
    if value not in known:
        raise InputError(f"{name}={value!r} is unknown; give {' or '.join(map(repr, known))}")
    return str(value)
