"""A graph as the body of a Python function that a person can read.

Results that are used once are written where they are used, as long as everything still happens in
the order of the graph: layers may work in place.
"""

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from evonas.errors import InputError
from evonas.exporting.expressions import literal, plain, unused

# How tightly Python's operators bind, from comparisons to names.
COMPARE, OR, XOR, AND, SHIFT, SUM, PRODUCT, UNARY, POWER, ATOM = range(10)
BINARY: dict[Any, tuple[str, int]] = {
    operator.add: ("+", SUM),
    torch.add: ("+", SUM),
    operator.sub: ("-", SUM),
    operator.mul: ("*", PRODUCT),
    torch.mul: ("*", PRODUCT),
    operator.truediv: ("/", PRODUCT),
    operator.floordiv: ("//", PRODUCT),
    operator.mod: ("%", PRODUCT),
    operator.matmul: ("@", PRODUCT),
    operator.pow: ("**", POWER),
    operator.lshift: ("<<", SHIFT),
    operator.rshift: (">>", SHIFT),
    operator.and_: ("&", AND),
    operator.xor: ("^", XOR),
    operator.or_: ("|", OR),
    operator.lt: ("<", COMPARE),
    operator.le: ("<=", COMPARE),
    operator.eq: ("==", COMPARE),
    operator.ne: ("!=", COMPARE),
    operator.ge: (">=", COMPARE),
    operator.gt: (">", COMPARE),
}
UNARY_SIGNS: dict[Any, str] = {operator.neg: "-", operator.pos: "+", operator.invert: "~"}
LIBRARIES = (
    (torch, "torch"),
    (F, "F"),
    (torch.fft, "torch.fft"),
    (torch.linalg, "torch.linalg"),
    (torch.special, "torch.special"),
)
# What variables may not be called.
RESERVED = {"F", "nn", "self", "torch"}
# What a tensor tells of itself.
TRAITS = ("shape", "ndim", "dtype", "device")
# A line with more than one operation in it stays shorter than one that cannot be helped.
COMFORTABLE = 80


@dataclass(frozen=True)
class Text:
    """An expression.

    Attributes:
        text: Python.
        binds: how tightly its outermost operator does.
        reads: the variables in it, as the nodes whose values they hold.
        holds: the nodes that are written within it.
    """

    text: str
    binds: int = ATOM
    reads: frozenset[fx.Node] = frozenset()
    holds: frozenset[fx.Node] = frozenset()

    def within(self, binds: int) -> str:
        """In brackets, unless it binds at least so tightly."""
        return self.text if self.binds >= binds else f"({self.text})"


def body(graph: fx.Graph, access: Callable[[str], str]) -> list[str]:
    """The statements of a graph.

    Args:
        graph: only with what is to be written.
        access: from the path of a part or a tensor to how Python reaches it.

    Raises:
        InputError: it calls a function that is none of torch's.
    """
    return _Writer(graph, access).lines


class _Writer:
    def __init__(self, graph: fx.Graph, access: Callable[[str], str]):
        self.access = access
        self.lines: list[str] = []
        self.names: dict[fx.Node, str] = {}
        # Expressions not written yet, in the order in which they are to happen.
        self.pending: dict[fx.Node, Text] = {}
        # Sizes and their arithmetic, which may happen at any time.
        self.sizes: dict[fx.Node, Text] = {}
        _copy_sizes(graph)
        self.order = {node: at for at, node in enumerate(graph.nodes)}
        self.uses = Counter(n for node in graph.nodes for n in _operands(node))
        for node in graph.nodes:
            if node.op == "placeholder":
                self.names[node] = str(node.target)
            elif node.op == "output":
                text = self._expression(node)
                self._flush()
                self.lines.append(f"return {text.text}")
            elif node.op != "get_attr":
                self._add(node)

    def _add(self, node: fx.Node) -> None:
        text = self._expression(node)
        if self.uses[node] == 1:
            (self.sizes if _is_size(node) else self.pending)[node] = text
        else:
            self._flush()
            self._assign(node, text)

    def _expression(self, node: fx.Node) -> Text:
        """The node's expression; takes what it holds out of what is pending."""
        within = [n for n in _operands(node) if n in self.pending]
        last = list(self.pending)[len(self.pending) - len(within) :]
        chained = any(n.op == node.op == "call_module" for n in within)
        long = len(self._text(node).text) > COMFORTABLE and node.op != "output"
        if within and (within != last or chained or long or _is_size(node)):
            self._flush(through=max(within, key=self.order.__getitem__))
            within = []
        text = self._text(node)
        for taken in within:
            del self.pending[taken]
        return text

    def _flush(self, through: fx.Node | None = None) -> None:
        """Write what is pending as statements, all of it or what happens up to a node."""
        for node in list(self.pending):
            self._assign(node, self.pending.pop(node))
            if node is through:
                break

    def _assign(self, node: fx.Node, text: Text) -> None:
        if self.uses[node] == 0:
            self.lines.append(text.text)
            return
        self.names[node] = name = self._variable(node, text)
        self.lines.append(f"{name} = {text.text}")

    def _variable(self, node: fx.Node, text: Text) -> str:
        """The name of the one variable that only this statement reads, or a new one."""
        if len(text.reads) == 1 and not _is_size(node):
            (read,) = text.reads
            if set(read.users) <= text.holds and not _is_size(read):
                return self.names[read]
        name = str(node.target) if node.op == "call_module" else re.sub(r"_\d+$", "", node.name)
        if _is_size(node):
            name = "size"
        name = re.sub(r"\W", "_", name)
        needed = {self.names[n] for n in self.names if self._last_use(n) >= self.order[node]}
        return unused(name if name.isidentifier() else f"layer_{name}", needed | RESERVED)

    def _last_use(self, node: fx.Node) -> int:
        return max(
            (self._last_use(u) if u in self.sizes else self.order[u] for u in node.users),
            default=-1,
        )

    # -- expressions ----------------------------------------------------------------------

    def _text(self, node: fx.Node) -> Text:
        if node.op == "output":
            return self._value(node.args[0])
        args = [self._value(a) for a in node.args]
        kwargs = {key: self._value(a) for key, a in node.kwargs.items()}
        text, binds = self._call(node, args, kwargs)
        within = _joined(text, [*args, *kwargs.values()], binds)
        return replace(within, holds=within.holds | {node})

    def _call(self, node: fx.Node, args: list[Text], kwargs: dict[str, Text]) -> tuple[str, int]:
        target: Any = node.target
        if node.op == "call_module":
            return _called(self.access(target), args, kwargs), ATOM
        if node.op == "call_method":
            return _called(f"{args[0].within(ATOM)}.{target}", args[1:], kwargs), ATOM
        if target is getattr and len(args) == 2:
            return f"{args[0].within(ATOM)}.{node.args[1]}", ATOM
        if target is operator.getitem:
            return f"{args[0].within(ATOM)}[{self._index(node.args[1])}]", ATOM
        if target in UNARY_SIGNS:
            return UNARY_SIGNS[target] + args[0].within(UNARY), UNARY
        if target in BINARY and len(args) == 2 and not kwargs:
            sign, binds = BINARY[target]
            # Powers and comparisons do not read from left to right: brackets on both sides.
            left = binds + (binds in (POWER, COMPARE))
            return f"{args[0].within(left)} {sign} {args[1].within(binds + 1)}", binds
        return _called(_function_name(target), args, kwargs), ATOM

    def _value(self, value: Any) -> Text:
        """An argument: a result, or a literal that may hold results."""
        if isinstance(value, fx.Node):
            if value.op == "get_attr":
                return Text(self.access(str(value.target)))
            if value in self.names:
                return Text(self.names[value], reads=frozenset([value]))
            return self.sizes[value] if value in self.sizes else self.pending[value]
        if isinstance(value, (tuple, list)):
            parts = [self._value(v) for v in value]
            inner = ", ".join(p.text for p in parts)
            if isinstance(value, list):
                return _joined(f"[{inner}]", parts)
            return _joined(f"({inner}{',' * (len(parts) == 1)})", parts)
        if isinstance(value, dict):
            parts = [self._value(v) for v in value.values()]
            pairs = zip(map(literal, value), parts, strict=True)
            return _joined(f"{{{', '.join(f'{key}: {p.text}' for key, p in pairs)}}}", parts)
        if isinstance(value, slice):
            parts = [self._value(v) for v in (value.start, value.stop, value.step)]
            return _joined(f"slice({', '.join(p.text for p in parts)})", parts)
        if value is ...:
            return Text("...")
        if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
            return Text(repr(value))
        if isinstance(value, torch.device):
            return Text(f"torch.{value!r}")
        try:
            text = literal(plain(value))
        except TypeError:
            raise InputError(
                f"a forward gives a {type(value).__name__} to an operation, which cannot be "
                "written down; give numbers or tensors to export it"
            ) from None
        return Text(text, UNARY if text[0] == "-" else ATOM)

    def _index(self, value: Any) -> str:
        """What stands in square brackets."""
        if isinstance(value, tuple) and value:
            return ", ".join(map(self._index, value)) + "," * (len(value) == 1)
        if isinstance(value, slice):
            start, stop, step = (
                "" if v is None else self._value(v).text
                for v in (value.start, value.stop, value.step)
            )
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return self._value(value).text


def _joined(text: str, parts: Iterable[Text], binds: int = ATOM) -> Text:
    """An expression of others."""
    parts = list(parts)
    none: frozenset[fx.Node] = frozenset()
    reads, holds = none.union(*(p.reads for p in parts)), none.union(*(p.holds for p in parts))
    return Text(text, binds, reads, holds)


def _called(function: str, args: list[Text], kwargs: dict[str, Text]) -> str:
    given = [a.text for a in args] + [f"{key}={a.text}" for key, a in kwargs.items()]
    return f"{function}({', '.join(given)})"


def _function_name(function: Any) -> str:
    """How the file reaches a function of torch.

    Raises:
        InputError: it is none of torch's.
    """
    name = getattr(function, "__name__", str(function))
    for module, prefix in LIBRARIES:
        if getattr(module, name, None) is function:
            return f"{prefix}.{name}"
    raise InputError(
        f"a forward calls '{name}', which is no function of torch; write it with functions of "
        "torch and torch.nn.functional to export it"
    )


def _is_trait(node: fx.Node) -> bool:
    """Whether a node is what a tensor tells of itself, or a part of that: ``x.shape[0]``."""
    if node.op == "call_method":
        return node.target in ("size", "dim")
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return node.args[1] in TRAITS
    operands = list(_operands(node))
    return node.target is operator.getitem and len(operands) == 1 and _is_trait(operands[0])


def _is_size(node: fx.Node) -> bool:
    """Whether a node is a trait of a tensor, or arithmetic on such."""
    if _is_trait(node):
        return True
    operands = list(_operands(node))
    if node.op != "call_function" or node.target not in (*BINARY, *UNARY_SIGNS) or not operands:
        return False
    return all(map(_is_size, operands))


def _copy_sizes(graph: fx.Graph) -> None:
    """Give each user of a trait its own: ``x.shape[0]`` reads better than a name for it."""
    for node in reversed(list(graph.nodes)):
        if _is_trait(node):
            for user in list(node.users)[1:]:
                with graph.inserting_before(user):
                    user.replace_input_with(node, graph.node_copy(node, lambda n: n))


def _operands(node: fx.Node) -> Iterator[fx.Node]:
    """The nodes in the arguments, in order, each as often as it is used."""
    found: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), lambda n: found.append(n) or n)  # type: ignore[func-returns-value]
    return iter(found)
