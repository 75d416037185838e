"""The one training loop, for shared weights and stand-alone networks, and its checkpoints."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.training.checkpoint import Checkpoint as Checkpoint
    from evonas.training.scratch import Trained as Trained
    from evonas.training.scratch import evaluate_network as evaluate_network
    from evonas.training.scratch import train_network as train_network
    from evonas.training.store import Training as Training
    from evonas.training.store import TrainingStore as TrainingStore
    from evonas.training.trainer import Trainer as Trainer
    from evonas.training.trainer import TrainingDiverged as TrainingDiverged

_HOMES = {
    "Trainer": "evonas.training.trainer",
    "TrainingDiverged": "evonas.training.trainer",
    "Checkpoint": "evonas.training.checkpoint",
    "Trained": "evonas.training.scratch",
    "Training": "evonas.training.store",
    "TrainingStore": "evonas.training.store",
    "evaluate_network": "evonas.training.scratch",
    "train_network": "evonas.training.scratch",
}
__all__ = [
    "Checkpoint",
    "Trained",
    "Trainer",
    "Training",
    "TrainingDiverged",
    "TrainingStore",
    "evaluate_network",
    "train_network",
]


def __getattr__(name: str) -> Any:
    """Reach the modules that need torch only when they are asked for."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
