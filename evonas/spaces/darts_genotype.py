"""DARTS's notation of a network: the text of its ``Genotype``, read without running it."""

import ast
from collections.abc import Sequence
from typing import Any

Pairs = list[tuple[str, int]]


def write_genotype(normal: Pairs, reduce: Pairs) -> str:
    """``Genotype(normal=[...], normal_concat=range(2, 6), reduce=[...], reduce_concat=...)``.

    Args:
        normal: (operation, input) of each edge of the normal cell, two edges a node.
        reduce: The same of the reduction cell.
    """
    concat = range(2, 2 + len(normal) // 2)
    return (
        f"Genotype(normal={normal!r}, normal_concat={concat!r}, "
        f"reduce={reduce!r}, reduce_concat={concat!r})"
    )


def parse_genotype(text: str, operations: Sequence[str], nodes: int) -> tuple[Pairs, Pairs]:
    """Reads what ``write_genotype`` writes, in any layout and order of the fields.

    A variable that it is assigned to may stand in front, as in DARTS's own file. Only literals are
    read, and ``range`` of them; nothing is executed.

    Args:
        text: The genotype.
        operations: Names of the operations.
        nodes: Intermediate nodes of a cell; its output has to be all of them, in order.

    Returns:
        (operation, input) of each edge, of the normal and of the reduction cell.

    Raises:
        ValueError: If the text is no genotype of such cells.
    """
    fields = _fields(text)
    for name in ("normal_concat", "reduce_concat"):
        if _concat(fields[name]) != list(range(2, 2 + nodes)):
            raise ValueError(
                f"{name} is not range(2, {2 + nodes}), the {nodes} nodes of a cell in order"
            )
    return (
        _pairs("normal", fields["normal"], operations, nodes),
        _pairs("reduce", fields["reduce"], operations, nodes),
    )


def _fields(text: str) -> dict[str | None, ast.expr]:
    try:
        statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError("it cannot be read") from None
    names = ("normal", "normal_concat", "reduce", "reduce_concat")
    match statements:
        case [
            ast.Expr(value=ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords))
            | ast.Assign(value=ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords))
        ]:
            fields = {keyword.arg: keyword.value for keyword in keywords}
        case _:
            raise ValueError("it is no Genotype(...) of named fields")
    if len(keywords) != len(names) or set(fields) != set(names):
        raise ValueError(f"a Genotype has the fields {', '.join(names)}, each once")
    return fields


def _literal(node: ast.expr) -> Any:
    """The value of a list or a tuple of literals; None of anything else."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list | tuple) else None


def _concat(node: ast.expr) -> list[Any] | None:
    """The numbers of a list, a tuple or a range from one to another; None of anything else."""
    match node:
        case ast.Call(
            func=ast.Name(id="range"),
            args=[ast.Constant(value=int(first)), ast.Constant(value=int(end))],
            keywords=[],
        ):
            return list(range(first, end)[:1000])  # more than any cell has; fills no memory
    value = _literal(node)
    return None if value is None else list(value)


def _pairs(name: str, node: ast.expr, operations: Sequence[str], nodes: int) -> Pairs:
    value = _literal(node)
    if value is None or len(value) != 2 * nodes:
        raise ValueError(
            f"{name} is no list of {2 * nodes} pairs (operation, input), two for each of {nodes} "
            "nodes"
        )
    pairs: Pairs = []
    for edge, pair in enumerate(value):
        shape = isinstance(pair, list | tuple) and [type(part) for part in pair]
        if shape != [str, int]:
            raise ValueError(f"{pair!r} in {name} is no pair (operation, input)")
        operation, source = pair
        if operation not in operations:
            raise ValueError(f"'{operation}' is no operation; there are {', '.join(operations)}")
        last = edge // 2 + 1
        if not 0 <= source <= last:
            raise ValueError(
                f"{pair!r} in {name} reads input {source}, and its node can read 0 to {last}"
            )
        pairs.append((operation, source))
    return pairs
