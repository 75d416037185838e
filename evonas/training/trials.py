"""Trainings as data, and who does them: threads of this process, or others that are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from evonas.config import ScratchConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from torch import Tensor

    from evonas.data import SearchData
    from evonas.spaces import SearchSpace
    from evonas.training.pool import JobPool
    from evonas.training.scratch import Trained
    from evonas.training.trainer import TrainingDiverged

    # What came of a trial; None: it was asked to stop.
    Ended: TypeAlias = Trained | TrainingDiverged | "TrialFailed" | None


@dataclass(frozen=True, eq=False)
class Trial:
    """One training of one network; says what, and neither where nor on which copy of the data.

    Attributes:
        network: canonical, in the notation of its space.
        genome: int (n_var,), in the numbering of the space.
        seed: of first weights, order of images and augmentation.
        config: settled.
        key: a file name, another for whatever changes the result.
        keeps_weights: whether anybody wants the weights that it leads to.
        begin: gives the weights that it begins with, where those are not of its seed.
    """

    network: str
    genome: np.ndarray
    seed: int
    config: ScratchConfig
    key: str
    keeps_weights: bool = True
    begin: Callable[[], Mapping[str, Tensor]] | None = None


@dataclass(frozen=True)
class TrialFailed:
    """A training that came to no end, however often it was begun.

    Attributes:
        error: the last one, in a line.
    """

    error: str


class Trials(Protocol):
    """Trainings under way."""

    @property
    def slots(self) -> int:
        """How many are done at the same time."""

    @property
    def load(self) -> dict[str, int]:
        """Of a cluster: how many `workers` are at work, and how many trainings are `queued`.

        And how many were `retried`, where some were.
        """

    def __len__(self) -> int:
        """Those submitted whose ends were not told."""

    def submit(self, trial: Trial) -> None:
        """Begin one, or put it into the queue."""

    def ended(self) -> tuple[Trial, Ended]:
        """The next that has ended; waits for one, of which there must be some.

        Raises:
            InputError: no training can be done in this way, whichever it is.
        """

    def ended_by_now(self) -> tuple[Trial, Ended] | None:
        """The same without waiting: None where none has ended."""


class Trainers(Protocol):
    """Who does trainings."""

    def open(
        self,
        space: SearchSpace,
        data: SearchData,
        *,
        at_once: int,
        stop: Callable[[], bool],
        checkpoint: Callable[[str], Path | None],
    ) -> AbstractContextManager[Trials]:
        """Begin; leaving the context stops what is under way.

        Args:
            space: of all genomes.
            data: training and validation images.
            at_once: trainings at the same time, where they are done in this process.
            stop: asked after each step.
            checkpoint: file for the state of a training under way, by its key; None for none.
        """


class LocalTrainers:
    """Threads of this process."""

    @contextmanager
    def open(
        self,
        space: SearchSpace,
        data: SearchData,
        *,
        at_once: int,
        stop: Callable[[], bool],
        checkpoint: Callable[[str], Path | None],
    ) -> Iterator[Trials]:
        """As of `Trainers`."""
        from evonas.training.pool import JobPool

        pool: JobPool[Trial, Ended] = JobPool(at_once, data.train.device, stop)
        with pool:
            yield _LocalTrials(pool, space, data, checkpoint, at_once)


@dataclass(frozen=True, eq=False)
class _LocalTrials:
    pool: JobPool[Trial, Ended]
    space: SearchSpace
    data: SearchData
    checkpoint: Callable[[str], Path | None]
    slots: int

    @property
    def load(self) -> dict[str, int]:
        return {}

    def __len__(self) -> int:
        return len(self.pool)

    def submit(self, trial: Trial) -> None:
        file = self.checkpoint(trial.key)
        job = partial(do_trial, trial, self.space, self.data, checkpoint=file)
        self.pool.submit(trial, lambda stop: job(stop=stop))

    def ended(self) -> tuple[Trial, Ended]:
        return self.pool.ended()

    def ended_by_now(self) -> tuple[Trial, Ended] | None:
        return self.pool.ended_by_now()


def do_trial(
    trial: Trial,
    space: SearchSpace,
    data: SearchData,
    *,
    checkpoint: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained | TrainingDiverged | None:
    """Do a training in this thread.

    Args:
        trial: what.
        space: of its genome.
        data: training and validation images.
        checkpoint: as of `train_network`.
        stop: asked before, and after each step.

    Returns:
        What came of it; None where it was stopped.
    """
    from evonas.training import scratch
    from evonas.training.trainer import TrainingDiverged

    if stop():
        return None
    build = partial(space.build, trial.genome)
    weights = trial.begin() if trial.begin else None
    network = scratch.new_network(build, data.train.device, seed=trial.seed, weights=weights)
    try:
        return scratch.train_network(
            network, data, trial.config, seed=trial.seed, checkpoint=checkpoint, stop=stop
        )
    except TrainingDiverged as error:
        return error.with_traceback(None)  # that holds the memory of the training
