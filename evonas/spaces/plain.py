"""Plain chains for end-to-end search: depth, width, and each layer's operation and kernel.

The space of Siddiqui, Kyrkou and Theocharides, "True Rank Guided Efficient Neural Architecture
Search for End to End Low-Complexity Network Discovery", CAIP 2023.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.outline import Block, Outline, halved
from evonas.spaces.space import BoolArray, IntArray, SearchSpace

if TYPE_CHECKING:
    from torch import nn

# Of the published search: fewest and most, and of widths the step between.
DEPTH, WIDTH = (10, 20), (16, 72, 4)
# More would be a slip of the pen, and take all memory.
MOST_LAYERS, MOST_CHANNELS = 1000, 10_000
KERNELS = (3, 5, 7)
SEPARABLE, FULL = 0, 1


class PlainArchitecture(NamedTuple):
    """One network of a `PlainSpace`, in words.

    Attributes:
        depth: layers.
        width: channels of the first third; the second has twice, the last four times as many.
        operations: of each layer: 0 separable, 1 full convolution.
        kernels: side of each layer's kernel.
    """

    depth: int
    width: int
    operations: tuple[int, ...]
    kernels: tuple[int, ...]


class PlainSpace(SearchSpace):
    """Chains without skips, of any depth and width in a range.

    The stem is a 3x3 convolution to twice the width and BN. A layer is ReLU, convolution, BN. The
    convolution is a full one, or separable: depthwise, which carries the stride, and 1x1, with
    nothing between. Of L layers those at floor(L/3) and floor(2L/3) halve the image and double the
    channels. The head is global average pooling of the last BN's output and a linear layer.

    Genes: depth, width, then the operation of each layer, then the kernel of each layer, for as
    many layers as the deepest network has. Genes of layers that a network has not make no
    difference. Depth and width decide what a layer costs, so that costs do not add up over genes;
    they are exact all the same.

    Networks of different depth or width have no weights in common: there is no supernet, and
    networks are trained one by one.

    Args:
        name: Name in the registry and in front of genomes.
        depth: Fewest and most layers, at least three, and optionally the step between; the last one
            is what the steps from the fewest reach.
        width: Fewest and most channels, and optionally the step between, likewise.
        kernels: Sides of the kernels to choose from, odd.
        num_classes: Classes to tell apart.
        input_shape: Channels, height and width of an image.

    Attributes:
        depths: Layers that a network may have, ascending.
        widths: Channels of the first layers, ascending.
        kernels: Sides of the kernels, in the order of the genes.

    Raises:
        InputError: If a range is empty or a number out of range.
    """

    additive = False

    def __init__(
        self,
        *,
        name: str = "plain",
        depth: Sequence[int] = DEPTH,
        width: Sequence[int] = WIDTH,
        kernels: Sequence[int] = KERNELS,
        num_classes: int = 10,
        input_shape: Sequence[int] = (3, 32, 32),
    ):
        """Lays the genes out."""
        self.depths = _range("depth", depth, least=3, most=MOST_LAYERS)
        self.widths = _range("width", width, least=1, most=MOST_CHANNELS)
        try:
            self.kernels = tuple(int(side) for side in kernels)
            odd = all(n % 2 for n in self.kernels) and list(self.kernels) == list(kernels)
        except (TypeError, ValueError, OverflowError):
            self.kernels, odd = (), False
        if not self.kernels or not odd or len(set(self.kernels)) < len(self.kernels):
            raise InputError(
                f"the kernels {kernels} of space '{name}' are no different odd numbers; "
                "give some such as 3, 5, 7"
            )
        if min(self.kernels) < 1:
            raise InputError(f"a kernel of space '{name}' is below 1; give some such as 3, 5, 7")
        self.layers = self.depths[-1]
        super().__init__(
            name=name,
            n_choices=[len(self.depths), len(self.widths)]
            + [2] * self.layers
            + [len(self.kernels)] * self.layers,
            num_classes=num_classes,
            input_shape=input_shape,
        )

    # -- genomes and names ----------------------------------------------------------------

    @property
    def operation_genes(self) -> range:
        """The genes of the operations, layer by layer."""
        return range(2, 2 + self.layers)

    @property
    def kernel_genes(self) -> range:
        """The genes of the kernels, layer by layer."""
        return range(2 + self.layers, 2 + 2 * self.layers)

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """The label of each choice of each gene."""
        return (
            tuple(f"depth-{depth}" for depth in self.depths),
            tuple(f"width-{width}" for width in self.widths),
            *[("separable", "full")] * self.layers,
            *[tuple(f"k{side}" for side in self.kernels)] * self.layers,
        )

    def architecture(self, x: npt.ArrayLike) -> PlainArchitecture:
        """What a genome ``(n_var,)`` says."""
        x = self._one(x)
        depth = self.depths[x[0]]
        operations = x[2 : 2 + depth]
        kernels = x[2 + self.layers : 2 + self.layers + depth]
        return PlainArchitecture(
            depth,
            self.widths[x[1]],
            tuple(operations.tolist()),
            tuple(self.kernels[choice] for choice in kernels),
        )

    def genome(self, architecture: PlainArchitecture) -> IntArray:
        """The canonical genome ``(n_var,)`` of an architecture.

        Raises:
            InputError: If this space has no such network.
        """
        try:
            return self._genome(architecture)
        except ValueError as error:
            raise InputError(f"space '{self.name}' has no such network: {error}") from None

    def _genome(self, architecture: PlainArchitecture) -> IntArray:
        depth, width, operations, kernels = architecture
        for what, value, known in (("depth", depth, self.depths), ("width", width, self.widths)):
            if value not in known:
                raise ValueError(f"{what} {value} is none of {', '.join(map(str, known))}")
        if len(operations) != depth or len(kernels) != depth:
            raise ValueError(f"{depth} layers need as many operations and kernels")
        if not set(operations) <= {SEPARABLE, FULL}:
            raise ValueError("an operation is 0 (separable) or 1 (full convolution)")
        for side in kernels:
            if side not in self.kernels:
                raise ValueError(f"kernel {side} is none of {', '.join(map(str, self.kernels))}")
        x = np.zeros(self.n_var, dtype=np.int64)
        x[0], x[1] = self.depths.index(depth), self.widths.index(width)
        x[2 : 2 + depth] = operations
        start = 2 + self.layers
        # As canonical has it: the first choice of genes that say nothing.
        x[start : start + depth] = [self.kernels.index(side) for side in kernels]
        return x

    def named(self, text: str) -> tuple[str | None, str]:
        """The space's name in front of a text, if there is one, and the rest."""
        if re.match(r"\d+x\d+:", text):
            return None, text
        return super().named(text)

    def parse(self, text: str) -> IntArray:
        """Reads ``depth x width : operations : kernels``, such as ``3x16:100:335``.

        Operations and kernels are digits, one for each layer; kernels of two digits are joined by
        ``-``.
        """
        sides, *rest = text.split(":")
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", sides, re.ASCII)
        if match is None or len(rest) != 2:
            raise ValueError("it is not DEPTHxWIDTH:OPERATIONS:KERNELS")
        operations, kernels = rest[0], rest[1].split("-") if "-" in rest[1] else list(rest[1])
        if not all(part.isascii() and part.isdigit() for part in (*operations, *kernels)):
            raise ValueError("an operation or kernel is not a number")
        return self._genome(
            PlainArchitecture(
                int(match[1]),
                int(match[2]),
                tuple(int(digit) for digit in operations),
                tuple(int(side) for side in kernels),
            )
        )

    def write(self, x: IntArray) -> str:
        """Writes ``depth x width : operations : kernels``; genes of no layer are not told."""
        depth, width, operations, kernels = self.architecture(x)
        joint = "" if max(self.kernels) < 10 else "-"
        return f"{depth}x{width}:{''.join(map(str, operations))}:{joint.join(map(str, kernels))}"

    def canonical_within(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """Genes of layers that a network has not get their first allowed choice."""
        return self.completed(X, allowed)

    def completed(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """Genes of layers that a network has not get their first allowed choice."""
        first = allowed.argmax(axis=1)
        absent = np.arange(self.layers) >= np.array(self.depths)[X[:, 0], None]
        result = X.copy()
        for genes in (self.operation_genes, self.kernel_genes):
            part = slice(genes.start, genes.stop)
            np.copyto(result[:, part], first[part], where=absent)
        return result

    # -- counts ---------------------------------------------------------------------------

    def count(self) -> NoReturn:
        """There is no table of costs.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"the costs of space '{self.name}' do not add up over its genes; ask params(X) and "
            "macs(X)"
        )

    def params(self, X: npt.ArrayLike) -> IntArray:
        """Learnable parameters of each genome, int64 ``(n,)``."""
        channels = self.input_shape[0]
        # The stem with its BN, and the classifier with its bias.
        fixed = 9 * channels * 2 + 4 + 4 * self.num_classes
        return self._sum(self.check(X), self._polynomials[0], fixed) + self.num_classes

    def macs(self, X: npt.ArrayLike) -> IntArray:
        """Multiply-adds for one image of each genome, int64 ``(n,)``."""
        channels, height, width = self.input_shape
        fixed = 9 * channels * 2 * height * width + 4 * self.num_classes
        return self._sum(self.check(X), self._polynomials[1], fixed)

    def _sum(self, X: IntArray, polynomials: IntArray, fixed: int) -> IntArray:
        """Sums of quadratic polynomials in the width, without a constant term.

        Args:
            X: Checked genomes ``(n, n_var)``.
            polynomials: One of ``_polynomials``.
            fixed: A linear coefficient that all genomes have.
        """
        square, linear = polynomials
        width = np.array(self.widths)[X[:, 1]]
        squares, linears = np.zeros(len(X), dtype=np.int64), np.full(len(X), fixed)
        start = X[:, 0] * (square.size // len(self.depths))
        for operation, kernel in zip(self.operation_genes, self.kernel_genes, strict=True):
            place = start + X[:, operation] * len(self.kernels) + X[:, kernel]
            squares += square.take(place)
            linears += linear.take(place)
            start += 2 * len(self.kernels)
        return (squares * width + linears) * width

    @cached_property
    def _polynomials(self) -> IntArray:
        """What a layer costs, in powers of the width.

        int64 (params or macs, square or linear coefficient, depth, layer, operation, kernel); zero
        for layers that a depth has not.
        """
        _, height, width = self.input_shape
        pixels = [
            height * width,
            -(-height // 2) * -(-width // 2),
            -(-height // 4) * -(-width // 4),
        ]
        k2 = np.array(self.kernels) ** 2
        shape = (2, 2, len(self.depths), self.layers, 2, len(self.kernels))
        table = np.zeros(shape, dtype=np.int64)
        for row, depth in enumerate(self.depths):
            before = 2
            for layer in range(depth):
                stage = self._stage(layer, depth)
                after, size = 2**stage, pixels[stage]
                params, macs = table[:, :, row, layer]
                params[0, SEPARABLE], params[1, SEPARABLE] = before * after, k2 * before
                params[0, FULL] = k2 * before * after
                macs[:] = params * size
                params[1] += 2 * after  # of BN
                before = after
        return table

    @staticmethod
    def _stage(layer: int, depth: int) -> int:
        """The third in which a layer lies, from 0."""
        return (layer >= depth // 3) + (layer >= 2 * depth // 3)

    def outline(self, x: npt.ArrayLike) -> Outline:
        """Stem, the layers that there are, and head."""
        depth, width, operations, kernels = self.architecture(x)
        size = (self.input_shape[1], self.input_shape[2])
        blocks = [Block("conv-k3", 2 * width, size)]
        for layer, (operation, side) in enumerate(zip(operations, kernels, strict=True)):
            stage = self._stage(layer, depth)
            size = halved(size, 2 if layer in (depth // 3, 2 * depth // 3) else 1)
            kind = "conv" if operation == FULL else "separable"
            blocks.append(Block(f"{kind}-k{side}", width * 2**stage, size, searched=True))
        blocks.append(Block("pool, linear", self.num_classes))
        every = tuple(f"{kind}-k{side}" for kind in ("separable", "conv") for side in self.kernels)
        return Outline(tuple(blocks), operations=every)

    # -- networks -------------------------------------------------------------------------

    def build(self, x: npt.ArrayLike) -> "nn.Module":
        """The stand-alone network of one genome, a ``networks.ChainNetwork``."""
        from torch import nn

        from evonas.spaces import blocks
        from evonas.spaces.networks import ChainNetwork

        depth, width, operations, kernels = self.architecture(x)
        channels = 2 * width
        stem = nn.Sequential(
            blocks.conv(self.input_shape[0], channels, kernel=3), nn.BatchNorm2d(channels)
        )
        layers = []
        for layer, (operation, side) in enumerate(zip(operations, kernels, strict=True)):
            out = width * 2 ** self._stage(layer, depth)
            stride = 2 if layer in (depth // 3, 2 * depth // 3) else 1
            make = blocks.relu_conv_bn if operation == FULL else blocks.relu_separable_bn
            layers.append(make(channels, out, stride, side))
            channels = out
        return ChainNetwork(
            stem, layers, nn.Sequential(*blocks.classifier(channels, self.num_classes))
        )


def _range(what: str, given: Sequence[int], *, least: int, most: int) -> tuple[int, ...]:
    """The numbers of a range with both ends, ascending."""
    try:
        numbers = [int(number) for number in given]
        whole = numbers == list(given)
    except (TypeError, ValueError, OverflowError):
        numbers, whole = [], False
    if not whole or len(numbers) not in (2, 3):
        raise InputError(
            f"{what} is {given!r}; give the least and the largest number, and a step if it is not 1"
        )
    low, high, step = (*numbers, 1)[:3]
    if not least <= low <= high or step < 1:
        raise InputError(
            f"{what} runs from {low} to {high} by {step}; begin at {least} or more, and go up"
        )
    if high > most:
        raise InputError(f"{what} runs up to {high}; give at most {most}")
    return tuple(range(low, high + 1, step))
