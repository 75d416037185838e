"""The modules behind the operations: plain sequences wherever possible.

Weights start as PyTorch's layers make them: nearly every convolution is followed by batch
normalisation, which takes its scale out. Convolutions have no bias.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

# From here on the widest oneDNN kernel of a strided 1x1 convolution fills its channel block.
_ONEDNN_BLOCK = 16


class Residual(nn.Sequential):
    """Its layers in sequence, plus the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Input ``(n, c, h, w)``, output of the same shape."""
        return x + self.branch(x)

    def branch(self, x: Tensor) -> Tensor:
        """What is added to the input."""
        return super().forward(x)


class Zero(nn.Module):
    """Zeros of the output's shape, whatever comes in."""

    def __init__(self, out_channels: int, stride: int):
        """Takes the output's channels and the stride."""
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Input ``(n, c, h, w)``; zeros even where the input is not finite."""
        n, _, h, w = x.shape
        return x.new_zeros((n, self.out_channels, -(-h // self.stride), -(-w // self.stride)))


class FewChannels(nn.Conv2d):
    """A strided 1x1 convolution of few input channels that is safe to train on a CPU.

    For its weight gradient oneDNN writes outside of its buffer where the images are channels last
    and have fewer channels than its block, 8 with AVX2 and 16 with AVX-512: a crash, an endless
    loop, or wrong gradients without a word (uxlfoundation/oneDNN#6035; torch 2.13 to 2.15 at
    least). Without a stride it is right, so the pixels in between are left out beforehand. A
    pooling of single pixels does that in one step each way, slices in two.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        if not x.is_cpu:
            return super().forward(x)
        return F.conv2d(F.avg_pool2d(x, 1, self.stride), self.weight, self.bias)


class Depthwise(nn.Conv2d):
    """A depthwise convolution whose weights are quick to train on a CPU.

    oneDNN sums up the weight gradient of an image smaller than the kernel, and both gradients of a
    dilated kernel, in plain loops, fifty times slower than all else of the layer; and with AVX2,
    whose registers do not hold a larger kernel, 5 columns take twice as long as 3 and 2. So images
    are padded with zeros to the size of the kernel, a dilated kernel sees every other row and
    column as images of their own, columns of a kernel are taken by threes, and what lies beyond the
    other end of an image is left out. The sums are the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        if not (x.is_cpu and torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(x)
        kernel, stride, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        slow = dilation > 1 or min(x.shape[2:]) < kernel or _widest(kernel, stride) < kernel
        known = dilation == 1 or stride in (1, dilation)
        if not (slow and known):
            return super().forward(x)
        return _Depthwise.apply(x, self.weight, stride, dilation)


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of an odd kernel that keeps the size, divided by the stride."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        padding = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, None, stride, padding, dilation, len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (grad,), (x, weight), stride = grads, ctx.saved_tensors, ctx.stride
        dilation, shape, padding = ctx.dilation, x.shape, weight.shape[-1] // 2
        one_part = dilation > 1 and stride > 1  # a stride as large as the dilation sees no other
        if one_part:
            x = x[:, :, ::dilation, ::dilation].contiguous(memory_format=torch.channels_last)
        elif dilation > 1:
            x, grad = _parts(x, dilation), _parts(grad, dilation)
        stride = 1 if one_part else stride
        by_input = by_weight = None
        if ctx.needs_input_grad[0]:
            by_input = conv2d_input(x.shape, weight, grad, stride, padding, 1, len(weight))
            if one_part:
                seen, by_input = by_input, by_input.new_zeros(shape)
                by_input[:, :, ::dilation, ::dilation] = seen
            elif dilation > 1:
                by_input = _whole(by_input, dilation, shape)
        if ctx.needs_input_grad[1]:
            by_weight = _weight_gradient(x, grad, weight.shape[-1], stride)
        return by_input, by_weight, None, None


def _parts(images: Tensor, step: int) -> Tensor:
    """Every ``step``-th row and column, from each of the first ones on: step^2 times the images."""
    n, c, h, w = images.shape
    rows, columns = -(-h // step), -(-w // step)
    whole = _padded(images, 0, step * columns - w, step * rows - h).permute(0, 2, 3, 1)
    parts = whole.reshape(n, rows, step, columns, step, c).permute(2, 4, 0, 1, 3, 5)
    return parts.reshape(step * step * n, rows, columns, c).permute(0, 3, 1, 2)


def _whole(parts: Tensor, step: int, shape: Sequence[int]) -> Tensor:
    """The images of a shape that `_parts` were taken from."""
    n, c, h, w = shape
    rows, columns = parts.shape[2:]
    split = parts.permute(0, 2, 3, 1).reshape(step, step, n, rows, columns, c)
    whole = split.permute(2, 3, 0, 4, 1, 5).reshape(n, rows * step, columns * step, c)
    return whole[:, :h, :w].permute(0, 3, 1, 2)


def _widest(kernel: int, stride: int) -> int:
    """Columns of a kernel whose gradient is summed up at once."""
    few_registers = torch.backends.cpu.get_cpu_capability() != "AVX512"
    return 3 if few_registers and stride == 1 else kernel


def _weight_gradient(x: Tensor, grad: Tensor, kernel: int, stride: int) -> Tensor:
    """Of a depthwise convolution (channels, 1, kernel, kernel); see `Depthwise`."""
    channels, height, width = x.shape[1:]
    reach = min(kernel // 2, max(height, width) - 1)
    size = 2 * reach + 1
    rows, least = max(height, size), max(width, size)
    taller = -(-rows // stride) - grad.shape[2]
    pieces, step = [], _widest(size, stride)
    for first in range(0, size, step):
        columns = min(step, size - first)
        if columns == size:  # the convolution itself pads
            left, right, margin = 0, least - width, reach
            wider = -(-least // stride) - grad.shape[3]
        else:  # each piece gets what its columns cover
            left, margin, wider = reach - first, 0, 0
            right = grad.shape[3] + columns - 1 - left - width
        pieces.append(
            conv2d_weight(
                _padded(x, left, right, rows - height),
                (channels, 1, size, columns),
                _padded(grad, 0, wider, taller),
                stride,
                (reach, margin),
                1,
                channels,
            )
        )
    gradient = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=3)
    return F.pad(gradient, (kernel // 2 - reach,) * 4)


def _padded(images: Tensor, left: int, right: int, below: int) -> Tensor:
    """With so many columns and rows of zeros more; negative ones are cut off."""
    return F.pad(images, (left, right, 0, below)) if left or right or below else images


# Convolutions that differ from ``nn.Conv2d`` in how a CPU trains them, and in nothing else.
STEERED = (FewChannels, Depthwise)


def conv(
    in_channels: int,
    out_channels: int,
    *,
    stride: int = 1,
    kernel: int = 1,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Conv2d:
    """A convolution without bias that keeps the size, divided by the stride and rounded up."""
    kind = nn.Conv2d
    if kernel == 1 and stride > 1 and groups == 1 and in_channels < _ONEDNN_BLOCK:
        kind = FewChannels
    elif 1 < kernel and groups == in_channels == out_channels:
        kind = Depthwise
    return kind(
        in_channels,
        out_channels,
        kernel,
        stride,
        dilation * (kernel // 2),
        dilation,
        groups=groups,
        bias=False,
    )


def identity(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Nothing, or a strided 1x1 convolution with BN where the shape changes."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        conv(in_channels, out_channels, stride=stride), nn.BatchNorm2d(out_channels)
    )


def conv_bn_relu(in_channels: int, out_channels: int, stride: int, kernel: int) -> nn.Module:
    """Convolution, BN, ReLU."""
    return nn.Sequential(
        conv(in_channels, out_channels, stride=stride, kernel=kernel),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def relu_conv_bn(in_channels: int, out_channels: int, stride: int, kernel: int) -> nn.Module:
    """ReLU, convolution, BN; the ReLU leaves its input alone, which other edges read too."""
    return nn.Sequential(
        nn.ReLU(),
        conv(in_channels, out_channels, stride=stride, kernel=kernel),
        nn.BatchNorm2d(out_channels),
    )


def relu_separable_bn(in_channels: int, out_channels: int, stride: int, kernel: int) -> nn.Module:
    """ReLU, depthwise convolution of the stride, 1x1 convolution, BN; as ``relu_conv_bn``."""
    return nn.Sequential(
        nn.ReLU(),
        conv(in_channels, in_channels, stride=stride, kernel=kernel, groups=in_channels),
        conv(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
    )


def mbconv(
    in_channels: int, out_channels: int, stride: int, kernel: int, expansion: int
) -> nn.Module:
    """Expand, depthwise, project; see ``evonas.spaces.ops.MBConv``."""
    inner = in_channels * expansion
    layers: list[nn.Module] = []
    if expansion != 1:
        layers += [conv(in_channels, inner), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)]
    layers += [
        conv(inner, inner, stride=stride, kernel=kernel, groups=inner),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        conv(inner, out_channels),
        nn.BatchNorm2d(out_channels),
    ]
    keeps_shape = in_channels == out_channels and stride == 1
    return Residual(*layers) if keeps_shape else nn.Sequential(*layers)


def avg_pool(stride: int, kernel: int) -> nn.Module:
    """Average over the pixels inside the image."""
    return nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)


class Reduction(nn.Module):
    """NAS-Bench-201's residual block between stages: half the size, more channels.

    ReLU - conv3x3 of stride 2 - BN - ReLU - conv3x3 - BN, plus average pool 2 and conv1x1.
    """

    def __init__(self, in_channels: int, out_channels: int):
        """Takes the channels on both sides."""
        super().__init__()
        self.body = nn.Sequential(
            relu_conv_bn(in_channels, out_channels, 2, 3),
            relu_conv_bn(out_channels, out_channels, 1, 3),
        )
        # Rounds up, as the convolution does, so that odd sizes fit.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), conv(in_channels, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, in, h, w)`` to ``(n, out, ceil(h/2), ceil(w/2))``."""
        return torch.add(self.shortcut(x), self.body(x))


def classifier(in_channels: int, num_classes: int) -> list[nn.Module]:
    """Global average pooling and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, num_classes)]
