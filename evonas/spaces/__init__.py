"""What can be built: genome <-> network, exact parameters and multiply-adds.

Importing this package loads no torch; what needs it is imported where it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evonas.spaces.categorical import CategoricalSpace
from evonas.spaces.cell import CellSpace
from evonas.spaces.chain import ChainSpace, Fixed, Stage
from evonas.spaces.ops import AvgPool, Conv, Identity, MBConv, Operation, ReLUConv, Zero
from evonas.spaces.registry import get_space, list_spaces, register_space
from evonas.spaces.restrict import RestrictedSpace
from evonas.spaces.space import Costs, SearchSpace

if TYPE_CHECKING:
    from evonas.spaces.networks import CellNetwork, ChainNetwork, cell_forward

__all__ = [
    "AvgPool",
    "CategoricalSpace",
    "CellNetwork",
    "CellSpace",
    "ChainNetwork",
    "ChainSpace",
    "Conv",
    "Costs",
    "Fixed",
    "Identity",
    "MBConv",
    "Operation",
    "ReLUConv",
    "RestrictedSpace",
    "SearchSpace",
    "Stage",
    "Zero",
    "cell_forward",
    "get_space",
    "list_spaces",
    "register_space",
]

_NEEDS_TORCH = {"CellNetwork", "ChainNetwork", "cell_forward"}


def __getattr__(name: str) -> Any:
    """The networks, whose module imports torch."""
    if name in _NEEDS_TORCH:
        return getattr(import_module("evonas.spaces.networks"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
