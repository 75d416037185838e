"""What each worker of a training does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evonas.cluster.kit import Kit
from evonas.config import TrainingConfig

if TYPE_CHECKING:
    from evonas.training import Checkpoint
    from evonas.training.group import Group

# Seconds between two words with the desk.
_TELL_EVERY = 0.2
# Steps between two agreements, at most.
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training as workers get it.

    Attributes:
        kit: space and data of the supernet.
        width: of its shared weights.
        config: all numbers resolved.
        seed: of the training.
        desk: the actor of Ray that has the state to begin with, and takes those to come.
        threads: CPU threads of each worker.
    """

    kit: Kit
    width: float
    config: TrainingConfig
    seed: int
    desk: Any
    threads: int


def work(job: Job) -> None:
    """Train with all the others, in a process that Ray Train has begun.

    Raises:
        NodeUnfit: this machine has another evonas, or not the data.
        TrainingDiverged: the loss is not a number.
    """
    import ray
    import torch
    from ray.train import get_context

    from evonas.supernet import Supernet
    from evonas.training import Checkpoint
    from evonas.training.group import Group

    torch.get_num_threads()  # or its first operation would take what threads begin with
    torch.set_num_threads(job.threads)
    supernet = Supernet(*job.kit.open(), job.width)
    context = get_context()
    group = Group(context.get_world_rank(), context.get_world_size())
    first = _First(job.desk) if group.rank == 0 else None
    trainer = supernet.trainer(
        job.config, seed=job.seed, group=group, keep=first.keep if first else None
    )
    trainer.restore(Checkpoint.from_bytes(ray.get(job.desk.state.remote())))
    if first:
        first.step = first.kept = trainer.step
    agreement = Agreement(group, first.to_stop if first else lambda: False)
    done = trainer.train(stop=agreement, on_step=first.on_step if first else None)
    if first:
        if done and first.kept < trainer.step:
            first.keep(trainer.state())
        first.tell()


class _First:
    """The worker that speaks for all.

    Args:
        desk: where it leaves word.
    """

    def __init__(self, desk: Any) -> None:
        self.step = self.kept = 0
        self._desk, self._loss = desk, math.nan
        self._answer: Any = None
        self._told_at = -math.inf
        self._stop = False

    def on_step(self, steps: int, loss: float) -> None:
        """Leave word now and then, without waiting for an answer."""
        self.step += steps
        self._loss = loss
        self.to_stop()
        if self._answer is None and time.monotonic() - self._told_at >= _TELL_EVERY:
            self._answer = self._desk.tell.remote(self.step, loss)
            self._told_at = time.monotonic()

    def to_stop(self) -> bool:
        """Whether all are to stop, by the answer to the last word where it has come."""
        import ray

        if self._answer is not None and ray.wait([self._answer], timeout=0)[0]:
            self._stop |= ray.get(self._answer)
            self._answer = None
        return self._stop

    def tell(self) -> None:
        """Leave the last word."""
        import ray

        ray.get(self._desk.tell.remote(self.step, self._loss))

    def keep(self, state: Checkpoint) -> None:
        """Leave the state of the training there."""
        import ray

        self.kept = int(state.values["step"])
        ray.get(self._desk.keep.remote(self.kept, state.to_bytes()))


class Agreement:
    """Whether to stop, the same in all processes: the first one's wish, about once a second.

    An exchange after every step would take as long as a small step itself.

    Args:
        group: the processes; each asks after each of its steps.
        wish: whether the first one wants to; of the others it is not asked.
    """

    def __init__(self, group: Group, wish: Callable[[], bool]) -> None:
        self._group, self._wish = group, wish
        self._steps = self._left = 1
        self._since = time.monotonic()

    def __call__(self) -> bool:
        """Whether to stop now."""
        self._left -= 1
        if self._left:
            return False
        import torch

        word = torch.zeros((), dtype=torch.int64)
        if self._group.rank == 0 and not self._wish():
            word += self._in_a_second()
        self._group.add_up([word])  # to which the others add nothing
        self._steps = self._left = int(word)
        return self._steps == 0

    def _in_a_second(self) -> int:
        """Steps until the next exchange, as fast as those since the last one."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        return max(1, min(_LONGEST, int(self._steps / max(seconds, 1e-6))))
