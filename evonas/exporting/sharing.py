"""Functions for what a network repeats: blocks that differ in numbers become calls of one.

Bottom up: first the blocks that hold only layers, then what is made of those. Two blocks are of
one shape where they are the same calls but for numbers. A number that is the same in all blocks of
a shape is written into the function; numbers that go together, such as the channels that one layer
returns and the next one takes, are one parameter.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evonas.exporting.expressions import Argument, Call, Name, is_number, unused

INPUTS = ("in_channels", "in_features")
OUTPUTS = ("out_channels", "out_features")
CHANNELS = (*INPUTS, *OUTPUTS, "num_features", "num_channels", "channels", "hidden_channels")
# What a function has to save, in layers that need not be written again, to be worth its lines.
WORTH = 4
SHORT = {"nn.Conv2d": "conv", "nn.BatchNorm2d": "bn"}
# A block of more layers than this is not named after each of them.
NAMED_LAYERS = 4


@dataclass(frozen=True)
class Function:
    """A function that returns a block.

    Attributes:
        name: its name.
        params: its parameters.
        body: the call that it returns.
    """

    name: str
    params: tuple[str, ...]
    body: Call


def share(root: Call, taken: Iterable[str]) -> tuple[Call, list[Function]]:
    """Write what repeats once.

    Args:
        root: the network.
        taken: names that no function may have.

    Returns:
        The network as calls of the functions, and the functions, each after those that it calls.
    """
    functions: dict[str, Function] = {}
    rewritten: dict[Call, Call] = {}
    for level in _levels(root):
        shapes: dict[Any, dict[Call, int]] = {}
        for call, times in level.items():
            inside = (rewritten.get(a.value, a.value) for a in call.arguments)
            rewritten[call] = new = call.with_values(inside)
            shapes.setdefault(_shape(new), {})[call] = times
        for calls in shapes.values():
            alike = [rewritten[call] for call in calls]
            layers = sum(1 for _ in alike[0].walk()) - 1
            if layers * (sum(calls.values()) - 1) >= WORTH:
                function, replaced = _function(alike, f"block {len(functions)}")
                functions[function.name] = function
                rewritten |= zip(calls, replaced, strict=True)
    network = _inline_single(rewritten[root], functions)
    return _name(network, list(functions.values()), set(taken))


def _levels(root: Call) -> list[Counter[Call]]:
    """The calls that hold others and how often each is there, by height."""
    heights: dict[Call, int] = {}
    levels: list[Counter[Call]] = []
    for call in root.walk():
        if call not in heights:
            heights[call] = 1 + max((heights[part] for part in call.parts), default=-1)
        height = heights[call]
        if height:
            levels += [Counter() for _ in range(height - len(levels))]
            levels[height - 1][call] += 1
    return levels


def _shape(value: Any) -> Any:
    """What stays of a value when numbers are left out."""
    if isinstance(value, Call):
        return value.name, tuple((a.name, _shape(a.value)) for a in value.arguments)
    return ... if _is_hole(value) else (value,)


def _is_hole(value: Any) -> bool:
    return is_number(value) or (isinstance(value, tuple) and all(map(is_number, value)))


def _holes(call: Call) -> Iterator[tuple[str, Any]]:
    """Name and number of every place that a function could have a parameter for, in order."""
    for argument in call.arguments:
        if isinstance(argument.value, Call):
            yield from _holes(argument.value)
        elif _is_hole(argument.value):
            yield argument.name, argument.value


def _function(alike: Sequence[Call], name: str) -> tuple[Function, list[Call]]:
    """The function of blocks of one shape, and each block as a call of it."""
    names = [hole for hole, _ in _holes(alike[0])]
    columns = list(zip(*([value for _, value in _holes(call)] for call in alike), strict=True))
    keys = [
        ("channels" if name in CHANNELS or name == "groups" else name, column)
        for name, column in zip(names, columns, strict=True)
    ]
    # Numbers that never differ are no parameters.
    varying = {key: None for key in keys if len(set(key[1])) > 1}
    named = zip(varying, _param_names(list(varying), keys, names), strict=True)
    # Channels are given by place, from the first to the last, and all else by name.
    params = dict(sorted(named, key=lambda item: _place(item[1])))
    fill = iter([Name(params[key]) if key in params else key[1][0] for key in keys])
    function = Function(name, tuple(params.values()), _filled(alike[0], fill))
    calls = []
    for at in range(len(alike)):
        given = zip(params.values(), (column[at] for _, column in params), strict=True)
        calls.append(
            Call(name, tuple(Argument(n, v, keyword=not _is_channel(n)) for n, v in given))
        )
    return function, calls


def _filled(call: Call, values: Iterator[Any]) -> Call:
    """The call with other values in its holes."""
    return call.with_values(
        [
            _filled(a.value, values)
            if isinstance(a.value, Call)
            else next(values)
            if _is_hole(a.value)
            else a.value
            for a in call.arguments
        ]
    )


def _param_names(varying: Sequence[Any], keys: Sequence[Any], names: Sequence[str]) -> list[str]:
    """A name for each parameter: of channels, what comes in first and what goes out last."""
    channels = [at for at, name in enumerate(names) if name in CHANNELS]
    first = keys[channels[0]] if channels and names[channels[0]] not in OUTPUTS else None
    last = keys[channels[-1]] if channels else None
    found: list[str] = []
    for key in varying:
        name = names[keys.index(key)]
        if key == first == last:
            name = "channels"
        elif key == first:
            name = "in_channels"
        elif key == last:
            name = "out_channels"
        elif name in OUTPUTS:
            name = "hidden_channels"
        found.append(unused(name, found))
    return found


def _place(name: str) -> int:
    """Where a parameter stands: what comes in, what is between, what goes out, all else."""
    bare = re.sub(r"_\d+$", "", name)
    return 1 + (bare in OUTPUTS) - (bare in INPUTS) if _is_channel(name) else 3


def _is_channel(name: str) -> bool:
    return re.sub(r"_\d+$", "", name) in CHANNELS


def _inline_single(root: Call, functions: dict[str, Function]) -> Call:
    """Take back the functions that are called in one place only."""
    for name in reversed(list(functions)):
        bodies = [root, *(f.body for f in functions.values())]
        if sum(call.name == name for body in bodies for call in body.walk()) == 1:
            function = functions.pop(name)
            root = _inlined(root, function)
            for other in functions:
                body = _inlined(functions[other].body, function)
                functions[other] = replace(functions[other], body=body)
    return root


def _inlined(call: Call, function: Function) -> Call:
    """The call, with the body of a function in place of calls of it."""
    if call.name == function.name:
        return _bound(function.body, {a.name: a.value for a in call.arguments})
    return call.with_values(
        [_inlined(a.value, function) if isinstance(a.value, Call) else a.value
         for a in call.arguments]
    )  # fmt: skip


def _bound(value: Any, given: dict[str, Any]) -> Any:
    if isinstance(value, Name):
        return given.get(value.name, value)
    if isinstance(value, Call):
        return value.with_values([_bound(a.value, given) for a in value.arguments])
    return value


def _name(root: Call, functions: list[Function], taken: set[str]) -> tuple[Call, list[Function]]:
    """Give functions the names that a reader sees."""
    names: dict[str, str] = {}
    for function in functions:
        names[function.name] = unused(_described(function.body, names), taken)
        taken.add(names[function.name])
    return _renamed(root, names), [
        replace(f, name=names[f.name], body=_renamed(f.body, names)) for f in functions
    ]


def _renamed(call: Call, names: dict[str, str]) -> Call:
    values = [_renamed(a.value, names) if isinstance(a.value, Call) else a.value
              for a in call.arguments]  # fmt: skip
    return replace(call.with_values(values), name=names.get(call.name, call.name))


def _described(body: Call, names: dict[str, str]) -> str:
    """A name for what a function returns."""
    if body.name not in ("nn.Sequential", "nn.ModuleList", "nn.ModuleDict", "{", "["):
        return snake_case(names.get(body.name, body.name))
    if any(part.name == "OrderedDict" for part in body.parts):
        return "block"
    layers = [names.get(part.name) or SHORT.get(part.name) or snake_case(part.name)
              for part in body.parts]  # fmt: skip
    if body.name == "nn.Sequential" and len(layers) <= NAMED_LAYERS:
        return "_".join(layers)
    return "block" if body.name == "nn.Sequential" else "parts"


def snake_case(name: str) -> str:
    """``nn.MaxPool2d`` as ``max_pool``, ``ReLU`` as ``relu``."""
    bare = re.sub(r"\dd$", "", name.rpartition(".")[2])
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", bare).lower()
