"""What of rank fidelity is decided before a run: how many networks, by what, and its time."""

from dataclasses import replace

from evonas.analysis.ranks import FEWEST
from evonas.config import FINE_TUNE, RECIPE, RunConfig, ScratchConfig, put_over
from evonas.errors import InputError, unknown
from evonas.problems.published import TABLES, table_of
from evonas.problems.registry import data_of
from evonas.stages.fidelity import SCRATCH, TABLE, compared_scratch, no_table
from evonas.stages.trainings import several_seconds
from evonas.stages.workspace import Workspace

# Networks that are looked up. Simulated samples of so many say where a tau of 0.74 lies to within
# 0.06 (95 %; 50 to within 0.09, 200 to 0.04), and score half as many as a search on a CPU does.
TABLE_NETWORKS = 100
# Networks that are trained where nothing is said: to within 0.15.
SCRATCH_NETWORKS = 20
# What nobody asked for may take this share of a budget, and is left out below so many networks.
BUDGET_SHARE, LEAST_NETWORKS = 0.05, 20


def fill_fidelity(config: RunConfig) -> RunConfig:
    """Decide how many networks are compared, and with what.

    Args:
        config: all else filled.

    Raises:
        InputError: nothing in the run is an estimate, or a setting is of no use or none at all.
    """
    data, by, scratch = data_of(config.problem), config.fidelity_by, compared_scratch(config)
    own = config.fidelity_scratch != ScratchConfig()
    if data in TABLES or config.from_scratch:
        if config.fidelity or by is not None or own:
            how = "measured ones, of a table" if data in TABLES else "those of whole trainings"
            raise InputError(
                f"the errors of this run are {how}, so there is no supernet whose ranks could be "
                "wrong; name a run that has a supernet, or leave rank fidelity out"
            )
        return config
    if by not in (None, TABLE, SCRATCH):
        raise unknown("truth", str(by), (TABLE, SCRATCH))
    said = own or (scratch != ScratchConfig() and config.retrain is None)  # else it may be of that
    name = table_of(data, config.space or "")
    there = name is not None and TABLES[name].is_in(config.data_dir)
    networks = config.fidelity
    if networks is None and by is None and not said:
        networks = TABLE_NETWORKS if there else 0
    if not networks:
        if by is not None or own:
            raise InputError(
                f"--fidelity-{'by' if by else 'scratch'} says with what networks are compared; "
                "give --fidelity with how many, or leave it out"
            )
        if said:
            raise InputError(
                "nothing in this run trains networks from scratch; leave the settings of --scratch "
                "out, or give --retrain, --fidelity or --from-scratch"
            )
        return replace(config, fidelity=0)
    check_networks(networks)
    if by is None:
        by = TABLE if there and not said else SCRATCH
    if by == TABLE and name is None:
        raise no_table(config)
    if by == TABLE and said:
        raise InputError(
            "--scratch says how networks are trained, and a table trains none; leave its settings "
            f"out, or give --fidelity-by {SCRATCH}"
        )
    if by == SCRATCH and scratch.promotion:
        raise InputError(
            "networks that are compared are trained equally long; leave --scratch.promotion out"
        )
    if by == SCRATCH and scratch.recipe == FINE_TUNE:
        raise InputError(
            "what begins with the weights of a supernet is no check of it; give "
            f"--fidelity-scratch.recipe {RECIPE} (evonas fidelity: --scratch.recipe {RECIPE})"
        )
    return replace(config, fidelity=networks, fidelity_by=by)


def check_networks(networks: int) -> None:
    """Refuse a sample without an order worth the name."""
    if networks < FEWEST:
        raise InputError(
            f"the order of {networks} networks says nothing of a supernet; compare {FEWEST} or more"
        )


def settle_fidelity(workspace: Workspace) -> RunConfig:
    """Decide how networks are trained by the images that there are; see that a table is whole.

    Returns:
        The settings, which are the workspace's from now on.

    Raises:
        InputError: the table is missing or damaged, or a setting of trainings means nothing.
    """
    config = workspace.config
    if not config.fidelity:
        return config
    if config.fidelity_by == TABLE:
        name = table_of(data_of(config.problem), config.space or "")
        assert name
        TABLES[name].load(config.data_dir)
        return config
    settled = workspace.settled_scratch(compared_scratch(config))
    if config.fidelity_scratch == ScratchConfig():
        workspace.config = replace(config, scratch=settled)
    else:
        workspace.config = replace(config, fidelity_scratch=settled)
    return workspace.config


def asked(
    stored: RunConfig,
    *,
    networks: int | None = None,
    by: str | None = None,
    scratch: ScratchConfig | None = None,
) -> RunConfig:
    """Settings of a run whose rank fidelity is measured now; what is not said is as it was.

    Args:
        stored: those of the run.
        networks: how many; by default 100 that are looked up, or 20 that are trained.
        by: "table" or "scratch"; by default a table where there is one and nothing is said of
            trainings.
        scratch: how networks are trained; what is not said is as before, or the recipe's.

    Raises:
        InputError: see `fill_fidelity`.
    """
    said = scratch not in (None, ScratchConfig())
    if networks is not None:
        check_networks(networks)
    if by is None and said:
        by = SCRATCH
    if by is None and stored.fidelity:
        by = stored.fidelity_by
    if by is None:
        name = table_of(data_of(stored.problem), stored.space or "")
        by = TABLE if name and TABLES[name].is_in(stored.data_dir) else SCRATCH
    same = bool(stored.fidelity) and by == stored.fidelity_by
    usual = stored.fidelity if same else TABLE_NETWORKS if by == TABLE else SCRATCH_NETWORKS
    settings = replace(stored, fidelity=networks or usual, fidelity_by=by)
    if by == SCRATCH and not stored.from_scratch:
        settings = _trained_as(settings, scratch or ScratchConfig())
    elif said:
        settings = replace(settings, fidelity_scratch=scratch or ScratchConfig())  # refused
    elif not stored.from_scratch:
        own = ScratchConfig() if stored.retrain is None else stored.scratch
        settings = replace(settings, scratch=own, fidelity_scratch=ScratchConfig())
    return fill_fidelity(settings)


def _trained_as(config: RunConfig, said: ScratchConfig) -> RunConfig:
    """The settings of a run, with networks that are compared trained as is said now."""
    before = compared_scratch(config)
    if before.recipe == FINE_TUNE:  # of retrained members
        before = ScratchConfig(recipe=RECIPE)
    scratch = put_over(before, said)
    if config.retrain is None:
        return replace(config, scratch=scratch, fidelity_scratch=ScratchConfig())
    other = scratch != config.scratch
    return replace(config, fidelity_scratch=scratch if other else ScratchConfig())


def resumed_fidelity(stored: RunConfig, given: RunConfig) -> RunConfig:
    """The settings of a run that goes on, with what was said of its rank fidelity.

    Args:
        stored: those of the run.
        given: what was said; None, or no setting of trainings at all, is as it was.

    Raises:
        InputError: see `fill_fidelity`.
    """
    networks = stored.fidelity if given.fidelity is None else given.fidelity
    by = given.fidelity_by or stored.fidelity_by
    if stored.from_scratch or data_of(stored.problem) in TABLES:
        return fill_fidelity(replace(stored, fidelity=networks, fidelity_by=by))
    if stored.fidelity and not networks:
        scratch = ScratchConfig() if stored.retrain is None else stored.scratch
        none = ScratchConfig()
        return replace(stored, fidelity=0, fidelity_by=None, scratch=scratch, fidelity_scratch=none)
    same = by == stored.fidelity_by
    # Members of the front are retrained by --scratch: there what was said once stays.
    kept = (given.scratch == ScratchConfig() and same) or stored.retrain is not None
    settings = replace(
        stored,
        fidelity=networks,
        fidelity_by=by,
        scratch=stored.scratch if kept else given.scratch,
        fidelity_scratch=stored.fidelity_scratch
        if given.fidelity_scratch == ScratchConfig() and same
        else given.fidelity_scratch,
    )
    return settings if settings == stored else fill_fidelity(settings)


def resettle_fidelity(workspace: Workspace, stored: RunConfig) -> bool:
    """Settle what a resumed run now says of rank fidelity; whether that is something else.

    What is settled already is not looked at: a table may have gone since it was read.
    """
    if _of_fidelity(workspace.config) != _of_fidelity(stored):
        settle_fidelity(workspace)
    return _of_fidelity(workspace.config) != _of_fidelity(stored)


def with_fidelity_of(config: RunConfig, other: RunConfig) -> RunConfig | None:
    """Settings with what others say of rank fidelity; None where members are retrained otherwise.

    Args:
        config: of a run.
        other: of the same run, before.
    """
    if config.retrain is not None and config.scratch != other.scratch:
        return None
    names = ("fidelity", "fidelity_by", "scratch", "fidelity_scratch")
    return replace(config, **{name: getattr(other, name) for name in names})


def _of_fidelity(config: RunConfig) -> tuple[int, str | None, ScratchConfig]:
    return config.fidelity or 0, config.fidelity_by, compared_scratch(config)


def within_budget(config: RunConfig, each: float, left: float) -> RunConfig:
    """The settings with no more networks than a small share of the time left scores.

    Args:
        config: filled; the number is one that nobody asked for.
        each: seconds to score a network.
        left: seconds.
    """
    networks = min(config.fidelity or 0, int(BUDGET_SHARE * left / each))
    if networks < LEAST_NETWORKS:
        return replace(config, fidelity=0, fidelity_by=None, fidelity_scratch=ScratchConfig())
    return replace(config, fidelity=networks)


def fidelity_seconds(config: RunConfig, each: float, training: float) -> float:
    """Seconds that the stage takes.

    Args:
        config: settled.
        each: seconds to score a network.
        training: seconds that a training adds, as several are done at once.
    """
    if not config.fidelity:
        return 0.0
    scores = config.fidelity * each
    if config.fidelity_by == TABLE:
        return scores
    return scores + several_seconds(config.fidelity, compared_scratch(config), training)
