"""Recorded steps, where there is a GPU."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from evonas.config import ScratchConfig, TrainingConfig
from evonas.data import from_tensors
from evonas.spaces import get_space
from evonas.training import Trainer
from evonas.training.pool import do_several
from evonas.training.recipes import settle_for
from evonas.training.scratch import new_network, train_network

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="steps are replayed on CUDA")
DEVICE = torch.device("cuda")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 4
    images = rng.integers(0, 90, (2000, 3, 32, 32)) + 50 * labels[:, None, None, None]
    return from_tensors(images.astype(np.uint8), labels, device="cuda")


@pytest.fixture(scope="module")
def build():
    space = get_space("plain", 4, (3, 32, 32), depth=(3, 6), width=(8, 16, 4))
    return partial(space.build, space.encode("6x16:100000:353333"))


def trained(build, data, *, steps, **options):
    net = new_network(build, DEVICE, seed=1)
    config = TrainingConfig(
        steps=steps,
        batch_size=64,
        lr=0.05,
        weight_decay=5e-4,
        label_smoothing=0.1,
        half_resolution=0.5,
        warmup=0.0,
    )
    losses = []
    trainer = Trainer(net, data.train, config, seed=3, **options)
    net.train()
    while trainer.step < steps:
        for images, labels in trainer.epoch():
            losses.append(float(trainer.train_step(images, labels)))
            if trainer.step == steps:
                break
    return losses, net.state_dict()


def test_replayed_steps_are_the_steps_themselves(build, data):
    """The first ones to rounding; both sizes of images, and running statistics."""
    for steps in (2, 4):
        ours, state = trained(build, data, steps=steps, replay=True)
        theirs, truth = trained(build, data, steps=steps)
        assert ours == pytest.approx(theirs, rel=0.02)
        for name, value in truth.items():
            torch.testing.assert_close(state[name], value, rtol=0.05, atol=0.02, msg=name)
    assert state["stem.1.num_batches_tracked"] == 4


def test_it_learns(build, data):
    losses, _ = trained(build, data, steps=60, replay=True)
    assert np.mean(losses[-5:]) < 0.6 * losses[0]


def test_the_average_of_replayed_steps(build, data):
    config = settle_for(ScratchConfig(epochs=4, batch_size=64, ema=0.9), data, threads=1)
    done = train_network(new_network(build, DEVICE), data, config)
    assert done is not None and done.error < 50


def test_several_at_once_are_those_one_by_one(build, data):
    config = settle_for(ScratchConfig(epochs=4, batch_size=64), data, threads=1)

    def job(seed, stop):
        return train_network(new_network(build, DEVICE, seed=seed), data, config, seed=seed)

    errors = []
    for at_once in (1, 3):
        jobs = [partial(job, seed) for seed in range(4)]
        done = dict(do_several(jobs, at_once=at_once, device=DEVICE))
        errors.append([done[seed].error for seed in range(4)])
        assert all(torch.isfinite(v).all() for each in done.values() for v in each.weights.values())
    assert max(errors[0]) < 40
    np.testing.assert_allclose(*errors, atol=10)  # they round otherwise


def test_compiled_and_replayed(build, data):
    config = settle_for(ScratchConfig(epochs=3, batch_size=64, compile=True), data, threads=1)
    done = train_network(new_network(build, DEVICE), data, config)
    assert done is not None and done.error < 60


class Looking(nn.Module):
    """It waits for the device in each step."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 32 * 32, 4)

    def forward(self, x):
        x = self.layer(x.flatten(1))
        return x * (1.0 + 0.0 * float(x.abs().max()))


def test_a_network_that_cannot_be_recorded_is_trained_all_the_same(data):
    config = settle_for(ScratchConfig(epochs=2, batch_size=64, lr=0.01), data, threads=1)
    with pytest.warns(UserWarning, match="one by one"):
        done = train_network(new_network(Looking, DEVICE), data, config)
    assert done is not None and done.error < 75
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
