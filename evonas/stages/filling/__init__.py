"""From what the user said to every number that a run needs but a budget decides."""

from evonas.config import RunConfig, TrueRankConfig
from evonas.device import resolve_device
from evonas.errors import InputError, unknown
from evonas.problems.published import TABLES
from evonas.problems.registry import data_of
from evonas.search import list_algorithms
from evonas.search.registry import TRUE_RANK
from evonas.stages.fidelity_plan import fill_fidelity
from evonas.stages.filling.cluster import fill_cluster
from evonas.stages.filling.machine import use_threads
from evonas.stages.filling.methods import (
    fill_distributions,
    fill_pruning,
    fill_racing,
    fill_saliency,
)
from evonas.stages.filling.scratch import fill_scratch, not_plain, trains_from_scratch
from evonas.stages.filling.supernet import fill_supernet
from evonas.stages.filling.table import fill_table

__all__ = ["fill", "use_threads"]


def fill(config: RunConfig) -> RunConfig:
    """Every number that the user left open, from the problem's defaults.

    A table of measured networks trains nothing: what is about training stays open there. A run
    that takes the supernet of another takes its space, width and data settings as well.

    Raises:
        InputError: the problem, algorithm, device or other run is unknown.
    """
    data = data_of(config.problem)
    if config.algorithm not in list_algorithms():
        raise unknown("algorithm", config.algorithm, list_algorithms())
    config = fill_distributions(config)
    config = fill_saliency(config)
    config = fill_pruning(config)
    config = fill_racing(config)
    if config.true_rank != TrueRankConfig() and config.algorithm != TRUE_RANK:
        raise InputError(
            f"the settings of --true-rank are of another algorithm than '{config.algorithm}'; give "
            f"--algorithm {TRUE_RANK}, or leave them out"
        )
    if data in TABLES:
        return fill_cluster(fill_fidelity(fill_table(config, data)))
    device = resolve_device(config.device)
    if trains_from_scratch(config, data, device):
        return fill_cluster(fill_fidelity(fill_scratch(config, data, device)))
    if config.algorithm == TRUE_RANK:
        raise not_plain()
    return fill_cluster(fill_fidelity(fill_supernet(config, data, device)))
