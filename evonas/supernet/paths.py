"""Sampling strategies: which networks one training step trains.

A strategy is an object with one method, ``sample(space, random_state) -> X (k, n_var)``: the k
genomes whose gradients a step adds up. Any object with that method can be given to a `Supernet`.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from evonas.errors import unknown
from evonas.spaces import SearchSpace


class PathSampling(Protocol):
    """The one method of a sampling strategy."""

    def sample(self, space: SearchSpace, random_state: np.random.Generator) -> np.ndarray:
        """Genomes of one step, int (k, n_var), in the space's own numbering."""


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


STRATEGIES: dict[str, Callable[[], PathSampling]] = {"uniform": UniformPaths, "fair": FairPaths}


def get_paths(strategy: str | PathSampling) -> PathSampling:
    """A strategy by name, or the given object itself.

    Raises:
        InputError: no strategy has that name.
    """
    if not isinstance(strategy, str):
        return strategy
    if strategy not in STRATEGIES:
        raise unknown("path sampling", strategy, STRATEGIES)
    return STRATEGIES[strategy]()
