"""Shared weights: the network, how its paths are sampled in training, and their evaluation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.supernet.activations import Activations as Activations
    from evonas.supernet.evaluation_plan import BlockCosts as BlockCosts
    from evonas.supernet.evaluation_plan import EvaluationPlan as EvaluationPlan
    from evonas.supernet.pruning import Pruned as Pruned
    from evonas.supernet.pruning import prune as prune
    from evonas.supernet.saliency import removal_effects as removal_effects
    from evonas.supernet.saliency import saliency_table as saliency_table
    from evonas.supernet.scores import Scores as Scores
    from evonas.supernet.supernet import Supernet as Supernet

_HOMES = {
    "Supernet": "evonas.supernet.supernet",
    "Activations": "evonas.supernet.activations",
    "BlockCosts": "evonas.supernet.evaluation_plan",
    "EvaluationPlan": "evonas.supernet.evaluation_plan",
    "Scores": "evonas.supernet.scores",
    "Pruned": "evonas.supernet.pruning",
    "prune": "evonas.supernet.pruning",
    "removal_effects": "evonas.supernet.saliency",
    "saliency_table": "evonas.supernet.saliency",
}
__all__ = [
    "Activations",
    "BlockCosts",
    "EvaluationPlan",
    "Pruned",
    "Scores",
    "Supernet",
    "prune",
    "removal_effects",
    "saliency_table",
]


def __getattr__(name: str) -> Any:
    """Reach the modules that need torch only when they are asked for."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
