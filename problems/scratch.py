"""Networks trained from scratch, one by one: their true errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from moocore import is_nondominated

from evonas.config import FINE_TUNE, ScratchConfig
from evonas.errors import EvaluationStopped, InputError
from evonas.problems.architecture import ArchitectureProblem
from evonas.problems.constraints import Constraint
from evonas.problems.costs import Cost
from evonas.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from evonas.data import SearchData
    from evonas.supernet import Supernet
    from evonas.training import Training


def never() -> bool:
    """The stop flag of an evaluation that nobody stops."""
    return False


class ScratchProblem(ArchitectureProblem):
    """Accuracy of networks trained from scratch against exact costs, in any space.

    Each distinct network is trained once for each seed, for a fixed number of epochs, and its error
    is that of the validation images at the last epoch. Each finished training is kept at once: a
    problem with the same folder, data and settings trains none of them again.

    With promotion networks go through rungs: a supernet (where one is given), then short trainings,
    then the whole one. Only networks that nothing known at a rung dominates, by error and the known
    costs, go on to the next. The others keep the error of the rung they reached, which is larger
    than they would have in the end; so none of them takes a place in the front that a fully trained
    network has.

    Args:
        space: any space with networks.
        data: training and validation images.
        objectives: as for `ArchitectureProblem`; dear ones are "error" and "loss" on the
            validation images.
        config: how networks are trained; what it leaves open is decided by its recipe, the data
            and the device. ``config.promotion`` are the epochs of short trainings.
        supernet: a trained `Supernet` of this space, the first rung.
        folder: where trainings are kept; in memory if None.
        constraints: limits on costs.
        costs: more costs by name: vectorised functions X (n, n_var) -> (n,).
        begin: gives the weights that a canonical genome (n_var,) begins with, for settings of the
            recipe "fine-tune"; and what they are, for the name of a training.
        seed: of first weights and order of images; the seeds of a network follow it.
        name: for messages.

    Attributes:
        config: all numbers settled.
        stop: asked after each step; where it says True, `EvaluationStopped` is raised.
        on_training: called with the record of each training that has ended.
        epochs_trained: by this object, all networks together.

    Raises:
        InputError: the space has no networks, or promotion or a setting means nothing.
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
        name: str | None = None,
    ) -> None:
        """Nothing is trained yet."""
        from evonas.training.recipes import settle

        if not space.has_networks:
            raise InputError(f"the space '{space.name}' has no networks that could be trained")
        if (space.num_classes, space.input_shape) != (data.num_classes, data.input_shape):
            raise InputError(
                f"the space is made for {space.num_classes} classes and images of shape "
                f"{space.input_shape}, the data has {data.num_classes} and {data.input_shape}; "
                "give get_space num_classes and input_shape of the data"
            )
        super().__init__(space, objectives, constraints=constraints, costs=costs, name=name)
        self.data, self.supernet, self.seed = data, supernet, seed
        self.config = settle(
            config or ScratchConfig(),
            side=min(data.input_shape[1:]),
            images=len(data.train),
            device=data.train.device.type,
            threads=_threads(),
        )
        if supernet is not None and supernet.space.base is not space.base:
            raise InputError(
                f"the supernet is one of the space '{supernet.space.name}', not of '{space.name}'"
            )
        self.begin = begin
        if (self.config.recipe == FINE_TUNE) != (begin is not None):
            raise InputError(
                f"the recipe '{FINE_TUNE}' goes on from weights of a supernet, and is one of "
                "retraining; give another --scratch.recipe"
            )
        self.keep_in(folder)
        self.stop: Callable[[], bool] = never
        self.on_training: Callable[[Training], None] | None = None
        self.epochs_trained = 0

    def keep_in(self, folder: str | Path | None) -> None:
        """Keep trainings in this folder, and know those it holds; None keeps them in memory."""
        from evonas.training.store import TrainingStore

        self.store = TrainingStore(folder)
        self._cache.clear()
        self._rungs: dict[str, list[np.ndarray]] = {}
        self._whole: list[str] = []

    @property
    def evaluation_images(self) -> int:
        """Validation images, by which networks are judged."""
        return len(self.data.validation)

    @property
    def equal_footing(self) -> bool:
        """Whether all networks are trained equally long, so that their errors can be compared."""
        return self.supernet is None and not self.config.promotion

    @property
    def trainings(self) -> int:
        """Trainings of each network, whose errors are averaged."""
        return self.config.seeds

    def training_accuracy(self, X: np.ndarray) -> np.ndarray:
        """Training images that fully trained networks tell right, in percent, (n,).

        NaN for networks that were not fully trained.
        """
        names = map(self.space.decode, self.canonical(self.space.check(X)))
        found = [self._of(name, self.config) for name in names]
        return np.array(
            [
                np.mean([r.training_accuracy for r in records]) if records else np.nan
                for records in found
            ]
        )

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
                "or another network was better and smaller; retrain it"
            )
        build = partial(self.space.build, genome)
        return new_network(build, self.data.train.device, weights=weights).eval()

    # -- evaluation -----------------------------------------------------------------------

    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        errors, losses = np.empty(len(X)), np.empty(len(X))
        alive = np.arange(len(X))
        for rung, config in self._ladder():
            scores = self._measure(X[alive], config)
            errors[alive], losses[alive] = scores.T
            if config is not self.config:
                alive = alive[self._promoted(rung, X[alive], scores[:, 0])]
        self._forget(X[alive], errors[alive])
        return {"error": errors, "loss": losses}

    def _ladder(self) -> list[tuple[str, ScratchConfig | None]]:
        """The rungs in order; the last one is the whole training."""
        from dataclasses import replace

        rungs: list[tuple[str, ScratchConfig | None]] = []
        if self.supernet is not None:
            rungs.append(("supernet", None))
        rungs += [
            (str(n), replace(self.config, epochs=n, seeds=1, promotion=()))
            for n in self.config.promotion
        ]
        return [*rungs, ("whole", self.config)]

    def _promoted(self, rung: str, X: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Which of some networks nothing known at a rung dominates, bool (n,)."""
        points = np.column_stack([errors, self.cheap_values(X)])
        known = self._rungs.setdefault(rung, [])
        known.extend(points)
        return np.asarray(is_nondominated(np.array(known), keep_weakly=True))[-len(X) :]

    def _measure(self, X: np.ndarray, config: ScratchConfig | None) -> np.ndarray:
        """Error in percent and loss in nats of canonical genomes at one rung, (n, 2)."""
        if config is None:
            assert self.supernet is not None
            scores = self.supernet.evaluate(self.supernet.space.lower(self.space.lift(X)))
            return np.column_stack([scores.error, scores.loss])
        names = [self.space.decode(x) for x in X]
        self._train(X, config)
        return np.array(
            [np.mean([(r.error, r.loss) for r in self._of(name, config)], axis=0) for name in names]
        )

    def train(self, X: np.ndarray) -> None:
        """Train canonical genomes (n, n_var) in full; afterwards their weights are there.

        Raises:
            EvaluationStopped: `stop` said so.
        """
        self._train(self.canonical(self.space.check(X)), self.config, weights=True)

    def weights(self, network: str, seed: int) -> dict[str, Tensor] | None:
        """Weights of a full training; None where they were not kept.

        Args:
            network: canonical, in the notation of the space.
            seed: of the training.
        """
        return self.store.weights(self.key(network, seed, self.config))

    def forget(self, networks: Sequence[str]) -> None:
        """Keep the records of full trainings only, and no weights.

        Args:
            networks: canonical, in the notation of the space.
        """
        self.store.forget_weights(
            self.key(network, seed) for network in networks for seed in self._seeds(self.config)
        )

    def _train(self, X: np.ndarray, config: ScratchConfig, *, weights: bool = False) -> None:
        """Do the trainings that are not kept yet; each is kept as it ends."""
        from evonas.training.scratch import Trained, new_network, train_network, train_several
        from evonas.training.store import Training

        device = self.data.train.device
        missing = []
        for x in X:
            name = self.space.decode(x)
            for seed in self._seeds(config):
                key = self.key(name, seed, config)
                if self.store.get(key) is None or (weights and not self.store.has_weights(key)):
                    missing.append((name, x, seed, key))

        def job(x: np.ndarray, seed: int, key: str, stop: Callable[[], bool]) -> Trained | None:
            if stop():
                return None
            begin = None if self.begin is None else self.begin[0](x)
            network = new_network(partial(self.space.build, x), device, seed=seed, weights=begin)
            path = self.store.checkpoint(key)
            return train_network(network, self.data, config, seed=seed, checkpoint=path, stop=stop)

        assert config.epochs and config.at_once
        jobs = [partial(job, x, seed, key) for _, x, seed, key in missing]
        stopped = False
        for place, done in train_several(
            jobs, at_once=config.at_once, device=device, stop=self.stop
        ):
            if done is None:
                stopped = True
                continue
            name, _, seed, key = missing[place]
            training = Training(
                name,
                seed,
                config.epochs,
                done.error,
                done.loss,
                done.training_accuracy,
                round(done.seconds, 3),
            )
            self.store.put(key, training, dict(done.weights))
            if (state := self.store.checkpoint(key)) is not None:
                state.unlink(missing_ok=True)
            self.epochs_trained += config.epochs
            if self.on_training is not None:
                self.on_training(training)
        if stopped:
            raise EvaluationStopped

    def _forget(self, X: np.ndarray, errors: np.ndarray) -> None:
        """Keep the weights of whole trainings only that no other network dominates."""
        points = self._rungs.setdefault("whole", [])
        self._whole += [self.space.decode(x) for x in X]
        points.extend(np.column_stack([errors, self.cheap_values(X)]))
        best = is_nondominated(np.array(points), keep_weakly=True)
        self.forget([name for name, good in zip(self._whole, best, strict=True) if not good])

    def records(self, network: str) -> list[Training]:
        """What the full trainings of a network reached, one for each seed that is there.

        Args:
            network: canonical, in the notation of the space.
        """
        return self._of(network, self.config)

    def _of(self, name: str, config: ScratchConfig) -> list[Training]:
        found = [self.store.get(self.key(name, seed, config)) for seed in self._seeds(config)]
        return [record for record in found if record is not None]

    def _seeds(self, config: ScratchConfig) -> range:
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
        }
        if self.begin is not None:
            data["begin"] = self.begin[1]
        return training_key(name, seed, config or self.config, data)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
