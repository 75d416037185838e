"""Shared weights trained by several workers, of which some may be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.cluster.course import Course
from evonas.cluster.fitting import fit, reason, refusal
from evonas.cluster.kit import Kit
from evonas.cluster.member import Job
from evonas.cluster.room import room_for
from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.training.schedule import check_batch

if TYPE_CHECKING:
    from evonas.supernet import Supernet

# Failures in a row that bring a training no further, after which it is given up.
FAILURES = 3
# Seconds to wait for room for all workers, at the beginning and after a loss.
PATIENCE, PATIENCE_AFTER_LOSS = 30.0, 10.0
# Seconds between two looks at how far workers are.
LOOK_EVERY = 0.2


def train_supernet(
    supernet: Supernet,
    config: TrainingConfig,
    *,
    workers: int,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    gpus: float = 0.0,
    cpus: int = 1,
    stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, float], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Train shared weights as `Supernet.train` does, by workers of the Ray that is connected to.

    A step has the images and networks of a step of one process; workers share the images of each
    network, and normalise by their shares. The checkpoint is the same too: a training may go on
    with another number of workers, or without Ray. One worker trains the very weights that one
    process with as many threads does.

    When a worker is lost, all begin again at the last checkpoint, and fewer of them where there is
    no room for as many.

    Args:
        supernet: gets the weights of the last step or, where it was stopped, of the last
            checkpoint.
        config: all numbers resolved.
        workers: processes that train together, from 1 on.
        seed: of paths, order of images and augmentation.
        checkpoint: file on this machine for the state after each epoch.
        gpus: GPUs of each worker; where they are less than 1, workers share one.
        cpus: CPUs, and threads, of each.
        stop: asked several times a second; True ends the training after a second or two.
        on_step: told how many steps more are done, and the latest loss, as often; of steps that are
            done again after a loss it is not told again.
        say: told of a loss, in a line.

    Returns:
        True where the last step was reached, False where ``stop`` ended it before.

    Raises:
        InputError: a share of the batch is too small, there is no room for the workers, a machine
            cannot do the work, they fail again and again, or the checkpoint belongs to something
            else or cannot be written.
        TrainingDiverged: the loss is not a number.
    """
    from evonas.supernet.paths import get_paths, passes_of_step
    from evonas.training import Checkpoint

    trainer = supernet.trainer(config, seed=seed, checkpoint=checkpoint)
    assert config.batch_size
    networks = passes_of_step(get_paths(config.paths or "uniform"), supernet.space)
    check_batch(config.batch_size, networks, workers)
    if trainer.step < trainer.steps:
        course = Course(trainer, stop=stop, on_step=on_step)
        job = Job(
            kit=Kit.of(supernet.space, supernet.data, "cuda" if gpus else "cpu", beside=workers),
            width=supernet.width,
            config=config,
            seed=seed,
            desk=course.desk,
            threads=cpus,
        )
        each = {"CPU": float(cpus), **({"GPU": gpus} if gpus else {})}
        with course:
            _see_through(course, job, workers, each, say)
        trainer.restore(Checkpoint.from_bytes(course.state))
    supernet.trained_steps = trainer.step
    return trainer.step == trainer.steps


def _see_through(
    course: Course,
    job: Job,
    workers: int,
    each: Mapping[str, float],
    say: Callable[[str], None],
) -> None:
    """Have workers train to the end, fewer of them after a loss where need be."""
    room = room_for(workers, each, patience=PATIENCE, stop=course.stop)
    if room < workers and not course.stopped:
        raise InputError(
            f"the cluster has room for {room} of {workers} workers with {_amounts(each)} each; "
            "give fewer, or see with `ray status` what else runs there"
        )
    failures = 0
    while not course.stopped:
        before = course.step
        error = _attempt(course, job, room, each)
        if error is None:
            return
        refused = refusal(error)
        if refused is not None:
            raise refused from None
        failures = 0 if course.step > before else failures + 1
        if failures == FAILURES:
            raise InputError(
                f"training on {workers} workers failed {FAILURES} times at step {course.step} of "
                f"{course.steps}, the last time with: {reason(error)}; see Ray's logs"
            ) from error
        room = room_for(workers, each, patience=PATIENCE_AFTER_LOSS, stop=course.stop)
        if course.stopped:
            return
        if not room:
            raise InputError(
                f"the workers were lost at step {course.step} of {course.steps}, and the cluster "
                f"has no room for one with {_amounts(each)}; go on with --resume when it has"
            ) from error
        say(f"workers failed ({reason(error)}); {room} of {workers} go on from step {course.step}")


def _attempt(course: Course, job: Job, workers: int, each: Mapping[str, float]) -> Exception | None:
    """Have workers train, and look how far they are; what ended it before its time, if anything."""
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            fit(job, workers, each)
        except Exception as error:
            failed.append(error)

    # An interrupted program does not wait for it.
    thread = threading.Thread(target=attempt, name="evonas-ray-train", daemon=True)
    thread.start()
    while thread.is_alive():
        course.look()
        thread.join(LOOK_EVERY)
    course.look()
    return failed[0] if failed else None


def _amounts(each: Mapping[str, float]) -> str:
    return " and ".join(f"{amount:g} {kind}" for kind, amount in each.items())
