"""How long a step and an evaluation take on the device at hand."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from evonas.config import TrainingConfig, seconds
from evonas.errors import InputError
from evonas.supernet.supernet import Supernet
from evonas.training import Trainer

# Fewer steps than this train nothing worth searching.
LEAST_STEPS = 20


def time_step(supernet: Supernet, config: TrainingConfig, *, steps: int = 40) -> float:
    """Seconds of one training step, averaged over sampled paths.

    The given supernet is left as it is: one of the same shape is trained for a moment.

    Args:
        supernet: gives space, data and width.
        config: ``steps`` may be ``None``.
        steps: steps timed, after eight that are not.
    """
    # The schedule is of no importance here.
    copy = Supernet(supernet.space, supernet.data, supernet.width)
    trainer = copy.trainer(replace(config, steps=10**6))
    batches = _endless(trainer)
    for images, labels in islice(batches, 8):
        trainer.train_step(images, labels)
    _wait(supernet.device)
    start = time.perf_counter()
    for images, labels in islice(batches, steps):
        trainer.train_step(images, labels)
    _wait(supernet.device)
    return (time.perf_counter() - start) / steps


def _endless(trainer: Trainer) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from trainer.epoch()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_evaluation(supernet: Supernet, *, networks: int = 6) -> float:
    """Seconds to score one network on the validation images, averaged over random networks."""
    random_state = np.random.default_rng(0)
    supernet.evaluate(supernet.space.sample(1, random_state))
    genomes = supernet.space.sample(networks, random_state)
    start = time.perf_counter()
    supernet.evaluate(genomes)
    return (time.perf_counter() - start) / networks


def steps_within(budget: str | float, supernet: Supernet, config: TrainingConfig) -> int:
    """Training steps that fit into a length of time.

    Raises:
        InputError: fewer than 20 do.
    """
    start = time.perf_counter()
    each = time_step(supernet, config)
    left = seconds(budget) - (time.perf_counter() - start)
    steps = int(left / each)
    if steps < LEAST_STEPS:
        raise InputError(
            f"a budget of {budget} is too small to train anything: a step takes {each:.3g} s; "
            f"give at least {LEAST_STEPS * each * 2 + 10:.0f}s"
        )
    return steps
