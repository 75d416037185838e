"""The modules behind the operations: plain sequences wherever possible.

Weights start as PyTorch's layers make them: nearly every convolution is followed by batch
normalisation, which takes its scale out. Convolutions have no bias.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


def conv(
    in_channels: int, out_channels: int, *, stride: int = 1, kernel: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias that keeps the size, divided by the stride and rounded up."""
    few = kernel == 1 and stride > 1 and groups == 1 and in_channels < _ONEDNN_BLOCK
    return (FewChannels if few else nn.Conv2d)(
        in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
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
