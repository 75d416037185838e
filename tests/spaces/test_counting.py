"""Counting on throw-away modules."""

import torch
from torch import nn

from evonas.spaces import Identity, MBConv
from evonas.spaces.counting import count_module, count_operation


def test_an_mbconv_by_hand():
    inner = 8 * 3
    params = 8 * inner + inner * 9 + inner * 16 + 2 * (2 * inner + 16)
    macs = 8 * inner * 64 + inner * 9 * 16 + inner * 16 * 16
    assert count_operation(MBConv(3, 3), 8, 16, 2, (8, 8)) == (params, macs, (16, 4, 4))


def test_identity_costs_nothing_or_a_convolution():
    assert count_operation(Identity(), 8, 8, 1, (5, 5)) == (0, 0, (8, 5, 5))
    assert count_operation(Identity(), 8, 16, 2, (5, 5)) == (8 * 16 + 32, 8 * 16 * 9, (16, 3, 3))


def test_equal_operations_are_counted_once():
    before = count_operation.cache_info()
    count_operation(MBConv(3, 2), 11, 11, 1, (5, 5))
    count_operation(MBConv(3, 2), 11, 11, 1, (5, 5))
    after = count_operation.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 1)


class MyConv(nn.Conv2d):
    """thop knows exact types only."""


class Container(nn.Sequential):
    """Empty, it is a leaf; it must not end the descent into others of its type."""


def test_subclasses_and_containers():
    def make():
        return Container(MyConv(2, 3, 1), Container(), Container(nn.Conv2d(3, 4, 1), nn.SiLU()))

    assert count_module(make, (2, 5, 5)) == (9 + 16, 25 * (6 + 12), (4, 5, 5))


def test_nothing_is_left_on_the_module():
    seen = []

    def make():
        seen.append(nn.Linear(3, 2))
        return seen[0]

    assert count_module(make, (3,)) == (8, 6, (2,))
    assert seen[0].weight.device == torch.device("meta")
