import numpy as np
import pytest
from scipy.stats import chisquare

from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet.paths import STRATEGIES, get_paths

SPACE = get_space("mobile-cifar")  # genes with 6 and with 7 choices


@pytest.mark.parametrize("name", STRATEGIES)
def test_choices_are_equally_likely_and_reproducible(name):
    paths = get_paths(name)
    rng = np.random.default_rng(0)
    X = np.concatenate([paths.sample(SPACE, rng) for _ in range(700)])
    SPACE.check(X)
    for gene, choices in enumerate(SPACE.n_choices):
        counts = np.bincount(X[:, gene], minlength=choices)
        assert len(counts) == choices
        assert chisquare(counts).pvalue > 1e-4
    again = get_paths(name).sample(SPACE, np.random.default_rng(3))
    assert np.array_equal(again, get_paths(name).sample(SPACE, np.random.default_rng(3)))


def test_uniform_is_one_path():
    assert get_paths("uniform").sample(SPACE, np.random.default_rng(0)).shape == (1, SPACE.n_var)


def test_fair_counts_differ_by_at_most_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        X = get_paths("fair").sample(SPACE, rng)
        assert len(X) == SPACE.n_choices.max()
        for gene, choices in enumerate(SPACE.n_choices):
            counts = np.bincount(X[:, gene], minlength=choices)
            assert counts.max() - counts.min() <= 1


def test_fair_genes_are_independent():
    """Which choices meet in one path is random: all pairs of two genes occur equally often."""
    space, rng = get_space("macro"), np.random.default_rng(0)
    X = np.concatenate([get_paths("fair").sample(space, rng) for _ in range(3000)])
    pairs = np.bincount(X[:, 0] * 3 + X[:, 5], minlength=9)
    assert chisquare(pairs).pvalue > 1e-4


def test_an_object_of_ones_own_is_taken_as_it_is():
    class Mine:
        def sample(self, space, random_state):
            return np.zeros((2, space.n_var), dtype=np.int64)

    mine = Mine()
    assert get_paths(mine) is mine


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean fair"):
        get_paths("fare")
