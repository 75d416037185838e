"""The modules behind the operations."""

import pytest
import torch
from torch import nn

from evonas.spaces import blocks
from evonas.spaces.counting import count_module


@pytest.mark.parametrize("in_channels", [1, 4, 7, 8, 15, 16])
@pytest.mark.parametrize("size", [1, 7, 8, 32])
def test_strided_pointwise_gradients(in_channels, size):
    """Of images in channels last, where oneDNN writes outside of its buffer."""
    torch.manual_seed(0)
    x = torch.randn(16, in_channels, size, size).to(memory_format=torch.channels_last)
    layer = blocks.conv(in_channels, 12, stride=2).to(memory_format=torch.channels_last)
    seen = x[:, :, ::2, ::2]
    weight = layer.weight.detach()[:, :, 0, 0]
    out = layer(x.requires_grad_())
    along = torch.randn_like(out)
    image, kernel = torch.autograd.grad(out, (x, layer.weight), along)
    wanted = torch.zeros_like(image)
    wanted[:, :, ::2, ::2] = torch.einsum("nohw,oi->nihw", along, weight)
    for got, want in (
        (out, torch.einsum("nihw,oi->nohw", seen, weight)),
        (image, wanted),
        (kernel[:, :, 0, 0], torch.einsum("nihw,nohw->oi", seen, along)),
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-3)


def test_few_channels_count_as_any_convolution():
    counts = [
        count_module(make, (4, 7, 7))
        for make in (
            lambda: blocks.conv(4, 12, stride=2),
            lambda: nn.Conv2d(4, 12, 1, 2, bias=False),
        )
    ]
    assert counts[0] == counts[1]
