"""The training loop."""

import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from evonas.config import TrainingConfig, to_dict
from evonas.device import keep_memory
from evonas.errors import InputError
from evonas.training.checkpoint import Checkpoint
from evonas.training.group import Group
from evonas.training.replay import NotRecorded, ReplayedStep
from evonas.training.schedule import HALF_STEP, check_batch, half_steps, warmup_cosine
from evonas.training.team import Team, add_gradients

# On an accelerator the loss is looked at this rarely: looking makes the host wait for the device.
_LOOK_EVERY = 50

# Multiply-adds of a pass, forward, from which on passes have all threads of a CPU, one by one. At
# once three of `macro` took 1.03 to 1.04 of the time of stand-alone ones (60 pairs), one by one
# 1.00. Smaller ones gain from it, and so would the thin layers of `mobile-cifar` (0.93).
HEAVY = 2e9
# So many steps earn back what it takes to choose the kernels of a recorded one.
_CHOOSING_STEPS = 10_000


class TrainingDiverged(InputError):
    """The loss is no longer a number."""


class Batches(Protocol):
    """What the trainer needs of training data."""

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch; an InputError where there is not even one."""
        ...

    def batches(
        self, batch_size: int, generator: torch.Generator, *, channels_last: bool
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """One epoch of shuffled, augmented (images, labels)."""
        ...


class Companion(Protocol):
    """Something that goes along with a training, and is part of its checkpoints."""

    def after_step(self, step: int) -> None:
        """A step has been made; so many are done."""
        ...

    def state(self) -> dict[str, Any]:
        """All that its further course depends on, as JSON can hold it."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        ...


Passes = Callable[[np.random.Generator], Iterable[tuple[Any, ...]]]


def usual_precision(device: torch.device) -> str:
    """What to compute in where nothing is said: "bfloat16" on CUDA, where it is faster."""
    return "bfloat16" if device.type == "cuda" else "float32"


def mixed_precision(device: torch.device, precision: str | None = None) -> torch.autocast:
    """A context of float32, or of bfloat16 mixed with it.

    Args:
        device: of all tensors.
        precision: "float32" or "bfloat16"; by default what is usual there.
    """
    precision = precision or usual_precision(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def half_size(images: Tensor) -> Tensor:
    """Images (n, channels, height, width) of half the side, rounded up."""
    return F.avg_pool2d(images, 2, ceil_mode=True)


def one_pass(random_state: np.random.Generator) -> list[tuple[Any, ...]]:
    """A step of a stand-alone network: one forward with nothing but the images."""
    return [()]


class Trainer:
    """Trains a network with SGD, Nesterov momentum, warm-up, cosine, smoothing and clipping.

    Where ``config.half_resolution`` says so, the first steps see images of half the side
    (progressive resizing: Howard, DAWNBench 2018; Tan and Le, EfficientNetV2, 2021). That fits
    networks that end in global pooling and normalise by the batch, as supernets here do.

    The state after an epoch, written to one checkpoint, is everything: weights, momentum, step,
    and both generators. On a CPU a resumed training equals an unbroken one bit for bit.

    Args:
        network: trained in place.
        data: training images on the network's device.
        config: all numbers resolved (no ``None``).
        seed: seed of the order of images, their augmentation, and the passes.
        passes: the forwards of one step, as argument tuples. Each gets a part of the batch of
            its own; the gradients of their mean losses are added. The passes of a supernet are
            the genomes of its sampling strategy.
        checkpoint: file that holds the state after each epoch; read at once if it exists.
        companion: told of each step; its state goes into the checkpoints, and comes back from
            them.
        forward: called as ``forward(images, *arguments)`` for the logits of a pass; by default the
            network.
        nesterov: whether momentum is Nesterov's.
        ema: decay, per step, of an average of weights and statistics, which the network gets at
            the end of `train`; 0 is none.
        checkpoint_seconds: the least time between two checkpoints; where it is above 0 the end of
            the training need not be in one.
        options: of the command line, that messages name: "training" of ``--training.lr``.
        replay: record what the network does in a step, and replay it; for CUDA, and for `passes`
            of one forward with nothing but the images.
        macs: about how many multiply-adds a pass takes for an image.
        group: this process and others, which do the same with the same arguments. A step is that
            of one process, with its images and its passes, but that each process computes on its
            share of the images of a pass, of which batch statistics are. Only the first one
            keeps the state.
        keep: gets the state after each epoch, where no file of this machine is to hold it.

    Attributes:
        seconds: that the epochs so far took, in all processes.

    Raises:
        InputError: a number is missing, the data holds less than one batch, or the checkpoint
            belongs to another network or other settings.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Batches,
        config: TrainingConfig,
        *,
        seed: int = 0,
        passes: Passes = one_pass,
        checkpoint: str | Path | None = None,
        companion: Companion | None = None,
        forward: Callable[..., Tensor] | None = None,
        nesterov: bool = True,
        ema: float = 0.0,
        checkpoint_seconds: float = 0.0,
        options: str = "training",
        replay: bool = False,
        macs: float = 0.0,
        group: Group | None = None,
        keep: Callable[[Checkpoint], None] | None = None,
    ) -> None:
        """Set the loop up and read the checkpoint where there is one."""
        for name in ("steps", "batch_size", "lr", "weight_decay", "label_smoothing"):
            if getattr(config, name) is None:
                raise InputError(f"training.{name} is not set; give it a number")
        assert config.batch_size and config.lr and config.weight_decay is not None
        self.steps_per_epoch = data.steps(config.batch_size)
        self.network, self.data, self.config, self.passes = network, data, config, passes
        self.macs = macs
        self.group = group
        self.forward = network if forward is None else forward  # a compiled one has no truth value
        self.parameters = list(network.parameters())
        self.device = self.parameters[0].device
        if self.device.type == "cpu":
            keep_memory()
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.random_state = np.random.default_rng(seed)
        self.seed = seed
        self.step = 0
        self.seconds = 0.0
        self.companion = companion
        self.optimizer = torch.optim.SGD(
            self.parameters,
            lr=config.lr,
            momentum=config.momentum,
            nesterov=nesterov and config.momentum > 0,
            weight_decay=config.weight_decay,
            fused=True,
        )
        if config.momentum:
            # The fused step wants all buffers or none, but a path's first gradient may come late.
            for parameter in self.parameters:
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        self.settings = {**to_dict(config), "seed": seed, "nesterov": nesterov, "ema": ema}
        self.average = _average(network, ema) if ema else None
        self.checkpoint_seconds, self._saved_at = checkpoint_seconds, time.monotonic()
        self.options = options
        self.replay = replay
        self._recorded: ReplayedStep | None = None
        self._team: Team | None = None
        self.checkpoint = path = Path(checkpoint) if checkpoint else None
        if path and keep is None:
            keep = lambda state: state.save(path)  # noqa: E731
        self.keep = None if group and group.rank > 0 else keep
        if self.checkpoint and self.checkpoint.exists():
            self.restore(Checkpoint.load(self.checkpoint))

    @property
    def steps(self) -> int:
        """Steps in all."""
        assert self.config.steps
        return self.config.steps

    @property
    def _members(self) -> int:
        return self.group.size if self.group else 1

    @property
    def progress(self) -> float:
        """Where in the training the next step is: 0 is the first, 1 the last."""
        return self.step / max(1, self.steps - 1)

    @property
    def half_steps(self) -> int:
        """Steps, from the first on, that see images of half the side."""
        return half_steps(self.steps, self.config.half_resolution)

    def work(self, step: int) -> float:
        """How much work the first so many steps are, in steps on images of full size."""
        return step - (1 - HALF_STEP) * min(step, self.half_steps)

    def train(
        self,
        *,
        stop: Callable[[], bool] = lambda: False,
        on_step: Callable[[int, float], None] | None = None,
    ) -> bool:
        """Train from where the state stands to the last step.

        Args:
            stop: asked after each step; True ends the training after this batch. What was done
                since the last checkpoint is then done again by the next call. It says the same in
                all processes of a group.
            on_step: called with the number of steps done since its last call and the latest loss
                seen (each step on a CPU, every 50 on an accelerator).

        Returns:
            True where the last step was reached.

        Raises:
            TrainingDiverged: the loss is not a number; no checkpoint holds that state.
        """
        try:
            return self._train(stop, on_step)
        finally:
            self._recorded = None  # it holds the memory of a whole step
            if self._team:
                self._team.end()
                self._team = None

    def _train(
        self, stop: Callable[[], bool], on_step: Callable[[int, float], None] | None
    ) -> bool:
        self.network.train()
        look_every = 1 if self.device.type == "cpu" else _LOOK_EVERY
        losses: list[Tensor] = []
        start = time.perf_counter() - self.seconds
        while self.step < self.steps:
            for images, labels in self.epoch():
                losses.append(self.train_step(images, labels))
                if self.companion:
                    self.companion.after_step(self.step)
                if len(losses) >= look_every or self.step == self.steps:
                    self._look(losses, on_step)
                if stop():
                    return self._ended()
                if self.step == self.steps:
                    break
            self._look(losses, on_step)
            self._check_weights()
            self.seconds = time.perf_counter() - start
            if self.keep and time.monotonic() - self._saved_at >= self.checkpoint_seconds:
                self.keep(self.state())
                self._saved_at = time.monotonic()
        return self._ended()

    def _ended(self) -> bool:
        """Whether the last step was reached; the network then gets the average, if there is one."""
        if self.step < self.steps:
            return False
        if self.average:
            self.network.load_state_dict(self.average.module.state_dict())
        return True

    def train_step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One optimiser step.

        Args:
            images: float (n, channels, height, width), of full size.
            labels: int64 (n,).

        Returns:
            The mean loss of its passes in nats, left on the device.
        """
        self.optimizer.param_groups[0]["lr"] = self._rate(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        arguments = list(self.passes(self.random_state))
        check_batch(len(labels), len(arguments), self._members)
        if self.step < self.half_steps:
            images = half_size(images)
        team = self._team_of(len(arguments), images)
        with team.lead() if team else nullcontext():
            return self._step(images, labels, arguments, team)

    def _team_of(self, passes: int, images: Tensor) -> Team | None:
        """Who makes the passes of a step at once; None where they are made one by one."""
        if self.device.type != "cpu" or min(passes, torch.get_num_threads()) == 1:
            return None
        pixels = 1 / 4 if self.step < self.half_steps else 1.0
        if self.macs * pixels * len(images) / passes / self._members > HEAVY:
            return None
        self._team = self._team or Team(passes)
        return self._team

    def _step(
        self,
        images: Tensor,
        labels: Tensor,
        arguments: Sequence[tuple[Any, ...]],
        team: Team | None,
    ) -> Tensor:
        if self.replay:
            if arguments != [()]:
                raise ValueError("steps are replayed where each is one forward of the images alone")
            loss = self._replayed(images, labels)
        else:
            loss = self._gradients(images, labels, arguments, team)
        # Most weights of a supernet take no part in a step; only those that do have gradients.
        moved = [p for p in self.parameters if p.grad is not None]
        if self.group:
            self.group.add_up([loss, *(p.grad for p in moved if p.grad is not None)])
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(moved, self.config.clip_norm, foreach=True)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.network)
        self.step += 1
        return loss

    def _gradients(
        self,
        images: Tensor,
        labels: Tensor,
        arguments: Sequence[tuple[Any, ...]] = ((),),
        team: Team | None = None,
    ) -> Tensor:
        """Gradients of all passes in the parameters; their mean loss."""
        k = len(arguments)
        parts = zip(arguments, images.tensor_split(k), labels.tensor_split(k), strict=True)
        total = torch.zeros((), device=self.device)
        if team:
            for loss, gradients in team.map(self._apart, parts):
                add_gradients(self.parameters, gradients)
                total += loss
            return total / k
        for more, part, truth in parts:
            loss = self._loss(part, truth, more)
            loss.backward()
            total += loss.detach()
        return total / k

    def _loss(self, images: Tensor, labels: Tensor, arguments: tuple[Any, ...]) -> Tensor:
        """Mean loss of a pass; in a group a part of it, and the sum of all parts is it."""
        whole = len(labels)
        if self.group:
            images, labels = self.group.share(images), self.group.share(labels)
        with mixed_precision(self.device, self.config.precision):
            logits = self.forward(images, *arguments)
        loss = F.cross_entropy(
            logits.float(), labels, label_smoothing=self.config.label_smoothing or 0.0
        )
        return loss * (len(labels) / whole) if self.group else loss

    def _apart(
        self, one: tuple[tuple[Any, ...], Tensor, Tensor]
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Loss and gradients of one pass, left out of the parameters."""
        arguments, images, labels = one
        loss = self._loss(images, labels, arguments)
        return loss.detach(), torch.autograd.grad(loss, self.parameters, allow_unused=True)

    def _replayed(self, images: Tensor, labels: Tensor) -> Tensor:
        """As `_gradients`, of a network that does the same in each step."""
        if self._recorded is None or self._recorded.images.shape != images.shape:
            self._recorded = None  # frees its memory, before as much is taken again
            end = self.half_steps if self.step < self.half_steps else self.steps
            try:
                self._recorded = ReplayedStep(
                    self._gradients,
                    self.network,
                    images,
                    labels,
                    choose=end - self.step >= _CHOOSING_STEPS,
                )
            except NotRecorded as error:
                warnings.warn(f"{error}; its kernels are launched one by one", stacklevel=2)
                self.replay = False
        if self._recorded is None:
            return self._gradients(images, labels)
        return self._recorded(images, labels)

    def state(self) -> Checkpoint:
        """Everything that the rest of the training depends on."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            if self.config.momentum:
                tensors[f"momentum.{name}"] = self.optimizer.state[parameter]["momentum_buffer"]
        if self.average:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors["generator"] = self.generator.get_state()
        values = {
            "step": self.step,
            "seconds": self.seconds,
            "settings": self.settings,
            "random_state": json.dumps(self.random_state.bit_generator.state),
        }
        if self.companion:
            values["companion"] = self.companion.state()
        return Checkpoint({k: v.clone() for k, v in tensors.items()}, values)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from what `state` gave.

        Raises:
            InputError: it belongs to another network or other settings.
        """
        before = saved.values.get("settings", {})
        for name, now in self.settings.items():
            # Another device may go on in another precision.
            if before.get(name) != now and name != "precision":
                raise InputError(
                    f"{self.checkpoint} was made with {name} = {before.get(name)}, "
                    f"not {now}; give the same settings or another run folder"
                )
        try:
            self.network.load_state_dict(_part(saved.tensors, "network."))
            if self.average:
                self.average.load_state_dict(_part(saved.tensors, "average."))
        except RuntimeError:
            raise InputError(
                f"{self.checkpoint} belongs to another network; give the same space and width"
            ) from None
        for name, parameter in self.network.named_parameters():
            if self.config.momentum:
                buffer = self.optimizer.state[parameter]["momentum_buffer"]
                buffer.copy_(saved.tensors[f"momentum.{name}"])
        generator = saved.tensors["generator"]
        if len(generator) == len(self.generator.get_state()):
            self.generator.set_state(generator)
        else:  # of another kind of device, whose numbers are others anyway
            self.generator.manual_seed(self.seed + int(saved.values["step"]))
        self.random_state.bit_generator.state = json.loads(saved.values["random_state"])
        self.step = int(saved.values["step"])
        self.seconds = float(saved.values.get("seconds", 0.0))
        if self.companion:
            if "companion" not in saved.values:
                raise InputError(
                    f"{self.checkpoint} is of another kind of training; give another run folder"
                )
            self.companion.restore(saved.values["companion"])

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (images, labels), drawn from the trainer's generator."""
        assert self.config.batch_size
        yield from self.data.batches(self.config.batch_size, self.generator, channels_last=True)

    def endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Epoch after epoch, of (images, labels)."""
        while True:
            yield from self.epoch()

    def _look(self, losses: list[Tensor], on_step: Callable[[int, float], None] | None) -> None:
        if not losses:
            return
        seen = torch.stack(losses).tolist()
        losses.clear()
        bad = next((i for i, loss in enumerate(seen) if not math.isfinite(loss)), None)
        if bad is not None:
            raise self._diverged(
                f"the training loss became {seen[bad]}", self.step - len(seen) + bad
            )
        if on_step:
            on_step(len(seen), seen[-1])

    def _check_weights(self) -> None:
        """A step may ruin the weights after the last loss was seen: no checkpoint may hold that."""
        finite = [torch.isfinite(parameter).all() for parameter in self.parameters]
        if not torch.stack(finite).all():
            raise self._diverged("the weights became infinite", self.step - 1)

    def _diverged(self, what: str, step: int) -> TrainingDiverged:
        return TrainingDiverged(
            f"{what} at step {step + 1} of {self.steps} with learning rate {self._rate(step):.4g}; "
            f"give a smaller --{self.options}.lr (now {self.config.lr:g})"
        )

    def _rate(self, step: int) -> float:
        assert self.config.lr
        return warmup_cosine(step, self.steps, peak=self.config.lr, warmup=self.config.warmup)


def _average(network: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
