"""Chains of searched layers: a stem, stages of layers with candidates each, a head."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.identities import first_members
from evonas.spaces.ops import Operation
from evonas.spaces.outline import Block, Outline, halved
from evonas.spaces.space import BoolArray, Costs, IntArray, SearchSpace
from evonas.spaces.width import scaled

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Fixed:
    """A layer that is not searched.

    Attributes:
        operation: What it does.
        channels: Output channels at full width.
        stride: Stride.
    """

    operation: Operation
    channels: int
    stride: int = 1


@dataclass(frozen=True)
class Stage:
    """Searched layers of equal output channels.

    Attributes:
        channels: Output channels at full width.
        layers: How many layers, one gene each.
        stride: Stride of the first; the others have 1.
        choices: Candidates of each layer, in the order of the gene's values.
        choices_where_shape_changes: Candidates of a layer that changes channels or size, where
            they differ (a skip is none there, say).
    """

    channels: int
    layers: int
    stride: int
    choices: tuple[Operation, ...]
    choices_where_shape_changes: tuple[Operation, ...] | None = None


@dataclass(frozen=True)
class Layer:
    """One gene of a chain: shape at full width, and candidates."""

    in_channels: int
    out_channels: int
    stride: int
    choices: tuple[Operation, ...]

    @property
    def keeps_shape(self) -> bool:
        """Whether channels and size stay."""
        return self.in_channels == self.out_channels and self.stride == 1


class ChainSpace(SearchSpace):
    """Networks that are one chain of layers, each gene choosing the operation of one layer.

    Within a run of consecutive layers that keep the shape, an identity makes no difference to
    the order of the others: genomes whose remaining operations agree are one class.

    Args:
        name: Name in the registry and in front of genomes.
        stem: Layers before the searched ones, at least one.
        stages: The searched layers.
        head_channels: Output channels of a 1x1 convolution - BN - ReLU before the global
            average pooling; none where None.
        num_classes: Classes; never scaled by a width.
        input_shape: Channels, height and width of an image; its channels are never scaled.

    Raises:
        InputError: If a number is out of range or a layer has no candidate.
    """

    has_supernet = True

    def __init__(
        self,
        *,
        name: str,
        stem: Sequence[Fixed],
        stages: Sequence[Stage],
        head_channels: int | None = None,
        num_classes: int,
        input_shape: Sequence[int],
    ):
        """Lays the layers out."""
        numbers = [n for fixed in stem for n in (fixed.channels, fixed.stride)]
        numbers += [n for stage in stages for n in (stage.channels, stage.layers, stage.stride)]
        if not stem or not stages or min(numbers) < 1:
            raise InputError(
                f"chain '{name}' needs a stem and stages with channels, layers and stride >= 1"
            )
        self.stem_layers = tuple(stem)
        self.layers = _layers(stem[-1].channels, stages)
        self.head_channels = head_channels
        super().__init__(
            name=name,
            n_choices=[len(layer.choices) for layer in self.layers],
            num_classes=num_classes,
            input_shape=input_shape,
        )

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """The label of each choice of each gene."""
        return tuple(tuple(op.label for op in layer.choices) for layer in self.layers)

    # -- parts ----------------------------------------------------------------------------

    def stem(self, width: float = 1.0) -> "nn.Module":
        """The layers before the searched ones, from an image, at a width."""
        from torch import nn

        parts, channels = [], self.input_shape[0]
        for fixed in self.stem_layers:
            out = scaled(fixed.channels, width)
            parts.append(fixed.operation.build(channels, out, fixed.stride))
            channels = out
        return nn.Sequential(*parts)

    def block(self, gene: int, choice: int, width: float = 1.0) -> "nn.Module":
        """A fresh module for one choice of one gene, at a width.

        Raises:
            InputError: If there is no such gene or choice.
        """
        if not (0 <= gene < self.n_var and 0 <= choice < self.n_choices[gene]):
            raise InputError(f"space '{self.name}' has no choice {choice} of gene {gene}")
        layer = self.layers[gene]
        return layer.choices[choice].build(
            scaled(layer.in_channels, width), scaled(layer.out_channels, width), layer.stride
        )

    def head(self, width: float = 1.0) -> "nn.Module":
        """From the last layer's output to logits ``(n, num_classes)``, at a width."""
        from torch import nn

        from evonas.spaces import blocks

        channels = scaled(self.layers[-1].out_channels, width)
        parts: list[nn.Module] = []
        if self.head_channels is not None:
            out = scaled(self.head_channels, width)
            parts.append(blocks.conv_bn_relu(channels, out, 1, 1))
            channels = out
        return nn.Sequential(*parts, *blocks.classifier(channels, self.num_classes))

    def build(self, x: npt.ArrayLike) -> "nn.Module":
        """The stand-alone network of one genome, a ``networks.ChainNetwork``."""
        from evonas.spaces.networks import ChainNetwork

        genome = self._one(x)
        layers = [self.block(gene, int(choice)) for gene, choice in enumerate(genome)]
        return ChainNetwork(self.stem(), layers, self.head())

    def outline(self, x: npt.ArrayLike) -> Outline:
        """Stem, a block for each gene, and head."""
        size = (self.input_shape[1], self.input_shape[2])
        blocks = []
        for fixed in self.stem_layers:
            size = halved(size, fixed.stride)
            blocks.append(Block(fixed.operation.label, fixed.channels, size))
        for layer, choice in zip(self.layers, self._one(x).tolist(), strict=True):
            size, op = halved(size, layer.stride), layer.choices[choice]
            empty = op.is_identity(layer.in_channels, layer.out_channels, layer.stride)
            # A skip that changes the shape is a strided 1x1 convolution.
            blocks.append(Block(op.label, layer.out_channels, size, searched=True, empty=empty))
        if self.head_channels is not None:
            blocks.append(Block("conv-k1", self.head_channels, size))
        blocks.append(Block("pool, linear", self.num_classes))
        every = dict.fromkeys(op.label for layer in self.layers for op in layer.choices)
        return Outline(tuple(blocks), operations=tuple(every))

    # -- counts and classes ---------------------------------------------------------------

    def count(self) -> Costs:
        """Counts stem, head and each candidate of each layer once.

        Raises:
            InputError: If a candidate's output has another shape than its layer's.
        """
        from evonas.spaces.counting import count_module, count_operation

        stem = count_module(self.stem, self.input_shape)
        shape = stem.output_shape
        params = np.zeros((self.n_var, self.n_choices.max()), dtype=np.int64)
        macs = np.zeros_like(params)
        for gene, layer in enumerate(self.layers):
            size = (shape[1], shape[2])
            shape = (layer.out_channels, -(-size[0] // layer.stride), -(-size[1] // layer.stride))
            for choice, op in enumerate(layer.choices):
                try:
                    counted = count_operation(
                        op, layer.in_channels, layer.out_channels, layer.stride, size
                    )
                except RuntimeError as error:
                    reason = str(error).splitlines()[0]
                    raise InputError(
                        f"layer {gene}, choice {choice} ({op.label}) cannot read "
                        f"{(layer.in_channels, *size)}: {reason}"
                    ) from error
                if counted.output_shape != shape:
                    raise InputError(
                        f"layer {gene}, choice {choice} ({op.label}) returns "
                        f"{counted.output_shape}; the layer needs {shape}"
                    )
                params[gene, choice], macs[gene, choice] = counted.params, counted.macs
        head = count_module(self.head, shape)
        return Costs(params, macs, stem.params + head.params, stem.macs + head.macs)

    def canonical_within(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """Moves identities within runs of layers that keep the shape.

        All members of a class have equal parameters, so the first in order is the one.
        """
        codes = np.where(allowed, self._codes, -1)
        result = X.copy()
        for first, last in self._runs:
            run = slice(first, last)
            sides = tuple(self.n_choices[run].tolist())
            if math.prod(sides) < len(X):
                # A large population repeats itself within a run: solve each case once.
                every = np.indices(sides).reshape(len(sides), -1).T
                cases = self._first_members(every, codes, run)
                result[:, run] = cases[np.ravel_multi_index(tuple(X[:, run].T), sides)]
            else:
                result[:, run] = self._first_members(X[:, run], codes, run)
        return result

    def _first_members(self, X: IntArray, codes: IntArray, run: slice) -> IntArray:
        held = np.take_along_axis(self._codes[run].T, X, axis=0)
        return first_members(held, codes[run])

    @cached_property
    def _codes(self) -> IntArray:
        """Operations as numbers ``(n_var, max choices)``: 0 is an identity, -1 no choice."""
        numbers: dict[Operation, int] = {}
        codes = np.full((self.n_var, self.n_choices.max()), -1, dtype=np.int64)
        for gene, layer in enumerate(self.layers):
            for choice, op in enumerate(layer.choices):
                same = op.is_identity(layer.in_channels, layer.out_channels, layer.stride)
                codes[gene, choice] = 0 if same else numbers.setdefault(op, len(numbers) + 1)
        return codes

    @cached_property
    def _runs(self) -> tuple[tuple[int, int], ...]:
        """Maximal runs of layers that keep the shape, as half-open ranges of genes."""
        runs, start = [], None
        for gene, layer in enumerate((*self.layers, None)):
            if layer is not None and layer.keeps_shape:
                start = gene if start is None else start
            elif start is not None:
                runs.append((start, gene))
                start = None
        return tuple(runs)


def _layers(channels: int, stages: Sequence[Stage]) -> tuple[Layer, ...]:
    layers = []
    for stage in stages:
        for index in range(stage.layers):
            stride = stage.stride if index == 0 else 1
            choices = stage.choices
            changes = stride != 1 or channels != stage.channels
            if changes and stage.choices_where_shape_changes is not None:
                choices = stage.choices_where_shape_changes
            layers.append(Layer(channels, stage.channels, stride, tuple(choices)))
            channels = stage.channels
    return tuple(layers)
