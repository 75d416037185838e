"""Runs that train networks one by one, from scratch."""

from dataclasses import replace

from evonas.config import INHERITED, RunConfig, TrainingConfig, inherit, put_over
from evonas.device import cores
from evonas.errors import InputError
from evonas.problems.defaults import SCRATCH_EVALUATIONS, defaults_for, one_by_one
from evonas.search.registry import SALIENCY as SALIENCY_SEARCH
from evonas.search.registry import TRUE_RANK
from evonas.search.true_rank import most_candidates
from evonas.spaces import PlainSpace, SearchSpace
from evonas.stages.filling.machine import with_absolute_paths
from evonas.stages.filling.space import settings_of, space_of
from evonas.stages.filling.supernet import run_of_supernet
from evonas.stages.workers import networks_trained_on


def trains_from_scratch(config: RunConfig, data: str, device: str) -> bool:
    """Whether networks are trained one by one."""
    return config.from_scratch or not _space(config, data, device).has_supernet


def fill_scratch(config: RunConfig, data: str, device: str) -> RunConfig:
    """The numbers of a run that trains networks one by one.

    Raises:
        InputError: a setting means nothing to it.
    """
    _refuse_shared_weights(config, _space(config, data, device))
    if config.budget is not None:
        raise InputError(
            "--budget divides time between a supernet and its search; where networks are trained "
            "from scratch give --scratch.epochs and --evaluations"
        )
    if config.supernet is not None:
        # The first rung: it has not seen the images that its run set aside.
        given = {name: getattr(config, name) for name in INHERITED if name != "width"}
        config = replace(config, **inherit(given, run_of_supernet(config.supernet, config, data)))
    config = with_absolute_paths(config, data)
    space = _space(config, data, device)
    evaluations, scratch = SCRATCH_EVALUATIONS, config.scratch
    threads = config.threads or cores()
    kind = networks_trained_on(config, device)
    defaults = defaults_for(data, kind)
    images = defaults.train_images
    if config.algorithm == TRUE_RANK:
        evaluations = most_candidates(check_true_rank(config, space))
        short = one_by_one(data, kind)
        images = short.train_images or images
        scratch = put_over(short.scratch, scratch)
        if scratch.at_once is None and data != "digits":  # whose images are too small to share
            # Candidates come one by one, so that each may have all threads.
            scratch = replace(scratch, at_once=min(threads, scratch.seeds or 1))
    return replace(
        config,
        from_scratch=True,
        device=device,
        threads=threads,
        scratch=scratch,
        space=space.name,
        space_settings=settings_of(config, space.name, data, kind),
        evaluations=config.evaluations or evaluations,
        train_images=config.train_images or images,
        validation_images=config.validation_images or defaults.validation_images,
    )


def not_plain() -> InputError:
    """The error for a true-rank search of another space."""
    return InputError(
        f"'{TRUE_RANK}' goes through the space 'plain'; give --space plain, or another --algorithm"
    )


def check_true_rank(config: RunConfig, space: SearchSpace) -> PlainSpace:
    """Refuse what a true-rank search cannot go through, or begin at.

    Raises:
        InputError: the space is no plain one, or networks to start from were given.
    """
    if not isinstance(space, PlainSpace):
        raise not_plain()
    if config.start is not None:
        raise InputError(f"'{TRUE_RANK}' begins at the shallowest network; leave --start out")
    return space


def _space(config: RunConfig, data: str, device: str) -> SearchSpace:
    kind = networks_trained_on(config, device)
    name = config.space or defaults_for(data, kind).space
    return space_of(name, settings_of(config, name, data, kind))


def _refuse_shared_weights(config: RunConfig, space: SearchSpace) -> None:
    """Refuse what is about shared weights; the space may have some, which are not used."""
    shared = space.has_supernet
    refused = {
        "joint": config.joint,
        "prune": config.prune is not None,
        "racing": config.racing != "off",
        "width": config.width is not None,
        "supernet": config.supernet is not None and not shared,
        "mutation saliency": config.mutation != "uniform",
        "algorithm saliency": config.algorithm == SALIENCY_SEARCH,
        "training": config.training != TrainingConfig(),
    }
    why = (
        "networks are trained from scratch here, without shared weights"
        if shared
        else f"the space '{space.name}' has no supernet: its networks are trained one by one"
    )
    for setting, given in refused.items():
        if given:
            more = " (how they are trained is said by --scratch)" if setting == "training" else ""
            raise InputError(f"{why}; leave --{setting} out{more}")
