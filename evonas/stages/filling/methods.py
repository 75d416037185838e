"""What distributions, saliency and pruning need, whatever networks are scored by."""

from dataclasses import replace

from evonas.config import RunConfig
from evonas.errors import InputError, unknown
from evonas.problems.defaults import JOINT_EVALUATIONS, SALIENCY
from evonas.problems.racing import RACING
from evonas.runs import RunFolder
from evonas.search.joint import WEIGHT_STEPS
from evonas.search.mutations import NAMES as MUTATIONS
from evonas.search.registry import DISTRIBUTIONS, MULTI_DISTRIBUTION
from evonas.search.registry import SALIENCY as SALIENCY_SEARCH
from evonas.supernet.struck import CRITERION as PRUNE_BY
from evonas.supernet.struck import KEEP as PRUNE_KEEP
from evonas.supernet.variants import VARIANTS


def fill_distributions(config: RunConfig) -> RunConfig:
    """The numbers of a multi-distribution search; refuses them for any other."""
    if config.weight_steps is not None and not config.joint:
        raise InputError("--weight-steps is of a joint search; give --joint, or leave it out")
    if config.algorithm == MULTI_DISTRIBUTION:
        M = config.distributions or DISTRIBUTIONS
        if not config.joint:
            return replace(config, distributions=M)
        if config.supernet:
            raise InputError("--joint trains weights of its own; leave --supernet out, or --joint")
        return replace(
            config,
            distributions=M,
            weight_steps=config.weight_steps or WEIGHT_STEPS,
            evaluations=config.evaluations or JOINT_EVALUATIONS * M,
        )
    if config.joint:
        raise InputError(
            f"'{config.algorithm}' has nothing to learn jointly with the weights; give --algorithm "
            f"{MULTI_DISTRIBUTION}, or leave --joint out"
        )
    if config.distributions is not None:
        raise InputError(
            f"'{config.algorithm}' has no distributions; give --algorithm {MULTI_DISTRIBUTION}, or "
            "leave --distributions out"
        )
    return config


def fill_saliency(config: RunConfig) -> RunConfig:
    """The saliency table that a run needs; refuses one that nothing uses."""
    if config.mutation not in MUTATIONS:
        raise unknown("mutation", config.mutation, MUTATIONS)
    if config.algorithm == SALIENCY_SEARCH and config.start is not None:
        raise InputError(
            f"'{SALIENCY_SEARCH}' evaluates only what its table thinks best; leave --start out"
        )
    if config.saliency == "magnitude":
        raise InputError(
            "the magnitude of an operation is 1 in every path, and says nothing of it; give "
            "another --saliency"
        )
    if config.saliency is not None and config.saliency not in VARIANTS:
        raise unknown("saliency", config.saliency, VARIANTS)
    if config.mutation == "saliency" or config.algorithm == SALIENCY_SEARCH:
        return replace(config, saliency=config.saliency or SALIENCY)
    needless = None
    if config.saliency is not None:
        needless = "it, or leave --saliency out (--saliency None, where --config has one)"
    elif config.saliency_half_resolution:
        needless = "--saliency-half-resolution, or leave it out"
    if needless:
        raise InputError(
            "nothing in this run uses a saliency table; give --mutation saliency or --algorithm "
            f"{SALIENCY_SEARCH} with {needless}"
        )
    return config


def fill_racing(config: RunConfig) -> RunConfig:
    """Whether networks race for validation images."""
    racing = config.racing or "off"
    if racing not in RACING:
        raise unknown("racing", racing, RACING)
    return replace(config, racing=racing)


def fill_pruning(config: RunConfig) -> RunConfig:
    """The numbers of a pruning; refuses them without one."""
    if config.prune is None:
        for name in ("prune_to", "prune_keep", "prune_by", "prune_epochs"):
            if getattr(config, name) is not None:
                flag = "--" + name.replace("_", "-")
                raise InputError(
                    f"{flag} is of a pruning; give --prune global with it, or leave it out ({flag} "
                    "None, where --config has it)"
                )
        return config
    if config.joint:
        raise InputError(
            "distributions of a joint search narrow the space themselves; leave --prune or "
            "--joint out"
        )
    if config.supernet and RunFolder.open(config.supernet).pruning.is_file():
        raise InputError(
            f"the space of {config.supernet} has been pruned already; leave --prune out (--prune "
            "None, where --config has it)"
        )
    if config.supernet and config.prune_epochs is not None:
        raise InputError(
            f"the supernet of {config.supernet} is trained already, so that levels have no epochs "
            "between them; leave --prune-epochs out"
        )
    if config.prune_to is not None and config.prune_keep is not None:
        raise InputError("--prune-to and --prune-keep both say how much stays; give one of them")
    keep = (
        PRUNE_KEEP if config.prune_to is None and config.prune_keep is None else config.prune_keep
    )
    return replace(config, prune_keep=keep, prune_by=config.prune_by or PRUNE_BY)
