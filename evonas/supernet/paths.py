"""Sampling strategies: which networks one training step trains.

A strategy is an object with one method, ``sample(space, random_state) -> X (k, n_var)``: the k
genomes whose gradients a step adds up; or, where it trains mixtures of operations, ``gates(space,
random_state, progress) -> (k, n_var, max choices)``. Any object with either can be given to a
`Supernet`.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from evonas.errors import InputError, unknown
from evonas.operators.spread import LISTED, all_genomes, blend, extreme_genomes
from evonas.spaces import SearchSpace
from evonas.spaces.space import FloatArray

# Share of the steps of a spread training that are strictly fair. With more of them networks at
# random are ranked better, and from some point on small ones, which a front is made of, worse:
# cifar10-params in ten minutes had a median tau of 0.795, 0.830 and 0.828 and a mean excess error
# of 0.17, 0.14 and 0.21 with 0.5, 0.55 and 0.6 (seeds 1 to 5; of the last one 1 to 4).
FAIR_SHARE = 0.55

# Of path dropout, at the end of a training.
DROP_RATE = 0.5


class PathSampling(Protocol):
    """The one method of a sampling strategy."""

    def sample(self, space: SearchSpace, random_state: np.random.Generator) -> np.ndarray:
        """Genomes of one step, int (k, n_var), in the space's own numbering."""


@runtime_checkable
class MixtureSampling(Protocol):
    """The one method of a strategy that trains mixtures."""

    def gates(
        self, space: SearchSpace, random_state: np.random.Generator, progress: float
    ) -> FloatArray:
        """Mixtures of one step, float (k, n_var, max choices) in the numbering of the base space.

        Args:
            space: zero are the gates of choices that it does not hold.
            random_state: source of everything random.
            progress: where in the training the step is, from 0, the first, to 1, the last.
        """


class UniformPaths:
    """One genome a step, each choice of a gene equally likely (SPOS, Guo et al. 2020)."""

    def sample(self, space: SearchSpace, random_state: np.random.Generator) -> np.ndarray:
        """One genome, int (1, n_var)."""
        return space.sample(1, random_state)


class FairPaths:
    """Strict fairness (FairNAS, Chu et al. 2021): every choice is trained in every step.

    A step has as many genomes as the widest gene has choices; within a gene the numbers of times
    that its choices occur differ by at most one.
    """

    def sample(self, space: SearchSpace, random_state: np.random.Generator) -> np.ndarray:
        """Genomes, int (max choices, n_var)."""
        k = int(max(space.n_choices))
        columns = []
        for choices in space.n_choices:
            turns = -(-k // int(choices))
            column = np.concatenate([random_state.permutation(choices) for _ in range(turns)])[:k]
            columns.append(random_state.permutation(column))
        return np.stack(columns, axis=1).astype(np.int64)


class SpreadPaths:
    """Strictly fair steps in turn with steps near the front, at all sizes.

    A search looks at networks of every size that are good for their size; uniform genomes, and
    fair ones too, are neither. They bunch at middling size, and of 27 choices for the three wide
    layers of NAS-Bench-Macro one leaves out all of them, where the front lies. So nearly
    half of the steps, at random, take as many networks that a search could keep:

    - their sizes are uniform: in turn, at random again, on the scale of log params, and of the
      log of what a network has above the smallest one (plus 2 % of the range). The latter dwells
      on the smallest networks, which are few and the least like the others;
    - of five networks of one size the one with the most multiply-adds is trained. That stands in
      for the better one, as in AttentiveNAS (Wang et al., 2021), which asks a predictor, and
      needs no memory that a resumed training would have to restore.

    On CIFAR-10 (macro, a quarter of the width, 5,500 steps, half of them fair), the front of all
    3,969 networks by validation loss gave away 0.18 and 0.08 points of error with all of this (two
    seeds), 0.27 without the multiply-adds and 0.35 with log params alone (one seed each).
    """

    def __init__(self) -> None:
        """Genomes are listed at the first step."""
        self._fair = FairPaths()
        self._space: SearchSpace | None = None
        self._genomes = np.empty((0, 0), np.int64)
        self._macs = np.empty(0)
        self._scales: tuple[np.ndarray, ...] = ()

    def sample(self, space: SearchSpace, random_state: np.random.Generator) -> np.ndarray:
        """Genomes, int (max choices, n_var)."""
        if space is not self._space:
            self._genomes, params = _by_size(space)
            self._macs = np.asarray(space.macs(self._genomes))
            above = params - params[0] + FLOOR * max(params[-1] - params[0], 1)
            self._scales = (np.log(np.maximum(params, 1)), np.log(above))
            self._space = space
        if random_state.random() < FAIR_SHARE:
            return self._fair.sample(space, random_state)
        sizes = self._scales[random_state.integers(len(self._scales))]
        low, high = sizes[0], sizes[-1]
        target = random_state.uniform(low, high, int(max(space.n_choices)))
        reach = (high - low) / STRATA / 2
        # Where nothing is within reach, what comes next is taken, with all that have its size.
        nearest = sizes[np.minimum(np.searchsorted(sizes, target), len(sizes) - 1)]
        first = np.searchsorted(sizes, np.minimum(target - reach, nearest), side="left")
        last = np.searchsorted(sizes, np.maximum(target + reach, nearest), side="right")
        drawn = random_state.integers(first, last, (RIVALS, len(target)))
        best = self._macs[drawn].argmax(axis=0)
        return self._genomes[drawn[best, np.arange(len(target))]]


class PathDropout:
    """Mixtures from which operations are dropped at a rising rate (Bender et al. 2018).

    Each gene adds up its operations, and each of them is dropped with probability r^(1/k), where k
    is their number, so that the chance of losing all of them is r. The rate r rises linearly from
    0 in the first step to ``rate`` in the last.

    What is left of a gene has equal gates that sum to one, so that a mixture has the scale of a
    path; of a gene that loses all its operations a random one stays, since every network of the
    space has one there. Both are evonas's own: with a rate of 1 the training ends in uniform
    paths, which is how networks are scored. A step has as many mixtures as the widest gene has
    choices, each on a part of the batch.

    Args:
        rate: probability, at the end of the training, that a gene loses all its operations.

    Raises:
        InputError: the rate lies outside [0, 1].
    """

    def __init__(self, rate: float = DROP_RATE) -> None:
        """Store the rate."""
        if not isinstance(rate, int | float | np.number) or not 0 <= rate <= 1:
            raise InputError(f"the rate of path dropout is {rate!r}; give a number from 0 to 1")
        self.rate = float(rate)

    def gates(
        self, space: SearchSpace, random_state: np.random.Generator, progress: float
    ) -> FloatArray:
        """Mixtures, float (max choices of the space, n_var, max choices of the base)."""
        there = space.allowed
        k = there.sum(axis=1, keepdims=True)
        drop = (self.rate * progress) ** (1 / k)
        draws = random_state.random((int(k.max()), *there.shape))
        # the largest draw decides which one stays where all are dropped
        draws = np.where(there, draws, -1.0)
        kept = there & ((draws >= drop) | (draws == draws.max(axis=2, keepdims=True)))
        return kept / kept.sum(axis=2, keepdims=True)


# Networks count as of one size within this share of the range of sizes on a scale.
STRATA = 64

# Share of the range of params that keeps the logarithm from spending all on the smallest network.
FLOOR = 0.02

# Networks of one size of which the one with the most multiply-adds is trained.
RIVALS = 5


def _by_size(space: SearchSpace) -> tuple[np.ndarray, np.ndarray]:
    """Genomes from the smallest to the largest, (n, n_var), and their params, ascending (n,).

    All distinct networks of a small space; of a larger one uniform genomes and mixtures of them
    with those at both ends, the same in every call.
    """
    xl = np.zeros(space.n_var, np.int64)
    xu = np.asarray(space.n_choices, np.int64) - 1
    genomes = all_genomes(xl, xu)
    if genomes is None:
        random_state = np.random.default_rng(0)
        uniform = space.sample(LISTED, random_state)
        low, high = extreme_genomes(space.params, xl, xu)
        mixed = [blend(end, uniform, random_state=random_state) for end in (low, high)]
        genomes = np.concatenate([uniform, *mixed, [low, high]])
    genomes = np.unique(space.canonical(genomes), axis=0)
    params = np.asarray(space.params(genomes), float)
    order = np.argsort(params, kind="stable")
    return genomes[order], params[order]


Strategy = PathSampling | MixtureSampling

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "uniform": UniformPaths,
    "fair": FairPaths,
    "spread": SpreadPaths,
    "dropout": PathDropout,
}


def get_paths(strategy: str | Strategy) -> Strategy:
    """A strategy by name, or the given object itself.

    Raises:
        InputError: no strategy has that name.
    """
    if not isinstance(strategy, str):
        return strategy
    if strategy not in STRATEGIES:
        raise unknown("path sampling", strategy, STRATEGIES)
    return STRATEGIES[strategy]()


def get_single_paths(strategy: str | Strategy) -> PathSampling:
    """A strategy that trains single networks, by name, or the given object itself.

    Raises:
        InputError: no strategy has that name, or it trains mixtures.
    """
    paths = get_paths(strategy)
    if isinstance(paths, MixtureSampling):
        raise InputError(
            f"a joint search trains single networks, not the mixtures of '{strategy}'; give "
            "--training.paths spread"
        )
    return paths


def passes_of_step(strategy: Strategy, space: SearchSpace) -> int:
    """How many networks, or mixtures, a step trains; each sees a part of the batch."""
    random_state = np.random.default_rng(0)
    if isinstance(strategy, MixtureSampling):
        return len(strategy.gates(space, random_state, 0.0))
    return len(strategy.sample(space, random_state))
