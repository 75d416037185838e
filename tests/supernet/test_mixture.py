"""The mixture forward: a gate for each gene and choice, with the weights of the paths."""

import numpy as np
import pytest
import torch
from torch import nn

from evonas.spaces import get_space, list_spaces
from tests.supernet.test_shared_weights import supernet_of

WITH_SUPERNET = [name for name in list_spaces() if get_space(name).has_supernet]


def unsettle(supernet):
    """Biases of normalisation away from zero and branches away from nothing, so that leaks show."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in supernet.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.normal_(generator=generator)
                module.weight.normal_(1, 0.2, generator=generator)
    return supernet


def one_hot(space, genome):
    gates = torch.zeros(space.allowed.shape)
    gates[torch.arange(space.n_var), torch.as_tensor(genome)] = 1
    return gates


def images_of(supernet, n=8):
    images, _ = next(iter(supernet.data.validation.batches(n, channels_last=True)))
    return images


@pytest.mark.parametrize("name", WITH_SUPERNET)
def test_one_hot_gates_give_the_path(name):
    supernet = unsettle(supernet_of(name, 0.25))
    space, images = supernet.space, images_of(supernet)
    random_state = np.random.default_rng(0)
    drawn = space.sample(8, random_state)
    genomes = np.vstack([drawn[:6], space.canonical(drawn[6:])])
    with torch.no_grad():
        for genome in genomes:
            gates = one_hot(space, genome)
            path = supernet.network(images, tuple(genome.tolist()))
            mixed = supernet.network.mixture(images, gates)
            assert (mixed - path).abs().max() <= 1e-5, space.decode(genome)
            each = supernet.network.mixture(images, gates.expand(len(images), *gates.shape))
            assert (each - path).abs().max() <= 1e-5, space.decode(genome)


@pytest.mark.parametrize("name", WITH_SUPERNET)
def test_gradients_of_gates_equal_finite_differences(name):
    supernet = unsettle(supernet_of(name, 0.25))
    network, space = supernet.network.double(), supernet.space
    images = images_of(supernet, 6).double()
    labels = torch.arange(len(images)) % 10
    random_state = np.random.default_rng(0)
    gates = torch.as_tensor(random_state.uniform(0.1, 1, space.allowed.shape))
    gates = (gates * torch.tensor(space.allowed)).requires_grad_()
    skips = torch.ones(space.n_var, dtype=torch.double)

    def loss(gates):
        return nn.functional.cross_entropy(network.mixture(images, gates, skips), labels)

    (gradient,) = torch.autograd.grad(loss(gates), gates)
    assert not gradient[~torch.tensor(space.allowed)].any()
    cells = np.argwhere(space.allowed)
    for gene, choice in cells[random_state.permutation(len(cells))[:3]]:
        step = torch.zeros_like(gates)
        step[gene, choice] = 1e-7
        with torch.no_grad():
            difference = (loss(gates + step) - loss(gates - step)) / 2e-7
        assert gradient[gene, choice].item() == pytest.approx(difference.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["macro", "nb201", "darts"])
def test_gates_of_each_image_sum_to_the_gradient_of_the_batch(name):
    supernet = unsettle(supernet_of(name, 0.25))
    network, space = supernet.network.double(), supernet.space
    images = images_of(supernet, 6).double()
    labels = torch.arange(len(images)) % 10
    gates = one_hot(space, space.sample(1, np.random.default_rng(3))[0]).double().requires_grad_()
    each = gates.detach().expand(len(images), *gates.shape).clone().requires_grad_()
    gradients = []
    for given in (gates, each):
        loss = nn.functional.cross_entropy(network.mixture(images, given), labels)
        gradients += torch.autograd.grad(loss, given)
    torch.testing.assert_close(gradients[1].sum(0), gradients[0])


def test_a_skip_stays_where_a_branch_is_removed():
    supernet = unsettle(supernet_of("macro", 0.25))
    space, images = supernet.space, images_of(supernet)
    genome = np.array([2, 1, 1, 2, 1, 2, 1, 2])
    gates, skips = one_hot(space, genome), torch.ones(space.n_var)
    gates[3] = 0  # layer 3 keeps the shape
    without = genome.copy()
    without[3] = 0
    with torch.no_grad():
        removed = supernet.network.mixture(images, gates, skips)
        identity = supernet.network(images, tuple(without.tolist()))
    torch.testing.assert_close(removed, identity)


def test_where_there_is_no_skip_a_removal_cuts_the_stream():
    supernet = unsettle(supernet_of("macro", 0.25))
    space, images = supernet.space, images_of(supernet)
    gates, skips = one_hot(space, [1] * 8), torch.ones(space.n_var)
    gates[2] = 0  # layer 2 has a stride
    with torch.no_grad():
        logits = supernet.network.mixture(images, gates, skips)
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))


def test_operations_with_gates_of_zero_are_not_computed():
    supernet = supernet_of("nb201", 0.25)
    gates = one_hot(supernet.space, [3] * 6).requires_grad_()
    loss = supernet.network.mixture(images_of(supernet), gates).logsumexp(1).sum()
    loss.backward()
    trained = {n for n, p in supernet.network.named_parameters() if p.grad is not None}
    assert any(".ops.0.3." in name for name in trained)
    assert not any(".ops.0.2." in name for name in trained)
    assert not gates.grad[:, [0, 1, 2, 4]].any()


def test_gates_of_choices_that_are_not_there_do_not_matter():
    supernet = supernet_of("mobile-cifar", 0.25)
    space, images = supernet.space, images_of(supernet, 2)
    assert not space.allowed.all()
    gates = torch.tensor(np.where(space.allowed, 0.3, np.nan), dtype=torch.float)
    with torch.no_grad():
        logits = supernet.network.mixture(images, gates)
        zeros = supernet.network.mixture(images, gates.nan_to_num(0))
    torch.testing.assert_close(logits, zeros)
