"""DARTS's eight operations, in its order (Liu, Simonyan and Yang 2019)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evonas.errors import InputError
from evonas.spaces.ops import AvgPool, Operation, Zero, check_channels

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FactorizedReduce(Operation):
    """Halves the size by two strided 1x1 convolutions side by side, between ReLU and BN."""

    @property
    def label(self) -> str:
        """``factorized-reduce``."""
        return "factorized-reduce"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The block; raises InputError where the stride is not 2 or there is one channel out."""
        if stride != 2 or out_channels < 2:
            raise InputError(
                f"{self.label} has stride 2 and two channels or more, not stride {stride} and "
                f"{out_channels}; use it where the size halves"
            )
        from evonas.spaces import darts_blocks

        return darts_blocks.FactorizedReduce(in_channels, out_channels)


@dataclass(frozen=True)
class SkipConnect(Operation):
    """Hands its input on; where the shape changes, a ``FactorizedReduce``."""

    @property
    def label(self) -> str:
        """``skip-connect``."""
        return "skip-connect"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """An ``nn.Identity``, or the block that halves the size."""
        if not self.is_identity(in_channels, out_channels, stride):
            return FactorizedReduce().build(in_channels, out_channels, stride)
        from torch import nn

        return nn.Identity()

    def is_identity(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """True where the shape stays."""
        return in_channels == out_channels and stride == 1


@dataclass(frozen=True)
class MaxPool(Operation):
    """Max pooling, channels kept.

    Attributes:
        kernel: Side of the window, odd.
    """

    kernel: int

    @property
    def label(self) -> str:
        """For example ``max-pool-k3``."""
        return f"max-pool-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The pooling layer; raises InputError where channels would change."""
        check_channels(self, in_channels, out_channels)
        from evonas.spaces import darts_blocks

        return darts_blocks.max_pool(stride, self.kernel)


@dataclass(frozen=True)
class SepConv(Operation):
    """ReLU - depthwise - 1x1 - BN, twice; the first depthwise convolution has the stride.

    Attributes:
        kernel: Side of the depthwise kernels, odd.
    """

    kernel: int

    @property
    def label(self) -> str:
        """For example ``sep-conv-k3``."""
        return f"sep-conv-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The eight layers in sequence."""
        from evonas.spaces import darts_blocks

        return darts_blocks.sep_conv(in_channels, out_channels, stride, self.kernel)


@dataclass(frozen=True)
class DilConv(Operation):
    """ReLU - depthwise convolution of dilation 2 - 1x1 - BN.

    Attributes:
        kernel: Side of the depthwise kernel, odd.
    """

    kernel: int

    @property
    def label(self) -> str:
        """For example ``dil-conv-k3``."""
        return f"dil-conv-k{self.kernel}"

    def build(self, in_channels: int, out_channels: int, stride: int) -> "nn.Module":
        """The four layers in sequence."""
        from evonas.spaces import darts_blocks

        return darts_blocks.dil_conv(in_channels, out_channels, stride, self.kernel)


# By the names that genotypes use.
DARTS_OPERATIONS: dict[str, Operation] = {
    "none": Zero(),
    "max_pool_3x3": MaxPool(3),
    "avg_pool_3x3": AvgPool(3),
    "skip_connect": SkipConnect(),
    "sep_conv_3x3": SepConv(3),
    "sep_conv_5x5": SepConv(5),
    "dil_conv_3x3": DilConv(3),
    "dil_conv_5x5": DilConv(5),
}
