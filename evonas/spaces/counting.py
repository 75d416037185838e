"""Exact parameters and multiply-adds of one block, counted once by thop.

MACs are the multiply-adds of convolutions and linear layers, bias not counted; normalisation,
pooling and activations are zero. Blocks are built on torch's meta device: nothing is computed,
no random number is drawn, and thop's buffers vanish with the block.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import thop
import torch
from thop.vision.basic_hooks import count_convNd, count_linear, zero_ops
from torch import nn
from torch.nn.modules.conv import _ConvNd

from evonas.spaces.ops import Operation
from evonas.spaces.space import Shape


class Count(NamedTuple):
    """What a block costs for one image, and the shape of what it returns without the batch."""

    params: int
    macs: int
    output_shape: tuple[int, ...]


def rules(module: nn.Module) -> dict[type[nn.Module], Callable[..., None]]:
    """Makes thop's ``custom_ops`` for a module: convolutions and linear layers count, nothing else.

    thop looks for exact types and would miss a subclass of a convolution without a word.
    """
    found: dict[type[nn.Module], Callable[..., None]] = {}
    # A rule ends thop's descent, so a type that holds other modules anywhere must have none.
    containers = {type(part) for part in module.modules() if next(part.children(), None)}
    for part in module.modules():
        if isinstance(part, _ConvNd):
            found[type(part)] = count_convNd
        elif isinstance(part, nn.Linear):
            found[type(part)] = count_linear
        elif type(part) not in containers:
            found[type(part)] = zero_ops
    return found


def count_module(make: Callable[[], nn.Module], input_shape: tuple[int, ...]) -> Count:
    """Counts a throw-away module.

    Args:
        make: Builds the module; called under torch's meta device.
        input_shape: Shape of one input, without the batch.
    """
    with torch.device("meta"):
        module = make()
        image = torch.zeros((1, *input_shape))
    params = sum(parameter.numel() for parameter in module.parameters())
    shapes: list[tuple[int, ...]] = []
    module.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    macs, _ = thop.profile(module, inputs=(image,), custom_ops=rules(module), verbose=False)
    return Count(params, int(macs), shapes[0])


@cache
def count_operation(
    operation: Operation, in_channels: int, out_channels: int, stride: int, size: tuple[int, int]
) -> Count:
    """Counts an operation at a shape; equal operations at equal shapes are counted once."""
    shape: Shape = (in_channels, *size)
    return count_module(lambda: operation.build(in_channels, out_channels, stride), shape)
