"""What a run takes from the machine and the folder that it is begun in."""

import os
from dataclasses import replace

from evonas.config import RunConfig, cost_files
from evonas.device import cores


def with_absolute_paths(config: RunConfig, data: str) -> RunConfig:
    """A run is resumed from anywhere, and where the variable is not set."""
    folder = config.data_dir or (os.environ.get("EVONAS_DATA") if data != "digits" else None)
    return replace(
        config,
        data_dir=absolute(folder),
        supernet=absolute(config.supernet),
        start=absolute(config.start),
        cost=absolute_costs(config.cost),
    )


def absolute(path: str | None) -> str | None:
    """A path that stays right in another folder."""
    return os.path.abspath(os.path.expanduser(path)) if path else None


def absolute_costs(costs: tuple[str, ...]) -> tuple[str, ...]:
    """Costs of one's own, NAME=FILE, with files that stay right in another folder."""
    return tuple(f"{name}={absolute(file)}" for name, file in cost_files(costs).items())


def use_threads(config: RunConfig) -> None:
    """Give torch the run's number of CPU threads.

    It is part of the settings: sums over threads differ in their last bits with their number.
    """
    import torch

    torch.set_num_threads(config.threads or cores())
