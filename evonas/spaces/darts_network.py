"""Stand-alone networks of DARTS's space: what ``DartsSpace.build(x)`` returns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from evonas.spaces.blocks import Zero
from evonas.spaces.networks import CellNetwork, node_values

if TYPE_CHECKING:
    from evonas.spaces.darts import CellPlan


def preprocesses(plan: "CellPlan") -> tuple[nn.Module, nn.Module]:
    """The modules that bring a cell's two inputs to its channels and size."""
    first, second = (
        op.build(channels, plan.channels, stride)
        for (op, stride), channels in zip(plan.preprocesses, plan.in_channels, strict=True)
    )
    return first, second


def side_by_side(values: Mapping[int, Tensor], nodes: Iterable[int], stride: int) -> Tensor:
    """The output of a cell, ``(n, nodes * c, h, w)``; nodes without a value are zero."""
    return torch.cat(
        [values[node] if node in values else zero_node(values, stride) for node in nodes], dim=1
    )


def zero_node(values: Mapping[int, Tensor], stride: int) -> Tensor:
    """The value of a node that is fed by nothing, where the edges from the inputs have a stride."""
    return torch.zeros_like(values[1][:, :, ::stride, ::stride])


class DartsCell(nn.Module):
    """One cell of a genome, from the outputs of the two cells before it.

    State names are ``preprocess0.*``, ``preprocess1.*`` and ``ops.<gene>.*``, dead operations
    included.

    Args:
        plan: Channels and strides.
        ops: The operation of each gene of this kind of cell, in order.
        live: (target, source, gene) of the edges that add something, in order of target.
        nodes: Number of nodes.
    """

    def __init__(
        self,
        plan: "CellPlan",
        ops: Mapping[int, nn.Module],
        live: Sequence[tuple[int, int, int]],
        nodes: int,
    ):
        """Keeps the operations, and which of them matter."""
        super().__init__()
        self.preprocess0, self.preprocess1 = preprocesses(plan)
        self.ops = nn.ModuleDict({str(gene): op for gene, op in ops.items()})
        self.live = [(target, source, str(gene)) for target, source, gene in live]
        used = {key for _, _, key in self.live}
        # What a "none" reads makes no difference; any other dead operation reads a zero node.
        self.dead = [
            key for key, op in self.ops.items() if key not in used and not isinstance(op, Zero)
        ]
        self.nodes = range(2, 2 + nodes)
        self.stride = plan.stride(0)

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """Outputs of the cell before the last and of the last to ``(n, nodes * c, h, w)``."""
        inputs = self.preprocess0(before), self.preprocess1(last)
        values = node_values(inputs, self.live, self.ops.__getitem__)
        if self.dead:
            # As written: profilers and clocks see dead operations at work, and nobody reads what
            # they return. Canonical genomes have none.
            with torch.no_grad():
                zero = zero_node(values, self.stride)
                for key in self.dead:
                    self.ops[key](zero)
        return side_by_side(values, self.nodes, self.stride)


class DartsNetwork(CellNetwork):
    """Stem, cells that read the two before them, head.

    State names are ``stem.*``, ``cells.<place>.*`` and ``head.*``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, num_classes)``."""
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.head(last)
