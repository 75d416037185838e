"""The one training loop, for shared weights and stand-alone networks, and its checkpoints."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.training.checkpoint import Checkpoint as Checkpoint
    from evonas.training.trainer import Trainer as Trainer
    from evonas.training.trainer import TrainingDiverged as TrainingDiverged

_HOMES = {
    "Trainer": "evonas.training.trainer",
    "TrainingDiverged": "evonas.training.trainer",
    "Checkpoint": "evonas.training.checkpoint",
}
__all__ = ["Checkpoint", "Trainer", "TrainingDiverged"]


def __getattr__(name: str) -> Any:
    """Reach the modules that need torch only when they are asked for."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
