"""Trainings as tasks of a Ray cluster: one trial, one task, with the resources that it declares."""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.cluster.connection import Cluster
from evonas.cluster.kit import Kit
from evonas.cluster.said import in_a_line, original
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
# Trials given up in a row, with nothing going well in between, that are no fault of networks.
GIVEN_UP = 10
# Seconds between two looks at the stop flag.
LOOK = 0.2
# Seconds between two looks at how many machines there are.
ROOM_EVERY = 5.0


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
        self._packed: tuple[Any, ...] = ()  # space, data, and the kit of them

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
        if not self._packed or self._packed[0] is not space or self._packed[1] is not data:
            kit = ray.put(Kit.of(space, data, self.cluster.device))
            self._packed = space, data, kit
        kit = self._packed[2]
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
    machines: set[str] = field(default_factory=set)  # those on which it did, where that is known


@dataclass(eq=False)
class _ClusterTrials:
    cluster: Cluster
    task: Any
    kit: Any
    stop: Callable[[], bool]
    queue: deque[_Attempts] = field(default_factory=deque)
    running: dict[Any, _Attempts] = field(default_factory=dict)
    retried: int = 0
    given_up: int = 0  # in a row
    _looked: tuple[float, int] = (-math.inf, 0)  # when, and how many workers there was room for

    @property
    def room(self) -> int:
        if time.monotonic() - self._looked[0] > ROOM_EVERY:
            self._looked = time.monotonic(), self.cluster.room
        return self._looked[1]

    @property
    def slots(self) -> int:
        return self.cluster.asked or max(1, self.room)

    @property
    def load(self) -> dict[str, int]:
        again = {"retried": self.retried} if self.retried else {}
        busy = min(len(self.running), self.room)
        return {"workers": busy, "queued": len(self) - busy, **again}

    def __len__(self) -> int:
        return len(self.queue) + len(self.running)

    def submit(self, trial: Trial) -> None:
        self.queue.append(_Attempts(trial))
        self._fill()

    def ended(self) -> tuple[Trial, Ended]:
        import ray

        while True:
            stop = self.stop()
            if not stop:
                self._fill()
            if self.running:
                # What has ended by the time of a stop is told.
                ready, _ = ray.wait(list(self.running), timeout=0 if stop else LOOK)
                told = self._told(ready[0]) if ready else None
                if told:
                    return told
                if ready:
                    continue
            if stop:
                self.cancel()
                return self.queue.popleft().trial, None

    def _told(self, ref: Any) -> tuple[Trial, Ended] | None:
        """What has come of a task; None where it is to be done again."""
        import ray

        attempts = self.running.pop(ref)
        if not self.stop():
            self._fill()  # before the result is looked at, so that no worker waits for that
        try:
            done = ray.get(ref)
        except InputError as error:  # of the settings or a machine, not of this trial
            raise original(error) from None
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, BrokenOff):
                attempts.machines.add(cause.machine)
                attempts.errors.append(str(cause))
            else:
                attempts.errors.append(in_a_line(error))
        else:
            self.given_up = 0
            return attempts.trial, done
        if len(attempts.errors) < ATTEMPTS:
            self.retried += 1
            self.queue.appendleft(attempts)
            return None
        self.given_up += 1
        why = f"it failed {ATTEMPTS} times, the last time by {attempts.errors[-1]}"
        if self.given_up == GIVEN_UP:
            raise InputError(
                f"{GIVEN_UP} trainings in a row came to nothing; of {attempts.trial.network} "
                f"{why}; see to the machines of the cluster, and go on with --resume"
            )
        return attempts.trial, TrialFailed(why)

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
            task = self.task
            if attempts.errors:
                task = task.options(scheduling_strategy=self._elsewhere(attempts))
            ref = task.remote(self.kit, sent, weights, self.cluster.cpus)
            self.running[ref] = attempts

    def _elsewhere(self, attempts: _Attempts) -> Any:
        """Where to try again: another machine, where there is one and it is known which that is."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = [node.id for node in self.cluster.nodes() if node.id not in attempts.machines]
        if not nodes:
            return "SPREAD"
        return NodeAffinitySchedulingStrategy(random.choice(nodes), soft=True)


class BrokenOff(Exception):
    """A training raised something; the message is what, in a line.

    Attributes:
        machine: Ray's name of the one that it did on.
    """

    def __init__(self, what: str, machine: str) -> None:
        """Both travel."""
        super().__init__(what, machine)
        self.machine = machine

    def __str__(self) -> str:
        """What was raised."""
        return str(self.args[0])


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
    import ray
    import torch

    from evonas.training.scratch import Trained

    torch.set_num_threads(threads)
    space, data = kit.open()
    begin = None if weights is None else lambda: weights
    try:
        done = do_trial(replace(trial, begin=begin), space, data)
    except InputError:
        raise
    except Exception as error:
        machine = ray.get_runtime_context().get_node_id()
        raise BrokenOff(in_a_line(error), machine) from None
    if isinstance(done, Trained) and not trial.keeps_weights:
        return replace(done, weights={})
    return done
