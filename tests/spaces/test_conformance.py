"""What every registered space, whole and restricted, has to keep."""

import copy
import pickle

import numpy as np
import pytest
import thop
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thop.vision.basic_hooks import count_convNd, zero_ops
from torch import nn

from evonas.errors import InputError
from evonas.spaces import get_space, list_spaces
from evonas.spaces.blocks import STEERED

RULES = {
    kind: zero_ops for kind in (nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.ReLU)
} | dict.fromkeys(STEERED, count_convNd)  # thop knows exact types only
# Networks to count; of large ones fewer.
COUNTED = {"darts": 10, "plain": 50}
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def strike_out(space, seed=0, share=0.4):
    """A random mask that leaves each gene at least one choice."""
    random_state = np.random.default_rng(seed)
    keep = random_state.random(space.allowed.shape) > share
    keep[np.arange(space.n_var), random_state.integers(0, space.n_choices)] = True
    return keep


@pytest.fixture(params=list_spaces())
def whole(request):
    return get_space(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "restricted"])
def space(request, whole):
    return whole.restrict(strike_out(whole)) if request.param else whole


@given(seed=st.integers(0, 2**32 - 1))
@FEW
def test_text_round_trip(space, seed):
    X = space.sample(5, np.random.default_rng(seed))
    # Genes that say nothing in a genome are not told.
    for x in space.lower(space.base.completed(space.lift(X), space.allowed)):
        text = space.decode(x)
        name, _, bare = text.partition(":")
        assert name == space.name
        np.testing.assert_array_equal(space.encode(text), x)
        np.testing.assert_array_equal(space.encode(bare), x)
        assert space.base.decode(space.lift(x[None])[0]) == text


@given(seed=st.integers(0, 2**32 - 1))
@FEW
def test_canonical(space, seed):
    X = space.sample(50, np.random.default_rng(seed))
    before = X.copy()
    C = space.canonical(X)
    assert C.dtype == np.int64
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(space.canonical(C), C)
    assert (space.params(C) <= space.params(X)).all()
    same = space.params(C) == space.params(X)
    first = np.array([next((d for d in x - c if d), 0) for x, c in zip(X, C, strict=True)])
    assert (first[same] >= 0).all(), "of equally large members the first in order"
    base = space.base
    np.testing.assert_array_equal(
        base.canonical(space.lift(C)), base.canonical(space.lift(X)), "still of the same class"
    )


@given(seed=st.integers(0, 2**32 - 1))
@FEW
def test_members_of_a_class_share_a_representative(space, seed):
    """Whoever is of one class in the base is of one class in a restriction."""
    X = space.sample(200, np.random.default_rng(seed))
    of_base = space.base.canonical(space.lift(X))
    pairs = {(tuple(b), tuple(c)) for b, c in zip(of_base, space.canonical(X), strict=True)}
    assert len(pairs) == len({b for b, _ in pairs})


@given(seed=st.integers(0, 2**32 - 1))
@FEW
def test_tables_are_renumbered_as_genomes_are(whole, seed):
    restricted = whole.restrict(strike_out(whole, seed))
    table = np.random.default_rng(seed).random(whole.allowed.shape)
    lowered = restricted.lower_table(table)
    genes = np.arange(whole.n_var)
    X = restricted.sample(20, np.random.default_rng(seed))
    np.testing.assert_array_equal(lowered[genes, X], table[genes, restricted.lift(X)])
    there = np.arange(restricted.n_choices.max()) < restricted.n_choices[:, None]
    np.testing.assert_array_equal(np.isfinite(lowered), there)
    wanted = np.where(restricted.allowed, table, np.nan)
    np.testing.assert_array_equal(restricted.lift_table(lowered), wanted)
    np.testing.assert_array_equal(whole.lower_table(table), whole.lift_table(table))
    for space, wrong in ((whole, table[1:]), (restricted, table[:, :1]), (restricted, [1.0])):
        with pytest.raises(InputError, match="does not fit the space"):
            space.lower_table(wrong)


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
@FEW
def test_restrict_lift_lower(whole, seed, share):
    mask = strike_out(whole, seed, share)
    restricted = whole.restrict(mask)
    X = restricted.sample(20, np.random.default_rng(seed))
    lifted = restricted.lift(X)
    assert mask[np.arange(whole.n_var), lifted].all()
    np.testing.assert_array_equal(restricted.lower(lifted), X)
    np.testing.assert_array_equal(restricted.params(X), whole.params(lifted))
    np.testing.assert_array_equal(restricted.macs(X), whole.macs(lifted))
    np.testing.assert_array_equal(restricted.allowed, mask & whole.allowed)
    assert restricted.base is whole
    assert restricted.restrict(whole.allowed) is whole
    assert restricted.restrict(np.ones_like(mask)) is whole


def test_unrestricted_is_its_own_base(whole, random_state):
    X = whole.sample(3, random_state)
    assert whole.base is whole
    assert whole.restrict(whole.allowed) is whole
    np.testing.assert_array_equal(whole.lift(X), X)
    np.testing.assert_array_equal(whole.lower(X), X)


def test_outside_a_restriction(whole, random_state):
    mask = strike_out(whole)
    restricted = whole.restrict(mask)
    gene, choice = np.argwhere(whole.allowed & ~mask)[0]
    x = restricted.lift(restricted.sample(1, random_state))
    x[0, gene] = choice
    with pytest.raises(InputError, match="struck out"):
        restricted.lower(x)
    with pytest.raises(InputError, match="struck out"):
        restricted.encode(whole.decode(x[0]))


def test_wrong_masks(whole):
    mask = whole.allowed.copy()
    mask[0] = False
    with pytest.raises(InputError, match="gene 0 would have no choice left"):
        whole.restrict(mask)
    with pytest.raises(InputError, match="needs bool"):
        whole.restrict(mask[:, :-1])
    with pytest.raises(InputError, match="needs bool"):
        whole.restrict(mask.astype(int))


def test_sizes(space):
    assert isinstance(space.size, int)
    size = 1
    for n in space.n_choices:
        size *= int(n)
    assert space.size == size
    assert space.n_var == len(space.n_choices) == len(space.labels)
    assert [len(names) for names in space.labels] == space.n_choices.tolist()


def test_sample_is_uniform_over_each_gene(space):
    X = space.sample(20_000, np.random.default_rng(1))
    np.testing.assert_array_equal(X, space.sample(20_000, np.random.default_rng(1)))
    assert X.dtype == np.int64 and X.shape == (20_000, space.n_var)
    for gene, n in enumerate(space.n_choices):
        counts = np.bincount(X[:, gene], minlength=n)
        expected = len(X) / n
        # Five standard deviations: wrong once in a hundred thousand choices.
        assert (abs(counts - expected) <= 5 * np.sqrt(expected) + 1e-9).all()


def test_tables_add_up(space, random_state):
    X = space.sample(10, random_state)
    if not space.additive:
        with pytest.raises(InputError, match="do not add up"):
            space.param_table()
        return
    rows = np.arange(space.n_var)
    for table, fixed, total in (
        (space.param_table(), space.fixed_params, space.params(X)),
        (space.mac_table(), space.fixed_macs, space.macs(X)),
    ):
        assert table.shape == (space.n_var, space.n_choices.max())
        held = np.arange(table.shape[1]) < space.n_choices[:, None]
        np.testing.assert_array_equal(np.isnan(table), ~held)
        np.testing.assert_array_equal(table[rows, X].sum(axis=1) + fixed, total)
        assert total.dtype == np.int64


@pytest.mark.parametrize("name", list_spaces())
def test_counts_equal_the_built_network(name):
    space = get_space(name)
    X = space.sample(COUNTED.get(name, 80), np.random.default_rng(2))
    params, macs = space.params(X), space.macs(X)
    torch.set_num_threads(1)
    image = torch.zeros((1, *space.input_shape))
    for x, expected_params, expected_macs in zip(X, params, macs, strict=True):
        with torch.device("meta"):  # no time for initial values, which nobody reads
            network = space.build(x)
        network.to_empty(device="cpu")
        assert sum(p.numel() for p in network.parameters()) == expected_params
        counted, _ = thop.profile(network, (image,), custom_ops=RULES, verbose=False)
        assert counted == expected_macs


def test_network_runs(space, random_state):
    torch.set_num_threads(1)
    network = space.build(space.sample(1, random_state)[0]).eval()
    with torch.no_grad():
        logits = network(torch.randn(2, *space.input_shape))
    assert logits.shape == (2, space.num_classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", list_spaces())
@pytest.mark.parametrize("shape", [(1, 8, 8), (4, 7, 13), (1, 1, 1)])
def test_any_image(name, shape, random_state):
    space = get_space(name, num_classes=3, input_shape=shape)
    X = space.sample(2, random_state)
    for x, params, macs in zip(X, space.params(X), space.macs(X), strict=True):
        network = space.build(x).eval()
        assert sum(p.numel() for p in network.parameters()) == params
        with torch.no_grad():
            assert network(torch.randn(1, *shape)).shape == (1, 3)
        counted, _ = thop.profile(
            network, (torch.zeros(1, *shape),), custom_ops=RULES, verbose=False
        )
        assert counted == macs


def test_counting_and_tables_draw_no_random_numbers(whole):
    fresh = get_space(whole.name, num_classes=7)
    before = torch.random.get_rng_state()
    assert fresh.params(fresh.sample(1, np.random.default_rng(0))) > 0
    assert torch.equal(torch.random.get_rng_state(), before)


def test_copies(space):
    assert copy.deepcopy(space) is space
    assert copy.copy(space) is space
    clone = pickle.loads(pickle.dumps(space))
    np.testing.assert_array_equal(clone.allowed, space.allowed)
    text = space.decode(np.zeros(space.n_var, int))
    assert clone.decode(clone.encode(text)) == text


def test_check(space, random_state):
    X = space.sample(4, random_state)
    np.testing.assert_array_equal(space.check(X.astype(np.uint8)), X)
    np.testing.assert_array_equal(space.check(X.astype(float)), X)
    np.testing.assert_array_equal(space.check(X.astype(object)), X)
    np.testing.assert_array_equal(space.check(X.tolist()), X)
    assert space.check(np.empty((0, space.n_var))).shape == (0, space.n_var)
    assert space.canonical(X[:0]).shape == (0, space.n_var)
    assert space.params(X[:0]).shape == (0,)
    low, high = X.copy(), X.copy()
    low[2, 1] = -1
    high[1, 0] = space.n_choices[0]
    for wrong in (X[0], X[:, :-1], X[None], low, high, X + 0.5, X.astype(str), X * np.nan):
        with pytest.raises(InputError) as caught:
            space.check(wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="single row"):
        space.decode(X)
    with pytest.raises(InputError, match="single row"):
        space.build(X)


@pytest.mark.parametrize("wrong", ["", "9", "x", "other:000", "1-2", "|", "²", "0" * 99, "-1"])
def test_wrong_text(space, wrong):
    for text in (wrong, f"{space.name}:{wrong}"):
        with pytest.raises(InputError) as caught:
            space.encode(text)
        assert "\n" not in str(caught.value)
