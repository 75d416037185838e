"""The supernet: shared weights of all networks of a space, trained once, that score any of them."""

import math
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import evonas.supernet.darts  # noqa: F401  it registers its kind of shared network
from evonas.config import TrainingConfig
from evonas.data import ImageTensors, SearchData, from_tensors, get_data
from evonas.data.memory import default_limit
from evonas.device import keep_memory
from evonas.errors import InputError
from evonas.spaces import SearchSpace, get_space
from evonas.supernet.activations import Activations, OfBatch
from evonas.supernet.evaluation_plan import (
    BlockCosts,
    EvaluationPlan,
    plan_evaluation,
    seconds_of_blocks,
)
from evonas.supernet.network import (
    SharedChain,
    estimate_statistics,
    shared_network,
    summed_by,
    summing,
    use_batch_statistics,
)
from evonas.supernet.paths import MixtureSampling, Strategy, get_paths
from evonas.supernet.scores import Outcomes, Scores, outcomes_of
from evonas.training import Checkpoint, Trainer
from evonas.training.group import Group
from evonas.training.initial import initialise
from evonas.training.team import Team
from evonas.training.trainer import Companion, half_size, mixed_precision

# Statistics of a path are those of the batch, so the batch is part of the number and never changes.
# 125 images are twice a training batch, and still fit a processor's cache: 1,000 images of 32 x 32
# take 164 ms a network, in batches of 500 271 ms (macro at a quarter of the width, 2 cores).
EVALUATION_BATCH = 125

# Activations of one batch that are kept while networks that branch off from them are scored, in
# bytes. Of 32 x 32 images a path of `macro` has some 50 MB at full width.
BRANCH_MEMORY = 2**30

# Batches that a CPU scores at once, each on its share of the threads: small layers hardly gain from
# a second one. 10 networks of `macro` at a quarter of the width, 2 cores: 1.45 times faster.
AT_ONCE = 2

# Networks whose logits are looked at together: there is little to do for each, and threads that
# score networks would wait for it in turns.
TOLD_AT_ONCE = 64

# Networks, images and labels of a batch, and its activations at hand.
Job = tuple[Sequence[tuple[int, ...]], tuple[Tensor, Tensor], OfBatch | None]


class Supernet:
    """Weight-sharing network over a search space.

    Args:
        space: a space that has shared weights; restricted spaces use the weights of their base.
        data: what `evonas.data.get_data` returns, the name of a data set, or a pair of
            (images uint8 (n, channels, height, width), labels (n,)).
        width: scales every channel count of the shared weights. Params and MACs stay the
            space's. Copying weights out of it needs width 1.
        seed: seed of the first weights.

    Raises:
        InputError: the space has no shared weights, or its images or classes are not the data's.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: SearchData | str | tuple[Any, Any],
        width: float = 1.0,
        *,
        seed: int = 0,
    ) -> None:
        """Build the shared weights on the data's device."""
        if not space.has_supernet:
            raise InputError(
                f"the space '{space.name}' has no supernet; its networks are trained one by one"
            )
        if not width > 0:
            raise InputError(f"width is {width}; give a number above 0")
        self.space, self.width = space, float(width)
        self.data = _as_data(data)
        space.check_data(self.data.num_classes, self.data.input_shape)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: that reseeds accelerators too, for good.
            torch.default_generator.manual_seed(seed)
            network = shared_network(space.base, self.width)
            initialise(network)
        use_batch_statistics(network)
        self.network = _placed(network, self.device)
        if self.device.type == "cpu":
            keep_memory()
        self.trained_steps = 0
        self._validation: list[tuple[Tensor, Tensor]] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Supernet":
        """The supernet itself: pymoo copies algorithms and problems, and weights are heavy."""
        return self

    @property
    def device(self) -> torch.device:
        """Where weights and data live."""
        return self.data.train.device

    @property
    def trained(self) -> bool:
        """True once weights have been trained or loaded."""
        return self.trained_steps > 0

    def train(
        self,
        config: TrainingConfig,
        *,
        seed: int = 0,
        paths: Strategy | None = None,
        checkpoint: str | Path | None = None,
        companion: Companion | None = None,
        trainer: Trainer | None = None,
        stop: Callable[[], bool] = lambda: False,
        on_step: Callable[[int, float], None] | None = None,
    ) -> bool:
        """Train the shared weights; see `Trainer` for resumption, arguments and errors.

        Args:
            config: all numbers resolved; ``config.paths`` names the sampling strategy.
            seed: seed of paths, order of images and augmentation.
            paths: a sampling strategy of your own, as `evonas.supernet.paths` describes them.
            checkpoint: file for the state after each epoch.
            companion: told of each step, such as a `JointLearning`.
            trainer: one made by `trainer`, instead of all of the above.
            stop: True ends the training after the batch.
            on_step: told steps done and loss.

        Returns:
            True where the last step was reached, False where ``stop`` ended it before.
        """
        trainer = trainer or self.trainer(
            config, seed=seed, paths=paths, checkpoint=checkpoint, companion=companion
        )
        done = trainer.train(stop=stop, on_step=on_step)
        self.trained_steps = trainer.step
        return done

    def trainer(
        self,
        config: TrainingConfig,
        *,
        seed: int = 0,
        paths: Strategy | None = None,
        checkpoint: str | Path | None = None,
        companion: Companion | None = None,
        group: Group | None = None,
        keep: Callable[[Checkpoint], None] | None = None,
    ) -> Trainer:
        """The training loop over sampled paths, not yet started; arguments as of `Trainer`."""
        strategy = paths or get_paths(config.paths or "uniform")

        def passes(random_state: np.random.Generator) -> Iterable[tuple[Any, ...]]:
            if isinstance(strategy, MixtureSampling):
                gates = strategy.gates(self.space, random_state, trainer.progress)
                if np.shape(gates)[1:] != self.space.allowed.shape:
                    raise InputError(
                        f"the sampling strategy gives gates {np.shape(gates)}; a step needs "
                        f"(mixtures, {', '.join(map(str, self.space.allowed.shape))})"
                    )
                return [(part,) for part in torch.as_tensor(gates).float().to(self.device)]
            genomes = self.space.lift(strategy.sample(self.space, random_state))
            if len(genomes) > 1:  # the dearest first: several at once then end at about one time
                genomes = genomes[np.argsort(-self.space.base.macs(genomes), kind="stable")]
            return [(tuple(genome),) for genome in genomes.tolist()]

        some = self.space.sample(100, np.random.default_rng(0))
        trainer = Trainer(
            self.network,
            self.data.train,
            config,
            seed=seed,
            passes=passes,
            checkpoint=checkpoint,
            companion=companion,
            group=group,
            keep=keep,
            forward=self.network.mixture if isinstance(strategy, MixtureSampling) else None,
            macs=float(self.space.macs(some).mean()) * self.width**2,
        )
        return trainer

    @property
    def validation_batches(self) -> int:
        """Batches of validation images that `evaluate` goes through."""
        return len(self.batch_sizes)

    @property
    def batch_sizes(self) -> list[int]:
        """Validation images of each of them."""
        return [end - first for first, end in self.data.validation.spans(EVALUATION_BATCH)]

    @torch.no_grad()
    def evaluate(
        self,
        X: np.ndarray,
        *,
        batches: Collection[int] | None = None,
        half_resolution: bool = False,
        activations: Activations | None = None,
    ) -> Scores:
        """Score genomes on the validation images.

        Genomes that are equal functions share one evaluation, and paths that start alike share
        the layers they start with. Normalisation uses the statistics of each batch of validation
        images, so a score does not depend on the other genomes.

        Args:
            X: int (n, n_var).
            batches: which of the `validation_batches` to score them on, from 0; by default all.
            half_resolution: whether images are scored at half their side, as the first steps of a
                training may see them; far cheaper.
            activations: of earlier populations, with the weights as they are; more are put there.

        Returns:
            Error in percent and loss in nats, each (n,).

        Raises:
            InputError: a genome is none of the space, there is no such batch, or a network's loss
                is not finite.
        """
        if batches is not None and not batches:
            raise InputError("no batch to score networks on; give one or more")
        space = self.space
        canonical = space.lift(space.canonical(space.check(X)))
        distinct, where = np.unique(canonical, axis=0, return_inverse=True)
        images = self.batches(batches)
        if half_resolution:
            images = ((half_size(part), labels) for part, labels in images)
        known: Iterable[OfBatch] = ()
        if activations is not None:
            numbers = range(self.validation_batches) if batches is None else sorted(set(batches))
            known = [activations.of((number, half_resolution)) for number in numbers]
        scores = self.score([tuple(genome) for genome in distinct.tolist()], images, known=known)
        scores = scores[where.reshape(-1)]
        return Scores(error=scores[:, 0], loss=scores[:, 1])

    def evaluation_plan(self, X: np.ndarray, costs: BlockCosts | None = None) -> EvaluationPlan:
        """What `evaluate` would take, against scoring each genome by itself; nothing is scored.

        Args:
            X: int (n, n_var).
            costs: of each block, such as `block_seconds`; by default multiply-adds, by which early
                layers, which are dearer than that, look cheap.

        Raises:
            InputError: a genome is none of the space.
        """
        space = self.space
        canonical = space.lift(space.canonical(space.check(X)))
        return plan_evaluation(space, canonical, costs)

    def block_seconds(self, *, repeats: int = 5) -> BlockCosts:
        """Median seconds of each block of a chain on one validation batch, for `evaluation_plan`.

        Raises:
            InputError: the space is no chain.
        """
        if not isinstance(self.network, SharedChain):
            raise InputError(
                f"the networks of '{self.space.name}' are no chains of blocks; leave costs out"
            )
        ((images, _),) = self.batches({0})
        with mixed_precision(self.device):
            return seconds_of_blocks(self.network, images, repeats=repeats)

    @torch.no_grad()
    def score(
        self,
        genomes: Sequence[tuple[int, ...]],
        batches: Iterable[tuple[Tensor, Tensor]],
        *,
        known: Iterable[OfBatch] = (),
    ) -> np.ndarray:
        """Error in percent and loss in nats (n, 2) of genomes as written, on given images.

        Args:
            genomes: one choice per gene each, in the numbering of the base space; those that start
                alike had better be neighbours.
            batches: normalised images and labels, as from `batches`.
            known: activations of the first batches, in order, from earlier calls with these
                weights.

        Raises:
            InputError: a network's loss is not finite.
        """
        wrong = torch.zeros(len(genomes), dtype=torch.int64, device=self.device)
        loss = torch.zeros(len(genomes), dtype=torch.float64, device=self.device)
        images = 0
        for outcomes in self._outcomes(genomes, batches, known):
            wrong += outcomes.wrong.sum(1)
            loss += outcomes.loss.sum(1, dtype=torch.float64)
            images += outcomes.wrong.shape[1]
        scores = torch.stack([100.0 * wrong.double(), loss], dim=1).cpu().numpy() / images
        self._check_losses(genomes, scores[:, 1])
        return scores

    @torch.no_grad()
    def outcomes(
        self,
        genomes: Sequence[tuple[int, ...]],
        batches: Collection[int],
        *,
        activations: Activations | None = None,
    ) -> Outcomes[np.ndarray]:
        """What genomes as written make of each image of validation batches, in their order.

        Args:
            genomes: as for `score`.
            batches: which of the `validation_batches`, from 0, one or more.
            activations: as for `evaluate`.

        Returns:
            Arrays (n, images): `wrong` bool, the others float32.

        Raises:
            InputError: a network's loss is not finite, or there is no such batch.
        """
        numbers = sorted(set(batches))
        known = [] if activations is None else [activations.of((i, False)) for i in numbers]
        told = zip(*self._outcomes(genomes, self.batches(numbers), known), strict=True)
        outcomes = Outcomes(*(torch.cat(values, dim=1).cpu().numpy() for values in told))
        self._check_losses(genomes, outcomes.loss.sum(axis=1))
        return outcomes

    def _outcomes(
        self,
        genomes: Sequence[tuple[int, ...]],
        batches: Iterable[tuple[Tensor, Tensor]],
        known: Iterable[OfBatch],
    ) -> Iterator[Outcomes[Tensor]]:
        """Outcomes of each batch, in order.

        With memory for activations a CPU scores several batches at once, and shares the networks
        out of a last one.
        """
        known = list(known)
        jobs = zip(repeat(genomes), batches, chain(known, repeat(None)), strict=False)
        threads = torch.get_num_threads()

        def alone(job: Job) -> Outcomes[Tensor]:
            return self._outcomes_of(*job)

        # Where members have several threads each, going from these to all of them and back for
        # statistics has not been measured.
        shared_out = self.device.type == "cpu" and threads // AT_ONCE == 1
        several = len(known) >= AT_ONCE or len(genomes) >= AT_ONCE
        if not shared_out or not several or not known or not known[0].limit:
            yield from map(alone, jobs)
            return
        ended, sum_by = threading.Event(), summing() or threads

        def at_once(job: Job) -> Outcomes[Tensor]:
            with summed_by(sum_by):
                return self._outcomes_of(*job, BRANCH_MEMORY / AT_ONCE, ended.is_set)

        cuts = [i * len(genomes) // AT_ONCE for i in range(AT_ONCE + 1)]
        team = Team(AT_ONCE)
        try:
            while some := list(islice(jobs, 2 * AT_ONCE)):
                together = len(some) - len(some) % AT_ONCE
                yield from team.map(at_once, some[:together])
                for job in some[together:]:
                    if len(genomes) < AT_ONCE:
                        yield alone(job)
                        continue
                    parts = [(genomes[a:b], *job[1:]) for a, b in pairwise(cuts)]
                    yield Outcomes(*map(torch.cat, zip(*team.map(at_once, parts), strict=True)))
        finally:
            ended.set()  # so that an interrupted caller need not wait for long
            team.end()

    @torch.no_grad()
    def _outcomes_of(
        self,
        genomes: Sequence[tuple[int, ...]],
        batch: tuple[Tensor, Tensor],
        known: OfBatch | None,
        memory: float = BRANCH_MEMORY,
        ended: Callable[[], bool] = lambda: False,
    ) -> Outcomes[Tensor]:
        images, labels = batch
        told = []
        with mixed_precision(self.device):
            paths = self.network.each(images, genomes, memory=memory, known=known)
            logits = (each.float() for each in _until(ended, paths))
            while some := list(islice(logits, TOLD_AT_ONCE)):
                told.append(outcomes_of(torch.stack(some), labels))
        if not told:  # a population of none
            none = images.new_empty(0, len(labels))
            return Outcomes(none.bool(), none, none)
        return Outcomes(*map(torch.cat, zip(*told, strict=True)))

    def _check_losses(self, genomes: Sequence[tuple[int, ...]], losses: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            name = self.space.base.decode(np.array(genomes[bad[0]]))
            raise InputError(
                f"the loss of {name} is {losses[bad[0]]}: the shared weights have diverged; train "
                "again with a smaller --training.lr"
            )

    def logits(self, images: Tensor, genome: tuple[int, ...]) -> Tensor:
        """Logits of one path, as written.

        Args:
            images: normalised floats (n, channels, height, width) on the device.
            genome: one choice per gene, in the numbering of the base space.

        Returns:
            float32 (n, classes).
        """
        with mixed_precision(self.device):
            return self.network(images, genome).float()

    def batches(self, only: Collection[int] | None = None) -> Iterable[tuple[Tensor, Tensor]]:
        """Validation images, normalised, and their labels, in batches on the device.

        Args:
            only: which of the `validation_batches`, from 0; by default all.

        Raises:
            InputError: there is no such batch.
        """
        if only is not None and not set(only) <= set(range(self.validation_batches)):
            raise InputError(
                f"batches are {sorted(only)}; give some of 0 to {self.validation_batches - 1}"
            )
        validation = self.data.validation
        bytes_needed = 4 * len(validation) * math.prod(validation.shape)
        fit = isinstance(validation, ImageTensors) and bytes_needed <= default_limit(self.device)
        if not fit:  # made anew each time
            return validation.batches(EVALUATION_BATCH, channels_last=True, only=only)
        if self._validation is None:
            self._validation = list(validation.batches(EVALUATION_BATCH, channels_last=True))
        return self._validation if only is None else [self._validation[i] for i in sorted(only)]

    def extract(self, x: np.ndarray, *, calibration_batches: int = 10) -> nn.Module:
        """A stand-alone network with a copy of the shared weights of one genome.

        Its running statistics are estimated on batches of training images, and it is in
        evaluation mode: ready to be used.

        Args:
            x: int (n_var,).
            calibration_batches: batches of up to 125 training images.

        Raises:
            InputError: the width is not 1, so that the weights fit no network of the space.
        """
        if self.width != 1:
            raise InputError(
                f"the shared weights have width {self.width:g} and fit no network of the space; "
                "train a supernet with --width 1 to take weights out of it"
            )
        genome = self.space.lift(self.space.check(np.asarray(x)[None]))[0]
        network = _placed(self.space.base.build(genome), self.device)
        _, unexpected = network.load_state_dict(
            self.network.path_state(genome.tolist()), strict=False
        )
        assert not unexpected, unexpected
        generator = torch.Generator(self.device).manual_seed(0)
        size = min(EVALUATION_BATCH, len(self.data.train))
        batches = self.data.train.batches(size, generator, augment=False)
        estimate_statistics(network, [images for images, _ in islice(batches, calibration_batches)])
        return network.eval()

    def save(self, path: str | Path) -> None:
        """Write all weights and what they belong to as safetensors, with what `space` holds.

        Raises:
            InputError: the file cannot be written.
        """
        Checkpoint(
            dict(self.network.state_dict()),
            {
                "space": self.space.base.name,
                "num_classes": self.space.num_classes,
                "input_shape": list(self.space.input_shape),
                "width": self.width,
                "steps": self.trained_steps,
                "allowed": self.space.allowed.tolist(),
                "data": self.data.name,
                "data_checksum": self.data.checksum,
                "validation": len(self.data.validation),
            },
        ).save(path)

    @classmethod
    def load(
        cls,
        path: str | Path,
        data: SearchData | str | tuple[Any, Any],
        *,
        space: SearchSpace | None = None,
    ) -> "Supernet":
        """Read a supernet that `save` wrote.

        Args:
            path: the file, or a run folder.
            data: as for the constructor; it must be the data the weights were trained on.
            space: by default the registered space of the stored name. Of weights that were saved
                after a pruning, what the pruning left of it; a restricted space is taken as it is.

        Raises:
            InputError: the file is missing, torn, or belongs to other data or another space.
        """
        path = Path(path)
        if path.is_dir():
            path = path / "supernet" / "weights.safetensors"
            if not path.exists():
                raise InputError(
                    f"{path.parent.parent} holds no trained supernet; name a run whose training "
                    "has ended"
                )
        saved = Checkpoint.load(path)
        values = saved.values
        if space is None:
            space = get_space(
                values["space"],
                num_classes=values["num_classes"],
                input_shape=tuple(values["input_shape"]),
            )
        if values["space"] != space.base.name:
            raise InputError(
                f"{path} holds weights of the space '{values['space']}', not "
                f"'{space.base.name}'; give --space {values['space']}"
            )
        supernet = cls(_saved_space(space, values), data, width=values["width"])
        if values["data"] != supernet.data.name:
            raise InputError(
                f"{path} was trained on '{values['data']}', not '{supernet.data.name}'; "
                "give a supernet of the same data"
            )
        if values["data_checksum"] != supernet.data.checksum:
            raise InputError(
                f"{path} was trained on other images than '{supernet.data.name}' has now; give the "
                "data folder that it was trained on"
            )
        if len(supernet.data.validation) > values["validation"]:
            # Splits are nested: more validation images would be taken from the training images.
            raise InputError(
                f"{path} has seen some of these {len(supernet.data.validation)} validation images "
                f"in its training; ask for at most {values['validation']}"
            )
        try:
            supernet.network.load_state_dict(saved.tensors)
        except RuntimeError:
            raise InputError(
                f"{path} does not fit the space '{space.base.name}' of this version; train again"
            ) from None
        supernet.trained_steps = int(values["steps"])
        return supernet


def _saved_space(space: SearchSpace, values: Mapping[str, Any]) -> SearchSpace:
    """What weights were saved with of an unrestricted space."""
    if space is not space.base or "allowed" not in values:
        return space
    return space.restrict(np.array(values["allowed"], dtype=np.bool_))


def _placed(network: Any, device: torch.device) -> Any:
    # Channels last is the faster layout on processors and accelerators alike.
    return network.to(device, memory_format=torch.channels_last)


def _as_data(data: SearchData | str | tuple[Any, Any]) -> SearchData:
    if isinstance(data, str):
        return get_data(data)
    if isinstance(data, tuple):
        return from_tensors(*data)
    return data


def _until(ended: Callable[[], bool], values: Iterable[Tensor]) -> Iterator[Tensor]:
    """Values up to the one after which it has ended."""
    for value in values:
        yield value
        if ended():
            return
