"""Candidate operations: descriptions that can be compared, counted and built.

An operation of your own is a frozen dataclass with ``label`` and ``build``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evonas.errors import InputError

if TYPE_CHECKING:
    from torch import nn


class Operation(ABC):
    """One candidate of a layer or an edge; equal operations are the same candidate.

    Subclasses are frozen dataclasses, so that they are hashable: each (operation, shape) is
    counted once.
    """

    @property
    @abstractmethod
    def label(self) -> str:
        """A short name for tables and figures."""

    @abstractmethod
    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """A fresh module from ``(n, in, h, w)`` to ``(n, out, ceil(h/stride), ceil(w/stride))``.

        Modules must not change their input in place: others may read it too.
        """

    def is_identity(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Whether it hands its input on unchanged, at this shape."""
        return False

    @property
    def is_zero(self) -> bool:
        """Whether its output is zero whatever comes in."""
        return False


@dataclass(frozen=True)
class Identity(Operation):
    """Hands its input on; where the shape changes, a strided 1x1 convolution with BN."""

    @property
    def label(self) -> str:
        """``identity``."""
        return "identity"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """An ``nn.Identity``, or the 1x1 convolution."""
        from evonas.spaces import blocks

        return blocks.identity(in_channels, out_channels, stride)

    def is_identity(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """True where the shape stays."""
        return in_channels == out_channels and stride == 1


@dataclass(frozen=True)
class Zero(Operation):
    """Nothing passes."""

    @property
    def label(self) -> str:
        """``none``."""
        return "none"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """A module that returns zeros of the output's shape."""
        from evonas.spaces import blocks

        return blocks.Zero(out_channels, stride)

    @property
    def is_zero(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class MBConv(Operation):
    """Inverted bottleneck with a depthwise convolution (MobileNetV2, Sandler et al. 2018).

    1x1 expand - BN - ReLU - depthwise - BN - ReLU - 1x1 - BN, plus the input where the shape
    stays. With expansion 1 there is no expanding convolution.

    Attributes:
        kernel: Side of the depthwise kernel, odd.
        expansion: Inner channels as a multiple of the input channels.
    """

    kernel: int
    expansion: int

    @property
    def label(self) -> str:
        """For example ``mbconv-e6-k5``."""
        return f"mbconv-e{self.expansion}-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """A sequence of layers, inside a residual where the shape stays."""
        from evonas.spaces import blocks

        return blocks.mbconv(in_channels, out_channels, stride, self.kernel, self.expansion)


@dataclass(frozen=True)
class Conv(Operation):
    """Convolution - BN - ReLU.

    Attributes:
        kernel: Side of the kernel, odd.
    """

    kernel: int

    @property
    def label(self) -> str:
        """For example ``conv-k3``."""
        return f"conv-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The three layers in sequence."""
        from evonas.spaces import blocks

        return blocks.conv_bn_relu(in_channels, out_channels, stride, self.kernel)


@dataclass(frozen=True)
class ReLUConv(Operation):
    """ReLU - convolution - BN, the convolution of NAS-Bench-201's cells.

    Attributes:
        kernel: Side of the kernel, odd.
    """

    kernel: int

    @property
    def label(self) -> str:
        """For example ``relu-conv-k3``."""
        return f"relu-conv-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The three layers in sequence."""
        from evonas.spaces import blocks

        return blocks.relu_conv_bn(in_channels, out_channels, stride, self.kernel)


@dataclass(frozen=True)
class AvgPool(Operation):
    """Average pooling over the pixels inside the image, channels kept.

    Attributes:
        kernel: Side of the window, odd.
    """

    kernel: int

    @property
    def label(self) -> str:
        """For example ``avg-pool-k3``."""
        return f"avg-pool-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The pooling layer; raises InputError where channels would change."""
        check_channels(self, in_channels, out_channels)
        from evonas.spaces import blocks

        return blocks.avg_pool(stride, self.kernel)


def check_channels(operation: Operation, in_channels: int, out_channels: int) -> None:
    """Refuse channels that an operation would have to change, but cannot.

    Raises:
        InputError: If they differ.
    """
    if in_channels != out_channels:
        raise InputError(
            f"{operation.label} cannot turn {in_channels} channels into {out_channels}; "
            "use it where they stay"
        )
