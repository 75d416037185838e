"""Trainings as tasks of a Ray cluster: one trial, one task, with the resources that it declares."""

from __future__ import annotations

import math
import os
import pickle
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas._version import __version__
from evonas.cluster.check import another_evonas, version_there
from evonas.cluster.connection import Cluster, NodeUnfit, name_of, same
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
    fails three times is given up. A machine without the data or with another evonas gets no more
    work, and other machines do its trials. Where the driver dies, trials under way are lost, and
    nothing that had ended.

    Args:
        cluster: connected.

    Attributes:
        task: what a worker does with a trial; as `evonas_trial`.
        given_up: trials in a row, with none in between that went well.
    """

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is sent yet."""
        self.cluster, self.task, self.given_up = cluster, evonas_trial, 0
        self._packed: tuple[Any, ...] = ()  # the kit, and what it is of

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
        """As of `Trainers`; how many at once is the cluster's to say, and none leaves a state.

        Raises:
            InputError: the cluster is not connected any more.
        """
        import ray

        cluster = self.cluster
        cluster.check_connected()
        cluster.let_go()
        wanted = space, data, cluster.connection
        if not (self._packed and same(self._packed[1], wanted)):
            kit = Kit.of(space, data, cluster.device, beside=cluster.most_on_a_machine)
            self._packed = ray.put(kit), wanted
        work, settings = _at_work(__version__), {"max_retries": 0, **cluster.resources}
        tasks = tuple(
            ray.remote(max_calls=calls, scheduling_strategy="SPREAD", **settings)(work)
            for calls in (0, 1)
        )
        trials = _ClusterTrials(self, tasks, self._packed[0], stop)
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
    trainers: ClusterTrainers
    tasks: tuple[Any, ...]  # which a process does many of, or one
    kit: Any
    stop: Callable[[], bool]
    queue: deque[_Attempts] = field(default_factory=deque)
    running: dict[Any, _Attempts] = field(default_factory=dict)
    retried: int = 0
    broken: InputError | None = None  # is raised when all that had ended by then is told
    _looked: float = -math.inf  # when
    _room: int = 0  # how many workers there was room for
    _task: Any = None

    @property
    def cluster(self) -> Cluster:
        return self.trainers.cluster

    def _look(self) -> None:
        """See which machines there are, now and then."""
        if time.monotonic() - self._looked <= ROOM_EVERY:
            return
        cluster = self.cluster
        self._looked, self._room = time.monotonic(), cluster.room
        # A process stays with the GPU that it has begun on. Where there are several Ray may give
        # its next trial another one, so that each trial there has a process of its own.
        several = cluster.gpus > 0 and any(node.gpus > 1 for node in cluster.nodes())
        self._task = self.tasks[several]

    @property
    def room(self) -> int:
        self._look()
        return self._room

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
        while True:
            stop = self.stop()
            told = self._next(0.0 if stop else LOOK)  # what has ended by the time of a stop is told
            if told:
                return told
            if stop:
                self.cancel()
                return self.queue.popleft().trial, None

    def ended_by_now(self) -> tuple[Trial, Ended] | None:
        return self._next(0.0)

    def _next(self, within: float) -> tuple[Trial, Ended] | None:
        """The next that ends within so many seconds."""
        import ray

        while True:
            self._fill_on()
            refs = list(self.running)
            ready = ray.wait(refs, timeout=0.0 if self.broken else within)[0] if refs else []
            if not ready:
                if self.broken:
                    raise self.broken
                self.cluster.check_fit()
                return None
            self._fill_on(ended=1)  # before it is looked at, so that no worker waits for that
            try:
                told = self._told(ready[0])
            except InputError as error:
                self.broken, told = self.broken or error, None
            if told:
                return told

    def _fill_on(self, ended: int = 0) -> None:
        """`_fill`, unless all is to end."""
        try:
            if not (self.broken or self.stop()):
                self._fill(ended)
        except InputError as error:
            self.broken = error

    def _told(self, ref: Any) -> tuple[Trial, Ended] | None:
        """What has come of a task; None where it is to be done again.

        Raises:
            InputError: no other training can be done, either.
        """
        import ray

        attempts = self.running.pop(ref)
        try:
            kind, said, machine = ray.get(ref)
        except InputError as error:  # of the settings
            self.queue.append(attempts)
            raise original(error) from None
        except ray.exceptions.RayError as error:
            kind, said, machine = FAILED, in_a_line(error), None
        if kind == DONE:
            self.trainers.given_up = 0
            return attempts.trial, said
        if kind in (UNFIT, ANOTHER):  # which is no fault of the training
            self.queue.appendleft(attempts)
            if kind == ANOTHER:
                said = another_evonas(name_of(machine), said, __version__)
            self.cluster.leave_out(machine, said)
            return None
        attempts.errors.append(said)
        attempts.machines |= {machine} - {None}
        if len(attempts.errors) < ATTEMPTS or self.broken:  # which may be why it failed
            self.retried += 1
            self.queue.appendleft(attempts)
            return None
        self.trainers.given_up += 1
        why = f"it failed {ATTEMPTS} times, the last time by {said}"
        if self.trainers.given_up == GIVEN_UP:
            self.trainers.given_up = 0  # whoever goes on has seen to it
            self.queue.append(attempts)
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

    def _fill(self, ended: int = 0) -> None:
        """Hand trials to Ray, as many as there are workers; some of those running have ended."""
        from ray import cloudpickle

        while self.queue and len(self.running) - ended < self.slots:
            self._look()
            attempts = self.queue[0]
            trial = attempts.trial
            weights = trial.begin() if trial.begin else None
            if weights is not None:  # a worker may have another accelerator, or none
                weights = {name: value.cpu() for name, value in weights.items()}
            sent = replace(trial, begin=None), weights, self.cluster.cpus
            pickled = cloudpickle.dumps((self.trainers.task, *sent))
            task = self._task.options(name=evonas_trial.__name__, **self._where(attempts))
            self.running[task.remote([self.kit], pickled)] = attempts
            self.queue.popleft()

    def _where(self, attempts: _Attempts) -> dict[str, Any]:
        """Where to try it, as options of Ray: again on another machine, where there is one."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if attempts.machines:
            nodes = [node.id for node in self.cluster.nodes() if node.id not in attempts.machines]
            if nodes:
                there = NodeAffinitySchedulingStrategy(
                    random.choice(nodes), soft=True, _spill_on_unavailable=True
                )
                return {**self.cluster.where, "scheduling_strategy": there}
        return self.cluster.where


# What has come of a trial, in the words of a worker; the last one: it has another evonas.
DONE, FAILED, UNFIT, ANOTHER = "done", "failed", "unfit", "another"
Said = tuple[str, Any]


def _at_work(version: str) -> Callable[[list[Any], bytes], tuple[str, Any, str]]:
    """What a worker does; travels by value, for a machine may have another evonas, or none."""
    found, another = version_there(), ANOTHER

    def work(kit: list[Any], pickled: bytes) -> tuple[str, Any, str]:
        """What has come of a trial, the result or why there is none, and Ray's name of the machine.

        Of another evonas its version.

        Args:
            kit: a list of the one reference to it.
            pickled: what is done with it, and what else that is given.
        """
        import ray

        machine = ray.get_runtime_context().get_node_id()
        if (has := found()) != version:
            return another, has, machine
        from evonas.cluster.trials import outcome

        return (*outcome(ray.get(kit[0]), pickled), machine)

    return work


def outcome(kit: Kit, pickled: bytes) -> Said:
    """Do a trial, in a worker.

    Args:
        kit: space and data.
        pickled: task, and what it is given besides.

    Returns:
        One of `DONE`, `FAILED` and `UNFIT`; and the result, or why there is none, in a line.

    Raises:
        InputError: no trial can be done by these settings.
    """
    task, *given = pickle.loads(pickled)
    said: Said
    try:
        said = DONE, task(kit, *given)
    except NodeUnfit as error:
        said = UNFIT, str(error)
    except InputError:
        raise
    except Exception as error:
        said = FAILED, in_a_line(error)
    if kit.device == "cuda":  # when the error, which holds the memory of a training, is gone
        _let_go()
    return said


def _let_go() -> None:
    """Let memory of the GPU go, of which others may have a share; end a process that has lost it.

    After some errors nothing can be computed on it any more: others would fail here, too.
    """
    import gc

    import torch

    try:
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except Exception:
        os._exit(1)


def evonas_trial(
    kit: Kit, trial: Trial, weights: Mapping[str, Tensor] | None, threads: int
) -> Trained | TrainingDiverged | None:
    """Do a training, in a worker.

    Args:
        kit: space and data.
        trial: without what gives its first weights.
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
