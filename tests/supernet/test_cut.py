"""A population cut into parts along its prefix tree."""

import numpy as np
import pytest

from evonas.spaces import get_space
from evonas.supernet.evaluation_plan import cut, plan_evaluation


def population(space, n, seed=0):
    X = space.sample(n, np.random.default_rng(seed))
    return np.unique(space.lift(space.canonical(X)), axis=0)


def work(space, X):
    return plan_evaluation(space, X, None).together


@pytest.mark.parametrize("name", ["macro", "tiny", "nb201"])
@pytest.mark.parametrize("parts", [1, 2, 3, 8, 500])
def test_parts_are_runs_of_neighbours_and_no_network_is_lost(name, parts):
    space = get_space(name, 10, (3, 32, 32))
    X = population(space, 60)
    cuts = cut(space, X, parts)
    assert np.concatenate(cuts).tolist() == list(range(len(X)))
    assert len(cuts) <= parts and all(len(part) for part in cuts)
    if parts == 1:
        assert len(cuts) == 1
    if parts == 500:
        # No part is dearer than the dearest network, which cannot be torn.
        dearest = max(work(space, x[None]) for x in X)
        assert max(work(space, X[part]) for part in cuts) <= dearest * (1 + 1e-9)
    assert cut(space, X[:0], parts) == []


def test_no_other_cut_in_two_is_better():
    space = get_space("macro")
    for seed in range(5):
        X = population(space, 20, seed)
        best = min(max(work(space, X[:i]), work(space, X[i:])) for i in range(1, len(X)))
        one, other = cut(space, X, 2)
        assert max(work(space, X[one]), work(space, X[other])) == pytest.approx(best)


def test_cuts_lie_where_networks_share_little():
    """Two families that share all but one layer are not torn apart."""
    space = get_space("macro")
    n = space.n_var
    first = [[0] * (n - 1) + [c] for c in range(3)]
    second = [[2] * (n - 1) + [c] for c in range(3)]
    X = np.unique(np.array(first + second), axis=0)
    assert [len(part) for part in cut(space, X, 2)] == [3, 3]
