"""Runs that look networks up in a published table."""

import os
from dataclasses import replace

from evonas.config import RunConfig, ScratchConfig, TrainingConfig
from evonas.device import cores
from evonas.errors import InputError
from evonas.problems.defaults import TABLE_EVALUATIONS, evaluations_of
from evonas.problems.published import TABLES
from evonas.stages.filling.machine import absolute, absolute_costs


def fill_table(config: RunConfig, name: str) -> RunConfig:
    """The numbers of a run that looks networks up in a published table.

    Raises:
        InputError: a setting means nothing to it.
    """
    if config.prune is not None:
        raise InputError(
            f"'{config.problem}' is a table of measured networks, with no supernet to prune; leave "
            "--prune out"
        )
    if config.saliency is not None:
        raise InputError(
            f"'{config.problem}' is a table of measured networks, with no supernet that says what "
            "a choice is worth; leave --mutation and --algorithm saliency out"
        )
    if config.racing != "off":
        raise InputError(
            f"'{config.problem}' is a table of measured networks, none of which is scored on "
            "images; leave --racing out"
        )
    if config.joint:
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave --joint out"
        )
    # What else means nothing to a table is refused where the problem is made.
    for setting in ("budget", "supernet"):
        if getattr(config, setting) is not None:
            raise InputError(
                f"'{config.problem}' is a table of measured networks, in which a search takes "
                f"seconds; leave --{setting} out"
            )
    if config.from_scratch or config.scratch != ScratchConfig():
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave "
            "--from-scratch and the settings of --scratch out"
        )
    if config.retrain is not None:
        raise InputError(
            f"'{config.problem}' is a table of measured networks, whose true errors are known; "
            "leave --retrain out"
        )
    if config.training != TrainingConfig():
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave the "
            "settings of --training out"
        )
    return replace(
        config,
        data_dir=absolute(config.data_dir or os.environ.get("EVONAS_DATA")),
        start=absolute(config.start),
        cost=absolute_costs(config.cost),
        device="cpu",
        threads=config.threads or cores(),
        space=config.space or TABLES[name].space,
        evaluations=config.evaluations or evaluations_of(config.algorithm, TABLE_EVALUATIONS),
    )
