"""Spaces by name."""

from collections.abc import Callable, Sequence

from evonas.errors import InputError, unknown
from evonas.spaces import presets
from evonas.spaces.space import SearchSpace, Shape

Factory = Callable[[int, Shape], SearchSpace]

_FACTORIES: dict[str, Factory] = {
    "darts": presets.darts,
    "macro": presets.macro,
    "mobile-cifar": presets.mobile_cifar,
    "mobile-imagenet": presets.mobile_imagenet,
    "nb201": presets.nb201,
    "tiny": presets.tiny,
}
# Spaces are immutable, so one object serves everybody, and its counts are made once.
_SPACES: dict[tuple[str, int, tuple[int, ...]], SearchSpace] = {}


def list_spaces() -> tuple[str, ...]:
    """Names of all spaces, sorted."""
    return tuple(sorted(_FACTORIES))


def register_space(name: str, factory: Factory) -> None:
    """Adds a space of your own.

    Args:
        name: A new name; the space it makes must carry the same.
        factory: Takes the number of classes and the input shape, returns the space.

    Raises:
        InputError: If the name is taken.
    """
    if name in _FACTORIES:
        raise InputError(f"there is a space named '{name}' already; choose another name")
    _FACTORIES[name] = factory


def get_space(
    name: str, num_classes: int = 10, input_shape: Sequence[int] = (3, 32, 32)
) -> SearchSpace:
    """A space by name, for a data set's classes and images.

    Args:
        name: One of ``list_spaces()``.
        num_classes: Classes to tell apart.
        input_shape: Channels, height and width of an image.

    Raises:
        InputError: If the name is unknown or a number is out of range.
    """
    if name not in _FACTORIES:
        raise InputError(
            f"{unknown('space', name, _FACTORIES)} (one of your own is there once the file that "
            "registers it has run: --plugin FILE)"
        )
    shape = tuple(int(side) for side in input_shape)
    if len(shape) != 3:
        raise InputError(f"input_shape {shape} is no image; give (channels, height, width)")
    key = (name, int(num_classes), shape)
    if key not in _SPACES:
        try:
            space = _FACTORIES[name](int(num_classes), shape)
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
