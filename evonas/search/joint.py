"""Joint search: distributions learn while the weights that score their samples are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import InputError
from evonas.operators import CategoricalDistributions, extreme_genomes
from evonas.operators.genomes import as_genomes
from evonas.search.beforehand import Beforehand
from evonas.search.distribution_settings import DistributionSettings
from evonas.search.learner import Learnt

if TYPE_CHECKING:
    from evonas.problems import SupernetProblem
    from evonas.spaces import SearchSpace
    from evonas.supernet import Supernet
    from evonas.supernet.paths import PathSampling

# Training steps to one of the distributions.
WEIGHT_STEPS = 16
# Distributions are uniform for this share of the training, in which losses tell little.
WARM_UP = 0.6
# What is learnt is the mean of the distributions over this last share of their steps.
AVERAGED = 0.5
# The range of the loss is measured anew before every so many steps of the distributions.
RANGE_EVERY = 10
# Pictures show the distributions at so many moments.
MOMENTS = 100


def check_turns(steps: int, weight_steps: int) -> int:
    """Steps that distributions make in a training of so many.

    Raises:
        InputError: too few to learn anything from.
    """
    turns = (steps - _begin(steps)) // weight_steps
    if turns < 2:
        raise InputError(
            f"{steps} training steps leave distributions {turns} of their own with {weight_steps} "
            "to each; give a smaller --weight-steps, or a larger --training.steps"
        )
    return turns


def _begin(steps: int) -> int:
    return int(WARM_UP * steps)


class JointLearning:
    """Trains shared weights on networks of M distributions, which learn from what these score.

    Weights and distributions move in turn, as in ASNG-NAS (Akimoto et al., ICML 2019): after every
    `weight_steps` training steps on networks of the mixture of all distributions comes one step of
    the distributions, by the loss of their samples on one validation batch, the next in turn.

    What evonas chose. Distributions wait, uniform, for the first `WARM_UP` of the training, in
    which `paths` says what is trained. The loss is divided by what lies between the cheapest and
    the dearest network, measured anew from time to time, because losses shrink. As one batch is a
    noisy judge, steps are not stretched, and what is learnt is the mean of the distributions over
    the last half of their steps (Polyak and Juditsky, 1992), not where the last one left them.

    It is both the sampling strategy and the companion of one training::

        joint = JointLearning(problem, supernet, steps=config.steps, paths="spread")
        supernet.train(config, paths=joint, companion=joint)
        MultiDistributionSearch(probabilities=joint.probabilities, learning=False)

    Args:
        problem: objectives and limits. "error" is replaced by the loss, which ties less often.
        supernet: of the problem's space and data; scores the samples.
        steps: training steps in all.
        paths: what is trained before the distributions begin, a name or an object with `sample`;
            also how many networks each step trains.
        weight_steps: training steps to one of the distributions, from 1 on.
        half_steps: training steps, from the first on, whose images have half the side; samples are
            then scored on such images, too.
        seed: of the samples.
        settings: of the distributions; by default eight.

    Attributes:
        learnt: `Learnt` of the last step of the distributions; None before the first.
        networks: scored so far, on one validation batch each.
        history: a row of numbers for each step of the distributions: `training_step`, `networks`,
            `loss` (mean of the samples, nats), and for each distribution m, from 1,
            `effective_samples_m`, `entropy_m` (nats) and `step_m` (Fisher norm).
        moments: (training step, probabilities (M, n_var, max choices)), about 100 of them.

    Raises:
        InputError: a setting is wrong or not for this problem, or the training is too short for
            the distributions to learn anything.
    """

    def __init__(
        self,
        problem: SupernetProblem,
        supernet: Supernet,
        *,
        steps: int,
        paths: str | PathSampling = "uniform",
        weight_steps: int = WEIGHT_STEPS,
        half_steps: int = 0,
        seed: int = 1,
        settings: DistributionSettings | None = None,
    ) -> None:
        """Nothing is learnt yet."""
        if weight_steps < 1:
            raise InputError(f"weight_steps is {weight_steps}; give a number of at least 1")
        from evonas.supernet.paths import get_paths  # loads torch

        self.problem, self.supernet, self.paths = problem, supernet, get_paths(paths)
        self.weight_steps, self.half_steps = weight_steps, half_steps
        self._begin = _begin(steps)
        self._turns = check_turns(steps, weight_steps)
        self.settings = settings or DistributionSettings(stretched=False)
        self._random_state = np.random.default_rng([seed, 1])
        self._known = Beforehand.of(problem)
        self._learner = self.settings.learner(problem, self._known, self._random_state)
        self._unknown = np.isnan(self._learner.scale)
        self._ends = _ends(problem, self._known)
        self._trained = 0
        self.learnt: Learnt | None = None
        self.networks = 0
        self.history: list[dict[str, float]] = []
        self.moments = [(0, self.distributions.probabilities)]
        self._sum = np.zeros_like(self.distributions.probabilities)
        self._summed = 0

    @property
    def distributions(self) -> CategoricalDistributions:
        """As they stand."""
        return self._learner.distributions

    @property
    def probabilities(self) -> np.ndarray:
        """What was learnt, (M, n_var, max choices)."""
        if not self._summed:
            return self.distributions.probabilities
        return self._sum / self._summed

    @property
    def coefficients(self) -> np.ndarray | None:
        """As of `MultiDistributionSearch`, for the loss in nats; None before the first step."""
        return self.settings.coefficients_of(self._learner)

    # -- what the training asks ---------------------------------------------------------------

    def sample(self, space: SearchSpace, random_state: np.random.Generator) -> np.ndarray:
        """Genomes that one step trains, each of one distribution at random, int (k, n_var)."""
        X = self.paths.sample(space, random_state)
        if self._trained < self._begin:
            return X
        of = random_state.integers(len(self.distributions), size=len(X))
        drawn = self.distributions.sample(len(X), random_state)[of, np.arange(len(X))]
        wrong = np.flatnonzero(~self.problem.feasible(drawn))
        if len(wrong) and self._known.genomes is not None:
            drawn[wrong] = self.distributions.sample_among(
                as_genomes(self._known.genomes), of[wrong], random_state
            )
        return space.lower(self.problem.space.lift(drawn))

    def after_step(self, step: int) -> None:
        """So many training steps are done: where it is their turn, distributions learn."""
        self._trained = step
        if step <= self._begin or (step - self._begin) % self.weight_steps:
            return
        turn = len(self.history)
        X = self._draw()
        violation = self.problem.violation(X)
        met = violation <= 0
        measures = self._unknown.any() and len(self._ends) > 0 and turn % RANGE_EVERY == 0
        scored = np.concatenate([X[met], self._ends]) if measures else X[met]
        loss = self._loss(scored, turn % self.supernet.validation_batches)
        if measures:
            self._learner.scale[self._unknown] = np.ptp(loss[-len(self._ends) :]) or 1.0
            loss = loss[: -len(self._ends)]
        F = np.zeros((len(X), self.problem.n_obj))
        for j in range(F.shape[1]):
            if j in self._known.exact:
                F[:, j] = self._known.exact[j](X)
            else:
                F[met, j] = loss
        self.learnt = self._learner.learn(X, F, violation)
        self._record(step, float(loss.mean()))

    def state(self) -> dict[str, Any]:
        """All that the further course depends on, as JSON can hold it."""
        return {
            "learner": self._learner.state(),
            "random_state": self._random_state.bit_generator.state,
            "trained": self._trained,
            "networks": self.networks,
            "history": self.history,
            "moments": [[step, p.tolist()] for step, p in self.moments],
            "sum": self._sum.tolist(),
            "summed": self._summed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._learner.restore(state["learner"])
        self._random_state.bit_generator.state = state["random_state"]
        self._trained, self.networks = int(state["trained"]), int(state["networks"])
        self.history = [dict(row) for row in state["history"]]
        self.moments = [(int(step), np.array(p)) for step, p in state["moments"]]
        self._sum, self._summed = np.array(state["sum"]), int(state["summed"])

    # -- inside -------------------------------------------------------------------------------

    def _draw(self) -> np.ndarray:
        """The samples of one step, most of them feasible, (M n, n_var)."""
        X = self._learner.draw(self.settings.samples_per_distribution, self._random_state)
        if self._known.genomes is None:
            return X
        return self._learner.mostly_feasible(
            X, self.problem.feasible(X), as_genomes(self._known.genomes), self._random_state
        )

    def _loss(self, X: np.ndarray, batch: int) -> np.ndarray:
        """Of feasible genomes on one validation batch, in nats, (n,)."""
        self.networks += len(X)
        X = self.supernet.space.lower(self.problem.space.lift(X))
        half = self._trained <= self.half_steps
        return self.supernet.evaluate(X, batches=[batch], half_resolution=half).loss

    def _record(self, step: int, loss: float) -> None:
        assert self.learnt is not None
        if len(self.history) % max(1, self._turns // MOMENTS) == 0:
            self.moments.append((step, np.round(self.distributions.probabilities, 6)))
        row = {"training_step": step, "networks": self.networks, "loss": loss}
        self.history.append(row | self.learnt.numbers())
        if len(self.history) > (1 - AVERAGED) * self._turns:
            self._sum = self._sum + self.distributions.probabilities
            self._summed += 1


def _ends(problem: SupernetProblem, known: Beforehand) -> np.ndarray:
    """The cheapest and the dearest network by each cost that is an objective, (2 k, n_var)."""
    ends = []
    for cost in known.exact.values():
        if known.genomes is None:
            ends.append(extreme_genomes(cost, np.asarray(problem.xl), np.asarray(problem.xu)))
        else:
            genomes = as_genomes(known.genomes)
            values = cost(genomes)
            ends.append(genomes[[int(np.argmin(values)), int(np.argmax(values))]])
    return np.concatenate(ends) if ends else np.empty((0, problem.n_var), np.int64)
