import numpy as np
import pytest

from evonas.errors import InputError
from evonas.latency.design import PER_NUMBER, make_design, telling
from evonas.operators.genomes import one_hot
from evonas.spaces import get_space


@pytest.mark.parametrize("name", ["tiny", "macro", "nb201", "mobile-cifar"])
def test_networks_are_canonical_different_and_tell_all_choices_apart(name):
    space = get_space(name)
    design = make_design(space, 20, np.random.default_rng(0))
    X = np.concatenate([design.fitted, design.checked])
    numbers = int((space.n_choices - 1).sum()) + 1
    assert len(design.checked) == 20 and len(design.fitted) == PER_NUMBER * numbers
    assert len(np.unique(X, axis=0)) == len(X)
    assert np.array_equal(space.canonical(X), X)
    used = one_hot(design.fitted, space.n_choices)
    assert (used.sum(axis=0) >= 2).all()
    assert np.linalg.matrix_rank(np.column_stack([np.ones(len(used)), used])) == numbers


def test_what_is_checked_spans_the_macs():
    space = get_space("macro")
    design = make_design(space, 20, np.random.default_rng(0))
    macs = np.sort(space.macs(design.checked))
    everything = space.macs(np.indices([3] * 8).reshape(8, -1).T)
    assert macs[0] == everything.min() and macs[-1] == everything.max()
    assert np.diff(macs).max() < 3 * np.ptp(everything) / 19


def test_same_seed_same_networks():
    space = get_space("mobile-cifar")
    first, again = (make_design(space, 5, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.fitted, again.fitted)
    assert np.array_equal(first.checked, again.checked)


def test_telling_rows_are_as_informative_as_a_balanced_design():
    space = get_space("macro")
    pool = one_hot(space.sample(2000, np.random.default_rng(0)), space.n_choices)

    def uncertainty(rows):
        A = np.column_stack([np.ones(len(rows)), pool[rows]])
        inverse = np.linalg.inv(A.T @ A + 1e-3 * np.eye(A.shape[1]))
        full = np.column_stack([np.ones(len(pool)), pool])
        return np.einsum("ij,jk,ik->i", full, inverse, full).mean()

    chosen = telling(pool, 34)
    assert len(set(chosen)) == 34
    drawn = [uncertainty(np.random.default_rng(i).permutation(2000)[:34]) for i in range(10)]
    assert uncertainty(chosen) < 0.9 * min(drawn)


def test_a_space_with_too_few_networks_is_one_line():
    with pytest.raises(InputError, match="has 1521 different networks, too few to fit 17 numbers"):
        make_design(get_space("tiny"), 1600, np.random.default_rng(0))
