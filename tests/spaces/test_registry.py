"""Spaces by name, a space of one's own, and what importing costs."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from evonas.errors import InputError
from evonas.spaces import (
    ChainSpace,
    Conv,
    Fixed,
    Identity,
    Operation,
    Stage,
    get_space,
    list_spaces,
    register_space,
    registry,
)


@dataclass(frozen=True)
class Dilated(Operation):
    """An operation of one's own: a dilated convolution, BN, ReLU."""

    dilation: int

    @property
    def label(self):
        return f"dilated-{self.dilation}"

    def build(self, in_channels, out_channels, stride):
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, self.dilation, self.dilation),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


def my_space(num_classes, input_shape):
    choices = (Identity(), Conv(3), Dilated(2), Dilated(4))
    return ChainSpace(
        name="mine",
        stem=(Fixed(Conv(3), 16),),
        stages=(Stage(32, 3, 2, choices), Stage(64, 3, 2, choices)),
        num_classes=num_classes,
        input_shape=input_shape,
    )


@pytest.fixture
def register(monkeypatch):
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))
    monkeypatch.setattr(registry, "_SPACES", {})
    return register_space


def test_a_space_of_ones_own(register, random_state):
    register("mine", my_space)
    assert "mine" in list_spaces()
    space = get_space("mine", num_classes=5, input_shape=(1, 16, 16))
    X = space.sample(10, random_state)
    assert space.size == 4**6
    network = space.build(X[0])
    assert sum(p.numel() for p in network.parameters()) == space.params(X)[0]
    assert network(torch.randn(2, 1, 16, 16)).shape == (2, 5)
    # The bias of a convolution is a parameter, and no multiply-add.
    assert space.macs([[2, 0, 0, 0, 0, 0]])[0] == space.macs([[1, 0, 0, 0, 0, 0]])[0]
    np.testing.assert_array_equal(space.canonical([[1, 2, 0, 0, 3, 0]]), [[1, 0, 2, 0, 0, 3]])


def test_names(register):
    with pytest.raises(InputError, match="did you mean macro"):
        get_space("marco")
    with pytest.raises(InputError, match="already"):
        register("macro", my_space)
    register("yours", my_space)
    with pytest.raises(InputError, match="calls itself 'mine'"):
        get_space("yours")
    with pytest.raises(InputError, match="input_shape"):
        get_space("macro", 10, (32, 32))
    with pytest.raises(InputError, match="num_classes"):
        get_space("macro", 0)


def test_one_space_serves_everybody():
    assert get_space("macro", 10, [3, 32, 32]) is get_space("macro")
    assert get_space("macro", 100) is not get_space("macro")


def test_importing_and_naming_load_no_torch():
    code = (
        "import sys, numpy as np, evonas.spaces as s\n"
        "for name in s.list_spaces():\n"
        "    space = s.get_space(name)\n"
        "    X = space.sample(3, np.random.default_rng(0))\n"
        "    space.encode(space.decode(X[0]))\n"
        "s.get_space('macro').canonical(X[:, :1].repeat(8, 1) % 3)\n"
        "assert not {'torch', 'torchvision', 'thop'} & set(sys.modules)\n"
        "s.ChainNetwork\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
