"""How long a training from scratch takes on the device at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from evonas.config import ScratchConfig
from evonas.data import SearchData
from evonas.training.pool import do_several
from evonas.training.recipes import augmentation_of, recipe_of, training_of
from evonas.training.scratch import FITTED_IMAGES, new_network
from evonas.training.trainer import Trainer

# Measuring must not eat a budget: it ends after so many seconds for each size of image.
LONGEST = 5.0
# Without gradients an image takes about this share of what it takes in a step.
FORWARD = 1 / 3


def time_training(
    build: Callable[[], nn.Module], data: SearchData, config: ScratchConfig, *, steps: int = 10
) -> float:
    """Seconds that one of many trainings adds to the time of all.

    Where several are done at the same time, as many are timed so, and their number divides the
    time of one. What `torch.compile` takes and saves is left out.

    Args:
        build: makes the network, such as ``lambda: space.build(x)``.
        data: training and validation images.
        config: settled settings.
        steps: steps timed of each size of image, after one that is not; fewer where they take over
            5 seconds.
    """
    assert config.batch_size and config.epochs and config.at_once
    images = replace(data.train, augmentation=augmentation_of(config, data.train.augmentation))
    in_all = config.epochs * images.steps(config.batch_size)

    def job(half: float) -> Callable[[Callable[[], bool]], float]:
        def work(stop: Callable[[], bool]) -> float:
            training = replace(
                training_of(config, 1), steps=max(in_all, 10 * steps), half_resolution=half
            )
            trainer = Trainer(
                new_network(build, data.train.device),
                images,
                training,
                nesterov=recipe_of(config).nesterov,
                ema=config.ema or 0.0,
                replay=images.device.type == "cuda",
            )
            return step_seconds(trainer, steps)

        return work

    def each(half: float) -> float:
        jobs = [job(half)] * config.at_once if config.at_once else []
        done = do_several(jobs, at_once=len(jobs), device=data.train.device)
        return sum(seconds for _, seconds in done) / len(jobs)

    full, share = each(0.0), config.half_resolution or 0.0
    training = in_all * ((1 - share) * full + (share * each(1.0) if share else 0.0))
    looked_at = len(data.validation) + min(FITTED_IMAGES, len(data.train))
    return (training + FORWARD * full * looked_at / config.batch_size) / config.at_once


def step_seconds(trainer: Trainer, steps: int) -> float:
    """Seconds of a step; the first one, in which kernels are made, does not count.

    Args:
        trainer: makes the steps, whether or not so many are left.
        steps: that are timed; fewer where they take over 5 seconds.
    """
    trainer.network.train()
    taken: list[float] = []
    for images, labels in trainer.endless():
        start = time.perf_counter()
        trainer.train_step(images, labels)
        if trainer.device.type == "cuda":
            torch.cuda.current_stream(trainer.device).synchronize()
        taken.append(time.perf_counter() - start)
        if len(taken) > steps or (len(taken) > 1 and sum(taken) > LONGEST):
            break
    return sum(taken[1:]) / len(taken[1:])
