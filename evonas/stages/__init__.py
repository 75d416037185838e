"""The stages of the main job: plan, supernet, saliency, search, results, ranks, report."""

from evonas.stages.fidelity import MeasureFidelity
from evonas.stages.joint import TrainJointly
from evonas.stages.plan import Plan, plan
from evonas.stages.pruning import PruneSupernet
from evonas.stages.report import WriteReport
from evonas.stages.results import WriteResults
from evonas.stages.retrain import RetrainMembers
from evonas.stages.saliency import ScoreSaliency
from evonas.stages.search import SearchFront
from evonas.stages.supernet import TrainSupernet
from evonas.stages.workspace import Workspace

__all__ = [
    "MeasureFidelity",
    "Plan",
    "PruneSupernet",
    "RetrainMembers",
    "ScoreSaliency",
    "SearchFront",
    "TrainJointly",
    "TrainSupernet",
    "Workspace",
    "WriteReport",
    "WriteResults",
    "plan",
]
