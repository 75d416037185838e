"""Records of numbers first (`Front`, `History`), then figures drawn from them. No torch."""

from importlib import import_module
from typing import Any

from evonas.analysis.distributions import DistributionHistory
from evonas.analysis.fidelity import RankFidelity
from evonas.analysis.front import Front, Member
from evonas.analysis.history import History
from evonas.analysis.pruning import PruningAccount, kept_truth
from evonas.analysis.ranks import Interval, bootstrap_interval, kendall_tau, spearman, top_regret
from evonas.analysis.retrained import RetrainedNetworks
from evonas.analysis.saliency import SaliencyTable

_FIGURES = {
    "save_distributions": "figures",
    "save_fidelity": "fidelity_figure",
    "save_figures": "figures",
    "save_front": "figures",
    "save_history": "figures",
    "save_pruning": "figures",
    "save_retrained": "retrained_figure",
    "save_saliency": "figures",
}

__all__ = [
    "DistributionHistory",
    "Front",
    "History",
    "Interval",
    "Member",
    "PruningAccount",
    "RankFidelity",
    "RetrainedNetworks",
    "SaliencyTable",
    "bootstrap_interval",
    "kendall_tau",
    "kept_truth",
    "spearman",
    "top_regret",
    *_FIGURES,
]


def __getattr__(name: str) -> Any:
    """Figures are reached through here: matplotlib is slow to import, and records need none."""
    if name in _FIGURES:
        return getattr(import_module(f"evonas.analysis.{_FIGURES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
