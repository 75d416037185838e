"""What networks look like in words and shapes, for every space."""

import numpy as np
import pytest

from evonas.spaces import CategoricalSpace, get_space, list_spaces
from evonas.spaces.outline import halved


@pytest.mark.parametrize("name", list_spaces())
def test_every_space_draws_all_its_networks(name, random_state):
    space = get_space(name)
    for x in space.sample(20, random_state):
        outline = space.outline(x)
        assert outline.blocks and any(block.searched for block in outline.blocks)
        assert all(block.channels for block in outline.blocks)
        assert all(block.size for block in outline.blocks[:-1])
        for cell in outline.cells:
            for arrow in cell.arrows:
                assert 0 <= arrow.source < arrow.target < len(cell.nodes)
                assert arrow.label or not arrow.live


def test_a_chain():
    space = get_space("macro")
    blocks = space.outline(space.encode("macro:01220012")).blocks
    assert [block.label for block in blocks] == [
        "conv-k3", "identity", "mbconv-e3-k3", "mbconv-e6-k5", "mbconv-e6-k5", "identity",
        "identity", "mbconv-e3-k3", "mbconv-e6-k5", "conv-k1", "pool, linear",
    ]  # fmt: skip
    assert [block.channels for block in blocks] == [32, 64, 64, *3 * [128], *3 * [256], 1280, 10]
    sides = [block.size[0] for block in blocks[:-1]]
    assert sides == [32, 16, 16, *3 * [8], *3 * [4], 4] and blocks[-1].size is None
    # the first layer of a stage changes the shape: its skip is a strided convolution
    assert [block.empty for block in blocks] == [False] * 5 + [True] + [False] * 5
    assert [block.searched for block in blocks] == [False, *8 * [True], False, False]


def test_channels_are_those_of_the_network():
    import torch

    space = get_space("mobile-cifar")
    x = np.zeros(space.n_var, dtype=int)
    network, blocks = space.build(x).eval(), space.outline(x).blocks
    seen = []
    for child in [*network.stem, *network.layers]:
        child.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape[1:])))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 32, 32))
    assert seen == [(block.channels, *block.size) for block in blocks[: len(seen)]]


def test_a_cell():
    space = get_space("nb201")
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|none~2|"
    outline = space.outline(space.encode(text))
    (cell,) = outline.cells
    assert cell.nodes == ("in", "1", "2", "out")
    assert [(a.source, a.target, a.label, a.live) for a in cell.arrows] == [
        (0, 1, "nor_conv_3x3", False),
        (0, 2, "", False),
        (1, 2, "avg_pool_3x3", False),
        (0, 3, "skip_connect", True),
        (1, 3, "", False),
        (2, 3, "", False),
    ]
    assert [block.label for block in outline.blocks] == [
        "conv-k3", "5 x cell", "reduction", "5 x cell", "reduction", "5 x cell", "pool, linear",
    ]  # fmt: skip
    assert [block.channels for block in outline.blocks] == [16, 16, 32, 32, 64, 64, 10]


def test_darts():
    space = get_space("darts")
    outline = space.outline(np.zeros(space.n_var, dtype=int))
    assert [cell.name for cell in outline.cells] == ["normal cell", "reduction cell"]
    assert len(outline.cells[0].arrows) == 8 + 4
    labels = [block.label for block in outline.blocks]
    assert labels == [
        "conv-k3", "6 x normal cell", "reduction cell", "6 x normal cell", "reduction cell",
        "6 x normal cell", "pool, linear",
    ]  # fmt: skip
    assert [block.channels for block in outline.blocks] == [108, 144, 288, 288, 576, 576, 10]


def test_plain():
    space = get_space("plain", depth=(3, 5), width=(8, 16, 4))
    blocks = space.outline(space.encode("3x12:010:357")).blocks
    assert [(block.label, block.channels, block.size) for block in blocks] == [
        ("conv-k3", 24, (32, 32)),
        ("separable-k3", 12, (32, 32)),
        ("conv-k5", 24, (16, 16)),
        ("separable-k7", 48, (8, 8)),
        ("pool, linear", 10, None),
    ]


def test_a_restricted_space_draws_what_it_holds():
    base = get_space("macro")
    allowed = base.allowed.copy()
    allowed[:, 0] = False
    space = base.restrict(allowed)
    assert space.outline(np.zeros(8, int)) == base.outline(np.ones(8, int))


def test_genes_without_networks_have_their_labels():
    space = CategoricalSpace([2, 3], labels=[("a", "b"), ("c", "d", "e")])
    assert [block.label for block in space.outline([1, 2]).blocks] == ["b", "e"]


def test_odd_sizes_are_rounded_up():
    assert halved((33, 8), 2) == (17, 4)
