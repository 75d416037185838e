"""Records of numbers first (`Front`, `History`), then figures drawn from them. No torch."""

from importlib import import_module
from typing import Any

from evonas.analysis.architecture import Diagram, GeneFrequencies
from evonas.analysis.comparison import Attainment, Comparison
from evonas.analysis.distributions import Distributions
from evonas.analysis.fidelity import RankFidelity
from evonas.analysis.front import Front, Member
from evonas.analysis.history import History
from evonas.analysis.history_bands import HistoryBands
from evonas.analysis.pruning import PruningAccount, kept_truth
from evonas.analysis.ranks import Interval, bootstrap_interval, kendall_tau, spearman, top_regret
from evonas.analysis.retrained import RetrainedNetworks
from evonas.analysis.saliency import Saliency

_LATER = {
    "write_report": "report",
    "save_comparison": "comparison_figure",
    "save_distributions": "distributions_figure",
    "save_fidelity": "fidelity_figure",
    "save_figures": "figures",
    "save_front": "front_figure",
    "save_history": "history_figure",
    "save_pruning": "choices_figure",
    "save_retrained": "retrained_figure",
    "save_saliency": "choices_figure",
}

__all__ = [
    "Attainment",
    "Comparison",
    "Diagram",
    "Distributions",
    "Front",
    "GeneFrequencies",
    "History",
    "HistoryBands",
    "Interval",
    "Member",
    "PruningAccount",
    "RankFidelity",
    "RetrainedNetworks",
    "Saliency",
    "bootstrap_interval",
    "kendall_tau",
    "kept_truth",
    "spearman",
    "top_regret",
    *_LATER,
]


def __getattr__(name: str) -> Any:
    """Figures and report are reached through here: records need no matplotlib, which is slow."""
    if name in _LATER:
        return getattr(import_module(f"evonas.analysis.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
