"""Networks scored by a weight-sharing supernet."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.problems.architecture import ArchitectureProblem
from evonas.problems.constraints import Constraint
from evonas.problems.costs import Cost
from evonas.problems.defaults import SALIENCY, SALIENCY_BATCHES, defaults_for
from evonas.problems.racing import UNKNOWN, Path, Race, Score, check_mode, order_of
from evonas.spaces import SearchSpace

if TYPE_CHECKING:
    import torch

    from evonas.data import SearchData
    from evonas.supernet import Activations, Supernet
    from evonas.supernet.scores import Outcomes, Scores

# Bytes.
KEPT_ACTIVATIONS = 2 << 30


def activation_memory(device: torch.device, beside: int = 1) -> float:
    """Bytes of activations kept where nothing is said: 2 GiB, or a quarter of what is free.

    Args:
        device: where they lie.
        beside: how many such shares that quarter is for.
    """
    from evonas.data.memory import free_memory

    return min(KEPT_ACTIVATIONS, free_memory(device) / 4 / beside)


class Scoring(Protocol):
    """Scores the networks of a trained supernet elsewhere than in this process."""

    def evaluate(self, supernet: Supernet, X: np.ndarray) -> Scores:
        """As of `Supernet.evaluate`, of genomes int (n, n_var)."""

    def outcomes(
        self, supernet: Supernet, genomes: Sequence[Path], batches: Collection[int]
    ) -> Outcomes[np.ndarray]:
        """As of `Supernet.outcomes`."""


def check_supernet(supernet: Supernet, space: SearchSpace) -> None:
    """Refuse a supernet for networks that it has no weights of.

    Raises:
        InputError: it is one of another space, or was pruned to less than this one.
    """
    trained = supernet.space
    if trained.base.name != space.base.name:
        raise InputError(
            f"the supernet is one of the space '{trained.base.name}', not of '{space.base.name}'; "
            "give the space it was trained for"
        )
    if trained.allowed.shape == space.allowed.shape and (space.allowed & ~trained.allowed).any():
        raise InputError(
            "the supernet was pruned, and the problem is of more than is left; make it with "
            "get_problem(..., supernet=), which takes what is left"
        )


class SupernetProblem(ArchitectureProblem):
    """Accuracy by shared weights against exact costs.

    Args:
        space: a space that has shared weights.
        data: training and validation images.
        objectives: as for `ArchitectureProblem`; dear ones are "error" and "loss" on the
            validation images.
        supernet: a trained `Supernet` of this space and data; `train` makes one.
        training: the settings that `train` starts from, all numbers resolved; by default those of
            the data set.
        width: width of the supernet that `train` makes.
        constraints: limits on costs.
        costs: more costs by name: vectorised functions X (n, n_var) -> (n,).
        name: for messages.
        racing: "exact" or "confident" ends the evaluation of a network that cannot matter any
            more (`evonas.problems.racing`): what is non-dominated is always scored on all images,
            and what was not gets an estimate that is dominated. "exact" is sure of it, "confident"
            tells it at `racing.CONFIDENCE` from the images seen. "off" scores all on all images.
        memory: bytes of activations of early layers that are kept for later populations; by
            default 2 GiB, or a quarter of what is free where that is less.
        seed: of the order in which a race scores the batches of validation images.

    Attributes:
        images_scored: validation images that networks were scored on so far, all together.
        scoring: scores networks instead of this process, such as a `ClusterScoring`.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: SearchData,
        objectives: Sequence[str] = ("error", "params"),
        *,
        supernet: Supernet | None = None,
        training: TrainingConfig | None = None,
        width: float = 1.0,
        constraints: Sequence[str | Constraint] = (),
        costs: Mapping[str, Cost] | None = None,
        name: str | None = None,
        racing: str = "off",
        memory: float | None = None,
        seed: int = 1,
    ) -> None:
        """Nothing is trained yet."""
        if not space.has_supernet:
            raise InputError(
                f"the space '{space.name}' has no supernet; its networks are trained one by one"
            )
        super().__init__(space, objectives, constraints=constraints, costs=costs, name=name)
        if racing != "off" and len(self._dear_objectives) != 1:
            raise InputError(
                f"networks race by one of error and loss, not by {' and '.join(self.objectives)}; "
                "leave racing off"
            )
        self.racing, self.memory, self.seed = racing, memory, seed
        if racing != "off":
            check_mode(racing)
        self.data = data
        self.training = training or defaults_for(data.name, data.train.device.type).training
        self.width = width
        self.scoring: Scoring | None = None
        self.supernet = supernet

    @property
    def supernet(self) -> Supernet | None:
        """What scores networks; with another one all that was evaluated is forgotten."""
        return self._supernet

    @supernet.setter
    def supernet(self, supernet: Supernet | None) -> None:
        if supernet is not None:
            check_supernet(supernet, self.space)
        self._supernet = supernet
        self._saliency: dict[tuple[str, bool], np.ndarray] = {}
        self.images_scored = 0
        self._activations: Activations | None = None
        self._kept_at = 0  # steps of the training that they are of
        self._race: Race | None = None
        if self.racing != "off" and supernet is not None:
            sizes = supernet.batch_sizes
            order = order_of(len(sizes), self.seed)
            self._race = Race(
                self.racing, self._outcomes, sizes=sizes, order=order, unit=self._unit
            )
        self._cache.clear()

    def train(
        self, budget: str | float | None = None, *, seed: int = 1, **settings: float | str
    ) -> Supernet:
        """Train a supernet and use it from now on; what was evaluated before is forgotten.

        On a CPU with instructions for bfloat16 it trains in what is faster, and writes that into
        `training`.

        Args:
            budget: time, such as "2m" or seconds: the steps that fit are measured first and then
                fixed. None trains the number of steps that is the problem's default.
            seed: seed of weights, paths and order of images.
            settings: fields of `TrainingConfig`, such as ``steps=200``, put over the defaults.

        Returns:
            The trained supernet.

        Raises:
            InputError: the budget is too small to train anything, or a setting is wrong.
        """
        from dataclasses import replace

        from evonas.supernet import Supernet
        from evonas.supernet.calibration import settle_precision, steps_within

        started = time.perf_counter()
        try:
            config = replace(self.training, **settings)  # type: ignore[arg-type]
        except TypeError as error:
            raise InputError(f"{error}; give fields of TrainingConfig") from None
        config = settle_precision(self.space, self.data, self.width, config)
        self.training = replace(self.training, precision=config.precision)
        supernet = Supernet(self.space, self.data, self.width, seed=seed)
        if budget is not None:
            steps = steps_within(budget, supernet, config, started=started)
            config = replace(config, steps=steps)
        supernet.train(config, seed=seed)
        self.supernet = supernet
        return supernet

    def saliency(self, variant: str = SALIENCY, *, half_resolution: bool = False) -> np.ndarray:
        """What each choice of each gene is worth to the trained supernet; computed once.

        Args:
            variant: of `evonas.supernet.saliency_table`.
            half_resolution: whether images are scored at half their side, which suits a supernet
                that has hardly seen larger ones.

        Returns:
            float64 (n_var, max choices) in the numbering of the problem's space; higher is worth
            more; NaN where a gene has no such choice.

        Raises:
            InputError: no supernet is trained yet, or there is no such variant.
        """
        from evonas.supernet import saliency_table

        supernet = self._trained("saliency")
        made = variant, half_resolution
        if made not in self._saliency:
            batches = min(SALIENCY_BATCHES, supernet.validation_batches)
            self._saliency[made] = saliency_table(
                supernet, batches, variant, half_resolution=half_resolution
            )
        return self.space.lower_table(self._saliency[made])

    def _trained(self, what: str = "evaluating") -> Supernet:
        if self.supernet is None or not self.supernet.trained:
            raise InputError(
                f"{what} needs a trained supernet: call problem.train('2m'), or give "
                "get_problem(..., supernet=) a trained Supernet or a run folder"
            )
        return self.supernet

    def images_saved(self, X: np.ndarray) -> np.ndarray:
        """Validation images that evaluated networks were not scored on, int (n,).

        Above 0 the dear objective is an estimate: such a network was out of the race.

        Args:
            X: int (n, n_var), evaluated.
        """
        return np.array([score.saved for score in self._known(X)], dtype=np.int64)

    def race_records(self, X: np.ndarray) -> list[dict[str, float]]:
        """What a race knows of evaluated networks beside objectives and images saved, for each.

        `smoothed`, of one that was not out: its mean smoothed outcome. For `remember`; empty where
        there is no race.

        Args:
            X: int (n, n_var), evaluated.
        """
        return [score.to_record() for score in self._known(X)]

    @property
    def _raced_objective(self) -> int:
        return self.objectives.index(self._dear_objectives[0])

    def _known(self, X: np.ndarray) -> list[Score]:
        if self._race is None:
            return [UNKNOWN] * len(X)
        paths = self._paths(self.canonical(np.asarray(X)))
        return [self._race.known.get(path, UNKNOWN) for path in paths]

    def remember(
        self,
        X: np.ndarray,
        F: np.ndarray,
        images_saved: np.ndarray | None = None,
        race_records: Sequence[Mapping[str, float]] | None = None,
    ) -> None:
        """As of `ArchitectureProblem`; what is known on all images is a rival of later ones.

        Args:
            X: int (n, n_var).
            F: (n, n_obj), as `evaluate` returned them.
            images_saved: as `images_saved` told, (n,).
            race_records: as `race_records` told, n.
        """
        super().remember(X, F)
        kept = self.feasible(X)
        if self._race is None or not kept.any():
            return
        C = self.canonical(self.space.check(X))[kept]
        values = np.asarray(F, float)[kept, self._raced_objective]
        saved = np.zeros(len(X), int) if images_saved is None else np.asarray(images_saved)
        records = [{}] * len(X) if race_records is None else race_records
        told = [record for record, keep in zip(records, kept, strict=True) if keep]
        rows = zip(values.tolist(), saved[kept].tolist(), told, strict=True)
        scores = [Score.from_record(*row) for row in rows]
        self._race.remember(self._paths(C), self.cheap_values(C), scores)

    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        supernet = self._trained()
        if self._race:
            values = self._race.score(self._paths(X), self.cheap_values(X))
            return {self._dear_objectives[0]: values}
        # It may be one of the base space, or of another restriction of it.
        genomes = supernet.space.lower(self.space.lift(X))
        if self.scoring is not None:
            scores = self.scoring.evaluate(supernet, genomes)
        else:
            scores = supernet.evaluate(genomes, activations=self._kept_activations())
        self.images_scored += len(X) * len(self.data.validation)
        return {"error": scores.error, "loss": scores.loss}

    def _kept_activations(self) -> Activations:
        """Those of the weights as they are."""
        from evonas.supernet import Activations

        steps = self._trained().trained_steps
        if self._activations is None or self._kept_at != steps:
            self._activations = Activations(self.memory_for_activations)
            self._kept_at = steps
        return self._activations

    @property
    def memory_for_activations(self) -> float:
        """Bytes of activations that are kept, at most."""
        if self.memory is not None:
            return self.memory
        return activation_memory(self.data.train.device)

    @property
    def _unit(self) -> float:
        """The outcome of an image that is misclassified: errors are percent."""
        return 100.0 if self._dear_objectives[0] == "error" else 1.0

    def _paths(self, C: np.ndarray) -> list[Path]:
        """Genomes in the numbering of the base space, as the supernet's `outcomes` takes them."""
        assert self.supernet is not None
        space = self.supernet.space
        lifted = space.lift(space.canonical(space.lower(self.space.lift(C))))
        return [tuple(genome) for genome in lifted.tolist()]

    def _outcomes(self, paths: Sequence[Path], batches: Sequence[int]) -> np.ndarray:
        """The number by which networks race, of each image of some batches, as `Race` takes it."""
        if self.scoring is not None:
            told = self.scoring.outcomes(self._trained(), paths, batches)
        else:
            kept = self._kept_activations()
            told = self._trained().outcomes(paths, batches, activations=kept)
        self.images_scored += told.wrong.size
        if self._dear_objectives[0] == "loss":
            return np.stack([told.loss] * 2, axis=1)
        return np.stack([told.wrong, told.smoothed], axis=1) * np.float32(self._unit)
