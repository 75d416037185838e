"""Joint search: distributions learn while the weights that score their samples are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.operators import CategoricalDistributions
from evonas.operators.genomes import as_genomes, integer_bounds
from evonas.search.beforehand import Beforehand
from evonas.search.distribution_settings import DistributionSettings
from evonas.search.learner import Learnt
from evonas.search.registry import DISTRIBUTIONS
from evonas.training.schedule import half_steps

if TYPE_CHECKING:
    from evonas.problems import SupernetProblem
    from evonas.spaces import SearchSpace
    from evonas.supernet import Supernet

# Training steps to one of the distributions.
WEIGHT_STEPS = 16
# Distributions are uniform for this share of the training, in which losses tell little.
WARM_UP = 0.6
# Share of the steps after it that train networks of the distributions. The others keep the weights
# fair to all networks: with all of them on the mixture, they ranked all networks worse.
MIXTURE = 0.5
# What is learnt is the mean of the distributions over this last share of their steps.
AVERAGED = 0.5
# The range of the loss is measured anew before every so many steps of the distributions.
RANGE_EVERY = 10
# Genomes that break a limit are drawn so often again, before known ones take their place.
REDRAWS = 10
# Pictures show the distributions at so many moments.
MOMENTS = 100


def begin(steps: int, warm_up: float = WARM_UP) -> int:
    """The training step after which distributions begin to learn."""
    return int(warm_up * steps)


def check_turns(steps: int, weight_steps: int, warm_up: float = WARM_UP) -> int:
    """Steps that distributions make in a training of so many.

    Raises:
        InputError: too few to learn anything from.
    """
    turns = (steps - begin(steps, warm_up)) // weight_steps
    if turns < 2:
        raise InputError(
            f"{steps} training steps leave distributions {turns} of their own with {weight_steps} "
            "to each; give a smaller --weight-steps, or more --training.steps or --budget"
        )
    return turns


class JointLearning:
    """Trains shared weights on networks of M distributions, which learn from what these score.

    Weights and distributions move in turn, as in ASNG-NAS (Akimoto et al., ICML 2019): after every
    `weight_steps` training steps, on networks of the mixture of all, comes one step of the
    distributions, by the loss of their samples on one validation batch, the next in turn.

    What evonas chose. Distributions wait, uniform, for the first `warm_up` of the training, in
    which `config.paths` says what is trained; and of the steps that follow, only the share
    `mixture` trains networks of the mixture, the others again `config.paths`, so that weights stay
    fair to what the distributions left (`warm_up=0, mixture=1` is the textbook). The loss is
    divided by how far samples and the networks of least and largest cost lie apart, measured anew
    from time to time, because losses shrink. As one batch is a noisy judge, steps are not
    stretched, and what is learnt is the mean of the distributions over the last half of their steps
    (Polyak and Juditsky, 1992), not where the last one left them. Samples are scored at the size of
    the training images of the moment.

    The mixture trains no networks that break a limit. Of those drawn to learn from they rank last;
    where they are most, genomes known to be feasible are drawn instead, as likely as the
    distribution makes them, which the importance weights know nothing of.

    It is both the sampling strategy and the companion of one training::

        joint = JointLearning(problem, supernet, config)
        supernet.train(config, paths=joint, companion=joint)
        MultiDistributionSearch(probabilities=joint.probabilities, learning=False)

    Args:
        problem: objectives and limits. "error" is replaced by the loss, which ties less often.
        supernet: of the problem's space and data; scores the samples.
        config: of the training, its steps settled.
        distributions: M.
        weight_steps: training steps to one of the distributions, from 1 on.
        warm_up: share of the training after which distributions begin, from 0 to below 1.
        mixture: share of the steps from then on that train networks of the mixture, from 0 to 1.
        seed: of the samples.
        **settings: more of `MultiDistributionSearch` about distributions.

    Attributes:
        learnt: `Learnt` of the last step of the distributions; None before the first.
        networks: scored so far, on one validation batch each; equal ones of a step count once.
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
        config: TrainingConfig,
        distributions: int = DISTRIBUTIONS,
        *,
        weight_steps: int = WEIGHT_STEPS,
        warm_up: float = WARM_UP,
        mixture: float = MIXTURE,
        seed: int = 1,
        **settings: Any,
    ) -> None:
        """Nothing is learnt yet."""
        from evonas.supernet.paths import get_single_paths  # loads torch

        if weight_steps < 1:
            raise InputError(f"weight_steps is {weight_steps}; give a number of at least 1")
        if not 0 <= warm_up < 1:
            raise InputError(f"warm_up is {warm_up}; give a share from 0 to below 1")
        if not 0 <= mixture <= 1:
            raise InputError(f"mixture is {mixture}; give a share from 0 to 1")
        if config.steps is None:
            raise InputError("training.steps is not set; give it a number")
        try:
            self.settings = DistributionSettings(
                **{"distributions": distributions, "stretched": False} | settings
            )
        except TypeError as error:
            raise InputError(f"{error}; give settings of MultiDistributionSearch") from None
        self.problem, self.supernet = problem, supernet
        self._paths = get_single_paths(config.paths or "uniform")
        self._every = weight_steps
        self._mixture = float(mixture)
        self._begin = begin(config.steps, warm_up)
        self._turns = check_turns(config.steps, weight_steps, warm_up)
        self._half_steps = half_steps(config.steps, config.half_resolution)
        self._random_state = np.random.default_rng([seed, 1])
        self._known = Beforehand.of(problem)
        self._learner = self.settings.learner(problem, self._known, self._random_state)
        self._unknown = np.isnan(self._learner.scale)
        low, high = integer_bounds(problem)
        self._ends = np.concatenate(
            [
                np.empty((0, problem.n_var), np.int64),
                *(self._known.ends(cost, low, high) for cost in self._known.exact.values()),
            ]
        )
        self._trained = 0
        self._half = False  # whether the last samples were scored on images of half the side
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
        """Genomes that one step trains, int (k, n_var); of the mixture or of `config.paths`."""
        X = self._paths.sample(space, random_state)
        if not self._trains_mixture():
            return X
        of = random_state.integers(len(self.distributions), size=len(X))
        drawn = self._drawn_of(of, random_state)
        for _ in range(REDRAWS):
            wrong = np.flatnonzero(~self.problem.feasible(drawn))
            if not len(wrong):
                break
            drawn[wrong] = self._drawn_of(of[wrong], random_state)
        else:
            wrong = np.flatnonzero(~self.problem.feasible(drawn))
            genomes = as_genomes(self._known.genomes)
            drawn[wrong] = self.distributions.sample_among(genomes, of[wrong], random_state)
        return space.lower(self.problem.space.lift(drawn))

    def after_step(self, step: int) -> None:
        """So many training steps are done: where it is their turn, distributions learn."""
        self._trained = step
        if step <= self._begin or (step - self._begin) % self._every:
            return
        turn, half = len(self.history), step <= self._half_steps
        measures = self._unknown.any() and (turn % RANGE_EVERY == 0 or half != self._half)
        self._half = half
        X = self._draw()
        violation = self.problem.violation(X)
        met = violation <= 0
        scored = np.concatenate([X[met], self._ends]) if measures else X[met]
        loss = self._loss(scored, turn % self.supernet.validation_batches)
        if measures:
            self._learner.scale[self._unknown] = np.ptp(loss) or 1.0
            loss = loss[: np.count_nonzero(met)]
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
            "of": self._settled(),
            "learner": self._learner.state(),
            "random_state": self._random_state.bit_generator.state,
            "trained": self._trained,
            "half": self._half,
            "networks": self.networks,
            "history": self.history,
            "moments": [[step, p.tolist()] for step, p in self.moments],
            "sum": self._sum.tolist(),
            "summed": self._summed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            InputError: it is of other distributions, or of another training.
        """
        for name, now in self._settled().items():
            then = state["of"].get(name)
            if then != now:
                raise InputError(
                    f"distributions were learning with {name} = {then}, not {now}; give the same "
                    "settings, or begin anew"
                )
        self._learner.restore(state["learner"])
        self._random_state.bit_generator.state = state["random_state"]
        self._trained, self._half = int(state["trained"]), bool(state["half"])
        self.networks = int(state["networks"])
        self.history = [dict(row) for row in state["history"]]
        self.moments = [(int(step), np.array(p)) for step, p in state["moments"]]
        self._sum, self._summed = np.array(state["sum"]), int(state["summed"])

    # -- inside -------------------------------------------------------------------------------

    def _settled(self) -> dict[str, Any]:
        return {
            "distributions": len(self.distributions),
            "samples_per_distribution": self.settings.samples_per_distribution,
            "pooled": self.settings.pooled,
            "weight_steps": self._every,
            "first_step": self._begin,
            "mixture": self._mixture,
            "steps": self._turns,
        }

    def _trains_mixture(self) -> bool:
        """Whether the next training step is one of those spread evenly over all that follow."""
        after = self._trained - self._begin
        return after >= 0 and int((after + 1) * self._mixture) > int(after * self._mixture)

    def _drawn_of(self, of: np.ndarray, random_state: np.random.Generator) -> np.ndarray:
        """A genome of each of these distributions, int (k, n_var)."""
        drawn = self.distributions.sample(len(of), random_state)
        return drawn[of, np.arange(len(of))]

    def _draw(self) -> np.ndarray:
        """The samples of one step, most of them feasible, (M n, n_var)."""
        X = self._learner.draw(self.settings.samples_per_distribution, self._random_state)
        genomes = self._known.genomes
        if genomes is None:
            return X
        met = self.problem.feasible(X)
        return self._learner.mostly_feasible(
            X, met, lambda: as_genomes(genomes), self._random_state
        )

    def _loss(self, X: np.ndarray, batch: int) -> np.ndarray:
        """Of feasible genomes on one validation batch, in nats, (n,)."""
        self.networks += len(np.unique(self.problem.canonical(X), axis=0))
        X = self.supernet.space.lower(self.problem.space.lift(X))
        return self.supernet.evaluate(X, batches=[batch], half_resolution=self._half).loss

    def _record(self, step: int, loss: float) -> None:
        assert self.learnt is not None
        row = {"training_step": step, "networks": self.networks, "loss": loss}
        row |= self.learnt.numbers()
        self.history.append({name: round(value, 6) for name, value in row.items()})
        turn = len(self.history)
        if turn == self._turns or (turn - 1) % max(1, self._turns // MOMENTS) == 0:
            self.moments.append((step, np.round(self.distributions.probabilities, 6)))
        if turn > (1 - AVERAGED) * self._turns:
            self._sum = self._sum + self.distributions.probabilities
            self._summed += 1
