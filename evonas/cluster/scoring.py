"""Populations scored by the actors of a Ray cluster, each of which holds the supernet once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.cluster.check import in_a_line
from evonas.cluster.connection import Cluster
from evonas.cluster.kit import Kit
from evonas.cluster.trials import ATTEMPTS
from evonas.errors import InputError

if TYPE_CHECKING:
    from evonas.supernet import Supernet
    from evonas.supernet.scores import Outcomes, Scores

Genomes = Sequence[tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Weights:
    """Shared weights of one state of a training, in the object store.

    Attributes:
        version: another one for other weights.
        width: of the supernet.
        arrays: a list of the one reference to them.
    """

    version: tuple[int, int]
    width: float
    arrays: list[Any]


class ClusterScoring:
    """Scores populations on a cluster; for ``problem.scoring`` of a `SupernetProblem`.

    A population is cut along its prefix tree, a part for each actor, so that networks that start
    alike still share layers. Weights go into the object store once for each state of the training.
    What scores are does not depend on how a population is cut. A killed actor is started again, and
    its part scored by whoever is free.

    Args:
        cluster: connected.
        memory: bytes of activations that each actor keeps for later populations.
    """

    def __init__(self, cluster: Cluster, *, memory: float = 0.0) -> None:
        """Nothing is started yet."""
        self.cluster, self.memory = cluster, memory
        self._actors: list[Any] = []
        self._of: tuple[Any, ...] = ()  # what the actors were made for
        self._weights: Weights | None = None

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
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._of = [], ()

    # -- the parts ----------------------------------------------------------------------------

    def _do(self, supernet: Supernet, parts: list[tuple[Genomes, list[int] | None]]) -> list[Any]:
        """What the actors say of each part, in order."""
        weights, actors = self._weights_of(supernet), self._actors_for(supernet)
        work = _Parts(actors[: len(parts)], weights, deque(enumerate(parts)))
        return [work.told[i] for i in work.all()]

    def _weights_of(self, supernet: Supernet) -> Weights:
        import ray

        version = id(supernet), supernet.trained_steps
        if self._weights is None or self._weights.version != version:
            state = supernet.network.state_dict()
            arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
            self._weights = Weights(version, supernet.width, [ray.put(arrays)])
        return self._weights

    def _actors_for(self, supernet: Supernet) -> list[Any]:
        import ray
        import torch

        made_for = id(supernet.space), supernet.data.checksum, torch.get_num_threads()
        if self._of != made_for:
            self.release()
            self.cluster.let_go()
            kit = Kit.of(supernet.space, supernet.data, self.cluster.device)
            # Statistics are added up by as many threads as the run has, which may be more than an
            # actor's CPUs: those that wait are to sleep.
            actor = ray.remote(
                max_restarts=-1,
                runtime_env={"env_vars": {"OMP_WAIT_POLICY": "passive"}},
                **self.cluster.resources,
            )(EvonasScorer)
            given = kit, self.cluster.cpus, torch.get_num_threads(), self.memory
            self._actors = [actor.remote(*given) for _ in range(self.cluster.workers)]
            self._of = made_for
            self.cluster.holders.append(self.release)
        return self._actors


@dataclass(eq=False)
class _Parts:
    """Parts of a population, and the actors that score them.

    Attributes:
        actors: those that are free.
        weights: of the supernet.
        queue: parts with their numbers.
    """

    actors: list[Any]
    weights: Weights
    queue: deque[tuple[int, tuple[Genomes, list[int] | None]]]
    told: dict[int, Any] = field(default_factory=dict)
    failed: dict[int, int] = field(default_factory=dict)

    def all(self) -> range:
        """Wait for all; the numbers of the parts."""
        import ray

        free = list(self.actors)
        running: dict[Any, tuple[Any, int, Any]] = {}
        parts = range(len(self.queue))
        while self.queue or running:
            while self.queue and free:
                number, part = self.queue.popleft()
                actor = free.pop(0)
                running[actor.score.remote(self.weights, *part)] = actor, number, part
            (ref,), _ = ray.wait(list(running), num_returns=1)
            actor, number, part = running.pop(ref)
            try:
                self.told[number] = ray.get(ref)
            except InputError as error:
                raise getattr(error, "cause", error) from None
            except ray.exceptions.RayError as error:
                self.failed[number] = self.failed.get(number, 0) + 1
                if self.failed[number] == ATTEMPTS:
                    raise InputError(
                        f"{len(part[0])} networks could not be scored: it failed {ATTEMPTS} times "
                        f"on the cluster, the last time by {in_a_line(error)}"
                    ) from None
                self.queue.appendleft((number, part))
            free.append(actor)  # one that died comes back, and is last in line
        return parts


class EvonasScorer:
    """An actor: the supernet, and activations for the populations to come.

    Args:
        kit: space and data.
        threads: of the CPU.
        summed_by: threads of the run, by which statistics are added up.
        memory: bytes of activations that are kept.
    """

    def __init__(self, kit: Kit, threads: int, summed_by: int, memory: float) -> None:
        """Read the data; weights come later."""
        import torch

        torch.set_num_threads(threads)
        self.space, self.data = kit.open()
        self.summed_by, self.memory = summed_by, memory
        self.supernet: Supernet | None = None
        self.version: tuple[int, int] | None = None

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
            self.activations = Activations(self.memory)
        return self.supernet


def _texts(X: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(genome) for genome in X.tolist()]
