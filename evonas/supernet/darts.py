"""Shared weights of DARTS's space."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor, nn

from evonas.spaces import DartsSpace
from evonas.spaces.cell_graph import fed_edges
from evonas.spaces.darts import CellPlan
from evonas.spaces.darts_network import preprocesses, side_by_side
from evonas.spaces.networks import node_values
from evonas.spaces.space import BoolArray
from evonas.supernet.network import SharedNetwork, computed, shared_network, weighed


class SharedDartsCell(nn.Module):
    """One cell whose nodes hold all their operations on all their inputs.

    The two genes of a node share them: parameters are ``ops.<node>.<choice>.*``, with the nodes
    counted from 0.
    """

    def __init__(self, space: DartsSpace, plan: CellPlan) -> None:
        """Build all operations of all nodes."""
        super().__init__()
        self.preprocess0, self.preprocess1 = preprocesses(plan)
        genes = range(space.n_var)[space.genes(plan.reduction)]
        self.ops = nn.ModuleList(
            nn.ModuleList(space.block(gene, choice, plan) for choice in range(count))
            for gene, count in zip(genes[::2], space.n_choices[genes[::2]], strict=True)
        )
        self.reduction, self.stride = plan.reduction, plan.stride(0)
        self.n_operations = len(space.operations)
        self.nodes = range(2, 2 + space.nodes)

    def forward(
        self,
        before: Tensor,
        last: Tensor,
        genome: Sequence[int],
        live: Sequence[tuple[int, int, int]],
    ) -> Tensor:
        """The output of the cell of one genome, given its live edges."""
        inputs = self.preprocess0(before), self.preprocess1(last)
        edges = [(target, source, (target - 2, genome[gene])) for target, source, gene in live]
        values = node_values(inputs, edges, self.op)
        return side_by_side(values, self.nodes, self.stride)

    def mixture(self, before: Tensor, last: Tensor, gates: Tensor, used: BoolArray) -> Tensor:
        """The output with a gate (..., genes of the cell, choices) on each operation.

        Args:
            before: output of the cell before the last.
            last: output of the last cell.
            gates: of this cell's genes.
            used: which choices of its genes are not zero everywhere, bool (genes, choices).
        """
        inputs = self.preprocess0(before), self.preprocess1(last)
        edges = []
        for node, ops in enumerate(self.ops):
            assert isinstance(ops, nn.ModuleList)
            pair = used[2 * node : 2 * node + 2, : len(ops)]
            for choice in np.flatnonzero(pair.any(axis=0)).tolist():
                edges.append((node + 2, choice // self.n_operations, (node, choice)))

        def gated(key: tuple[int, int]) -> Callable[[Tensor], Tensor]:
            node, choice = key
            # both genes of a node use the same weights
            gate = gates[..., 2 * node : 2 * node + 2, choice].sum(-1)
            return lambda value: weighed(self.op(key)(value), gate)

        return side_by_side(
            node_values(inputs, fed_edges(edges, inputs=2), gated), self.nodes, self.stride
        )

    def op(self, key: tuple[int, int]) -> nn.Module:
        """The operation of a node and a choice of its genes."""
        node, choice = key
        return self.ops[node][choice]  # type: ignore[index]


class SharedDarts(SharedNetwork):
    """DARTS's network; its cells hold all operations and follow one genome."""

    def __init__(self, space: DartsSpace, width: float) -> None:
        """Build stem, cells and head at a width."""
        super().__init__()
        self.space = space
        self.stem = space.stem(width)
        self.cells = nn.ModuleList(SharedDartsCell(space, plan) for plan in space.plan(width))
        self.head = space.head(width)

    def forward(self, images: Tensor, genome: Sequence[int]) -> Tensor:
        """Logits (n, classes) of one path; dead operations are not computed."""
        live = self.space.live(genome)
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(before, last, genome, live[cell.reduction])  # type: ignore[index]
        return self.head(last)

    def mixture(self, images: Tensor, gates: Tensor, skips: Tensor | None = None) -> Tensor:
        """As in the base class; edges have no skip, and a skip connection is a choice with a gate.

        As in a path, what is fed by nothing is zero, its normalisation's bias included.
        """
        used = computed(gates) & self.weighable
        before = last = self.stem(images)
        for cell in self.cells:
            assert isinstance(cell, SharedDartsCell)
            genes = self.space.genes(cell.reduction)
            before, last = last, cell.mixture(before, last, gates[..., genes, :], used[genes])
        return self.head(last)

    @property
    def weighable(self) -> BoolArray:
        """As in the base class; all but zeros."""
        return self.space.allowed & ~self.space.zeros

    def path_state(self, genome: Sequence[int]) -> dict[str, Tensor]:
        """As in the base class; where both genes of a node choose one operation, each has it."""
        state = {}
        for name, value in self.named_parameters():
            parts = name.split(".")
            if parts[0] != "cells" or parts[2] != "ops":
                state[name] = value.detach()
                continue
            # "cells.<place>.ops.<node>.<choice>..." here is "cells.<place>.ops.<gene>..." there.
            place, node, choice = int(parts[1]), int(parts[3]), int(parts[4])
            genes = range(self.space.n_var)[self.space.genes(self.cells[place].reduction)]  # type: ignore[arg-type]
            for gene in genes[2 * node : 2 * node + 2]:
                if genome[gene] == choice:
                    state[".".join([*parts[:3], str(gene), *parts[5:]])] = value.detach()
        return state


@shared_network.register
def _(space: DartsSpace, width: float) -> SharedNetwork:
    return SharedDarts(space, width)
