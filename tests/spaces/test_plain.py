"""The space of plain chains, against the published log."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

from evonas.errors import InputError
from evonas.spaces import PlainArchitecture, PlainSpace, get_space
from evonas.spaces.blocks import Depthwise


@pytest.fixture
def space():
    return get_space("plain", depth=(10, 20), width=(16, 72, 4))


def test_all_counts_of_the_log(space, data_dir):
    with (data_dir / "trg-nas-search-log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 46
    texts = [
        f"{row['depth']}x{row['width']}:{row['ops']}:{row['kernels']}".replace(" ", "")
        for row in rows
    ]
    X = np.stack([space.encode(text) for text in texts])
    assert space.params(X).tolist() == [int(row["params_analytic"]) for row in rows]
    assert [space.decode(x) for x in X] == [f"plain:{text}" for text in texts]
    np.testing.assert_array_equal(space.canonical(X), X)


@pytest.mark.parametrize("classes", [10, 100])
def test_the_formula_of_separable_chains(classes):
    space = get_space("plain", classes)
    for L in space.depths:
        n1, n2, n3 = L // 3, 2 * L // 3 - L // 3, L - 2 * L // 3
        for C in space.widths:
            x = space.genome(PlainArchitecture(L, C, (0,) * L, (3,) * L))
            P = C**2 * (n1 + 4 * n2 + 16 * n3 - 9)
            P += C * (11 * n1 + 22 * n2 + 44 * n3 + 40) + classes * (4 * C + 1)
            assert space.params(x[None])[0] == P


def test_the_network_is_that_of_the_paper(space):
    x = space.encode("10x16:1000000001:3533333337")
    network = space.build(x)
    convolution, norm = network.stem
    assert (convolution.in_channels, convolution.out_channels, convolution.bias) == (3, 32, None)
    assert isinstance(norm, nn.BatchNorm2d)
    kinds = [[type(part) for part in layer] for layer in network.layers]
    relu, conv, norm = nn.ReLU, nn.Conv2d, nn.BatchNorm2d
    full, separable = [relu, conv, norm], [relu, Depthwise, conv, norm]
    assert kinds == [full, *[separable] * 8, full]
    convs = [[m for m in layer if isinstance(m, nn.Conv2d)] for layer in network.layers]
    assert [c[-1].out_channels for c in convs] == [16] * 3 + [32] * 3 + [64] * 4
    # The stride is that of the depthwise convolution.
    assert [c[0].stride[0] for c in convs] == [1, 1, 1, 2, 1, 1, 2, 1, 1, 1]
    assert [c[0].kernel_size[0] for c in convs] == [3, 5, 3, 3, 3, 3, 3, 3, 3, 7]
    assert [c[0].groups for c in convs[1:9]] == [16, 16, 16, 32, 32, 32, 64, 64]
    assert not any(c.bias is not None for layer in convs for c in layer)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_genes_of_layers_that_are_not_there(space, random_state):
    X = space.sample(200, random_state)
    C = space.canonical(X)
    np.testing.assert_array_equal(space.params(C), space.params(X))
    np.testing.assert_array_equal(space.macs(C), space.macs(X))
    for x, c in zip(X, C, strict=True):
        assert space.architecture(x) == space.architecture(c)
        np.testing.assert_array_equal(space.encode(space.decode(x)), c)
        np.testing.assert_array_equal(space.genome(space.architecture(x)), c)
    assert len(np.unique(C, axis=0)) == len({space.decode(x) for x in X})


def test_what_is_not_told_gets_an_allowed_choice(space):
    mask = space.allowed.copy()
    mask[space.operation_genes.stop - 1, 0] = False  # the last layer is a full convolution
    restricted = space.restrict(mask)
    x = restricted.encode("10x16:0000000000:3333333333")
    assert restricted.decode(x) == "plain:10x16:0000000000:3333333333"
    np.testing.assert_array_equal(restricted.canonical(x[None])[0], x)


def test_ranges():
    space = get_space("plain", depth=(3, 9, 3), width=[8, 16], kernels=(3, 11))
    assert space.depths == (3, 6, 9) and space.widths == tuple(range(8, 17))
    assert space is get_space("plain", kernels=[3, 11], width=(8, 16), depth=[3, 9, 3])
    assert space is get_space(
        "plain", kernels=range(3, 12, 8), width=np.array([8, 16]), depth=np.array([3, 9, 3])
    )
    text = "plain:3x9:010:3-11-3"
    assert space.decode(space.encode(text)) == text
    assert get_space("plain").size == 11 * 15 * 2**20 * 3**20
    assert not space.has_supernet and not space.additive


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": (2, 5)}, "begin at 3"),
        ({"depth": (5, 4)}, "go up"),
        ({"depth": 5}, "give the least and the largest"),
        ({"depth": (3.5, 5)}, "give the least and the largest"),
        ({"width": (0, 5)}, "begin at 1"),
        ({"width": (8, 16, 0)}, "go up"),
        ({"depth": (3, 10**9)}, "depth runs up to 1000000000; give at most 1000"),
        ({"width": (3, 10**9)}, "give at most 10000"),
        ({"depth": (float("inf"), 3)}, "give the least and the largest"),
        ({"kernels": 3}, "the kernels 3 of space 'plain' are no different odd numbers"),
        ({"kernels": (3, 4)}, "odd"),
        ({"kernels": (3, 3)}, "odd"),
        ({"kernels": ()}, "odd"),
        ({"kernels": (-3,)}, "below 1"),
        ({"deepth": (3, 4)}, "no setting 'deepth'; it has depth, width, kernels"),
    ],
)
def test_wrong_ranges(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        get_space("plain", **settings)
    assert "\n" not in str(caught.value)


def test_spaces_without_settings_say_so():
    with pytest.raises(InputError, match="'macro' has no setting 'depth'; it has none"):
        get_space("macro", depth=(3, 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9x16:000000000:333333333", "depth 9 is none of"),
        ("10x17:0000000000:3333333333", "width 17 is none of"),
        ("10x16:000000000:3333333333", "as many operations and kernels"),
        ("10x16:0000000000:333333333", "as many operations and kernels"),
        ("10x16:0000000002:3333333333", "an operation is 0"),
        ("10x16:0000000000:3333333334", "kernel 4 is none of 3, 5, 7"),
        ("10x16:0000000000", "DEPTHxWIDTH:OPERATIONS:KERNELS"),
        ("macro:10x16:0000000000:3333333333", "a genome of space 'macro'"),
    ],
)
def test_wrong_texts(space, text, message):
    with pytest.raises(InputError, match=message) as caught:
        space.encode(text)
    assert "\n" not in str(caught.value)


def test_there_is_no_supernet(space):
    from evonas.data import get_data
    from evonas.supernet import Supernet

    with pytest.raises(InputError, match="no supernet"):
        Supernet(space, get_data("digits"))


def test_a_class_of_ones_own():
    space = PlainSpace(depth=(3, 4), width=(2, 3), num_classes=2, input_shape=(1, 5, 5))
    assert space.name == "plain" and space.build(space.encode("3x2:000:333")) is not None
    with pytest.raises(InputError, match="no such network"):
        space.genome(PlainArchitecture(5, 2, (0,) * 5, (3,) * 5))
