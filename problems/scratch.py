"""Networks trained from scratch, one by one: their true errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from moocore import is_nondominated

from evonas.config import FINE_TUNE, ScratchConfig
from evonas.errors import InputError
from evonas.problems.architecture import INFEASIBLE, ArchitectureProblem
from evonas.problems.constraints import Constraint
from evonas.problems.costs import Cost
from evonas.problems.supernet import check_supernet
from evonas.problems.under_way import NetworksUnderWay, TrainingsUnderWay
from evonas.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from evonas.data import SearchData
    from evonas.supernet import Supernet
    from evonas.training import Trained, Training, TrainingDiverged
    from evonas.training.trials import Trainers, Trial, TrialFailed


WHOLE = "whole"  # the last rung


def never() -> bool:
    """The stop flag of an evaluation that nobody stops."""
    return False


class ScratchProblem(ArchitectureProblem):
    """Accuracy of networks trained from scratch against exact costs, in any space.

    Each distinct network is trained once for each seed, for a fixed number of epochs, and its error
    is that of the validation images at the last epoch. Each finished training is kept at once: a
    problem with the same folder, data and settings trains none of them again. One that diverges
    counts as a guess among the classes, unless none has ever gone well: then it is an error. One
    that comes to no end, as on a cluster whose workers die, has the worst error there is, and is
    one of `failures`.

    With promotion networks go through rungs: a supernet (where one is given), then short trainings,
    then the whole one. Only networks that nothing known at a rung dominates, by the objectives, go
    on to the next; known are those that this object has scored or remembers. The others keep what
    they have at the rung they reached, and no less than the best fully trained network that costs
    no more: none of them takes a place in the front from a network that was fully trained.

    Args:
        space: any space with networks.
        data: training and validation images.
        objectives: as for `ArchitectureProblem`; dear ones are "error" and "loss" on the
            validation images.
        config: how networks are trained; what it leaves open is decided by its recipe, the data
            and the device. ``config.promotion`` are the epochs of short trainings.
        supernet: a trained `Supernet` of this space, the first rung.
        folder: where trainings are kept; in memory if None. Of networks that others of this problem
            dominate, and nobody holds (`hold`), the weights are removed, so that another problem
            has a folder of its own.
        constraints: limits on costs.
        costs: more costs by name: vectorised functions X (n, n_var) -> (n,).
        begin: gives the weights that a canonical genome (n_var,) begins with, for settings of the
            recipe "fine-tune"; and what they are, for the name of a training.
        seed: of first weights and order of images; the seeds of a network follow it.
        trained_on: class of the device that `trainers` have, "cpu" or "cuda", by which the recipe
            decides what ``config`` leaves open; by default that of the data.
        name: for messages.

    Attributes:
        config: all numbers settled.
        usual: what the recipe has where nothing is said.
        trainers: who does trainings; by default threads of this process.
        stop: asked after each step, in several threads; where it says True, `EvaluationStopped` is
            raised, and what was trained by then is kept.
        on_training: called with the record of each training that has ended.
        epochs_trained: by this object, all networks together.

    Raises:
        InputError: the space has no networks, data or supernet are those of another one, or
            promotion or a setting means nothing.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: SearchData,
        objectives: Sequence[str] = ("error", "params"),
        *,
        config: ScratchConfig | None = None,
        supernet: Supernet | None = None,
        folder: str | Path | None = None,
        constraints: Sequence[str | Constraint] = (),
        costs: Mapping[str, Cost] | None = None,
        begin: tuple[Callable[[np.ndarray], Mapping[str, Tensor]], str] | None = None,
        seed: int = 1,
        trained_on: str | None = None,
        name: str | None = None,
    ) -> None:
        """Nothing is trained yet."""
        from evonas.training.recipes import settle_for
        from evonas.training.trials import LocalTrainers

        if not space.has_networks:
            raise InputError(f"the space '{space.name}' has no networks that could be trained")
        space.check_data(data.num_classes, data.input_shape)
        super().__init__(space, objectives, constraints=constraints, costs=costs, name=name)
        self.data, self.supernet, self.seed = data, supernet, seed
        self.config = settle_for(
            config or ScratchConfig(), data, threads=_threads(), trained_on=trained_on
        )
        usual = ScratchConfig(recipe=self.config.recipe)
        self.usual = settle_for(usual, data, threads=1, trained_on=trained_on)
        self.begin = begin
        if (self.config.recipe == FINE_TUNE) != (begin is not None):
            raise InputError(
                f"the recipe '{FINE_TUNE}' goes on from weights of a supernet, and is one of "
                "retraining; give another --scratch.recipe"
            )
        if supernet is not None:
            check_supernet(supernet, space)
            if not supernet.trained:
                raise InputError("the supernet is not trained; train it, or leave it out")
        self.keep_in(folder)
        self.trainers: Trainers = LocalTrainers()
        self._at_work: TrainingsUnderWay | None = None
        self.stop: Callable[[], bool] = never
        self.on_training: Callable[[Training], None] | None = None
        self.epochs_trained = 0

    def keep_in(self, folder: str | Path | None, *, read_only: bool = False) -> None:
        """Keep trainings in this folder, and know those it holds; None keeps them in memory.

        Args:
            folder: made when the first training begins.
            read_only: leave the folder as it is, and keep further trainings in memory.
        """
        from evonas.training.store import TrainingStore

        self.store = TrainingStore(folder, read_only=read_only)
        self._cache.clear()
        # What is known at each rung: network -> dear objectives and costs.
        self._rungs: dict[str, dict[str, np.ndarray]] = {}
        self._with_weights: set[str] = set()
        self._held: set[str] = set()
        self._failures: dict[str, str] = {}  # networks that have no values, and why
        self._remembered: list[np.ndarray] = []

    def remember(self, X: np.ndarray, F: np.ndarray) -> None:
        """Put known objectives into the cache, and the networks on the rungs that they reached.

        Arguments as of `ArchitectureProblem.remember`.
        """
        super().remember(X, F)
        X, F = self.space.check(X), np.asarray(F)
        self._remembered += list(self.canonical(X[self.feasible(X)]))
        dear = [self.objectives.index(name) for name in self._dear_objectives]
        for x in self.canonical(X[(F[:, dear] >= INFEASIBLE).all(axis=1)]):
            self._failures[self.space.decode(x)] = "it failed"

    @property
    def evaluation_images(self) -> int:
        """Validation images, by which networks are judged."""
        return len(self.data.validation)

    @property
    def equal_footing(self) -> bool:
        """Whether all networks are trained equally long, so that their errors can be compared."""
        return self.supernet is None and not self.config.promotion

    @property
    def seeds(self) -> range:
        """Of the trainings of each network, whose errors are averaged."""
        return self._seeds(self.config)

    @property
    def trainings(self) -> int:
        """Trainings of each network."""
        return len(self.seeds)

    def training_accuracy(self, X: np.ndarray) -> np.ndarray:
        """Training images that fully trained networks tell right, in percent, (n,).

        NaN for networks that were not fully trained.
        """
        return np.array(
            [
                np.mean([r.training_accuracy for r in records]) if records else np.nan
                for records in self._found(X)
            ]
        )

    def training_errors(self, X: np.ndarray) -> np.ndarray:
        """Validation errors of each training of networks, in percent, (n, trainings).

        NaN for networks that were not fully trained, and for trainings that failed.
        """
        unknown = [np.nan] * self.trainings
        return np.array(
            [
                [np.nan if r.lost else r.error for r in records] if records else unknown
                for records in self._found(X)
            ]
        ).reshape(-1, self.trainings)

    def network(self, x: np.ndarray, *, seed: int | None = None) -> nn.Module:
        """A network with its trained weights, in evaluation mode.

        Args:
            x: int (n_var,).
            seed: of the training; by default the first.

        Raises:
            InputError: it was not trained, or its weights were not kept.
        """
        from evonas.training.scratch import new_network

        genome = self.canonical(self.space.check(np.asarray(x)[None]))[0]
        weights = self.weights(self.space.decode(genome), self.seed if seed is None else seed)
        if weights is None:
            raise InputError(
                f"there are no weights of {self.space.decode(genome)}: it was not fully trained, "
                "or another network was better and smaller, here or in another problem of the same "
                "folder; retrain it"
            )
        build = partial(self.space.build, genome)
        return new_network(build, self.data.train.device, weights=weights).eval()

    # -- evaluation -----------------------------------------------------------------------

    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        self._recall()
        scores = np.empty((len(X), 2))
        alive = np.arange(len(X))
        for rung, config in self._ladder():
            scores[alive] = self._measure(X[alive], config)
            best = self._place(rung, X[alive], scores[alive])
            if config is not self.config:
                alive = alive[best]
            if not len(alive):
                break
        # Who holds networks decides what becomes of those just trained.
        self._forget(but=set(map(self.space.decode, X)) if self._held else set())
        stopped = np.setdiff1d(np.arange(len(X)), alive)
        if len(stopped):
            scores[stopped] = self._no_better(X[stopped], scores[stopped])
        return {"error": scores[:, 0], "loss": scores[:, 1]}

    def _recall(self) -> None:
        """Put remembered networks on the rungs that they reached, as if they were scored here."""
        X = np.array(self._remembered)
        self._remembered.clear()
        for rung, config in self._ladder():
            if config is not None:
                X = X[[bool(self._of(self.space.decode(x), config)) for x in X]]
            if not len(X):
                return
            self._place(rung, X, self._measure(X, config))

    def _ladder(self) -> list[tuple[str, ScratchConfig | None]]:
        """The rungs in order; the last one is the whole training."""
        rungs: list[tuple[str, ScratchConfig | None]] = []
        if self.supernet is not None:
            rungs.append(("supernet", None))
        rungs += [
            (str(n), replace(self.config, epochs=n, seeds=1, promotion=()))
            for n in self.config.promotion
        ]
        return [*rungs, (WHOLE, self.config)]

    def _place(self, rung: str, X: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Put networks on a rung; which of them nothing known there dominates, bool (n,)."""
        names = [self.space.decode(x) for x in X]
        columns = [self.dear.index(name) for name in self._dear_objectives]
        points = np.column_stack([scores[:, columns], self.cheap_values(X)])
        known = self._rungs.setdefault(rung, {})
        failed = {name for name, score in zip(names, scores, strict=True) if score[0] >= INFEASIBLE}
        known.update((n, p) for n, p in zip(names, points, strict=True) if n not in failed)
        for others in self._rungs.values():  # on lower ones it stood in the way of others
            for name in failed:
                others.pop(name, None)
        if rung == WHOLE:
            self._with_weights.update(names)
        best = self._best(known)
        return np.array([name in best for name in names], dtype=bool)

    @staticmethod
    def _best(known: Mapping[str, np.ndarray]) -> set[str]:
        """The networks of a rung that none of it dominates."""
        if not known:
            return set()
        good = is_nondominated(np.array(list(known.values())), keep_weakly=True)
        return {name for name, is_good in zip(known, good, strict=True) if is_good}

    def _no_better(self, X: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Scores (n, 2) at some rung, none of which beats a fully trained network.

        Each is at least that of the best fully trained network among those that cost no more. There
        is one, for a network is stopped by another that goes on; unless that is remembered only,
        without its training.
        """
        columns = [self.dear.index(name) for name in self._dear_objectives]
        whole = np.array(list(self._rungs.get(WHOLE, {}).values())).reshape(-1, self.n_obj)
        result = scores.copy()
        for i, costs in enumerate(self.cheap_values(X)):
            cheaper = whole[(whole[:, len(columns) :] <= costs).all(axis=1), : len(columns)]
            if len(cheaper):
                best = cheaper[np.lexsort(cheaper.T[::-1])[0]]
                result[i, columns] = np.maximum(result[i, columns], best)
        return result

    def _measure(self, X: np.ndarray, config: ScratchConfig | None) -> np.ndarray:
        """Error in percent and loss in nats of canonical genomes at one rung, (n, 2)."""
        if config is None:
            assert self.supernet is not None
            scores = self.supernet.evaluate(self.supernet.space.lower(self.space.lift(X)))
            return np.column_stack([scores.error, scores.loss])
        names = [self.space.decode(x) for x in X]
        self._train(X, config)
        return np.array([self._mean(name, config) for name in names])

    def train(self, X: np.ndarray, seeds: Sequence[int] | None = None) -> None:
        """Train networks in full; afterwards their weights are there.

        Args:
            X: int (n, n_var).
            seeds: one for each; if None, all of the problem for all.

        Raises:
            EvaluationStopped: `stop` said so.
        """
        X = self.canonical(self.space.check(X))
        if seeds is None:
            return self._train(X, self.config, weights=True)
        self._do([(x, seed) for x, seed in zip(X, seeds, strict=True)], self.config, weights=True)

    def weights(self, network: str, seed: int) -> dict[str, Tensor] | None:
        """Weights of a full training; None where they were not kept.

        Args:
            network: canonical, in the notation of the space.
            seed: of the training.
        """
        return self.store.weights(self.key(network, seed, self.config))

    def has_weights(self, network: str, seed: int) -> bool:
        """Whether the weights of a full training are kept; arguments as of `weights`."""
        return self.store.has_weights(self.key(network, seed, self.config))

    def failure(self, network: str, seed: int) -> str:
        """Why a full training came to no end, in a line; "" where it did, or was not made.

        Arguments as of `weights`.
        """
        found = self.store.get(self.key(network, seed, self.config))
        return "" if found is None else found.failed

    def failures(self, X: np.ndarray) -> list[str]:
        """For each of some genomes (n, n_var) that were evaluated, why it has no values; "" else.

        One that has none counts with an error of 100 % and a loss of 100 nats. To pymoo it is
        feasible; the front of a run leaves it out.
        """
        if not self._failures:
            return [""] * len(X)
        names = map(self.space.decode, self.canonical(self.space.check(np.asarray(X))))
        return [self._failures.get(name, "") for name in names]

    def _mean(self, name: str, config: ScratchConfig) -> tuple[float, float]:
        """Error and loss of a network, over all its seeds; the worst there are where one failed."""
        records = self._of(name, config)
        for record in records:
            if record.failed:
                self._failures[name] = record.failed
                return INFEASIBLE, INFEASIBLE
        error, loss = np.mean([(record.error, record.loss) for record in records], axis=0)
        return float(error), float(loss)

    def is_lost(self, network: str, seed: int) -> bool:
        """Whether a full training diverged or failed; arguments as of `weights`."""
        found = self.store.get(self.key(network, seed, self.config))
        return found is not None and found.lost

    def forget(self, network: str, seed: int) -> None:
        """Keep the record of a full training only, and no weights; arguments as of `weights`."""
        self.store.forget_weights([self.key(network, seed)])

    def _train(self, X: np.ndarray, config: ScratchConfig, *, weights: bool = False) -> None:
        """Train canonical genomes with all seeds."""
        self._do([(x, seed) for x in X for seed in self._seeds(config)], config, weights=weights)

    def _do(
        self,
        trainings: Sequence[tuple[np.ndarray, int]],
        config: ScratchConfig,
        *,
        weights: bool = False,
    ) -> None:
        """Do those of some trainings that are not kept yet; each is kept as it ends."""
        missing = self._missing(trainings, config, weights=weights)
        if not missing:
            return
        with self._begun(config) as under_way:
            for trial in missing:
                under_way.submit(trial)
            while len(under_way):
                under_way.take()

    def missing(self, x: np.ndarray) -> list[Trial]:
        """Full trainings of a canonical genome (n_var,) that are not kept yet, one for a seed."""
        return self._missing([(x, seed) for seed in self.seeds], self.config)

    @contextmanager
    def under_way(self) -> Iterator[NetworksUnderWay]:
        """Train networks while others are proposed; what is under way in the end is stopped.

        Raises:
            InputError: with a promotion, which is told by whole generations.
        """
        if not self.equal_footing:
            raise InputError(
                "which networks are promoted is told by whole generations; leave promotion and "
                "supernet out of an asynchronous search"
            )
        with self._begun(self.config) as trainings:
            yield NetworksUnderWay(self, trainings)

    def _missing(
        self,
        trainings: Sequence[tuple[np.ndarray, int]],
        config: ScratchConfig,
        *,
        weights: bool = False,
    ) -> list[Trial]:
        """Those of some trainings, canonical genome and seed, that are not kept yet."""
        from evonas.training.trials import Trial

        missing = []
        for x, seed in trainings:
            name = self.space.decode(x)
            key = self.key(name, seed, config)
            record = self.store.get(key)
            wanted = weights and not self.store.has_weights(key)
            # Whoever wants the weights has what failed tried again, on other machines perhaps.
            if record is None or (wanted and not record.diverged):
                begin = None if self.begin is None else partial(self.begin[0], x)
                # Nobody wants the weights of a short training.
                trial = Trial(name, x, seed, config, key, config is self.config, begin)
                missing.append(trial)
        return missing

    @contextmanager
    def _begun(self, config: ScratchConfig) -> Iterator[TrainingsUnderWay]:
        """Trainings by some settings; what is under way in the end is stopped."""
        assert config.at_once
        self.store.check()  # a training may take hours
        with self.trainers.open(
            self.space,
            self.data,
            at_once=config.at_once,
            stop=lambda: self.stop(),
            checkpoint=self.store.checkpoint,
        ) as trials:
            self._at_work = TrainingsUnderWay(
                trials,
                self._keep,
                any_fine=not self.store.empty,
                went_well=self.epochs_trained > 0,
            )
            try:
                yield self._at_work
            finally:
                self._at_work = None

    @property
    def load(self) -> dict[str, int]:
        """Of a cluster: how many `workers` train, and how many trainings are `queued`."""
        return {} if self._at_work is None else self._at_work.load

    def _keep(self, trial: Trial, done: Trained | TrainingDiverged | TrialFailed) -> None:
        """Keep what came of a training."""
        training = self._record_of(trial, done)
        weights = dict(getattr(done, "weights", {})) if trial.keeps_weights else {}
        self.store.put(trial.key, training, weights)
        if not training.failed:
            self.epochs_trained += training.epochs
        if self.on_training is not None:
            self.on_training(training)

    def _record_of(self, trial: Trial, done: Trained | TrainingDiverged | TrialFailed) -> Training:
        from evonas.training.store import Training
        from evonas.training.trainer import TrainingDiverged
        from evonas.training.trials import TrialFailed

        epochs = trial.config.epochs
        assert epochs
        if isinstance(done, TrialFailed):
            worst = (INFEASIBLE, INFEASIBLE, 0.0, 0.0)
            return Training(trial.network, trial.seed, epochs, *worst, failed=done.error)
        if isinstance(done, TrainingDiverged):
            right = 100.0 / self.data.num_classes
            guess = (100.0 - right, float(np.log(self.data.num_classes)), right, 0.0)
            return Training(trial.network, trial.seed, epochs, *guess, diverged=True)
        reached = (done.error, done.loss, done.training_accuracy, round(done.seconds, 3))
        return Training(trial.network, trial.seed, epochs, *reached)

    def hold(self, X: np.ndarray) -> None:
        """Keep the weights of some networks even if others dominate them.

        What was held before no longer is. Where something is held, the weights of the networks that
        were evaluated last stay, too, until the next ones are evaluated or others are held.

        Args:
            X: int (n, n_var); none to hold nothing.
        """
        self._held = set(map(self.space.decode, self.canonical(self.space.check(X))))
        self._forget()

    def _forget(self, but: Set[str] = frozenset()) -> None:
        """Keep the weights of those fully trained networks only that no other one dominates."""
        if not self._with_weights:
            return
        losers = self._with_weights - self._best(self._rungs[WHOLE]) - self._held - but
        self._with_weights -= losers
        self.store.forget_weights(
            self.key(name, seed) for name in sorted(losers) for seed in self.seeds
        )

    def records(self, network: str) -> list[Training]:
        """What the full trainings of a network reached, by seed; none where one is missing.

        Args:
            network: canonical, in the notation of the space.
        """
        return self._of(network, self.config)

    def record(self, network: str, seed: int) -> Training:
        """What a full training reached; arguments as of `weights`.

        Raises:
            InputError: there was no such training.
        """
        found = self.store.get(self.key(network, seed, self.config))
        if found is None:
            raise InputError(f"{network} was not trained with seed {seed}; train it")
        return found

    def _of(self, name: str, config: ScratchConfig) -> list[Training]:
        """Those of all seeds; none where one is missing."""
        found = [self.store.get(self.key(name, seed, config)) for seed in self._seeds(config)]
        records = [record for record in found if record is not None]
        return records if len(records) == config.seeds else []

    def _found(self, X: np.ndarray) -> list[list[Training]]:
        """Those of each of some genomes, of all seeds."""
        names = map(self.space.decode, self.canonical(self.space.check(X)))
        return [self._of(name, self.config) for name in names]

    def _seeds(self, config: ScratchConfig) -> range:
        assert config.seeds
        return range(self.seed, self.seed + config.seeds)

    def key(self, name: str, seed: int, config: ScratchConfig | None = None) -> str:
        """A file name for one training, another for whatever changes its result.

        Args:
            name: of a network: canonical, in the notation of the space.
            seed: of the training.
            config: how it is trained, if not in full.
        """
        from evonas.training.store import training_key

        data = {
            "name": self.data.name,
            "checksum": self.data.checksum,
            "train": len(self.data.train),
            "validation": len(self.data.validation),
            "augmentation": asdict(self.data.augmentation),
        }
        if self.begin is not None:
            data["begin"] = self.begin[1]
        return training_key(name, seed, config or self.config, data)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
