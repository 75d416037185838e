import numpy as np
import pytest
from scipy.stats import chisquare

from evonas.errors import InputError
from evonas.spaces import get_space, list_spaces
from evonas.supernet.paths import FAIR_SHARE, STRATEGIES, PathDropout, get_paths, passes_of_step

WITH_SUPERNET = [name for name in list_spaces() if get_space(name).has_supernet]
SPACE = get_space("mobile-cifar")  # genes with 6 and with 7 choices


def many(name, space, steps):
    paths, rng = get_paths(name), np.random.default_rng(0)
    return np.concatenate([paths.sample(space, rng) for _ in range(steps)])


@pytest.mark.parametrize("name", ["uniform", "fair"])
def test_choices_are_equally_likely(name):
    X = many(name, SPACE, 700)
    SPACE.check(X)
    for gene, choices in enumerate(SPACE.n_choices):
        counts = np.bincount(X[:, gene], minlength=choices)
        assert len(counts) == choices
        assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_a_function_of_the_generator(name):
    """Whatever it keeps between steps changes nothing: a resumed training has a new object."""
    paths, old, new = get_paths(name), np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(5):
        if name == "dropout":
            gates = paths.gates(SPACE, old, 0.5)
            assert np.array_equal(gates, get_paths(name).gates(SPACE, new, 0.5))
            continue
        X = paths.sample(SPACE, old)
        SPACE.check(X)
        assert np.array_equal(X, get_paths(name).sample(SPACE, new))


@pytest.mark.parametrize("name", WITH_SUPERNET)
def test_spread_reaches_all_sizes(name):
    space = get_space(name)
    X = many("spread", space, 2000 if space.n_var < 10 else 300)
    assert len(X) % space.n_choices.max() == 0
    assert [len(np.unique(column)) for column in X.T] == space.n_choices.tolist()
    counts, _ = np.histogram(np.log(space.params(X)), 4)
    # Steps that are not fair are spread evenly, so each quarter gets a fourth of theirs at least.
    assert counts.min() > 0.8 * (1 - FAIR_SHARE) / 4 * len(X)


def test_spread_dwells_on_small_networks_and_on_many_multiply_adds(monkeypatch):
    space = get_space("macro")
    least, most = np.quantile(space.params(many("uniform", space, 2000)), [0, 1])
    small = least + 0.05 * (most - least)
    shares, macs = [], []
    for rivals in (1, 5):
        monkeypatch.setattr("evonas.supernet.paths.RIVALS", rivals)
        X = many("spread", space, 2000)
        shares.append(np.mean(space.params(X) <= small))
        macs.append(np.mean(space.macs(X) / space.params(X)))
    assert min(shares) > 5 * np.mean(space.params(many("fair", space, 700)) <= small)
    assert macs[1] > 1.05 * macs[0]


def test_spread_follows_a_space_that_changes():
    paths, rng = get_paths("spread"), np.random.default_rng(0)
    for name in ("macro", "tiny"):
        space = get_space(name)
        for _ in range(4):
            space.check(paths.sample(space, rng))


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


def gates_of(space, progress, rate=0.8, steps=400):
    dropout, random_state = PathDropout(rate), np.random.default_rng(0)
    return np.concatenate([dropout.gates(space, random_state, progress) for _ in range(steps)])


@pytest.mark.parametrize("struck", [False, True])
def test_dropout_drops_more_and_more(struck):
    mask = SPACE.allowed.copy()
    mask[0, 2:] = mask[3, 0] = not struck
    space = SPACE.restrict(mask & SPACE.allowed)
    k = space.allowed.sum(axis=1, keepdims=True)
    assert passes_of_step(PathDropout(), space) == k.max()

    first = gates_of(space, 0.0, steps=1)
    assert np.allclose(first, space.allowed / k)  # all of them, in equal parts
    for progress in (0.25, 1.0):
        gates = gates_of(space, progress)
        assert np.allclose(gates.sum(axis=2), 1)
        assert not gates[:, ~space.allowed].any()
        lost = 0.8 * progress
        # dropped with r^(1/k); where all are, any one of the k stays
        expected = (1 - lost ** (1 / k)) + lost / k
        share = (gates > 0).mean(axis=0)
        assert np.abs(share - np.where(space.allowed, expected, 0)).max() < 0.05

    paths = gates_of(space, 1.0, rate=1.0, steps=50)
    assert ((paths > 0).sum(axis=2) == 1).all()  # a rate of one ends in single paths


@pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan])
def test_a_rate_of_dropout_is_a_share(rate):
    with pytest.raises(InputError, match="rate of path dropout"):
        PathDropout(rate)
