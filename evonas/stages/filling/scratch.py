"""Runs that train networks one by one, from scratch."""

from dataclasses import replace

from evonas.config import RunConfig, TrainingConfig
from evonas.errors import InputError
from evonas.problems.defaults import SCRATCH_EVALUATIONS, defaults_for
from evonas.search.registry import SALIENCY as SALIENCY_SEARCH
from evonas.search.registry import TRUE_RANK
from evonas.search.true_rank import most_candidates
from evonas.spaces import PlainSpace
from evonas.stages.filling.machine import cores, with_absolute_paths
from evonas.stages.filling.space import settings_of, space_of


def trains_from_scratch(config: RunConfig, data: str, device: str) -> bool:
    """Whether networks are trained one by one."""
    name = config.space or defaults_for(data, device.partition(":")[0]).space
    settings = settings_of(config, name, data, device)
    return config.from_scratch or not space_of(name, settings).has_supernet


def fill_scratch(config: RunConfig, data: str, device: str) -> RunConfig:
    """The numbers of a run that trains networks one by one.

    Raises:
        InputError: a setting means nothing to it.
    """
    defaults = defaults_for(data, device.partition(":")[0])
    space = config.space or defaults.space
    settings = settings_of(config, space, data, device)
    shared = space_of(space, settings).has_supernet
    refused = {
        "joint": config.joint,
        "prune": config.prune is not None,
        "width": config.width is not None,
        "supernet": config.supernet is not None and not shared,
        "mutation saliency": config.mutation != "uniform",
        "algorithm saliency": config.algorithm == SALIENCY_SEARCH,
        "training": config.training != TrainingConfig(),
    }
    for setting, given in refused.items():
        if given:
            why = (
                "networks are trained from scratch here, without shared weights"
                if shared
                else f"the space '{space}' has no supernet: its networks are trained one by one"
            )
            more = " (how they are trained is said by --scratch)" if setting == "training" else ""
            raise InputError(f"{why}; leave --{setting} out{more}")
    if config.budget is not None:
        raise InputError(
            "--budget divides time between a supernet and its search; where networks are trained "
            "from scratch give --scratch.epochs and --evaluations"
        )
    if config.algorithm == TRUE_RANK and config.start is not None:
        raise InputError(f"'{TRUE_RANK}' begins at the shallowest network; leave --start out")
    config = with_absolute_paths(config, data)
    evaluations = config.evaluations or SCRATCH_EVALUATIONS
    threads, scratch = config.threads or cores(), config.scratch
    if config.algorithm == TRUE_RANK:
        whole = space_of(space, settings)
        if not isinstance(whole, PlainSpace):
            raise InputError(
                f"'{TRUE_RANK}' goes through the space 'plain'; give --space plain, or another "
                "--algorithm"
            )
        evaluations = config.evaluations or most_candidates(whole)
        if scratch.at_once is None and data != "digits":  # whose images are too small to share
            # Candidates come one by one, so that each may have all threads.
            scratch = replace(scratch, at_once=min(threads, scratch.seeds))
    return replace(
        config,
        from_scratch=True,
        device=device,
        threads=threads,
        scratch=scratch,
        space=space,
        space_settings=settings,
        evaluations=evaluations,
        train_images=config.train_images or defaults.train_images,
        validation_images=config.validation_images or defaults.validation_images,
    )
