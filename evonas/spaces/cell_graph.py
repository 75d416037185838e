"""The graph of a cell: edges, which of them matter, and the notation of NAS-Bench-201."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from evonas.spaces.space import BoolArray, IntArray

Edge = tuple[int, int]
Key = TypeVar("Key")


def edges_between(nodes: int) -> tuple[Edge, ...]:
    """All edges as (target, source), in the order 1<-0, 2<-0, 2<-1, 3<-0, ..."""
    return tuple((target, source) for target in range(1, nodes) for source in range(target))


def live_edges(edges: Sequence[Edge], passes: Sequence[bool] | BoolArray) -> list[int]:
    """Indices of the edges on some way from node 0 to the last node.

    Args:
        edges: (target, source), in order of target.
        passes: Whether an edge lets anything through.
    """
    passing = ((*edge, index) for index, edge in enumerate(edges) if passes[index])
    reached = [index for _, _, index in fed_edges(passing, inputs=1)]
    wanted = {edges[-1][0]}
    live = []
    for index in reversed(reached):
        target, source = edges[index]
        if target in wanted:
            wanted.add(source)
            live.append(index)
    return live[::-1]


def fed_edges(edges: Iterable[tuple[int, int, Key]], inputs: int) -> list[tuple[int, int, Key]]:
    """The edges that are reached from the inputs of a cell.

    Args:
        edges: (target, source, key) of those that let something through, in order of target.
        inputs: How many of the first nodes are inputs.
    """
    fed = set(range(inputs))
    reached = []
    for edge in edges:
        target, source, _ = edge
        if source in fed:
            fed.add(target)
            reached.append(edge)
    return reached


def write_cell(labels: Sequence[str], edges: Sequence[Edge]) -> str:
    """``|op~source|...|+|...|``: one group for each node, one term for each edge."""
    groups: dict[int, str] = {}
    for label, (target, source) in zip(labels, edges, strict=True):
        groups[target] = groups.get(target, "|") + f"{label}~{source}|"
    return "+".join(groups.values())


def parse_cell(text: str, labels: Sequence[str], edges: Sequence[Edge]) -> IntArray:
    """Reads what ``write_cell`` writes; raises ValueError where it would write otherwise."""
    terms = [term for term in text.replace("+", "").split("|") if term]
    names = [term.partition("~")[0] for term in terms]
    for name in names:
        if name not in labels:
            raise ValueError(f"'{name}' is no operation; there are {', '.join(labels)}")
    if len(names) != len(edges) or write_cell(names, edges) != text:
        raise ValueError(f"a cell has {len(edges)} operations, each with its source")
    return np.array([labels.index(name) for name in names], dtype=np.int64)
