"""How long the trainings of single networks take that come after the search of a run."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from evonas.config import FINE_TUNE, RunConfig, ScratchConfig
from evonas.errors import InputError
from evonas.stages.fidelity import SCRATCH, compared_networks, compared_scratch
from evonas.stages.workspace import Workspace

# Networks of which one of average multiply-adds is timed, where no number is given.
TIMED_AMONG = 20
# Share of what is left of a budget that retrained members may take, where it decides their epochs.
RETRAIN_SHARE = 0.4
# Of an epoch: test images are about a fifth as many as training images, and only looked at.
TEST_EPOCHS = 1 / 15


def settle_retraining(workspace: Workspace) -> None:
    """Decide all numbers by which members of the front are retrained.

    Raises:
        InputError: a setting means nothing for them.
    """
    config = workspace.config
    if config.scratch.recipe == FINE_TUNE and config.width != 1:
        raise InputError(
            f"the shared weights have width {config.width:g} and fit no network of the space; "
            "leave --scratch.recipe fine-tune out, or give --width 1"
        )
    if config.scratch.promotion:
        raise InputError(
            "members of the front are all retrained in full; leave --scratch.promotion out"
        )
    workspace.config = replace(config, scratch=workspace.settled_scratch(config.scratch))


def resettle_retraining(workspace: Workspace, stored: RunConfig) -> None:
    """Settle what a resumed run now says of its retrained members."""
    config = workspace.config
    if config.retrain is not None and config.scratch != stored.scratch:
        settle_retraining(workspace)


def training_seconds(workspace: Workspace, scratch: ScratchConfig) -> float:
    """Seconds that one training of many adds, timed on a network of average multiply-adds.

    Args:
        workspace: of the run.
        scratch: settled: how networks are trained.
    """
    from evonas.training.timing import time_training

    config, problem = workspace.config, workspace.supernet_problem()
    X = compared_networks(problem, config.fidelity or TIMED_AMONG, seed=config.seed)
    macs = problem.space.macs(X)
    mid = X[int(np.abs(macs - macs.mean()).argmin())]
    build: Callable = partial(problem.space.build, mid)
    return time_training(build, problem.data, scratch)


def several_seconds(networks: int, scratch: ScratchConfig, training: float) -> float:
    """Seconds of the trainings of some networks, with all their seeds.

    Args:
        networks: how many.
        scratch: settled.
        training: seconds that a training adds, as several are done at once.
    """
    at_once = scratch.at_once or 1
    return math.ceil(networks * (scratch.seeds or 1) / at_once) * at_once * training


def retrain_seconds(config: RunConfig, training: float) -> float:
    """Seconds to train members of the front and to measure them on the test images.

    Args:
        config: settled.
        training: as in `several_seconds`.
    """
    if not config.retrain:
        return 0.0
    assert config.scratch.epochs
    tested = training * (1 + TEST_EPOCHS / config.scratch.epochs)
    return several_seconds(config.retrain, config.scratch, tested)


def likewise(config: RunConfig) -> bool:
    """Whether the networks that rank fidelity compares are trained as retrained members are."""
    return config.fidelity_by == SCRATCH and compared_scratch(config) == config.scratch


def epochs_within(config: RunConfig, training: float, left: float) -> tuple[RunConfig, float]:
    """The settings with no more epochs than let retrained members keep to their share of a budget.

    Where networks that are compared are trained likewise, these take theirs of the share as well.

    Args:
        config: settled; nobody said how many epochs.
        training: as in `several_seconds`, of as many epochs as the recipe has.
        left: seconds.

    Returns:
        The settings, and what a training adds by them.
    """
    epochs = config.scratch.epochs
    assert epochs
    whole = retrain_seconds(config, training)
    if config.fidelity and likewise(config):
        whole += several_seconds(config.fidelity, config.scratch, training)
    affordable = int(epochs * RETRAIN_SHARE * left / whole)
    fewer = min(epochs, max(1, affordable))
    scratch = replace(config.scratch, epochs=fewer)
    return replace(config, scratch=scratch), training * fewer / epochs
