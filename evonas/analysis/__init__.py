"""Records of numbers first (`Front`, `History`), then figures drawn from them. No torch."""

from typing import Any

from evonas.analysis.front import Front, Member
from evonas.analysis.history import History

__all__ = ["Front", "History", "Member", "save_figures", "save_front", "save_history"]


def __getattr__(name: str) -> Any:
    """Figures are reached through here: matplotlib is slow to import, and records need none."""
    if name in ("save_figures", "save_front", "save_history"):
        from evonas.analysis import figures

        return getattr(figures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
