"""Modules as the calls that make them, and the classes that those calls need.

The nesting stays, and so do the names of all weights: the state of what is written is the state of
the network, less what its output does not need.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from evonas.errors import InputError
from evonas.exporting.expressions import Argument, Call, Name, items, unused
from evonas.exporting.forward import body
from evonas.exporting.layers import is_layer, layer_call
from evonas.exporting.tracing import Calls, traced

INDENT = " " * 4


@dataclass(frozen=True)
class Class:
    """A class of modules that are given their parts.

    Attributes:
        base: ``nn.Module``; ``nn.Sequential`` where the parts have numbers for names.
        parts: names of the parts, each an attribute; none of a sequence's.
        tensors: names of tensors of its own that are no parameters.
        params: parameters of its forward.
        statements: of its forward; empty where a sequence's own will do.
    """

    base: str
    parts: tuple[str, ...]
    tensors: frozenset[str]
    params: tuple[str, ...]
    statements: tuple[str, ...]

    def forward(self) -> str:
        """The method, indented; empty where it is inherited."""
        if not self.statements:
            return ""
        head = f"{INDENT}def forward({', '.join(('self', *self.params))}):\n"
        return head + "".join(f"{INDENT * 2}{line}\n" for line in self.statements)

    def keep(self, part: str, value: str) -> str:
        """The line of the constructor that keeps a part."""
        if part in self.tensors:
            return f'{INDENT * 2}self.register_buffer("{part}", {value})\n'
        return f"{INDENT * 2}self.{part} = {value}\n"


@dataclass
class Writer:
    """Turns modules into calls, and collects the classes by name.

    Attributes:
        calls: what modules were called with.
        classes: what was written so far.
    """

    calls: Calls
    classes: dict[str, Class] = field(default_factory=dict)

    def module(self, module: nn.Module, path: str) -> Call:
        """The call that makes a module like this one.

        Args:
            module: a part of the network that ran.
            path: where it is.

        Raises:
            InputError: it cannot be exported.
        """
        if is_layer(module):
            return layer_call(module, path)
        if type(module) is nn.Sequential:
            return sequence((name, self.module(part, f"{path}.{name}"))
                            for name, part in module.named_children())  # fmt: skip
        kind, parts = self.written(module, path)
        name = type(module).__name__
        if not name.isidentifier():
            name = "Part"
        taken = [n for n in (*RESERVED, *self.classes) if self.classes.get(n) != kind]
        name = unused(name, taken, mark="")
        self.classes[name] = kind
        if kind.base == "nn.Sequential":
            return items(name, parts)
        named = zip(kind.parts, parts, strict=True)
        return Call(name, tuple(Argument(n, p, keyword=len(parts) > 1) for n, p in named))

    def written(self, module: nn.Module, path: str) -> tuple[Class, list[Call]]:
        """The class of a module that is none of torch's, and the calls that make its parts."""
        where = f"{path}." if path else ""
        graph = traced(module, self.calls, path)
        tree = _Tree.of(graph, module, where)
        in_sequence = isinstance(module, nn.Sequential) and _numbered(tree.children)
        inherited = False
        if in_sequence:
            inherited = _collapse(graph, "", list(tree.children))
        else:
            for child in tree.inner():
                if isinstance(child.module, (nn.ModuleList, nn.Sequential)) and _numbered(
                    child.children
                ):
                    child.chain = _collapse(graph, child.path, list(child.children))
        parts = [self._child(child, where) for child in tree.children.values()]
        names = tuple(tree.children)
        for name in names:
            if not in_sequence and not name.isidentifier():
                raise InputError(
                    f"the part '{where}{name}' has a name that Python cannot write; give the parts "
                    f"of {type(module).__name__} names, or put them into a ModuleList"
                )
        tensors = frozenset(
            name
            for name, child in tree.children.items()
            if isinstance(child.tensor, Tensor) and not isinstance(child.tensor, nn.Parameter)
        )
        statements = body(graph, lambda target: tree.access(target, in_sequence))
        params = tuple(_param(node) for node in graph.nodes if node.op == "placeholder")
        if inherited and statements == [f"return super().forward({params[0]})"]:
            statements = []
        base = "nn.Sequential" if in_sequence else "nn.Module"
        kept = () if in_sequence else names
        return Class(base, kept, tensors, params, tuple(statements)), parts

    def _child(self, child: "_Tree", where: str) -> Call:
        path = where + child.path
        if child.tensor is not None:
            return _tensor_call(child.tensor)
        if child.called or not child.children:
            return self.module(child.module, path)
        made = [(name, self._child(part, where)) for name, part in child.children.items()]
        if child.chain or (isinstance(child.module, nn.Sequential) and _numbered(child.children)):
            return sequence(made)
        if isinstance(child.module, nn.ModuleList) and _numbered(child.children):
            return Call("nn.ModuleList", (Argument("", items("[", (c for _, c in made)), False),))
        return Call("nn.ModuleDict", (Argument("", _dict(made), keyword=False),))


# Names that stand for something else in the file.
RESERVED = (
    "Network", "Path", "Tensor", "OrderedDict", "F", "nn", "json", "torch", "load", "preprocess",
    "read_weights", "CLASS_NAMES", "GENOME", "INPUT_SHAPE", "MEAN", "STD", "WEIGHTS",
)  # fmt: skip


@dataclass
class _Tree:
    """The parts of one module that its forward uses, down to those that it calls.

    Attributes:
        path: from the module.
        module: the part; the owner, of a tensor.
        tensor: the tensor, where the part is one.
        called: whether it is called as a whole, or a layer whose tensors are used.
        children: the parts within it that are used one by one.
        chain: whether those are called one after the other, as a sequence.
    """

    path: str
    module: nn.Module
    tensor: Tensor | None = None
    called: bool = False
    children: dict[str, "_Tree"] = field(default_factory=dict)
    chain: bool = False

    @classmethod
    def of(cls, graph: fx.Graph, module: nn.Module, where: str) -> "_Tree":
        """The tree of a graph, parts in the order in which the module holds them.

        Raises:
            InputError: a tensor is neither the module's own nor a layer's.
        """
        tree = cls("", module)
        for node in graph.nodes:
            if node.op not in ("call_module", "get_attr"):
                continue
            target = str(node.target)
            owner, _, name = target.rpartition(".")
            if node.op == "call_module":
                tree._find(target).called = True
            elif owner == "":
                tree.children[name] = cls(name, module, tensor=getattr(module, name))
            elif is_layer(module.get_submodule(owner)):
                tree._find(owner).called = True
            else:
                raise InputError(
                    f"{type(module).__name__} uses the tensor '{where}{target}' of a part; keep it "
                    "as a parameter or buffer of its own to export it"
                )
        tree._sort()
        return tree

    def _find(self, path: str) -> "_Tree":
        at = self
        for name in path.split("."):
            inner = f"{at.path}.{name}".lstrip(".")
            part = at.module.get_submodule(name)
            at = at.children.setdefault(name, _Tree(inner, part))
        return at

    def _sort(self) -> None:
        own = [name for name, _ in self.module.named_children()]
        order = {name: at for at, name in enumerate(own)}
        self.children = dict(
            sorted(self.children.items(), key=lambda item: order.get(item[0], len(own)))
        )
        for child in self.children.values():
            child._sort()

    def inner(self) -> Iterable["_Tree"]:
        """All below it."""
        for child in self.children.values():
            yield child
            yield from child.inner()

    def access(self, path: str, in_sequence: bool) -> str:
        """How the module's forward reaches a part or a tensor."""
        if path == "":
            return "super().forward"
        text, at = "self", self
        for name in path.split("."):
            if name not in at.children or (at is self and not in_sequence):
                text += f".{name}"
            elif at.called:
                text += f'.get_submodule("{name}")'
            elif isinstance(at.module, (nn.ModuleList, nn.Sequential)) and _numbered(at.children):
                text += f"[{name}]"
            else:
                text += f'["{name}"]'
            at = at.children.get(name, at)
        return text


def _numbered(names: Iterable[str]) -> bool:
    """Whether parts are named 0, 1, 2, ..."""
    return [*names] == [str(at) for at, _ in enumerate(names)]


def _collapse(graph: fx.Graph, path: str, names: Sequence[str]) -> bool:
    """Make one call of parts that are called one after the other, once each, if they are.

    Args:
        graph: changed in place.
        path: of the container.
        names: of the parts.
    """
    targets = [f"{path}.{name}".lstrip(".") for name in names]
    nodes = [n for n in graph.nodes if n.op == "call_module" and n.target in targets]
    if not nodes or [n.target for n in nodes] != targets:
        return False
    for before, node in zip([None, *nodes], nodes, strict=False):
        fed = len(node.args) == 1 and not node.kwargs and isinstance(node.args[0], fx.Node)
        joined = before is None or (
            node.args[:1] == (before,) and len(before.users) == 1 and node.prev is before
        )
        if not (fed and joined):
            return False
    first, last = nodes[0], nodes[-1]
    with graph.inserting_before(first):
        whole = graph.call_module(path, first.args)
    last.replace_all_uses_with(whole)
    for node in reversed(nodes):
        graph.erase_node(node)
    return True


def sequence(parts: Iterable[tuple[str, Call]]) -> Call:
    """A sequence of named parts; the names are written where they are no numbers in order."""
    parts = list(parts)
    if _numbered([name for name, _ in parts]):
        return items("nn.Sequential", (call for _, call in parts))
    ordered = Call("OrderedDict", (Argument("", _dict(parts), keyword=False),))
    return Call("nn.Sequential", (Argument("", ordered, keyword=False),))


def _dict(parts: Iterable[tuple[str, Call]]) -> Call:
    return Call("{", tuple(Argument(name, call) for name, call in parts))


def _tensor_call(tensor: Tensor) -> Call:
    """A tensor of the same shape and type; its numbers come with the weights."""
    shape = Argument("size", tuple(tensor.shape), keyword=False)
    plain = isinstance(tensor, nn.Parameter) or tensor.dtype == torch.float32
    if plain:
        made = Call("torch.zeros", (shape,))
    else:
        made = Call("torch.zeros", (shape, Argument("dtype", Name(str(tensor.dtype)))))
    if isinstance(tensor, nn.Parameter):
        return Call("nn.Parameter", (Argument("data", made, keyword=False),))
    return made


def _param(node: fx.Node) -> str:
    """A parameter of a forward, its default with it.

    Raises:
        InputError: it takes any number of arguments.
    """
    name = str(node.target)
    if name.startswith("*"):
        raise InputError(f"a forward takes {name}; give it named parameters to export the network")
    return name
