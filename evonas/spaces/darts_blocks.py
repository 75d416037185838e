"""The modules behind DARTS's operations, as in its network for evaluation: all with affine BN."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evonas.spaces import blocks


class FactorizedReduce(nn.Module):
    """Halves the size: ReLU, two strided 1x1 convolutions side by side, BN.

    The second convolution reads the pixels between those that the first one reads.
    """

    def __init__(self, in_channels: int, out_channels: int):
        """Takes the channels on both sides, two or more on the way out."""
        super().__init__()
        second = out_channels // 2
        self.relu = nn.ReLU()
        self.first = blocks.conv(in_channels, out_channels - second, stride=2)
        self.second = blocks.conv(in_channels, second, stride=2)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, in, h, w)`` to ``(n, out, ceil(h/2), ceil(w/2))``."""
        x = self.relu(x)
        height, width = x.shape[-2:]
        # DARTS knows even sides only; zeros complete an odd one.
        whole = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
        return self.norm(torch.cat([self.first(x), self.second(whole[:, :, 1:, 1:])], dim=1))


def _separable(
    in_channels: int, out_channels: int, stride: int, kernel: int, dilation: int = 1
) -> list[nn.Module]:
    """ReLU, depthwise and 1x1 convolution, BN; the ReLU leaves its input alone."""
    return [
        nn.ReLU(),
        blocks.conv(
            in_channels,
            in_channels,
            stride=stride,
            kernel=kernel,
            groups=in_channels,
            dilation=dilation,
        ),
        blocks.conv(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
    ]


def sep_conv(in_channels: int, out_channels: int, stride: int, kernel: int) -> nn.Module:
    """Two depthwise-separable convolutions in a row; the first has the stride."""
    return nn.Sequential(
        *_separable(in_channels, in_channels, stride, kernel),
        *_separable(in_channels, out_channels, 1, kernel),
    )


def dil_conv(in_channels: int, out_channels: int, stride: int, kernel: int) -> nn.Module:
    """A depthwise-separable convolution of dilation 2."""
    return nn.Sequential(*_separable(in_channels, out_channels, stride, kernel, dilation=2))


def max_pool(stride: int, kernel: int) -> nn.Module:
    """The largest of the pixels inside the image."""
    return nn.MaxPool2d(kernel, stride, kernel // 2)
