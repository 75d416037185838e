"""The space of a run, before its data is loaded."""

from evonas.config import RunConfig, space_settings
from evonas.device import kind_of
from evonas.problems.defaults import default_settings
from evonas.spaces import SearchSpace
from evonas.spaces.registry import space_with


def space_of(name: str, settings: tuple[str, ...]) -> SearchSpace:
    """A space for any images: what does not depend on them."""
    return space_with(name, 10, (3, 32, 32), space_settings(settings))


def settings_of(config: RunConfig, space: str, data: str, device: str) -> tuple[str, ...]:
    """Settings of the space, with the defaults of the data set."""
    given = space_settings(config.space_settings)
    default = default_settings(space, data, kind_of(device))
    return tuple(f"{k}={','.join(map(str, v))}" for k, v in {**default, **given}.items())
