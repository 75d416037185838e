"""Stacked copies of one searched cell (NAS-Bench-201, Dong and Yang 2020)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.cell_classes import first_of_class
from evonas.spaces.cell_graph import Edge, edges_between, live_edges, parse_cell, write_cell
from evonas.spaces.ops import Operation
from evonas.spaces.outline import Arrow, Block, Cell, Outline, halved
from evonas.spaces.space import BoolArray, Costs, IntArray, SearchSpace
from evonas.spaces.width import scaled

if TYPE_CHECKING:
    from torch import nn


class CellSpace(SearchSpace):
    """Networks of equal cells; gene j chooses the operation on edge j of the cell.

    A cell is a graph of numbered nodes. Node 0 is its input, the last its output, and each node
    is the sum over its edges from all earlier ones. Edges are in the order 1<-0, 2<-0, 2<-1,
    3<-0, ... Between stages the number of channels doubles and the size halves.

    Two cells are one class where they compute the same function: nothing passes a zero
    operation; what is fed by nothing is zero, its normalisation's bias included; what nobody
    uses makes no difference; sums are in any order, and a sum handed on by an identity is part
    of the next sum. Terms that apply one operation to one value count as equal whether the
    cell shares the result or computes it with two sets of weights.

    Args:
        name: Name in the registry and in front of genomes.
        operations: Candidates of every edge by the label used in text, in the gene's order.
        nodes: Nodes of a cell, input and output included.
        channels: Channels of the first stage at full width.
        stages: Number of stages.
        cells_per_stage: Cells in each stage.
        num_classes: Classes; never scaled by a width.
        input_shape: Channels, height and width of an image; its channels are never scaled.

    Raises:
        InputError: If a number is out of range.
    """

    has_supernet = True

    def __init__(
        self,
        *,
        name: str,
        operations: Mapping[str, Operation],
        nodes: int = 4,
        channels: int = 16,
        stages: int = 3,
        cells_per_stage: int = 5,
        num_classes: int,
        input_shape: Sequence[int],
    ):
        """Lays the edges out."""
        if nodes < 2 or min(channels, stages, cells_per_stage) < 1 or not operations:
            raise InputError(
                f"cells '{name}' need two nodes, an operation, and channels, stages and "
                "cells_per_stage >= 1"
            )
        if any(sign in label for label in operations for sign in "|~+"):
            raise InputError(f"a label of cells '{name}' holds '|', '~' or '+'; leave them out")
        self.operations = dict(operations)
        self.nodes = nodes
        self.edges: tuple[Edge, ...] = edges_between(nodes)
        self.channels = channels
        self.stages = stages
        self.cells_per_stage = cells_per_stage
        self._candidates = tuple(self.operations.values())
        self._members: dict[bytes, IntArray] = {}
        super().__init__(
            name=name,
            n_choices=[len(self.operations)] * len(self.edges),
            num_classes=num_classes,
            input_shape=input_shape,
        )

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """The label of each choice of each gene."""
        return (tuple(self.operations),) * self.n_var

    def parse(self, text: str) -> IntArray:
        """Reads ``|op~0|+|op~0|op~1|+...``, NAS-Bench-201's notation."""
        return parse_cell(text, tuple(self.operations), self.edges)

    def write(self, x: IntArray) -> str:
        """Writes ``|op~0|+|op~0|op~1|+...``."""
        return write_cell([tuple(self.operations)[choice] for choice in x], self.edges)

    def live(self, x: npt.ArrayLike) -> tuple[tuple[int, int, int], ...]:
        """The edges of one genome that matter, as (target, source, gene), in order of target.

        An edge matters where its operation is no zero, its source is reached from the input,
        and its target leads to the output; the same genes serve as keys of ``cell_forward``.
        """
        return self.live_where(~self.zeros[np.arange(self.n_var), self._one(x)])

    def live_where(self, passes: npt.ArrayLike) -> tuple[tuple[int, int, int], ...]:
        """The edges that matter where some let nothing through; as ``live`` gives them.

        Args:
            passes: Whether each edge lets anything through ``(n_var,)``.
        """
        live = live_edges(self.edges, np.asarray(passes))
        return tuple((*self.edges[gene], gene) for gene in live)

    @property
    def zeros(self) -> BoolArray:
        """Which choices let nothing through, bool ``(n_var, choices)``."""
        return np.tile([op.is_zero for op in self._candidates], (self.n_var, 1))

    # -- parts ----------------------------------------------------------------------------

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """What stands between stem and head: ("cell" or "reduction", stage), in order."""
        parts: list[tuple[str, int]] = []
        for stage in range(self.stages):
            parts += [("reduction", stage)] * (stage > 0)
            parts += [("cell", stage)] * self.cells_per_stage
        return tuple(parts)

    def stage_channels(self, stage: int, width: float = 1.0) -> int:
        """Channels of the cells of a stage, at a width."""
        return scaled(self.channels * 2**stage, width)

    def stem(self, width: float = 1.0) -> "nn.Module":
        """Convolution 3x3 and BN, from an image, at a width."""
        from torch import nn

        from evonas.spaces import blocks

        out = self.stage_channels(0, width)
        return nn.Sequential(blocks.conv(self.input_shape[0], out, kernel=3), nn.BatchNorm2d(out))

    def block(self, gene: int, choice: int, stage: int = 0, width: float = 1.0) -> "nn.Module":
        """A fresh module for one choice of one gene, in one cell of a stage, at a width.

        Raises:
            InputError: If there is no such gene, choice or stage.
        """
        inside = 0 <= gene < self.n_var and 0 <= choice < self.n_choices[gene]
        if not (inside and 0 <= stage < self.stages):
            raise InputError(
                f"space '{self.name}' has no choice {choice} of gene {gene} in stage {stage}"
            )
        channels = self.stage_channels(stage, width)
        return self._candidates[choice].build(channels, channels, 1)

    def reduction(self, stage: int, width: float = 1.0) -> "nn.Module":
        """The residual block that leads into a stage, from 1 on, at a width."""
        from evonas.spaces import blocks

        if not 1 <= stage < self.stages:
            raise InputError(f"space '{self.name}' has no reduction into stage {stage}")
        return blocks.Reduction(
            self.stage_channels(stage - 1, width), self.stage_channels(stage, width)
        )

    def head(self, width: float = 1.0) -> "nn.Module":
        """BN, ReLU, global average pooling and a linear layer, at a width."""
        from torch import nn

        from evonas.spaces import blocks

        channels = self.stage_channels(self.stages - 1, width)
        return nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            *blocks.classifier(channels, self.num_classes),
        )

    def build(self, x: npt.ArrayLike) -> "nn.Module":
        """The stand-alone network of one genome, a ``networks.CellNetwork``."""
        from evonas.spaces.networks import Cell, CellNetwork

        genome = self._one(x)
        live = self.live(genome)
        body: list[nn.Module] = []
        for kind, stage in self.layout:
            if kind == "reduction":
                body.append(self.reduction(stage))
                continue
            ops = [self.block(gene, int(choice), stage) for gene, choice in enumerate(genome)]
            body.append(Cell(ops, live))
        return CellNetwork(self.stem(), body, self.head())

    def outline(self, x: npt.ArrayLike) -> Outline:
        """The cell of one genome, and where it stands."""
        genome = self._one(x).tolist()
        live = {gene for _, _, gene in self.live(genome)}
        labels = tuple(self.operations)
        arrows = tuple(
            Arrow(
                source,
                target,
                "" if self._candidates[choice].is_zero else labels[choice],
                live=gene in live,
            )
            for gene, ((target, source), choice) in enumerate(zip(self.edges, genome, strict=True))
        )
        size = (self.input_shape[1], self.input_shape[2])
        blocks = [Block("conv-k3", self.stage_channels(0), size)]
        for stage in range(self.stages):
            channels = self.stage_channels(stage)
            if stage > 0:
                size = halved(size, 2)
                blocks.append(Block("reduction", channels, size))
            blocks.append(Block(f"{self.cells_per_stage} x cell", channels, size, searched=True))
        blocks.append(Block("pool, linear", self.num_classes))
        inner = [str(node) for node in range(1, self.nodes - 1)]
        cell = Cell("cell", ("in", *inner, "out"), arrows)
        return Outline(tuple(blocks), (cell,), labels)

    # -- counts and classes ---------------------------------------------------------------

    def count(self) -> Costs:
        """Counts stem, head, reductions, and each operation once a stage.

        Raises:
            InputError: If an operation changes the shape.
        """
        from evonas.spaces.counting import count_module, count_operation

        part = count_module(self.stem, self.input_shape)
        fixed_params, fixed_macs = part.params, part.macs
        row = np.zeros((2, len(self._candidates)), dtype=np.int64)
        for stage in range(self.stages):
            if stage > 0:
                part = count_module(lambda s=stage: self.reduction(s), part.output_shape)  # type: ignore[misc]
                fixed_params, fixed_macs = fixed_params + part.params, fixed_macs + part.macs
            channels, height, width = part.output_shape
            for choice, op in enumerate(self._candidates):
                counted = count_operation(op, channels, channels, 1, (height, width))
                if counted.output_shape != part.output_shape:
                    raise InputError(
                        f"stage {stage}, choice {choice} ({op.label}) returns "
                        f"{counted.output_shape}; the cell needs {part.output_shape}"
                    )
                row[:, choice] += self.cells_per_stage * np.array([counted.params, counted.macs])
        head = count_module(self.head, part.output_shape)
        params, macs = (np.tile(line, (self.n_var, 1)) for line in row)
        return Costs(params, macs, fixed_params + head.params, fixed_macs + head.macs)

    def canonical_within(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """Looks up the class of each cell; all classes are found once for each restriction.

        Raises:
            InputError: If the space is too large to enumerate.
        """
        key = allowed.tobytes()
        if key not in self._members:
            self._members[key] = first_of_class(
                self.edges, self._candidates, allowed, self.costs.params
            )
        place = np.ravel_multi_index(tuple(X.T), tuple(self.n_choices))
        index = self._members[key][place]
        return np.stack(np.unravel_index(index, tuple(self.n_choices)), axis=1).astype(np.int64)
