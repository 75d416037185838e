"""All figures of a run, drawn from its tables."""

from pathlib import Path

from evonas.analysis.distributions import Distributions
from evonas.analysis.distributions_figure import save_distributions
from evonas.analysis.drawing import figures_folder
from evonas.analysis.front import Front
from evonas.analysis.front_figure import save_front
from evonas.analysis.history import History
from evonas.analysis.history_figure import save_history
from evonas.runs import RunFolder


def save_figures(folder: RunFolder) -> list[Path]:
    """Draw `figures/front.png` and `figures/hypervolume.png` from the run's two CSVs.

    Of a multi-distribution search also `figures/distributions.png`, from its journal.

    Returns:
        The files written.

    Raises:
        InputError: a CSV is missing or broken, or the disk is full.
    """
    front = figures_folder(folder) / "front.png"
    volume = folder.figures / "hypervolume.png"
    save_front(Front.load(folder.path), front)
    history = History.load(folder.path)
    save_history(history, volume)
    if "entropy_1" not in history.details and not folder.distributions.is_file():
        return [front, volume]
    distributions = folder.figures / "distributions.png"
    save_distributions(Distributions.load(folder.path), distributions)
    return [front, volume, distributions]
