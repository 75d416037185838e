"""Calls of constructors as values: compared, taken apart and printed as Python."""

import math
import numbers
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

WIDTH = 100
# A sequence of more layers than this is one layer a line, however short they are.
LAYERS_ON_A_LINE = 2


@dataclass(frozen=True)
class Name:
    """A name in place of a value: a parameter of the function around it, or something of torch's.

    Attributes:
        name: as it is written.
    """

    name: str


@dataclass(frozen=True)
class Argument:
    """One argument of a call.

    Attributes:
        name: the parameter that it fills; the key, in a dict.
        value: a ``Call``, a ``Name``, a number, a bool, None, text, or a tuple of those.
        keyword: whether the name is written.
        default: what the parameter is without it, in a tuple of one; an argument of this value
            is left out.
    """

    name: str
    value: Any
    keyword: bool = True
    default: tuple[Any, ...] = ()

    @property
    def written(self) -> bool:
        """Whether the call has to say it."""
        return isinstance(self.value, (Call, Name)) or (self.value,) != self.default


@dataclass(frozen=True)
class Call:
    """A call of a class or function, or a dict or list in its brackets.

    Attributes:
        name: what is called, such as ``nn.Conv2d``; ``{`` and ``[`` for a dict and a list.
        arguments: in order.
    """

    name: str
    arguments: tuple[Argument, ...] = ()

    @property
    def parts(self) -> tuple["Call", ...]:
        """The arguments that are calls themselves."""
        return tuple(a.value for a in self.arguments if isinstance(a.value, Call))

    def walk(self) -> Iterator["Call"]:
        """This call and all within it, parts first."""
        for part in self.parts:
            yield from part.walk()
        yield self

    def with_values(self, values: Iterable[Any]) -> "Call":
        """The same call of other values, one for each argument."""
        pairs = zip(self.arguments, values, strict=True)
        return replace(self, arguments=tuple(replace(a, value=value) for a, value in pairs))


def items(name: str, calls: Iterable[Call]) -> Call:
    """A call of positional arguments, such as a sequence of its layers."""
    return Call(name, tuple(Argument("", call, keyword=False) for call in calls))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number; truth values are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A value as literals can write it: numpy's numbers and torch's sizes as Python's own.

    Raises:
        TypeError: it is no number, bool, None or text, nor a sequence of those.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, (tuple, list)):
        return tuple(plain(part) for part in value)
    raise TypeError(f"a {type(value).__name__} cannot be written down")


def unused(name: str, taken: Iterable[str], mark: str = "_") -> str:
    """The name, or the first of name_2, name_3, ... that is not taken."""
    taken, at, new = set(taken), 1, name
    while new in taken:
        at += 1
        new = f"{name}{mark}{at}"
    return new


def literal(value: Any) -> str:
    """A plain value as Python, text in double quotes."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    text = repr(value)
    if isinstance(value, str) and text[0] == "'" and '"' not in text:
        return f'"{text[1:-1]}"'
    return text


def printed(value: Any, indent: int = 0, *, lead: int = 0) -> str:
    """A value as Python, in one line where it fits and is readable, else one part a line.

    Args:
        value: a ``Call``, a ``Name`` or a plain value.
        indent: spaces in front of the line that it begins on.
        lead: characters on that line before and behind it.
    """
    if isinstance(value, Name):
        return value.name
    if not isinstance(value, Call):
        return literal(value)
    opening, closing = {"{": ("{", "}"), "[": ("[", "]")}.get(value.name, (value.name + "(", ")"))
    arguments = [argument for argument in value.arguments if argument.written]
    within = [part for part in value.walk() if part.parts and part is not value]
    if len(value.parts) <= LAYERS_ON_A_LINE and not within:
        line = opening + ", ".join(_argument(value, a, 0, 0) for a in arguments) + closing
        if indent + lead + len(line) <= WIDTH and "\n" not in line:
            return line
    if len(arguments) == 1 and value.name != "nn.Sequential":
        # The only argument hugs the brackets: a list in a ModuleList needs no line of its own.
        return opening + _argument(value, arguments[0], indent, lead + len(opening) + 1) + closing
    inner = indent + 4
    if not value.parts:
        line = ", ".join(_argument(value, a, 0, 0) for a in arguments)
        if inner + len(line) <= WIDTH and "\n" not in line:
            return f"{opening}\n{' ' * inner}{line}\n{' ' * indent}{closing}"
    lines = [" " * inner + _argument(value, a, inner, 1) + ",\n" for a in arguments]
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"


def _argument(call: Call, argument: Argument, indent: int, lead: int) -> str:
    key = ""
    if call.name == "{":
        key = f"{literal(argument.name)}: "
    elif argument.keyword:
        key = f"{argument.name}="
    return key + printed(argument.value, indent, lead=lead + len(key))
