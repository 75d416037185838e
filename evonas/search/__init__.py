"""Search algorithms by name: pymoo's own with evonas's operators."""

from evonas.search.evaluator import DistinctEvaluator
from evonas.search.registry import get_algorithm, list_algorithms

__all__ = ["DistinctEvaluator", "get_algorithm", "list_algorithms"]
