"""What a module computes from the results of its parts, as a torch.fx graph.

Each module is traced on its own, with its parts as they are: that keeps the nesting of the network,
and so the names of its weights.
"""

import inspect
import operator
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from evonas.errors import InputError


class Calls:
    """What each module of a network was called with, and returned, when it was first run.

    Tensors are kept as their shapes, on torch's meta device.

    Args:
        network: in eval mode.
        images: an input.
    """

    def __init__(self, network: nn.Module, images: Tensor):
        """Runs the network once."""
        self._seen: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any], Any]] = {}
        hooks = [m.register_forward_hook(self._hook, with_kwargs=True) for m in network.modules()]
        try:
            with torch.no_grad():
                network(images)
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self._seen.setdefault(module, tuple(map(_shapes, (args, kwargs, output))))

    def arguments(self, module: nn.Module) -> dict[str, Any]:
        """What the parameters of its forward were given; those left at a default are not there."""
        args, kwargs, _ = self._seen[module]
        return dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)

    def output(self, module: nn.Module) -> Any:
        """What it returned."""
        return self._seen[module][2]


def _shapes(value: Any) -> Any:
    return fx.node.map_aggregate(
        value, lambda v: v.detach().to("meta") if isinstance(v, Tensor) else v
    )


def traced(module: nn.Module, calls: Calls, path: str) -> fx.Graph:
    """The graph of a module's forward, its parts as calls of modules, without what nobody reads.

    Sizes of tensors stay unknown where that is possible, so that the code suits any; where the
    code asks for them, only the size of the batch does.

    Args:
        module: one that ran.
        calls: what it was called with.
        path: where it is in the network, for the error.

    Raises:
        InputError: torch.fx cannot follow it.
    """
    given = calls.arguments(module)
    names = list(inspect.signature(module.forward).parameters)
    fixed = {
        name: p.default
        for name, p in inspect.signature(module.forward).parameters.items()
        if name not in given and p.default is not inspect.Parameter.empty
    }
    reason: Exception | None = None
    for tracer in (_Tracer(), _SizedTracer(given, calls)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph = tracer.trace(module, fixed or None)
            return _cleaned(graph, module, [name for name in names if name not in fixed])
        except Exception as error:  # whatever the code of a user does with what stands for a tensor
            reason = error
    why = " ".join(str(reason).split())[:200]
    raise InputError(
        f"torch.fx cannot follow the forward of '{path or 'the network'}', a "
        f"{type(module).__name__} ({why}); write it without decisions on values of tensors, and "
        "with its parts as attributes, ModuleLists or ModuleDicts, to export it"
    )


class _Tracer(fx.Tracer):
    """Follows one module; its parts stay calls."""

    def __init__(self) -> None:
        super().__init__(autowrap_modules=())  # type: ignore[arg-type]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Every part is one."""
        return True


class _SizedTracer(_Tracer):
    """Knows all sizes but that of the batch, from running on shapes what it follows."""

    def __init__(self, given: Mapping[str, Any], calls: Calls):
        super().__init__()
        self.given = given
        self.calls = calls

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A proxy that tells sizes."""
        node.meta["example"] = self._example(node)
        return _SizedProxy(node, self)

    def _example(self, node: fx.Node) -> Any:
        args, kwargs = map_arg((node.args, node.kwargs), lambda n: n.meta["example"])
        if node.op == "placeholder":
            return self.given.get(str(node.target))
        if node.op == "call_module":
            return self.calls.output(self.root.get_submodule(str(node.target)))
        if node.op == "get_attr":
            return _shapes(operator.attrgetter(str(node.target))(self.root))
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs) if callable(node.target) else None


class _SizedProxy(fx.Proxy):
    """A tensor of which only the size of the batch, its first dimension, is unknown."""

    @property
    def shape(self) -> Any:
        """The batch as an expression, all else as numbers."""
        batch = self.tracer.create_proxy("call_method", "size", (self, 0), {})
        return (batch, *self.node.meta["example"].shape[1:])

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return int(self.node.meta["example"].ndim)

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """As ``shape``."""
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return len(self.node.meta["example"])


def _cleaned(graph: fx.Graph, module: nn.Module, names: list[str]) -> fx.Graph:
    """Without what does not lead to the output, nor changes anything in place.

    Profilers see dead operations at work; whoever reads an exported network is not to.
    """
    live: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "placeholder":
            if node.target not in names:
                continue
            live.add(node)
        elif node.op == "output" or node in live or _acts_in_place(node, module):
            live |= {node, *node.all_input_nodes}
    for node in reversed(list(graph.nodes)):
        if node not in live:
            graph.erase_node(node)
    return graph


def _acts_in_place(node: fx.Node, module: nn.Module) -> bool:
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    return bool(node.kwargs.get("inplace", False))
