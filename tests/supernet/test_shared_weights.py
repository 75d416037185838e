"""The supernet of width 1 against the stand-alone networks that it stands for."""

import numpy as np
import pytest
import torch
from torch import nn

from evonas.data import from_tensors
from evonas.errors import InputError
from evonas.spaces import get_space, list_spaces
from evonas.supernet import Supernet

SHAPES = {"darts": (3, 8, 8), "mobile-imagenet": (3, 64, 64), "tiny": (1, 8, 8)}
WITH_SUPERNET = [name for name in list_spaces() if get_space(name).has_supernet]


def supernet_of(name: str, width: float = 1.0) -> Supernet:
    shape = SHAPES.get(name, (3, 32, 32))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, *shape), dtype=np.uint8)
    data = from_tensors(images, np.arange(60) % 10, num_classes=10)
    return Supernet(get_space(name, num_classes=10, input_shape=shape), data, width)


@pytest.mark.parametrize("name", WITH_SUPERNET)
def test_built_network_with_copied_weights_gives_the_same_logits(name):
    supernet = supernet_of(name)
    space = supernet.space
    # Biases of normalisation away from zero, so that a dead operation that leaked would show.
    with torch.no_grad():
        for module in supernet.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.normal_(generator=torch.Generator().manual_seed(1))
    images, _ = next(iter(supernet.data.validation.batches(16, channels_last=True)))
    rng = np.random.default_rng(1)
    for genome in np.vstack([space.sample(4, rng), space.canonical(space.sample(4, rng))]):
        # One memory layout for both: kernels of another one round differently.
        alone = space.build(genome).to(memory_format=torch.channels_last)
        alone.load_state_dict(supernet.network.path_state(genome.tolist()), strict=False)
        alone.train()
        with torch.no_grad():
            shared = supernet.logits(images, tuple(genome.tolist()))
            difference = (alone(images) - shared).abs().max()
        assert difference <= 1e-5, space.decode(genome)


@pytest.mark.parametrize("name", WITH_SUPERNET)
def test_path_state_is_complete(name):
    """Every parameter of the stand-alone network comes from the supernet, with its shape."""
    supernet = supernet_of(name)
    genome = supernet.space.sample(1, np.random.default_rng(0))[0]
    state = supernet.network.path_state(genome.tolist())
    wanted = {n: p.shape for n, p in supernet.space.build(genome).named_parameters()}
    assert {n: p.shape for n, p in state.items()} == wanted


@pytest.mark.parametrize("name", ["macro", "nb201", "tiny"])
def test_width_scales_the_shared_weights(name):
    wide, narrow = supernet_of(name), supernet_of(name, 0.25)
    count = [sum(p.numel() for p in s.network.parameters()) for s in (wide, narrow)]
    assert count[1] < 0.2 * count[0]
    X = wide.space.sample(5, np.random.default_rng(0))
    assert np.array_equal(wide.space.params(X), narrow.space.params(X))
    with pytest.raises(InputError, match="width 0.25.*--width 1"):
        narrow.extract(X[0])


def test_extracted_network_evaluates_like_the_supernet():
    supernet = supernet_of("tiny")
    genome = supernet.space.sample(1, np.random.default_rng(0))[0]
    network = supernet.extract(genome)
    assert not any(
        p.data_ptr() == q.data_ptr()
        for p in network.parameters()
        for q in supernet.network.parameters()
    )
    network.eval()
    images, _ = next(iter(supernet.data.train.batches(51)))
    with torch.no_grad():
        difference = network(images) - supernet.logits(images, tuple(genome.tolist()))
    # Statistics of the training images instead of the batch's: near, not equal.
    assert difference.abs().mean() < 0.2


def test_dead_operations_of_a_cell_are_neither_computed_nor_trained():
    supernet = supernet_of("nb201", 0.25)
    space = supernet.space
    # Node 2 gets nothing from 0 and 1, so its convolution into the output is fed by nothing.
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    genome = tuple(space.encode(text).tolist())
    images, labels = next(iter(supernet.data.validation.batches(8)))
    loss = nn.functional.cross_entropy(supernet.network(images, genome), labels)
    loss.backward()
    trained = {n for n, p in supernet.network.named_parameters() if p.grad is not None}
    assert any(".ops.4.2." in n for n in trained)
    assert not any(".ops.5." in n for n in trained)
