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


@pytest.mark.parametrize("registers", ["AVX2", "AVX512"])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 3), (2, 7), (6, 6), (8, 9)])
def test_depthwise_gradients(monkeypatch, size, kernel, stride, dilation, registers):
    """Of small images, and of large and dilated kernels, as those of any convolution."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: registers)
    torch.manual_seed(0)
    layer = blocks.conv(6, 6, kernel=kernel, stride=stride, groups=6, dilation=dilation).double()
    padding = dilation * (kernel // 2)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, dilation, 6, bias=False).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(4, 6, *size, dtype=torch.double).to(memory_format=torch.channels_last)
    grads = []
    for conv in (layer, plain):
        images = x.clone().requires_grad_()
        out = conv(images)
        first = torch.autograd.grad(out.square().sum(), (images, conv.weight), create_graph=True)
        second = torch.autograd.grad(
            sum(part.square().sum() for part in first), (images, conv.weight)
        )
        grads.append((out, *first, *second))
    for got, want in zip(*grads, strict=True):
        torch.testing.assert_close(got, want)
    assert torch.equal(layer(x), plain(x))
    with torch.no_grad():
        assert torch.equal(layer(x), plain(x))


def test_only_a_slow_depthwise_gradient_is_taken_over(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    taken = [
        (size, kernel, stride)
        for size, kernel, stride in ((8, 3, 1), (2, 3, 1), (8, 5, 1), (8, 5, 2), (4, 5, 2))
        if "Depthwise"
        in type(
            blocks.conv(6, 6, kernel=kernel, stride=stride, groups=6)(
                torch.zeros(2, 6, size, size)
            ).grad_fn
        ).__name__
    ]
    assert taken == [(2, 3, 1), (8, 5, 1), (4, 5, 2)]
    layer = blocks.conv(6, 6, kernel=5, groups=6).requires_grad_(False)
    out = layer(torch.zeros(2, 6, 8, 8, requires_grad=True))
    assert "Depthwise" not in type(out.grad_fn).__name__  # its weights are not trained


def test_few_channels_count_as_any_convolution():
    counts = [
        count_module(make, (4, 7, 7))
        for make in (
            lambda: blocks.conv(4, 12, stride=2),
            lambda: nn.Conv2d(4, 12, 1, 2, bias=False),
        )
    ]
    assert counts[0] == counts[1]
