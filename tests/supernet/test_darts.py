"""Shared weights of DARTS's space: two genes of a node, one set of weights."""

import numpy as np
import pytest
import torch
from torch import nn

from evonas.spaces import DartsSpace
from evonas.supernet.darts import SharedDarts
from evonas.supernet.network import shared_network, use_batch_statistics
from evonas.training.initial import initialise

NONE, MAX, AVG, SKIP, SEP3, SEP5, DIL3, DIL5 = range(8)


@pytest.fixture(scope="module")
def space():
    return DartsSpace(nodes=3, channels=4, layers=4, num_classes=5, input_shape=(1, 9, 8))


@pytest.fixture(scope="module")
def network(space):
    torch.manual_seed(0)
    network = shared_network(space, 1.0)
    initialise(network)
    use_batch_statistics(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias)
    return network


def genomes(space):
    """Some at random, and the special cases of a node."""
    X = space.sample(12, np.random.default_rng(0))
    twice = [SEP3, SEP3, 16 + SKIP, 16 + SKIP, 24 + DIL5, 24 + DIL5]
    dead = [NONE, 8 + NONE, 16 + SEP5, 16 + MAX, 24 + SKIP, SEP3]
    strided = [SKIP, SKIP, 8 + SKIP, 16 + SKIP, 8 + AVG, 8 + AVG]
    return [*X.tolist(), twice + twice, dead + dead, strided + strided, [NONE] * 12]


def test_one_path_is_the_stand_alone_network(space, network):
    assert isinstance(network, SharedDarts)
    images = torch.randn(6, *space.input_shape)
    for genome in genomes(space):
        alone = space.build(genome).train()
        state = network.path_state(genome)
        assert {n: p.shape for n, p in state.items()} == {
            n: p.shape for n, p in alone.named_parameters()
        }
        alone.load_state_dict(state, strict=False)
        with torch.no_grad():
            torch.testing.assert_close(alone(images), network(images, genome), rtol=0, atol=1e-6)


def test_both_genes_of_a_node_have_the_same_weights(space, network):
    genome = [SEP3, SEP3, *[NONE] * 10]
    state = network.path_state(genome)
    for layer in (1, 2, 5, 6):
        one, other = (state[f"cells.0.ops.{gene}.{layer}.weight"] for gene in (0, 1))
        assert torch.equal(one, other)
    swapped = network.path_state([8 + DIL3, SEP3, *[NONE] * 10])
    assert torch.equal(swapped["cells.0.ops.1.1.weight"], one_of(network, "0.ops.0.4.1.weight"))


def one_of(network, name):
    return dict(network.cells.named_parameters())[name]


def test_the_same_operation_twice_counts_twice(space, network):
    cell = network.cells[0]
    stem = torch.randn(4, 12, 9, 8)
    with torch.no_grad():
        once = cell(stem, stem, [SEP3, NONE, *[NONE] * 10], ((2, 0, 0),))
        twice = cell(stem, stem, [SEP3, SEP3, *[NONE] * 10], ((2, 0, 0), (2, 0, 1)))
    assert once[:, :4].any()
    torch.testing.assert_close(twice, 2 * once)


def test_equal_functions_score_alike(space, network):
    """Where no operation changes its place, the canonical path gives the same logits."""
    x = [SEP3, 8 + SEP5, 8 + MAX, 16 + SKIP, 24 + SKIP, NONE, *[8 + AVG, SEP3, NONE, NONE], 8, 8]
    c = space.canonical([x])[0].tolist()
    assert c != x and c[10:] == [NONE, NONE]
    images = torch.randn(5, *space.input_shape)
    with torch.no_grad():
        torch.testing.assert_close(network(images, x), network(images, c), rtol=1e-4, atol=1e-5)


def test_only_live_operations_are_trained(space, network):
    genome = [NONE, NONE, 16 + SEP3, SEP3, 8 + DIL3, 24 + MAX, *[MAX] * 6]
    network.zero_grad(set_to_none=True)
    network(torch.randn(4, *space.input_shape), genome).sum().backward()
    trained = {
        tuple(n.split(".")[1:5])
        for n, p in network.named_parameters()
        if ".ops." in n and p.grad is not None
    }
    assert {key[2:] for key in trained} == {("1", str(SEP3)), ("2", str(8 + DIL3))}
    assert {key[0] for key in trained} == {"0", "3"}  # cells 1 and 2 are reductions


def test_width():
    space = DartsSpace(nodes=2, channels=36, layers=3, num_classes=5, input_shape=(3, 8, 8))
    wide, narrow = shared_network(space, 1.0), shared_network(space, 0.1)
    images = torch.randn(4, 3, 8, 8)
    for network in (wide, narrow, shared_network(space, 0.01)):
        assert network(images, space.sample(1, np.random.default_rng(0))[0].tolist()).shape == (
            4,
            5,
        )
    sizes = [sum(p.numel() for p in network.parameters()) for network in (wide, narrow)]
    assert sizes[1] < 0.05 * sizes[0]
