"""The cell space of DARTS (Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.cell_graph import fed_edges
from evonas.spaces.darts_classes import SAME, ZERO, first_of_class, preferred_pairs
from evonas.spaces.darts_genotype import Pairs, parse_genotype, write_genotype
from evonas.spaces.darts_ops import DARTS_OPERATIONS, FactorizedReduce
from evonas.spaces.ops import Operation, ReLUConv
from evonas.spaces.outline import JOINED, Arrow, Block, Cell, Outline, halved
from evonas.spaces.space import BoolArray, Costs, IntArray, SearchSpace
from evonas.spaces.width import scaled

if TYPE_CHECKING:
    from torch import nn

Live = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class CellPlan:
    """One cell of the network.

    Attributes:
        reduction: Whether it is a reduction cell, whose edges from inputs 0 and 1 have stride 2.
        in_channels: Channels of the cell before the last and of the last one.
        channels: Channels of each node.
        after_reduction: Whether the last cell is one, so that the one before it is twice as large.
    """

    reduction: bool
    in_channels: tuple[int, int]
    channels: int
    after_reduction: bool

    def stride(self, source: int) -> int:
        """Stride of the edges from an input or node."""
        return 2 if self.reduction and source < 2 else 1

    @property
    def preprocesses(self) -> tuple[tuple[Operation, int], tuple[Operation, int]]:
        """The operation, and its stride, that brings each input to the cell's channels and size."""
        plain = (ReLUConv(1), 1)
        return (FactorizedReduce(), 2) if self.after_reduction else plain, plain


class DartsSpace(SearchSpace):
    """DARTS's network for evaluation: a normal and a reduction cell, each searched.

    A cell reads the outputs of the two cells before it: inputs 0 and 1. Nodes 2, 3, ... are the
    sum of two edges each, and an edge is one of eight operations on an input or an earlier node.
    The output is all nodes side by side. A third and two thirds down the network, a reduction cell
    halves the size and doubles the channels. There is no auxiliary head and no drop-path.

    Each edge is a gene, which chooses input and operation together, as input * 8 + operation; the
    two edges of a node stand side by side, the normal cell's first. Together, since a gene has
    costs of its own then, whatever the others are: in the reduction cell a skip from input 0 or 1
    is a `FactorizedReduce` with weights, and from a node it is free. Two edges of a node may read
    one input.

    Two genomes are one class where their cells compute the same function: nothing passes a
    ``none``; what is fed by nothing is zero, its normalisation's bias included; sums are in any
    order, and a sum handed on by a skip is part of the next sum; inputs that hold the same value
    are as good as each other. Terms that apply one operation to one value count as equal whether
    they have one set of weights or two.

    Args:
        name: Name in the registry and in front of genomes.
        nodes: Nodes of a cell beside its inputs.
        channels: Channels of each node before the first reduction, at full width.
        layers: Number of cells.
        num_classes: Classes; never scaled by a width.
        input_shape: Channels, height and width of an image; its channels are never scaled.

    Raises:
        InputError: If a number is out of range.
    """

    has_supernet = True
    stem_multiplier = 3

    def __init__(
        self,
        *,
        name: str = "darts",
        nodes: int = 4,
        channels: int = 36,
        layers: int = 20,
        num_classes: int,
        input_shape: Sequence[int],
    ):
        """Lays the genes out."""
        if nodes < 1 or channels < 2 or layers < 3:
            raise InputError(
                f"cells '{name}' need nodes >= 1, channels >= 2, and layers >= 3, of which two are "
                "reductions"
            )
        self.nodes = nodes
        self.channels = channels
        self.layers = layers
        self.operations = dict(DARTS_OPERATIONS)
        self._candidates = tuple(self.operations.values())
        self._kinds = tuple(self._kinds_of(reduction) for reduction in (False, True))
        self._pairs: dict[bytes, list[list[IntArray]]] = {}
        of_cell = [(node + 2) * len(self.operations) for node in range(nodes) for _ in range(2)]
        super().__init__(
            name=name, n_choices=2 * of_cell, num_classes=num_classes, input_shape=input_shape
        )

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """Operation and input of each choice of each gene, such as ``sep_conv_3x3~0``."""
        return tuple(
            tuple(f"{op}~{source}" for op, source in map(self._edge, range(n)))
            for n in self.n_choices.tolist()
        )

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The two edges of each node; the nodes of the normal cell, then of the reduction cell."""
        return tuple((gene, gene + 1) for gene in range(0, self.n_var, 2))

    def parse(self, text: str) -> IntArray:
        """Reads DARTS's ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``."""
        cells = parse_genotype(text, tuple(self.operations), self.nodes)
        places = {op: place for place, op in enumerate(self.operations)}
        n = len(places)
        return np.array([source * n + places[op] for pairs in cells for op, source in pairs])

    def write(self, x: IntArray) -> str:
        """Writes DARTS's ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``."""
        normal, reduce = (self._edges(x[self.genes(reduction)]) for reduction in (False, True))
        return write_genotype(normal, reduce)

    def genes(self, reduction: bool) -> slice:
        """The genes of the normal or the reduction cell."""
        n = 2 * self.nodes
        return slice(n, 2 * n) if reduction else slice(n)

    @property
    def zeros(self) -> BoolArray:
        """Which choices let nothing through, bool ``(n_var, max choices)``."""
        row = np.tile([op.is_zero for op in self._candidates], self.nodes + 1)
        return self.allowed & row

    def live(self, x: npt.ArrayLike) -> tuple[Live, Live]:
        """The edges of one genome that add something, in the normal and in the reduction cell.

        Each is (target, source, gene), in order of target. An edge adds something where its
        operation is no ``none`` and its source is not zero.
        """
        genome = self._one(x).tolist()
        cells: list[Live] = []
        for reduction in (False, True):
            genes = range(len(genome))[self.genes(reduction)]
            edges = []
            for place, gene in enumerate(genes):
                source, choice = divmod(genome[gene], len(self._candidates))
                if not self._candidates[choice].is_zero:
                    edges.append((2 + place // 2, source, gene))
            cells.append(tuple(fed_edges(edges, inputs=2)))
        return cells[0], cells[1]

    # -- parts ----------------------------------------------------------------------------

    def stage_channels(self, stage: int, width: float = 1.0) -> int:
        """Channels of a node after so many reductions, at a width; at least 2."""
        return max(2, scaled(self.channels * 2**stage, width))

    def plan(self, width: float = 1.0) -> tuple[CellPlan, ...]:
        """The cells in order, at a width."""
        stem = scaled(self.stem_multiplier * self.channels, width)
        inputs, after_reduction, stage = (stem, stem), False, 0
        cells = []
        for place in range(self.layers):
            reduction = place in (self.layers // 3, 2 * self.layers // 3)
            stage += reduction
            channels = self.stage_channels(stage, width)
            cells.append(CellPlan(reduction, inputs, channels, after_reduction))
            inputs, after_reduction = (inputs[1], self.nodes * channels), reduction
        return tuple(cells)

    def stem(self, width: float = 1.0) -> "nn.Module":
        """Convolution 3x3 and BN, from an image, at a width."""
        from torch import nn

        from evonas.spaces import blocks

        out = scaled(self.stem_multiplier * self.channels, width)
        return nn.Sequential(blocks.conv(self.input_shape[0], out, kernel=3), nn.BatchNorm2d(out))

    def block(self, gene: int, choice: int, plan: CellPlan) -> "nn.Module":
        """A fresh module for one choice of one gene, in one cell.

        Raises:
            InputError: If there is no such gene or choice.
        """
        if not (0 <= gene < self.n_var and 0 <= choice < self.n_choices[gene]):
            raise InputError(f"space '{self.name}' has no choice {choice} of gene {gene}")
        source, operation = divmod(choice, len(self._candidates))
        return self._candidates[operation].build(plan.channels, plan.channels, plan.stride(source))

    def head(self, width: float = 1.0) -> "nn.Module":
        """Global average pooling and a linear layer, at a width."""
        from torch import nn

        from evonas.spaces import blocks

        channels = self.nodes * self.plan(width)[-1].channels
        return nn.Sequential(*blocks.classifier(channels, self.num_classes))

    def build(self, x: npt.ArrayLike) -> "nn.Module":
        """The stand-alone network of one genome ``(n_var,)``, dead operations included."""
        from evonas.spaces.darts_network import DartsCell, DartsNetwork

        genome = self._one(x).tolist()
        live = self.live(genome)
        cells = []
        for plan in self.plan():
            genes = range(self.n_var)[self.genes(plan.reduction)]
            ops = {gene: self.block(gene, genome[gene], plan) for gene in genes}
            cells.append(DartsCell(plan, ops, live[plan.reduction], self.nodes))
        return DartsNetwork(self.stem(), cells, self.head())

    def outline(self, x: npt.ArrayLike) -> Outline:
        """The two cells of one genome, and where they stand."""
        genome = self._one(x)
        live = self.live(genome)
        cells = []
        for reduction, name in enumerate(("normal cell", "reduction cell")):
            genes = range(self.n_var)[self.genes(bool(reduction))]
            adds = {gene for _, _, gene in live[reduction]}
            arrows = []
            for place, gene in enumerate(genes):
                op, source = self._edge(int(genome[gene]))
                label = "" if self.operations[op].is_zero else op
                arrows.append(Arrow(source, 2 + place // 2, label, live=gene in adds))
            fed = {arrow.target for arrow in arrows if arrow.live}
            out = 2 + self.nodes
            arrows += [Arrow(node, out, JOINED, live=node in fed) for node in range(2, out)]
            inner = [str(node) for node in range(self.nodes)]
            cells.append(Cell(name, ("c[k-2]", "c[k-1]", *inner, "c[k]"), tuple(arrows)))
        size = (self.input_shape[1], self.input_shape[2])
        blocks = [Block("conv-k3", self.stem_multiplier * self.channels, size)]
        plans = self.plan()
        for place, plan in enumerate(plans):
            size = halved(size, 1 + plan.reduction)
            channels = self.nodes * plan.channels
            if plan.reduction:
                blocks.append(Block("reduction cell", channels, size, searched=True))
            elif place == 0 or plans[place - 1].reduction:
                run = 1
                while place + run < len(plans) and not plans[place + run].reduction:
                    run += 1
                blocks.append(Block(f"{run} x normal cell", channels, size, searched=True))
        blocks.append(Block("pool, linear", self.num_classes))
        return Outline(tuple(blocks), tuple(cells), tuple(self.operations))

    # -- costs and classes ----------------------------------------------------------------

    def count(self) -> Costs:
        """Counts stem, head, preprocessing, and each operation once for each shape."""
        from evonas.spaces.counting import Count, count_module, count_operation

        def count_all(plan: CellPlan, source: int, shape: tuple[int, ...]) -> list[Count]:
            c, h, w = shape
            stride = plan.stride(source)
            return [count_operation(op, c, c, stride, (h, w)) for op in self._candidates]

        stem = count_module(self.stem, self.input_shape)
        fixed = np.array([stem.params, stem.macs], dtype=np.int64)
        table = np.zeros((2, self.n_var, int(self.n_choices.max())), dtype=np.int64)
        before = last = stem.output_shape
        for plan in self.plan():
            for (op, stride), (c, h, w) in zip(plan.preprocesses, (before, last), strict=True):
                part = count_operation(op, c, plan.channels, stride, (h, w))
                fixed += part.params, part.macs
            outer = count_all(plan, 0, part.output_shape)
            inner = count_all(plan, 2, outer[0].output_shape)
            choices = np.array([part[:2] for part in 2 * outer + (self.nodes - 1) * inner]).T
            for gene in range(self.n_var)[self.genes(plan.reduction)]:
                n = self.n_choices[gene]
                table[:, gene, :n] += choices[:, :n]
            _, h, w = outer[0].output_shape
            before, last = last, (self.nodes * plan.channels, h, w)
        head = count_module(self.head, last)
        return Costs(table[0], table[1], int(fixed[0]) + head.params, int(fixed[1]) + head.macs)

    def canonical_within(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """Of each node the cheapest, then first, pair of edges with the same value."""
        key = allowed.tobytes()
        if key not in self._pairs:
            self._pairs[key] = [self._preferred(reduction, allowed) for reduction in (False, True)]
        result = np.empty_like(X)
        for reduction, pairs in enumerate(self._pairs[key]):
            genes = self.genes(bool(reduction))
            result[:, genes] = first_of_class(X[:, genes], self._kinds[reduction], pairs)
        return result

    def _kinds_of(self, reduction: bool) -> IntArray:
        """What each operation does with each input of a cell, ``(nodes + 1, operations)``."""
        kinds = np.empty((self.nodes + 1, len(self._candidates)), dtype=np.int64)
        for source, place in np.ndindex(*kinds.shape):
            op, stride = self._candidates[place], 2 if reduction and source < 2 else 1
            same = op.is_identity(self.channels, self.channels, stride)
            kinds[source, place] = ZERO if op.is_zero else SAME if same else 2 + place
        return kinds

    def _preferred(self, reduction: bool, allowed: BoolArray) -> list[IntArray]:
        kinds = self._kinds[reduction].ravel()
        first = self.genes(reduction).start or 0
        pairs = []
        for node in range(self.nodes):
            gene = first + 2 * node
            n = self.n_choices[gene]
            edges = slice(gene, gene + 2)
            pairs.append(
                preferred_pairs(self.costs.params[edges, :n], allowed[edges, :n], kinds[:n])
            )
        return pairs

    def _edge(self, choice: int) -> tuple[str, int]:
        """Operation and input of a choice."""
        source, operation = divmod(choice, len(self._candidates))
        return tuple(self.operations)[operation], source

    def _edges(self, choices: IntArray) -> Pairs:
        return [self._edge(choice) for choice in choices.tolist()]
