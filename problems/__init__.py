"""Neural architecture search as pymoo problems, and the registry of ready-made ones."""

from evonas.problems.architecture import ArchitectureProblem
from evonas.problems.constraints import Constraint
from evonas.problems.costs import AdditiveCost
from evonas.problems.own_costs import register_cost
from evonas.problems.quality import mean_excess_error
from evonas.problems.registry import get_problem, list_problems
from evonas.problems.scratch import ScratchProblem
from evonas.problems.supernet import SupernetProblem
from evonas.problems.tabular import TabularProblem

__all__ = [
    "AdditiveCost",
    "ArchitectureProblem",
    "Constraint",
    "ScratchProblem",
    "SupernetProblem",
    "TabularProblem",
    "get_problem",
    "list_problems",
    "mean_excess_error",
    "register_cost",
]
