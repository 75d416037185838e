"""Layers of ``torch.nn`` as the calls that make them."""

import inspect
from typing import Any

import torch
from torch import nn

from evonas.errors import InputError
from evonas.exporting.expressions import Argument, Call, plain

# Where a layer lies is up to the program that loads it; the numbers are float32.
NOT_WRITTEN = ("device", "dtype")
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer of ``torch.nn``, and not a container of others."""
    kind = type(module)
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
    return getattr(nn, kind.__name__, None) is kind and not isinstance(module, containers)


def layer_call(module: nn.Module, path: str) -> Call:
    """The call that makes a layer of ``torch.nn`` like this one, ``nn.Conv2d(3, 64, 3)``.

    Its arguments are read from the layer's attributes, and the layer that they make is compared.

    Args:
        module: the layer.
        path: where it is in the network, for the error.

    Raises:
        InputError: its arguments cannot be read from it.
    """
    kind = type(module)
    try:
        arguments = _arguments(module)
        for values in ([_short(a.value) for a in arguments], [a.value for a in arguments]):
            made = {a.name: value for a, value in zip(arguments, values, strict=True)}
            with torch.device("meta"):
                twin = kind(**made)
            if _alike(twin, module):
                call = Call(f"nn.{kind.__name__}", tuple(arguments)).with_values(values)
                return _without_needless(call, module)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        pass
    raise InputError(
        f"the layer '{path}', a torch.nn.{kind.__name__}, cannot be written as a call; "
        "build it of simpler layers to export it"
    )


def _without_needless(call: Call, module: nn.Module) -> Call:
    """The call without what follows from the rest, such as that a layer without scale has no bias.

    Older versions of torch need not know such an argument.
    """
    for argument in call.arguments:
        if argument.default in ((None,), (True,)) and argument.written:
            values = [a.default[0] if a is argument else a.value for a in call.arguments]
            shorter = call.with_values(values)
            made = {a.name: a.value for a in shorter.arguments if a.written}
            with torch.device("meta"):
                twin = type(module)(**made)
            if _alike(twin, module):
                return _without_needless(shorter, module)
    return call


def _arguments(module: nn.Module) -> list[Argument]:
    """What the layer was made with; what it does not remember is left at its default."""
    found = []
    for name, parameter in inspect.signature(type(module)).parameters.items():
        if name in NOT_WRITTEN or parameter.kind in VARIADIC:
            continue
        has_default = parameter.default is not inspect.Parameter.empty
        if has_default and not hasattr(module, name):
            continue
        value = getattr(module, name)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        default = (plain(parameter.default),) if has_default else ()
        found.append(Argument(name, plain(value), keyword=has_default, default=default))
    return found


def _short(value: Any) -> Any:
    """One number for a tuple of equal ones, as people write kernels and strides."""
    if isinstance(value, tuple) and len(value) > 1 and len(set(value)) == 1:
        return value[0]
    return value


def _alike(twin: nn.Module, module: nn.Module) -> bool:
    """Whether two layers of one type have the same settings and the same state, values aside."""
    for name, value in vars(twin).items():
        if name.startswith("_") or name == "training":
            continue
        if name not in vars(module):
            return False
        try:
            settings = plain(value), plain(vars(module)[name])
        except TypeError:
            continue
        if settings[0] != settings[1]:
            return False
    # What a profiler has added to the layer is not in its twin, and not missed.
    state = module.state_dict()
    return all(
        name in state and state[name].shape == value.shape
        for name, value in twin.state_dict().items()
    )
