"""Trainings as tasks of a Ray cluster: one trial, one task, with the resources that it declares."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.cluster.check import in_a_line
from evonas.cluster.connection import Cluster
from evonas.cluster.kit import Kit
from evonas.errors import InputError
from evonas.spaces import SearchSpace
from evonas.training.trials import Trial, TrialFailed, Trials, do_trial

if TYPE_CHECKING:
    from torch import Tensor

    from evonas.data import SearchData
    from evonas.training.scratch import Trained
    from evonas.training.trainer import TrainingDiverged
    from evonas.training.trials import Ended

# A trial that has failed so often is not tried again.
ATTEMPTS = 3
# Seconds between two looks at the stop flag.
LOOK = 0.2


class ClusterTrainers:
    """Does trainings on a cluster; for ``problem.trainers`` of a `ScratchProblem`.

    A killed worker's trial is done by another one, on another machine where there is one. One that
    fails three times is given up. Where the driver dies, trials under way are lost, and nothing
    that had ended.

    Args:
        cluster: connected.

    Attributes:
        task: what a worker does with a trial; as `evonas_trial`.
    """

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is sent yet."""
        self.cluster, self.task = cluster, evonas_trial

    def __deepcopy__(self, memo: dict[int, Any]) -> ClusterTrainers:
        """The object itself: pymoo copies problems, and there is one cluster."""
        return self

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
        """As of `Trainers`; how many at once is the cluster's to say, and none leaves a state."""
        import ray

        self.cluster.let_go()
        kit = ray.put(Kit.of(space, data, self.cluster.device))
        task = ray.remote(max_retries=0, scheduling_strategy="SPREAD", **self.cluster.resources)(
            self.task
        )
        trials = _ClusterTrials(self.cluster, task, kit, stop)
        try:
            yield trials
        finally:
            trials.cancel()


@dataclass(eq=False)
class _Attempts:
    """A trial and how it has failed so far."""

    trial: Trial
    errors: list[str] = field(default_factory=list)


@dataclass(eq=False)
class _ClusterTrials:
    cluster: Cluster
    task: Any
    kit: Any
    stop: Callable[[], bool]
    queue: deque[_Attempts] = field(default_factory=deque)
    running: dict[Any, _Attempts] = field(default_factory=dict)
    retried: int = 0

    @property
    def slots(self) -> int:
        return self.cluster.workers

    @property
    def load(self) -> dict[str, int]:
        again = {"retried": self.retried} if self.retried else {}
        return {"workers": len(self.running), "queued": len(self.queue), **again}

    def __len__(self) -> int:
        return len(self.queue) + len(self.running)

    def submit(self, trial: Trial) -> None:
        self.queue.append(_Attempts(trial))
        self._fill()

    def ended(self) -> tuple[Trial, Ended]:
        import ray

        while not self.stop():
            self._fill()
            ready, _ = ray.wait(list(self.running), num_returns=1, timeout=LOOK)
            if not ready:
                continue
            attempts = self.running.pop(ready[0])
            self._fill()  # before the result is looked at, so that no worker waits for that
            try:
                done = ray.get(ready[0])
            except InputError as error:  # of the settings or a machine, not of this trial
                raise getattr(error, "cause", error) from None
            except ray.exceptions.RayError as error:
                attempts.errors.append(in_a_line(error))
                if len(attempts.errors) == ATTEMPTS:
                    return attempts.trial, TrialFailed(
                        f"it failed {ATTEMPTS} times, the last time by {attempts.errors[-1]}"
                    )
                self.retried += 1
                self.queue.appendleft(attempts)
                continue
            return attempts.trial, done
        self.cancel()
        left = self.queue.popleft()
        return left.trial, None

    def cancel(self) -> None:
        """End what is under way; it goes back to the queue."""
        import ray

        for ref, attempts in list(self.running.items()):
            ray.cancel(ref, force=True)
            self.queue.append(attempts)
        self.running.clear()

    def _fill(self) -> None:
        while self.queue and len(self.running) < self.slots:
            attempts = self.queue.popleft()
            trial = attempts.trial
            weights = dict(trial.begin()) if trial.begin else None
            sent = replace(trial, begin=None)
            ref = self.task.remote(self.kit, sent, weights, self.cluster.cpus)
            self.running[ref] = attempts


def evonas_trial(
    kit: Kit, trial: Trial, weights: Mapping[str, Tensor] | None, threads: int
) -> Trained | TrainingDiverged | None:
    """Do a training, in a worker.

    Args:
        kit: space and data.
        trial: without its first weights.
        weights: these, where it has some.
        threads: of the CPU.
    """
    import torch

    from evonas.training.scratch import Trained

    torch.set_num_threads(threads)
    space, data = kit.open()
    begin = None if weights is None else lambda: weights
    done = do_trial(replace(trial, begin=begin), space, data)
    if isinstance(done, Trained) and not trial.keeps_weights:
        return replace(done, weights={})
    return done
