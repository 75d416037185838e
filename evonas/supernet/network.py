"""Networks that hold every choice of every gene and run one path of them."""

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, reduce, singledispatch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evonas.device import cpu_threads
from evonas.errors import InputError
from evonas.spaces import CellSpace, ChainSpace, SearchSpace
from evonas.spaces.blocks import Residual, Zero
from evonas.spaces.networks import cell_forward
from evonas.spaces.space import BoolArray
from evonas.spaces.width import scaled
from evonas.supernet.activations import OfBatch


class SharedNetwork(nn.Module):
    """Shared weights of a space; called as ``network(images, genome)`` with a tuple of ints."""

    def each(
        self,
        images: Tensor,
        genomes: Iterable[Sequence[int]],
        *,
        memory: float = math.inf,
        known: OfBatch | None = None,
    ) -> Iterator[Tensor]:
        """Logits (n, classes) of many paths, one after the other, the same as one by one.

        Args:
            images: float (n, channels, height, width).
            genomes: one choice per gene; those that start alike had better be neighbours.
            memory: bytes of activations that are kept for other paths, at most; what does not fit
                is computed again.
            known: activations of these images from earlier calls with these weights; more are put
                there.
        """
        for genome in genomes:
            yield self(images, genome)

    def mixture(self, images: Tensor, gates: Tensor, skips: Tensor | None = None) -> Tensor:
        """Logits (n, classes) of a weighted sum of choices: each gene gives sum_k a_k o_k(x).

        With one-hot gates it is the path of that genome. An operation whose gate is zero for all
        images is not computed, and nothing flows into its gate.

        Where an operation is a residual branch beside a skip, ``skips`` tells the two apart: gates
        then weigh the branches only, and an identity has nothing to weigh.

        Args:
            images: float (n, channels, height, width).
            gates: float (n_var, max choices) for the batch, or (n, n_var, max choices) for each
                image, in the numbering of the base space; entries where a gene has no such choice
                do not matter.
            skips: weight of the skip of each gene, (n_var,) or (n, n_var); by default `skips` of
                these gates.
        """
        raise NotImplementedError

    def skips(self, gates: Tensor) -> Tensor:
        """Weight of the skip of each gene in a mixture (..., n_var); zero where there is none.

        Args:
            gates: float (..., n_var, max choices).
        """
        return torch.zeros_like(gates[..., 0])

    @property
    def weighable(self) -> BoolArray:
        """Which choices compute something that a gate weighs, bool (n_var, max choices).

        A skip without a branch and a zero operation do not.
        """
        raise NotImplementedError

    def path_state(self, genome: Sequence[int]) -> dict[str, Tensor]:
        """Weights of one path under the names that the stand-alone network gives them.

        Args:
            genome: one choice per gene, in the numbering of the base space.

        Returns:
            Name -> tensor; buffers are left out, since running statistics belong to no path.
        """
        state = {}
        for name, value in self.named_parameters():
            parts = name.split(".")
            at = self._gene_in(parts)
            if at is not None:
                # "...<gene>.<choice>..." here is "...<gene>..." in the stand-alone network.
                if genome[int(parts[at])] != int(parts[at + 1]):
                    continue
                del parts[at + 1]
            state[".".join(parts)] = value.detach()
        return state

    def _gene_in(self, parts: Sequence[str]) -> int | None:
        """Where the parts of a parameter's name hold the gene; None for what no gene changes."""
        raise NotImplementedError


def shared_layers(paths: Sequence[Sequence[int]]) -> list[int]:
    """How many first genes each path has in common with the next one, one number less."""
    together = []
    for before, after in itertools.pairwise(paths):
        same = 0
        while same < len(before) and before[same] == after[same]:
            same += 1
        together.append(same)
    return together


def branches(shared: Sequence[int]) -> list[set[int]]:
    """After how many layers of each path later ones branch off; the stem is 0.

    Args:
        shared: layers that each path shares with the next one.
    """
    needed: list[set[int]] = [set()]
    for same in reversed(shared):
        needed.append({same, *(depth for depth in needed[-1] if depth < same)})
    return needed[::-1]


def weighed(value: Tensor, weights: Tensor) -> Tensor:
    """A value (n, ...) times a weight for all images () or for each (n,)."""
    return value * (weights if weights.dim() == 0 else weights.view(-1, *[1] * (value.dim() - 1)))


def computed(gates: Tensor) -> BoolArray:
    """Which operations a mixture computes, bool (n_var, max choices): those with gates not 0."""
    used = gates.detach() != 0
    return (used if used.dim() == 2 else used.any(0)).cpu().numpy()


@singledispatch
def shared_network(space: SearchSpace, width: float) -> SharedNetwork:
    """The shared network of a space, its channel counts scaled by ``width``.

    Raises:
        InputError: the kind of space has no shared weights.
    """
    raise InputError(
        f"the space '{space.name}' has no supernet; its networks are trained one by one"
    )


class SharedChain(SharedNetwork):
    """A chain whose layers hold all their candidates."""

    def __init__(self, space: ChainSpace, width: float) -> None:
        """Build stem, candidates and head at a width."""
        super().__init__()
        self.stem = space.stem(width)
        self.layers = nn.ModuleList(
            nn.ModuleList(space.block(gene, choice, width) for choice in range(count))
            for gene, count in enumerate(space.n_choices)
        )
        self.head = space.head(width)
        self._nothing = [
            Zero(scaled(layer.out_channels, width), layer.stride) for layer in space.layers
        ]

    def forward(self, images: Tensor, genome: Sequence[int]) -> Tensor:
        """Logits (n, classes) of one path."""
        return next(self.each(images, (genome,)))

    def mixture(self, images: Tensor, gates: Tensor, skips: Tensor | None = None) -> Tensor:
        """As in the base class; the skip of a residual branch is one for all branches of a layer.

        A layer all of whose gates and skips are zero hands on zeros.
        """
        used = computed(gates) & self.weighable
        skips = self.skips(gates) if skips is None else skips
        x = self.stem(images)
        for gene, layer in enumerate(self.layers):
            terms = [weighed(x, skips[..., gene])] if self.has_skip[gene].any() else []
            for choice in np.flatnonzero(used[gene]):
                op = layer[choice]  # type: ignore[index]
                branch = op.branch(x) if isinstance(op, Residual) else op(x)
                terms.append(weighed(branch, gates[..., gene, choice]))
            x = reduce(torch.add, terms) if terms else self._nothing[gene](x)
        return self.head(x)

    def skips(self, gates: Tensor) -> Tensor:
        """As in the base class: the sum over choices with a skip, identities included."""
        there = torch.as_tensor(self.has_skip, device=gates.device)
        return torch.where(there, gates, 0).sum(-1)

    @cached_property
    def weighable(self) -> BoolArray:
        """As in the base class; all but identities."""
        return self._which(lambda op: not isinstance(op, nn.Identity))

    @cached_property
    def has_skip(self) -> BoolArray:
        """Which choices hand their input on, alone or beside a branch, (n_var, max choices)."""
        return self._which(lambda op: isinstance(op, nn.Identity | Residual))

    def _which(self, holds: Callable[[nn.Module], bool]) -> BoolArray:
        layers = [list(layer.children()) for layer in self.layers]
        table = np.zeros((len(layers), max(map(len, layers))), dtype=np.bool_)
        for gene, ops in enumerate(layers):
            table[gene, : len(ops)] = [holds(op) for op in ops]
        return table

    def each(
        self,
        images: Tensor,
        genomes: Iterable[Sequence[int]],
        *,
        memory: float = math.inf,
        known: OfBatch | None = None,
    ) -> Iterator[Tensor]:
        """As in the base class; layers that a path shares with the one before are not run again.

        In lexicographic order that walks the prefix tree of the genomes depth first. Of a path only
        what later ones branch off from is kept.
        """
        paths = list(genomes)
        shared = shared_layers(paths)
        kept: dict[int, Tensor] = {}  # by the number of layers that have been run
        for path, same, later in zip(paths, [0, *shared], branches(shared), strict=False):
            kept = {depth: kept[depth] for depth in kept if depth <= same}
            done, x = self._begun(path, kept, known)
            kept = {depth: kept[depth] for depth in kept if depth in later}
            for layers in range(done, len(self.layers) + 1):
                if layers > done or x is None:
                    x = self._run(layers, path, images if x is None else x, known)
                room = memory - sum(value.nbytes for value in kept.values())
                if layers in later and layers not in kept and x.nbytes <= room:
                    kept[layers] = x
            yield self.head(x)

    def _begun(
        self, path: Sequence[int], kept: Mapping[int, Tensor], known: OfBatch | None
    ) -> tuple[int, Tensor | None]:
        """The most layers of a path whose output is at hand, and that; none is as good as 0."""
        done = max(kept, default=-1)
        if known is not None:
            # The last layer's output is of this path alone.
            for layers in range(len(self.layers) - 1, done, -1):
                value = known.get(path[:layers])
                if value is not None:
                    return layers, value
        return max(done, 0), kept.get(done)

    def _run(self, layers: int, path: Sequence[int], x: Tensor, known: OfBatch | None) -> Tensor:
        """What comes out of the last of so many layers, given what goes into it; 0 is the stem."""
        block = self.layers[layers - 1][path[layers - 1]] if layers else self.stem  # type: ignore[index]
        out: Tensor = block(x)
        if known is not None and out is not x and layers < len(self.layers):
            # A layer takes about as long as what it reads and writes is large.
            known.put(path[:layers], out, x.nbytes + out.nbytes)
        return out

    def _gene_in(self, parts: Sequence[str]) -> int | None:
        return 1 if parts[0] == "layers" else None


@shared_network.register
def _(space: ChainSpace, width: float) -> SharedNetwork:
    return SharedChain(space, width)


class SharedCell(nn.Module):
    """One cell whose edges hold all their operations."""

    def __init__(self, space: CellSpace, stage: int, width: float) -> None:
        """Build all operations of all edges for a stage."""
        super().__init__()
        self.ops = nn.ModuleList(
            nn.ModuleList(space.block(gene, choice, stage, width) for choice in range(count))
            for gene, count in enumerate(space.n_choices)
        )

    def forward(
        self, x: Tensor, genome: Sequence[int], live: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        """The output of the cell of one genome, given its live edges."""
        return cell_forward(x, live, lambda gene: self.ops[gene][genome[gene]])  # type: ignore[index]

    def mixture(
        self, x: Tensor, gates: Tensor, used: BoolArray, live: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        """The output with a gate (..., n_var, choices) on each operation, given the live edges."""

        def edge(gene: int) -> Callable[[Tensor], Tensor]:
            ops, choices = self.ops[gene], np.flatnonzero(used[gene])
            return lambda value: reduce(
                torch.add,
                [weighed(ops[k](value), gates[..., gene, k]) for k in choices],  # type: ignore[index]
            )

        return cell_forward(x, live, edge)


class SharedCells(SharedNetwork):
    """Stacked cells that all follow one genome."""

    def __init__(self, space: CellSpace, width: float) -> None:
        """Build stem, cells, reductions and head at a width."""
        super().__init__()
        self.space = space
        self.stem = space.stem(width)
        self.cells = nn.ModuleList(
            SharedCell(space, stage, width) if kind == "cell" else space.reduction(stage, width)
            for kind, stage in space.layout
        )
        self.head = space.head(width)

    def forward(self, images: Tensor, genome: Sequence[int]) -> Tensor:
        """Logits (n, classes) of one path; dead operations are not computed."""
        live = self.space.live(genome)
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x, genome, live) if isinstance(cell, SharedCell) else cell(x)
        return self.head(x)

    def mixture(self, images: Tensor, gates: Tensor, skips: Tensor | None = None) -> Tensor:
        """As in the base class; edges have no skip, and a skip connection is a choice with a gate.

        As in a path, what is fed by nothing is zero, its normalisation's bias included.
        """
        used = computed(gates) & self.weighable
        live = self.space.live_where(used.any(axis=1))
        x = self.stem(images)
        for cell in self.cells:
            x = cell.mixture(x, gates, used, live) if isinstance(cell, SharedCell) else cell(x)
        return self.head(x)

    @property
    def weighable(self) -> BoolArray:
        """As in the base class; all but zeros."""
        return ~self.space.zeros

    def _gene_in(self, parts: Sequence[str]) -> int | None:
        return 3 if parts[0] == "cells" and parts[2] == "ops" else None


@shared_network.register
def _(space: CellSpace, width: float) -> SharedNetwork:
    return SharedCells(space, width)


class BatchStatistics(nn.BatchNorm2d):
    """Batch normalisation by the statistics of the batch at hand, in training and after.

    Args:
        like: the one whose parameters it takes over.
    """

    def __init__(self, like: nn.BatchNorm2d) -> None:
        """Have no running statistics."""
        super().__init__(like.num_features, like.eps, like.momentum, like.affine, False)
        self.weight, self.bias = like.weight, like.bias
        self.train(like.training)

    def forward(self, x: Tensor) -> Tensor:
        """Input and output (n, channels, height, width)."""
        threads = summing()
        if threads is None or not x.is_cpu:
            return super().forward(x)
        with cpu_threads(threads):
            return super().forward(x)


_sums = threading.local()


@contextmanager
def summed_by(threads: int) -> Iterator[None]:
    """Have this thread's batch statistics added up by so many, whatever share else it has of them.

    Each thread of a CPU adds up a part of the pixels, so that statistics on one and on two differ,
    and nothing else does: with it, numbers are those that the caller gets who has all the threads.
    """
    before = summing()
    _sums.threads = threads
    try:
        yield
    finally:
        _sums.threads = before


def summing() -> int | None:
    """How many threads add up this thread's batch statistics; None where nothing was said."""
    return getattr(_sums, "threads", None)


def use_batch_statistics(network: nn.Module) -> None:
    """Make every batch normalisation use the statistics of its batch, in training and after.

    The running statistics of shared weights belong to no single path.
    """
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, BatchStatistics(child))
    for module in network.modules():
        if isinstance(module, _BatchNorm):  # of one or three dimensions, or of somebody's own
            module.track_running_stats = False
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                module.register_buffer(name, None)


def estimate_statistics(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Set the running statistics of a stand-alone network to the mean over given batches."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain average
    was_training = network.training
    network.train()
    with torch.no_grad():
        for images in batches:
            network(images)
    network.train(was_training)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
