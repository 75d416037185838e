"""The ready-made spaces."""

from collections.abc import Sequence

from evonas.spaces.cell import CellSpace
from evonas.spaces.chain import ChainSpace, Fixed, Stage
from evonas.spaces.darts import DartsSpace
from evonas.spaces.ops import AvgPool, Conv, Identity, MBConv, Operation, ReLUConv, Zero
from evonas.spaces.plain import KERNELS, PlainSpace
from evonas.spaces.space import Shape

# Kernel and expansion of FairNAS and ProxylessNAS; the skip comes last, so that a digit means
# the same where the shape changes and there is none.
MOBILE: tuple[Operation, ...] = tuple(
    MBConv(kernel, expansion) for expansion in (3, 6) for kernel in (3, 5, 7)
)


def macro(num_classes: int, input_shape: Shape) -> ChainSpace:
    """NAS-Bench-Macro's network (Su et al. 2021): eight layers, three choices each."""
    choices = (Identity(), MBConv(3, 3), MBConv(5, 6))
    return ChainSpace(
        name="macro",
        stem=(Fixed(Conv(3), 32),),
        stages=(Stage(64, 2, 2, choices), Stage(128, 3, 2, choices), Stage(256, 3, 2, choices)),
        head_channels=1280,
        num_classes=num_classes,
        input_shape=input_shape,
    )


def nb201(num_classes: int, input_shape: Shape) -> CellSpace:
    """NAS-Bench-201's network (Dong and Yang 2020): a cell of six edges, five choices each."""
    return CellSpace(
        name="nb201",
        operations={
            "none": Zero(),
            "skip_connect": Identity(),
            "nor_conv_1x1": ReLUConv(1),
            "nor_conv_3x3": ReLUConv(3),
            "avg_pool_3x3": AvgPool(3),
        },
        num_classes=num_classes,
        input_shape=input_shape,
    )


def darts(num_classes: int, input_shape: Shape) -> DartsSpace:
    """DARTS's network for CIFAR (Liu et al. 2019): 20 cells of 36, 72 and 144 channels."""
    return DartsSpace(num_classes=num_classes, input_shape=input_shape)


def mobile_cifar(num_classes: int, input_shape: Shape) -> ChainSpace:
    """Sixteen mobile layers for small images, at 32, 16, 8 and 4 pixels from 32."""
    return ChainSpace(
        name="mobile-cifar",
        stem=(Fixed(Conv(3), 32), Fixed(MBConv(3, 1), 16)),
        stages=tuple(
            Stage(channels, 4, stride, (*MOBILE, Identity()), MOBILE)
            for channels, stride in ((24, 1), (40, 2), (80, 2), (160, 2))
        ),
        head_channels=640,
        num_classes=num_classes,
        input_shape=input_shape,
    )


def mobile_imagenet(num_classes: int, input_shape: Shape) -> ChainSpace:
    """Twenty-one mobile layers in ProxylessNAS's macro structure (Cai et al. 2019), for 224."""
    return ChainSpace(
        name="mobile-imagenet",
        stem=(Fixed(Conv(3), 32, 2), Fixed(MBConv(3, 1), 16)),
        stages=tuple(
            Stage(channels, layers, stride, (*MOBILE, Identity()), MOBILE)
            for channels, layers, stride in (
                (24, 4, 2),
                (40, 4, 2),
                (80, 4, 2),
                (96, 4, 1),
                (192, 4, 2),
                (320, 1, 1),
            )
        ),
        head_channels=1280,
        num_classes=num_classes,
        input_shape=input_shape,
    )


def plain(
    num_classes: int,
    input_shape: Shape,
    *,
    depth: Sequence[int] = (10, 20),
    width: Sequence[int] = (16, 72, 4),
    kernels: Sequence[int] = KERNELS,
) -> PlainSpace:
    """TRG-NAS's chains (Siddiqui et al. 2023), by default those of its published search."""
    return PlainSpace(
        depth=depth,
        width=width,
        kernels=kernels,
        num_classes=num_classes,
        input_shape=input_shape,
    )


def tiny(num_classes: int, input_shape: Shape) -> ChainSpace:
    """Six layers for 8 x 8 digits: 2,304 genomes that train in seconds.

    The narrow stem makes the worst of them bad, about 30 % error on the digits; the best reach 2.
    """
    changes = (Identity(), MBConv(3, 2), Conv(3))
    keeps = (*changes, Conv(1))  # where the shape changes, an identity is a 1x1 convolution
    return ChainSpace(
        name="tiny",
        stem=(Fixed(Conv(3), 4),),
        stages=(Stage(12, 3, 2, keeps, changes), Stage(24, 3, 2, keeps, changes)),
        num_classes=num_classes,
        input_shape=input_shape,
    )
