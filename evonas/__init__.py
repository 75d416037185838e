"""evonas: multi-objective evolutionary neural architecture search on pymoo."""

from evonas._version import __version__

__all__ = ["__version__"]
