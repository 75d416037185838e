"""Populations scored by the actors of a Ray cluster, each of which holds the supernet once."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.cluster.actors import Actors
from evonas.cluster.connection import Cluster, NodeUnfit, same
from evonas.cluster.kit import Kit
from evonas.cluster.said import in_a_line, original
from evonas.cluster.trials import ATTEMPTS
from evonas.errors import InputError

if TYPE_CHECKING:
    from evonas.supernet import Supernet
    from evonas.supernet.scores import Outcomes, Scores

Genomes = Sequence[tuple[int, ...]]
Part = tuple[Genomes, list[int] | None]

_VERSIONS = itertools.count()

# Seconds between two looks at whether there are machines at all.
LOOK_EVERY = 5.0


@dataclass(frozen=True, eq=False)
class Weights:
    """Shared weights of one state of a training, in the object store.

    Attributes:
        version: another one for other weights.
        width: of the supernet.
        arrays: a list of the one reference to them.
    """

    version: int
    width: float
    arrays: list[Any]


class ClusterScoring:
    """Scores populations on a cluster; for ``problem.scoring`` of a `SupernetProblem`.

    A population is cut along its prefix tree, a part for each actor, so that networks that start
    alike still share layers. Weights go into the object store once for each state of the training.
    What scores are does not depend on how a population is cut. A killed actor is replaced, and its
    part scored by whoever is free.

    Args:
        cluster: connected.
        memory: bytes of activations that each actor keeps for later populations, at most; by
            default 2 GiB, and all actors of a machine no more than a quarter of what is free there.
    """

    def __init__(self, cluster: Cluster, *, memory: float | None = None) -> None:
        """Nothing is started yet."""
        self.cluster, self.memory = cluster, memory
        self._actors: Actors | None = None
        self._of: tuple[Any, ...] = ()  # what the actors were made for
        self._weights: Weights | None = None
        self._state: tuple[Any, ...] = ()  # whose weights these are

    def __deepcopy__(self, memo: dict[int, Any]) -> ClusterScoring:
        """The object itself: pymoo copies problems, and there is one cluster."""
        return self

    def evaluate(self, supernet: Supernet, X: np.ndarray) -> Scores:
        """As of `Supernet.evaluate`.

        Raises:
            InputError: as there; or a part could not be scored, however often that was tried.
        """
        from evonas.supernet.evaluation_plan import cut
        from evonas.supernet.scores import Scores

        space = supernet.space
        canonical = space.lift(space.canonical(space.check(X)))
        distinct, where = np.unique(canonical, axis=0, return_inverse=True)
        parts = cut(space, distinct, self.cluster.workers)
        told = self._do(supernet, [(_texts(distinct[part]), None) for part in parts])
        scores = np.concatenate(told or [np.empty((0, 2))])[where.reshape(-1)]
        return Scores(error=scores[:, 0], loss=scores[:, 1])

    def outcomes(
        self, supernet: Supernet, genomes: Genomes, batches: Collection[int]
    ) -> Outcomes[np.ndarray]:
        """As of `Supernet.outcomes`."""
        from evonas.supernet.evaluation_plan import cut
        from evonas.supernet.scores import Outcomes

        distinct, where = np.unique(np.array(genomes), axis=0, return_inverse=True)
        parts = cut(supernet.space, distinct, self.cluster.workers)
        numbers = sorted(set(batches))
        told = self._do(supernet, [(_texts(distinct[part]), numbers) for part in parts])
        rows = where.reshape(-1)
        return Outcomes(*(np.concatenate(each)[rows] for each in zip(*told, strict=True)))

    def release(self) -> None:
        """End the actors; they are started again when they are needed."""
        actors, self._actors, self._of = self._actors, None, ()
        if actors is not None:
            actors.end()

    # -- the parts ----------------------------------------------------------------------------

    def _do(self, supernet: Supernet, parts: list[Part]) -> list[Any]:
        """What the actors say of each part, in order."""
        if not parts:
            return []
        self.cluster.check_connected()
        try:
            weights, actors = self._weights_of(supernet), self._actors_for(supernet)
            actors.want(len(parts))
            queue = deque(enumerate(parts))
            return _Parts(actors, weights, queue, self.cluster.check_fit).all()
        except BaseException:
            self.release()  # of some it is not known what they do
            raise

    def _weights_of(self, supernet: Supernet) -> Weights:
        import ray

        tensors = supernet.network.state_dict()
        changes = sum(value._version for value in tensors.values())
        state = supernet, supernet.trained_steps, changes, self.cluster.connection
        if self._weights is None or not same(state, self._state):
            arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
            self._weights = Weights(next(_VERSIONS), supernet.width, [ray.put(arrays)])
            self._state = state
        return self._weights

    def _actors_for(self, supernet: Supernet) -> Actors:
        import ray
        import torch

        cluster, threads = self.cluster, torch.get_num_threads()
        made_for = supernet.space, supernet.data, supernet.width, threads, cluster.connection
        if self._actors is None or not same(made_for, self._of):
            self.release()
            cluster.let_go()
            beside = cluster.most_on_a_machine
            kit = Kit.of(supernet.space, supernet.data, cluster.device, beside=beside)
            # Statistics are added up by as many threads as the run has, which may be more than an
            # actor's CPUs: those that wait are to sleep.
            actor = ray.remote(
                runtime_env={"env_vars": {"OMP_WAIT_POLICY": "passive"}}, **cluster.resources
            )(EvonasScorer)
            given = kit, cluster.cpus, threads, self.memory, beside
            self._actors = Actors(
                lambda: actor.options(**cluster.where).remote(*given),
                cluster.leave_out,
                cluster.say,
            )
            self._of = made_for
            cluster.holders.append(self.release)
        return self._actors


@dataclass(eq=False)
class _Parts:
    """Parts of a population, and the actors that score them.

    Attributes:
        actors: of the cluster.
        weights: of the supernet.
        queue: parts with their numbers.
        check_fit: as of `Cluster`.
    """

    actors: Actors
    weights: Weights
    queue: deque[tuple[int, Part]]
    check_fit: Callable[[], None]
    told: dict[int, Any] = field(default_factory=dict)
    failed: dict[int, int] = field(default_factory=dict)
    running: dict[Any, tuple[Any, int, Part]] = field(default_factory=dict)
    alive: set[Any] = field(default_factory=set)  # actors that have answered meanwhile

    def all(self) -> list[Any]:
        """Wait for all; what was said of each, in order."""
        import ray

        parts = len(self.queue)
        while self.queue or self.running:
            while self.queue and self.actors.free:
                number, part = self.queue.popleft()
                actor = self.actors.free.pop(0)
                self.running[actor.score.remote(self.weights, *part)] = actor, number, part
            waited = [*self.running, *self.actors.opening]
            ready, _ = ray.wait(waited, num_returns=1, timeout=LOOK_EVERY)
            if not ready:
                self.check_fit()
            for ref in ready:
                if ref in self.actors.opening:
                    self.alive.add(self.actors.opening[ref])
                    self.actors.opened(ref)
                else:
                    self._take(ref)
        return [self.told[number] for number in range(parts)]

    def _take(self, ref: Any) -> None:
        import ray

        actor, number, part = self.running.pop(ref)
        try:
            self.told[number] = ray.get(ref)
            self.actors.free.append(actor)
            self.alive.add(actor)
            return
        except InputError as error:
            self.actors.free.append(actor)
            raise original(error) from None
        except ray.exceptions.RayActorError as error:
            said = in_a_line(error)
            self.actors.replace(actor)
            if actor not in self.alive:  # it may have died before it was asked
                self.queue.appendleft((number, part))
                return
        except ray.exceptions.RayError as error:
            said = in_a_line(error)
            self.actors.free.append(actor)
        self.failed[number] = self.failed.get(number, 0) + 1
        if self.failed[number] == ATTEMPTS:
            raise InputError(
                f"{len(part[0])} networks could not be scored: it failed {ATTEMPTS} times on the "
                f"cluster, the last time by {said}"
            )
        self.queue.appendleft((number, part))


class EvonasScorer:
    """An actor: the supernet, and activations for the populations to come.

    Args:
        kit: space and data.
        threads: of the CPU.
        summed_by: threads of the run, by which statistics are added up.
        memory: bytes of activations that are kept, at most; None for what is usual.
        beside: actors that may share the machine's memory.
    """

    def __init__(
        self, kit: Kit, threads: int, summed_by: int, memory: float | None, beside: int
    ) -> None:
        """Nothing is read yet."""
        self.kit, self.threads, self.summed_by = kit, threads, summed_by
        self.memory, self.beside = memory, beside
        self.supernet: Supernet | None = None
        self.version: int | None = None

    def open(self) -> tuple[str, str]:
        """Read the data; weights come later.

        Returns:
            As `Actors` has it: Ray's name of this machine, and why it cannot do the work.
        """
        import ray
        import torch

        from evonas.problems.supernet import activation_memory

        torch.set_num_threads(self.threads)
        machine = ray.get_runtime_context().get_node_id()
        try:
            self.space, self.data = self.kit.open()
        except NodeUnfit as error:
            return machine, str(error)
        if self.memory is None:
            self.memory = activation_memory(self.data.train.device, self.beside)
        return machine, ""

    def score(
        self, weights: Weights, genomes: Genomes, batches: Sequence[int] | None
    ) -> np.ndarray | Outcomes[np.ndarray]:
        """Score genomes as written, in the numbering of the base space.

        Args:
            weights: to score them by.
            genomes: in lexical order.
            batches: of the validation images, for outcomes; None for scores on all images.

        Returns:
            Error and loss (n, 2); or outcomes.
        """
        from evonas.supernet.network import summed_by

        supernet = self._with(weights)
        with summed_by(self.summed_by):
            if batches is not None:
                return supernet.outcomes(genomes, batches, activations=self.activations)
            X = supernet.space.lower(np.array(genomes))
            scores = supernet.evaluate(X, activations=self.activations)
        return np.column_stack([scores.error, scores.loss])

    def _with(self, weights: Weights) -> Supernet:
        import ray
        import torch

        from evonas.supernet import Activations, Supernet

        if self.supernet is None:
            self.supernet = Supernet(self.space, self.data, weights.width)
        if self.version != weights.version:
            arrays = ray.get(weights.arrays[0])
            state = {name: torch.tensor(value) for name, value in arrays.items()}
            self.supernet.network.load_state_dict(state)
            self.version = weights.version
            self.activations = Activations(self.memory or 0.0)
        return self.supernet


def _texts(X: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(genome) for genome in X.tolist()]
