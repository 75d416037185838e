"""Runs that score networks by shared weights."""

from dataclasses import fields, replace

from evonas.config import INHERITED, RunConfig, TrainingConfig, inherit, load
from evonas.device import cores
from evonas.errors import InputError
from evonas.problems.defaults import defaults_for, evaluations_of
from evonas.problems.registry import data_of
from evonas.runs import RunFolder
from evonas.stages.filling.machine import with_absolute_paths
from evonas.stages.filling.space import settings_of
from evonas.stages.workers import weights_trained_on
from evonas.supernet.paths import get_paths
from evonas.supernet.struck import PATHS as PRUNE_PATHS


def fill_supernet(config: RunConfig, data: str, device: str) -> RunConfig:
    """The numbers of a run that scores networks by shared weights, its own or another run's.

    Raises:
        InputError: the other run cannot be used, or there is no such sampling of paths.
    """
    if config.supernet:
        other = run_of_supernet(config.supernet, config, data)
        if config.training not in (TrainingConfig(), other.training):
            raise InputError(
                f"the supernet of {config.supernet} is trained already; leave the settings of "
                "--training out, or train another one without --supernet"
            )
        given = {name: getattr(config, name) for name in INHERITED}
        config = replace(config, **inherit(given, other), training=other.training)
    config = with_absolute_paths(config, data)
    if config.training.paths is not None:
        get_paths(config.training.paths)
    kind = weights_trained_on(config, device)
    defaults = defaults_for(data, kind)
    training = {
        f.name: getattr(defaults.training, f.name)
        for f in fields(config.training)
        if getattr(config.training, f.name) is None
    }
    if config.prune is not None and "paths" in training and not config.supernet:
        training["paths"] = PRUNE_PATHS
    return replace(
        config,
        device=device,
        threads=config.threads or cores(),
        space=config.space or defaults.space,
        space_settings=settings_of(config, config.space or defaults.space, data, kind),
        width=config.width or defaults.width,
        evaluations=config.evaluations or evaluations_of(config.algorithm, defaults.evaluations),
        train_images=config.train_images or defaults.train_images,
        validation_images=config.validation_images or defaults.validation_images,
        training=replace(config.training, **training),
    )


def run_of_supernet(path: str, config: RunConfig, data: str) -> RunConfig:
    """The settings of the run whose supernet is used again.

    Raises:
        InputError: it is no run, or one of other data.
    """
    other = load(RunFolder.open(path).config)
    trained_on = data_of(other.problem)
    if data != trained_on:
        raise InputError(
            f"the supernet of {path} was trained on '{trained_on}', not on the data of "
            f"'{config.problem}'; give --problem {other.problem}"
        )
    return other
