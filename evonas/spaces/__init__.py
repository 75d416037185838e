"""What can be built: genome <-> network, exact parameters and multiply-adds.

Importing this package loads no torch; what needs it is imported where it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evonas.spaces.categorical import CategoricalSpace
from evonas.spaces.cell import CellSpace
from evonas.spaces.chain import ChainSpace, Fixed, Stage
from evonas.spaces.darts import DartsSpace
from evonas.spaces.darts_ops import DilConv, FactorizedReduce, MaxPool, SepConv, SkipConnect
from evonas.spaces.ops import AvgPool, Conv, Identity, MBConv, Operation, ReLUConv, Zero
from evonas.spaces.outline import Arrow, Block, Cell, Outline
from evonas.spaces.plain import PlainArchitecture, PlainSpace
from evonas.spaces.registry import get_space, list_spaces, register_space
from evonas.spaces.restrict import RestrictedSpace
from evonas.spaces.space import Costs, SearchSpace

if TYPE_CHECKING:
    from evonas.spaces.darts_network import DartsNetwork
    from evonas.spaces.networks import CellNetwork, ChainNetwork, cell_forward

__all__ = [
    "Arrow",
    "AvgPool",
    "Block",
    "CategoricalSpace",
    "Cell",
    "CellNetwork",
    "CellSpace",
    "ChainNetwork",
    "ChainSpace",
    "Conv",
    "Costs",
    "DartsNetwork",
    "DartsSpace",
    "DilConv",
    "FactorizedReduce",
    "Fixed",
    "Identity",
    "MBConv",
    "MaxPool",
    "Operation",
    "Outline",
    "PlainArchitecture",
    "PlainSpace",
    "ReLUConv",
    "RestrictedSpace",
    "SearchSpace",
    "SepConv",
    "SkipConnect",
    "Stage",
    "Zero",
    "cell_forward",
    "get_space",
    "list_spaces",
    "register_space",
]

_NEEDS_TORCH = {
    "CellNetwork": "evonas.spaces.networks",
    "ChainNetwork": "evonas.spaces.networks",
    "DartsNetwork": "evonas.spaces.darts_network",
    "cell_forward": "evonas.spaces.networks",
}


def __getattr__(name: str) -> Any:
    """The networks, whose modules import torch."""
    if name in _NEEDS_TORCH:
        return getattr(import_module(_NEEDS_TORCH[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
