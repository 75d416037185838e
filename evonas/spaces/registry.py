"""Spaces by name."""

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any

import numpy as np

from evonas.errors import InputError, unknown
from evonas.spaces import presets
from evonas.spaces.space import SearchSpace

# Takes the number of classes and the input shape, and settings of its own as keywords.
Factory = Callable[..., SearchSpace]

_FACTORIES: dict[str, Factory] = {
    "darts": presets.darts,
    "macro": presets.macro,
    "mobile-cifar": presets.mobile_cifar,
    "mobile-imagenet": presets.mobile_imagenet,
    "nb201": presets.nb201,
    "plain": presets.plain,
    "tiny": presets.tiny,
}
# Spaces are immutable, so one object serves everybody, and its counts are made once.
_SPACES: dict[tuple[Any, ...], SearchSpace] = {}


def list_spaces() -> tuple[str, ...]:
    """Names of all spaces, sorted."""
    return tuple(sorted(_FACTORIES))


def register_space(name: str, factory: Factory) -> None:
    """Adds a space of your own.

    Args:
        name: A new name; the space it makes must carry the same.
        factory: Takes the number of classes and the input shape, returns the space. Keyword-only
            arguments are settings that ``get_space`` takes.

    Raises:
        InputError: If the name is taken.
    """
    if name in _FACTORIES:
        raise InputError(f"there is a space named '{name}' already; choose another name")
    _FACTORIES[name] = factory


def settings_of(name: str) -> tuple[str, ...]:
    """Names of the settings that a space takes.

    Raises:
        InputError: If the name is unknown.
    """
    return tuple(
        p.name
        for p in signature(_factory(name)).parameters.values()
        if p.kind is Parameter.KEYWORD_ONLY
    )


def get_space(
    name: str,
    num_classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    **settings: Any,
) -> SearchSpace:
    """A space by name, for a data set's classes and images.

    Args:
        name: One of ``list_spaces()``.
        num_classes: Classes to tell apart.
        input_shape: Channels, height and width of an image.
        settings: What else the space can be told, such as ``depth=(10, 20)`` and
            ``width=(16, 72, 4)`` of "plain".

    Raises:
        InputError: If the name is unknown, the space has no such setting, or a number is out of
            range.
    """
    return space_with(name, num_classes, input_shape, settings)


def space_with(
    name: str, num_classes: int, input_shape: Sequence[int], settings: Mapping[str, Any]
) -> SearchSpace:
    """``get_space``, with settings that may have any name."""
    factory = _factory(name)
    for setting in settings:
        if setting not in settings_of(name):
            known = ", ".join(settings_of(name))
            raise InputError(
                f"the space '{name}' has no setting '{setting}'; "
                + (f"it has {known}" if known else "it has none")
            )
    shape = tuple(int(side) for side in input_shape)
    if len(shape) != 3:
        raise InputError(f"input_shape {shape} is no image; give (channels, height, width)")
    given = {setting: _frozen(value) for setting, value in settings.items()}
    key = (name, int(num_classes), shape, *sorted(given.items()))
    if key not in _SPACES:
        try:
            space = factory(int(num_classes), shape, **given)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the space '{name}' cannot be made for {num_classes} classes and images of shape "
                f"{shape} ({type(error).__name__}: {error}); correct its factory"
            ) from error
        if space.name != name:
            raise InputError(
                f"the space registered as '{name}' calls itself '{space.name}'; give both one name"
            )
        _SPACES[key] = space
    return _SPACES[key]


def _factory(name: str) -> Factory:
    if name not in _FACTORIES:
        raise InputError(
            f"{unknown('space', name, _FACTORIES)} (one of your own is there once the file that "
            "registers it has run: --plugin FILE)"
        )
    return _FACTORIES[name]


def _frozen(value: Any) -> Any:
    """A setting that can be a key: lists and arrays as tuples."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_frozen, value))
    return value
