"""Beyond one device: trainings and populations on a Ray cluster.

Needs Ray (``pip install 'evonas[ray]'``), which is imported when a cluster is first connected to.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.cluster.connection import Cluster as Cluster
    from evonas.cluster.connection import connect as connect
    from evonas.cluster.scoring import ClusterScoring as ClusterScoring
    from evonas.cluster.training import train_supernet as train_supernet
    from evonas.cluster.trials import ClusterTrainers as ClusterTrainers

_HOMES = {
    "Cluster": "connection",
    "ClusterScoring": "scoring",
    "ClusterTrainers": "trials",
    "connect": "connection",
    "train_supernet": "training",
}

__all__ = ["Cluster", "ClusterScoring", "ClusterTrainers", "connect", "train_supernet"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
