"""Search algorithms: pymoo's own with evonas's operators, and evonas's.

What is slow to import (numba, scikit-learn) is imported where it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evonas.search.evaluator import DistinctEvaluator
from evonas.search.registry import get_algorithm, list_algorithms

if TYPE_CHECKING:
    from evonas.search.joint import JointLearning
    from evonas.search.multi_distribution import MultiDistributionSearch
    from evonas.search.saliency import SaliencySearch
    from evonas.search.screened import ScreenedSearch
    from evonas.search.true_rank import TrueRankSearch

__all__ = [
    "DistinctEvaluator",
    "JointLearning",
    "MultiDistributionSearch",
    "SaliencySearch",
    "ScreenedSearch",
    "TrueRankSearch",
    "get_algorithm",
    "list_algorithms",
]

_MODULES = {
    "JointLearning": "evonas.search.joint",
    "MultiDistributionSearch": "evonas.search.multi_distribution",
    "SaliencySearch": "evonas.search.saliency",
    "ScreenedSearch": "evonas.search.screened",
    "TrueRankSearch": "evonas.search.true_rank",
}


def __getattr__(name: str) -> Any:
    """The algorithms that are slow to import."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
