"""What scoring a population takes, before it is scored."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from evonas.device import wait
from evonas.spaces import ChainSpace, SearchSpace
from evonas.spaces.counting import count_module
from evonas.supernet.network import SharedChain, shared_layers


@dataclass(frozen=True)
class EvaluationPlan:
    """What scoring networks takes, one by one and together; in units of `BlockCosts`.

    Attributes:
        networks: genomes that were asked for.
        distinct: networks among them, each scored once.
        one_by_one: every genome by itself.
        together: as `Supernet.evaluate` goes through them.
    """

    networks: int
    distinct: int
    one_by_one: float
    together: float

    @property
    def saving(self) -> float:
        """How many times less work scoring them together is."""
        return self.one_by_one / self.together if self.together else 1.0


@dataclass(frozen=True, eq=False)
class BlockCosts:
    """What each part of a network costs, in any unit.

    Attributes:
        fixed: of what every network has and shares with all others (the stem).
        own: of what every network has and shares with none (the head).
        table: of each choice of each gene, (n_var, max choices) of the base space; NaN where a gene
            has no such choice.
    """

    fixed: float
    own: float
    table: np.ndarray


def macs_of_blocks(space: SearchSpace) -> BlockCosts:
    """Multiply-adds of each part of a chain at full width."""
    base = space.base
    assert isinstance(base, ChainSpace)
    table = np.asarray(base.mac_table(), dtype=float)
    some = np.zeros((1, base.n_var), dtype=np.int64)
    rest = float(base.macs(some)[0]) - float(table[:, 0].sum())
    stem = count_module(base.stem, base.input_shape).macs
    return BlockCosts(stem, rest - stem, table)


@torch.no_grad()
def seconds_of_blocks(network: SharedChain, images: Tensor, *, repeats: int = 5) -> BlockCosts:
    """Median seconds of each part of a chain on a batch.

    Args:
        network: its blocks.
        images: float (n, channels, height, width).
        repeats: of each part, after one that is not timed; all parts in turn, so that what else
            the machine does meets all of them.
    """
    parts: list[tuple[nn.Module, Tensor]] = [(network.stem, images)]
    x = network.stem(images)
    for layer in network.layers:
        ops = list(layer.children())
        parts += [(op, x) for op in ops]
        x = ops[-1](x)
    parts.append((network.head, x))
    times: list[list[float]] = [[] for _ in parts]
    for _ in range(repeats + 1):
        for taken, (part, given) in zip(times, parts, strict=True):
            taken.append(_seconds(part, given))
    stem, *inner, head = (median(taken[1:]) for taken in times)
    counts = [len(list(layer.children())) for layer in network.layers]
    table = np.full((len(counts), max(counts)), np.nan)
    start = 0
    for gene, count in enumerate(counts):
        table[gene, :count] = inner[start : start + count]
        start += count
    return BlockCosts(stem, head, table)


def _seconds(part: Callable[[Tensor], Tensor], x: Tensor) -> float:
    wait(x.device)
    start = time.perf_counter()
    part(x)
    wait(x.device)
    return time.perf_counter() - start


def plan_evaluation(space: SearchSpace, X: np.ndarray, costs: BlockCosts | None) -> EvaluationPlan:
    """What scoring genomes takes.

    Args:
        space: of the genomes.
        X: int (n, n_var), canonical, in the numbering of the base space.
        costs: of blocks; by default multiply-adds.
    """
    distinct, counts = np.unique(X, axis=0, return_counts=True)
    whole, added = _work(space, distinct, costs)
    alone, together = float((whole * counts).sum()), float(added.sum())
    return EvaluationPlan(len(X), len(distinct), alone, together)


def cut(space: SearchSpace, X: np.ndarray, parts: int) -> list[np.ndarray]:
    """Parts of a population that take about equally long, cut where networks share little.

    Networks of a chain that start alike share layers, which every part that holds some of them
    computes anew. The dearest part is as cheap as runs of neighbours in the prefix tree can be.

    Args:
        space: of the genomes.
        X: int (n, n_var), canonical, distinct, in lexical order, in the numbering of the base
            space.
        parts: at most.

    Returns:
        Positions of each part, int; all together 0 .. n - 1.
    """
    if not len(X):
        return []
    whole, added = _work(space, X)
    low, high = float(whole.max()), float(added.sum())
    for _ in range(40):  # so that the bound is told to a part in a billion
        middle = (low + high) / 2
        if len(_runs(whole, added, middle)) <= parts:
            high = middle
        else:
            low = middle
    starts = _runs(whole, added, high)
    return np.split(np.arange(len(X)), starts[1:])


def _work(
    space: SearchSpace, X: np.ndarray, costs: BlockCosts | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What each of distinct networks takes by itself, and after the one before it, (n,) each.

    Of spaces that are no chains nothing is shared.
    """
    is_chain = isinstance(space.base, ChainSpace)
    if costs is None and not is_chain:
        alone = np.asarray(space.base.macs(X), dtype=float)
        return alone, alone
    costs = costs or macs_of_blocks(space)
    genes = _of_genes(costs, X)
    whole = costs.fixed + costs.own + genes.sum(axis=1)
    if not is_chain or not len(X):
        return whole, whole
    later = np.arange(X.shape[1]) >= np.array([0, *shared_layers(X.tolist())])[:, None]
    added = costs.own + genes.sum(axis=1, where=later)
    added[0] += costs.fixed
    return whole, added


def _runs(whole: np.ndarray, added: np.ndarray, most: float) -> list[int]:
    """Where runs of neighbours begin, each as long as its work is at most so much."""
    starts, work = [0], float(whole[0])
    for i in range(1, len(whole)):
        work += float(added[i])
        if work > most:
            starts.append(i)
            work = float(whole[i])
    return starts


def _of_genes(costs: BlockCosts, X: np.ndarray) -> np.ndarray:
    """What each gene costs, (n, n_var)."""
    return costs.table[np.arange(X.shape[1]), X]
