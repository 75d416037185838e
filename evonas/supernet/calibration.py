"""How long a step and an evaluation take on the device at hand."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from evonas.config import PRECISIONS, TrainingConfig, seconds
from evonas.data import SearchData
from evonas.device import computes_in_bfloat16, wait
from evonas.errors import InputError
from evonas.spaces import SearchSpace
from evonas.supernet.activations import Activations
from evonas.supernet.supernet import EVALUATION_BATCH, Supernet
from evonas.training import Trainer
from evonas.training.schedule import LEAST_STEPS
from evonas.training.trainer import usual_precision

# Measuring a slow space must not eat a budget: it ends after so many seconds.
LONGEST = 5.0

# A training in bfloat16 has to take less than this share of the time of one in float32: its numbers
# are less exact, and a choice that noise makes is another one tomorrow.
PAYS = 0.85
# Pairs of steps that tell which is faster, and the shortest training that they are worth it for.
PAIRS, WORTH_MEASURING = 8, 200

# Networks that show what one takes in the course of a search; the first half does not count.
COURSE = 64

# Multiples of it, modulo one, are spread evenly, however many there are.
GOLDEN = 0.618034


def time_step(supernet: Supernet, config: TrainingConfig, *, steps: int = 40) -> float:
    """Seconds of one training step, averaged over sampled paths and over both sizes of image.

    The given supernet is left as it is: one of the same shape is trained for a moment.

    Args:
        supernet: gives space, data and width.
        config: ``steps`` may be ``None``.
        steps: steps timed of each size of image, after a few that are not; fewer where they take
            over 5 seconds.
    """
    copy = Supernet(supernet.space, supernet.data, supernet.width)
    half = config.half_resolution or 0.0
    return sum(
        share * _time_step(copy, replace(config, half_resolution=size), steps)
        for share, size in ((half, 1.0), (1 - half, 0.0))
        if share
    )


def _time_step(supernet: Supernet, config: TrainingConfig, steps: int) -> float:
    # The schedule is of no importance here.
    trainer = supernet.trainer(replace(config, steps=10**6))
    batches = trainer.endless()
    _timed(trainer, islice(batches, 1), supernet.device)  # the first one also lists networks
    taken, seconds = _timed(trainer, islice(batches, 2), supernet.device)
    once = seconds / taken
    warm = max(1, min(8, int(LONGEST / 4 / once)))
    _timed(trainer, islice(batches, warm), supernet.device)
    taken, seconds = _timed(
        trainer, islice(batches, max(2, min(steps, int(LONGEST / once)))), supernet.device
    )
    return seconds / taken


def _timed(
    trainer: Trainer,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
    *,
    begin: int = 0,
) -> tuple[int, float]:
    """Train on batches, the first of which has a number; how many there were, and their seconds."""
    wait(device)
    start, steps = time.perf_counter(), 0
    for images, labels in batches:
        # What path dropout trains, and how long that takes, changes in the course of a training.
        trainer.step = int(trainer.steps * ((begin + steps) * GOLDEN % 1))
        trainer.train_step(images, labels)
        steps += 1
    wait(device)
    return steps, time.perf_counter() - start


def settle_precision(
    space: SearchSpace,
    data: SearchData,
    width: float,
    config: TrainingConfig,
    *,
    trained_on: str | None = None,
) -> TrainingConfig:
    """The settings with the precision that is faster, if they left that open.

    On a CPU with instructions for bfloat16 steps of a long training are timed in both, the same
    networks in turn: what pays in one space makes another slower.

    Args:
        space: of the supernet.
        data: on the device that trains.
        width: of the supernet.
        config: ``steps`` may be ``None``.
        trained_on: class of the device that trains, where it is another one: that is not timed.
    """
    if config.precision is not None:
        return config
    kind, here = trained_on or data.train.device.type, data.train.device.type
    precision = usual_precision(torch.device(kind))
    few = config.steps is not None and config.steps < WORTH_MEASURING
    if kind == here == "cpu" and not few and computes_in_bfloat16():
        pays = bfloat16_ratio(space, data, width, config) < PAYS
        precision = "bfloat16" if pays else "float32"
    return replace(config, precision=precision)


def bfloat16_ratio(
    space: SearchSpace,
    data: SearchData,
    width: float,
    config: TrainingConfig,
    *,
    pairs: int = PAIRS,
) -> float:
    """Time of a training in bfloat16, divided by that of the same in float32.

    Steps of both sizes of image count as often as they come; of each size medians.

    Args:
        space: of a supernet that is trained for a moment.
        data: on the device that trains.
        width: of the supernet.
        config: ``steps`` may be ``None``.
        pairs: of steps of each size, after two that do not count; fewer where they take over 5
            seconds.
    """
    supernet = Supernet(space, data, width)
    half = config.half_resolution or 0.0
    seconds = sum(
        (
            share * _step_in_both(supernet, replace(config, half_resolution=size), pairs)
            for share, size in ((half, 1.0), (1 - half, 0.0))
            if share
        ),
        np.zeros(2),
    )
    return float(seconds[1] / seconds[0])


def _step_in_both(supernet: Supernet, config: TrainingConfig, pairs: int) -> np.ndarray:
    """Median seconds of a step in float32 and in bfloat16, (2,)."""
    trainers = [
        supernet.trainer(replace(config, steps=10**6, precision=name)) for name in PRECISIONS
    ]
    batches = [trainer.endless() for trainer in trainers]

    def pair(number: int) -> list[float]:
        seconds = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            one = islice(batches[which], 1)
            _, seconds[which] = _timed(trainers[which], one, supernet.device, begin=number)
        return seconds

    pair(0)  # a processor's kernels are made when a layer first runs
    affordable = int(LONGEST / sum(pair(1)))
    times = [pair(2 + i) for i in range(max(1, min(pairs, affordable)))]
    return np.asarray(np.median(times, axis=0))


def time_evaluation(supernet: Supernet, *, networks: int = 20, memory: float = 0.0) -> float:
    """Seconds to score one network on one validation image, as one of a random population.

    With memory it is one of a search in full course: populations whose networks mix and change
    those before, and whose early layers are at hand.

    Args:
        supernet: gives space, data and width; it need not be trained.
        networks: size of a population. Those that start alike share layers, so that in a larger
            one, or in one that has converged, a network takes less.
        memory: bytes of activations that a search keeps for all validation images.
    """
    random_state = np.random.default_rng(0)
    genomes = supernet.space.sample(networks, random_state)
    one = _validating(supernet, 1)
    one.evaluate(genomes[:1])
    affordable = int(LONGEST / (_seconds(one, genomes[:1]) * networks))
    if affordable > 1:
        one.evaluate(genomes)  # a processor's kernels are made when a layer first runs
    if not memory:
        some = _validating(supernet, max(1, min(4, affordable)))
        return _seconds(some, genomes) / len(genomes) / len(some.data.validation)
    rounds = max(2, min(-(-COURSE // networks), affordable))
    some = _validating(supernet, max(1, min(4, affordable // rounds)))
    activations = Activations(memory * some.validation_batches / supernet.validation_batches)
    pool, times = genomes[:0], []
    for _ in range(rounds):
        times.append(_seconds(some, genomes, activations))
        pool = np.concatenate([pool, genomes])
        genomes = _offspring(supernet, pool, networks, random_state)
    late = times[rounds // 2 :]
    return sum(late) / len(late) / networks / len(some.data.validation)


def _offspring(
    supernet: Supernet, pool: np.ndarray, n: int, random_state: np.random.Generator
) -> np.ndarray:
    """Genomes that mix two of a pool, a gene or so anew, (n, n_var)."""
    first, second = pool[random_state.integers(len(pool), size=(2, n))]
    mixed = np.where(random_state.random(first.shape) < 0.5, first, second)
    anew = random_state.random(first.shape) < 1 / first.shape[1]
    return np.where(anew, supernet.space.sample(n, random_state), mixed)


def _seconds(
    supernet: Supernet, genomes: np.ndarray, activations: Activations | None = None
) -> float:
    start = time.perf_counter()
    supernet.evaluate(genomes, activations=activations)
    return time.perf_counter() - start


def _validating(supernet: Supernet, batches: int) -> Supernet:
    """One of the same shape that validates on so many batches."""
    validation = supernet.data.validation
    part = validation.take(min(len(validation), batches * EVALUATION_BATCH))
    return Supernet(supernet.space, replace(supernet.data, validation=part), supernet.width)


def steps_within(
    budget: str | float,
    supernet: Supernet,
    config: TrainingConfig,
    *,
    started: float | None = None,
) -> int:
    """Training steps that fit into a length of time.

    Args:
        budget: time, such as "2m" or seconds.
        supernet: gives space, data and width.
        config: ``steps`` may be ``None``.
        started: `time.perf_counter()` from which it counts; by default now.

    Raises:
        InputError: fewer than 20 do.
    """
    start = time.perf_counter() if started is None else started
    each = time_step(supernet, config)
    left = seconds(budget) - (time.perf_counter() - start)
    steps = int(left / each)
    if steps < LEAST_STEPS:
        raise InputError(
            f"a budget of {budget} is too small to train anything: a step takes {each:.3g} s; "
            f"give at least {LEAST_STEPS * each * 2 + 10:.0f}s"
        )
    return steps
