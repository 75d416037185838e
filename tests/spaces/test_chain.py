"""Chains: classes against enumeration, equal logits, widths, errors."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evonas.errors import InputError
from evonas.spaces import ChainSpace, Conv, Fixed, Identity, MBConv, Operation, Stage, get_space
from evonas.spaces.identities import first_members


def chain(stages, **settings):
    given = {"name": "x", "stem": (Fixed(Conv(3), 4),), "num_classes": 3, "input_shape": (1, 8, 8)}
    return ChainSpace(**(given | settings), stages=stages)


def test_canonical_leaves_3969_of_macro():
    space = get_space("macro")
    every = np.indices(space.n_choices).reshape(space.n_var, -1).T
    assert len(np.unique(space.canonical(every), axis=0)) == 3969


def test_canonical_moves_identities_to_the_front_of_a_run():
    space = get_space("macro")
    C = space.canonical([space.encode("22012010"), space.encode("20010200")])
    assert [space.decode(c) for c in C] == ["macro:22012001", "macro:20001200"]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_first_members_equals_enumeration(data):
    """Layers with their own candidates and order, some struck out, some without identity."""
    n_layers = data.draw(st.integers(1, 4))
    n_choices = data.draw(st.integers(1, 4))
    row = st.lists(st.integers(-1, 3), min_size=n_choices, max_size=n_choices)
    rows = [data.draw(row.filter(lambda r: max(r) >= 0)) for _ in range(n_layers)]
    codes = np.array(rows)
    members = [
        g
        for g in itertools.product(range(n_choices), repeat=n_layers)
        if all(codes[j, c] >= 0 for j, c in enumerate(g))
    ]
    held = np.array([[codes[j, c] for j, c in enumerate(g)] for g in members])
    first = {}
    for g, h in zip(members, held, strict=True):  # product() is in lexicographic order
        first.setdefault(tuple(h[h > 0]), g)
    expected = [first[tuple(h[h > 0])] for h in held]
    np.testing.assert_array_equal(first_members(held, codes), expected)


def test_canonical_of_large_and_small_populations_agree():
    space = get_space("mobile-cifar")
    mask = space.allowed.copy()
    mask[::3, -1] = False
    for part in (space, space.restrict(mask)):
        X = part.sample(3000, np.random.default_rng(0))
        one_by_one = np.concatenate([part.canonical(x[None]) for x in X[:200]])
        np.testing.assert_array_equal(part.canonical(X)[:200], one_by_one)


@pytest.mark.parametrize("name", ["macro", "mobile-cifar", "tiny"])
def test_one_class_one_function(name):
    torch.set_num_threads(1)
    space = get_space(name, input_shape=(3, 16, 16))
    random_state = np.random.default_rng(3)
    X = space.sample(2000, random_state)
    C = space.canonical(X)
    moved = np.flatnonzero((X != C).any(axis=1))[:4]
    assert len(moved) == 4
    images = torch.randn(4, 3, 16, 16)
    for i in moved:
        one, other = space.build(X[i]), space.build(C[i])
        for part in ("stem", "head"):
            getattr(other, part).load_state_dict(getattr(one, part).state_dict())
        mine = [layer for layer in one.layers if not isinstance(layer, nn.Identity)]
        yours = [layer for layer in other.layers if not isinstance(layer, nn.Identity)]
        for a, b in zip(mine, yours, strict=True):
            b.load_state_dict(a.state_dict())
        with torch.no_grad():
            assert torch.equal(one(images), other(images))


def test_width_scales_all_but_images_and_classes():
    space = get_space("macro", num_classes=7)
    x = space.encode("12012012")
    parts = [space.block(gene, int(c), 0.25) for gene, c in enumerate(x)]
    network = nn.Sequential(space.stem(0.25), *parts, space.head(0.25))
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    first = next(m for m in space.stem(0.25).modules() if isinstance(m, nn.Conv2d))
    assert (first.in_channels, first.out_channels) == (3, 8)
    linear = next(m for m in space.head(0.25).modules() if isinstance(m, nn.Linear))
    assert (linear.in_features, linear.out_features) == (320, 7)
    assert space.params(x[None])[0] == get_space("macro", num_classes=7).params(x[None])[0]
    tiny = next(m for m in space.stem(0.001).modules() if isinstance(m, nn.Conv2d))
    assert tiny.out_channels == 1
    for width in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="width"):
            space.stem(width)


def test_presets_have_the_promised_layers():
    for name, layers in (("mobile-cifar", 16), ("mobile-imagenet", 21)):
        space = get_space(name, input_shape=(3, 64, 64))
        assert space.n_var == layers
        for layer, names in zip(space.layers, space.labels, strict=True):
            expected = {f"mbconv-e{e}-k{k}" for e in (3, 6) for k in (3, 5, 7)}
            assert set(names) == expected | ({"identity"} if layer.keeps_shape else set())


@dataclass(frozen=True)
class Shrinking(Operation):
    """A convolution that somebody forgot to pad."""

    label = "shrinking"

    def build(self, in_channels, out_channels, stride):
        return nn.Conv2d(in_channels, out_channels, 3, stride)


def test_a_choice_of_another_shape_is_named():
    space = chain([Stage(4, 2, 1, (Conv(3), Shrinking()))])
    with pytest.raises(InputError, match=r"layer 0, choice 1 \(shrinking\) returns \(4, 6, 6\)"):
        space.params([[0, 0]])
    space = chain([Stage(4, 2, 1, (Shrinking(),))], input_shape=(1, 2, 2))
    with pytest.raises(InputError, match=r"layer 0, choice 0 \(shrinking\) cannot read"):
        space.params([[0, 0]])


def test_more_than_ten_choices_are_written_with_dashes():
    choices = tuple(MBConv(k, e) for k in (3, 5, 7) for e in (1, 2, 3, 4))
    space = chain([Stage(4, 3, 1, (Identity(), *choices))])
    assert space.decode([11, 0, 3]) == "x:11-0-3"
    np.testing.assert_array_equal(space.encode("11-0-3"), [11, 0, 3])
    with pytest.raises(InputError, match="it looks like 'x:0-0-0'"):
        space.encode("1103")


@pytest.mark.parametrize(
    ("stages", "settings"),
    [
        ([], {}),
        ([Stage(4, 0, 1, (Conv(3),))], {}),
        ([Stage(0, 1, 1, (Conv(3),))], {}),
        ([Stage(4, 1, 0, (Conv(3),))], {}),
        ([Stage(4, 1, 1, ())], {}),
        ([Stage(4, 1, 1, (Conv(3),))], {"stem": ()}),
        ([Stage(4, 1, 1, (Conv(3),))], {"num_classes": 0}),
        ([Stage(4, 1, 1, (Conv(3),))], {"input_shape": (8, 8)}),
        ([Stage(4, 1, 1, (Conv(3),))], {"input_shape": (1, 0, 8)}),
        ([Stage(4, 1, 1, (Conv(3),))], {"name": "a:b"}),
    ],
)
def test_wrong_chains(stages, settings):
    with pytest.raises(InputError):
        chain(stages, **settings)


def test_no_such_block():
    space = get_space("tiny")
    for gene, choice in ((6, 0), (-1, 0), (0, 3), (0, -1)):
        with pytest.raises(InputError, match="no choice"):
            space.block(gene, choice)
