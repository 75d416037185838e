"""Records of numbers first (`Front`, `History`), then figures drawn from them. No torch."""

from typing import Any

from evonas.analysis.distributions import DistributionHistory
from evonas.analysis.front import Front, Member
from evonas.analysis.history import History
from evonas.analysis.pruning import PruningAccount, kept_truth
from evonas.analysis.saliency import SaliencyTable

_FIGURES = (
    "save_distributions",
    "save_figures",
    "save_front",
    "save_history",
    "save_pruning",
    "save_saliency",
)

__all__ = [
    "DistributionHistory",
    "Front",
    "History",
    "Member",
    "PruningAccount",
    "SaliencyTable",
    "kept_truth",
    *_FIGURES,
]


def __getattr__(name: str) -> Any:
    """Figures are reached through here: matplotlib is slow to import, and records need none."""
    if name in _FIGURES:
        from evonas.analysis import figures

        return getattr(figures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
