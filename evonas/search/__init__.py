"""Search algorithms: pymoo's own with evonas's operators, and evonas's.

What is slow to import (numba, scikit-learn) is imported where it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evonas.search.evaluator import DistinctEvaluator
from evonas.search.registry import get_algorithm, list_algorithms

if TYPE_CHECKING:
    from evonas.search.screened import ScreenedSearch

__all__ = ["DistinctEvaluator", "ScreenedSearch", "get_algorithm", "list_algorithms"]


def __getattr__(name: str) -> Any:
    """The algorithms that are slow to import."""
    if name == "ScreenedSearch":
        return import_module("evonas.search.screened").ScreenedSearch
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
