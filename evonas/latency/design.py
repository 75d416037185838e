"""Which networks to measure: some that tell the choices apart, and others to check against."""

from dataclasses import dataclass

import numpy as np

from evonas.errors import InputError
from evonas.operators.genomes import one_hot
from evonas.operators.spread import all_genomes, choose_evenly
from evonas.spaces import SearchSpace

# Networks measured for each number of the table. Of 1, 1.5 and 3, with equal rounds: tau 0.86,
# 0.93 and 0.93 on mobile-cifar, error 4.1, 1.9 and 1.9 %.
PER_NUMBER = 2
# Genomes drawn to choose from.
POOL = 10_000


@dataclass(frozen=True, eq=False)
class Design:
    """What is measured.

    Attributes:
        fitted: canonical genomes that the table is fitted to, int64 (n, n_var).
        checked: others that it is checked with, spread evenly over the MACs, int64 (m, n_var).
    """

    fitted: np.ndarray
    checked: np.ndarray


def make_design(space: SearchSpace, checked: int, random_state: np.random.Generator) -> Design:
    """Choose networks; all are canonical and different.

    Args:
        space: a space with networks.
        checked: how many to check with.
        random_state: numpy Generator.

    Raises:
        InputError: the space has too few different networks.
    """
    drawn = all_genomes(np.zeros(space.n_var, dtype=np.int64), space.n_choices - 1)
    drawn = space.sample(POOL, random_state) if drawn is None else drawn
    pool = np.unique(space.canonical(drawn), axis=0)
    least = int((space.n_choices - 1).sum()) + 1
    if len(pool) < least + checked:
        raise InputError(
            f"the space '{space.name}' has {len(pool)} different networks, too few to fit "
            f"{least} numbers and check them with {checked} others; give fewer --networks, or "
            "write the table by hand"
        )
    held = choose_evenly(space.macs(pool).astype(float), checked, random_state=random_state)
    rest = np.delete(pool, held, axis=0)
    chosen = telling(one_hot(rest, space.n_choices), min(PER_NUMBER * least, len(rest)))
    return Design(rest[chosen], pool[held])


def telling(A: np.ndarray, n: int, *, prior: float = 1e-3) -> np.ndarray:
    """Rows that tell a linear model most: each next one is the one it is least sure about.

    A greedy D-optimal design (Fedorov, 1972): every choice occurs about equally often, and one
    that few genomes have, such as an identity in a place where the canonical form seldom puts it,
    is not missed.

    Args:
        A: features (m, k).
        n: how many rows, at most m.
        prior: ridge of a model that knows nothing.

    Returns:
        int (n,), distinct.
    """
    features = np.column_stack([np.ones(len(A)), A])
    inverse = np.eye(features.shape[1]) / prior
    unsure = np.einsum("ij,ij->i", features, features) / prior
    chosen = np.empty(n, dtype=np.int64)
    for i in range(n):
        chosen[i] = best = int(unsure.argmax())
        gain = inverse @ features[best]
        scale = 1.0 + features[best] @ gain
        inverse -= np.outer(gain, gain) / scale
        unsure -= (features @ gain) ** 2 / scale
        unsure[best] = -np.inf
    return chosen
