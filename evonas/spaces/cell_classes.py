"""Which cells compute the same function."""

import itertools
from collections.abc import Sequence

import numpy as np

from evonas.errors import InputError
from evonas.spaces.cell_graph import Edge
from evonas.spaces.ops import Operation
from evonas.spaces.space import BoolArray, IntArray

LARGEST = 500_000  # genomes; about ten seconds


def first_of_class(
    edges: Sequence[Edge], operations: Sequence[Operation], allowed: BoolArray, params: IntArray
) -> IntArray:
    """For each allowed cell the index of its class's canonical member.

    Of a class it is the allowed member with fewest parameters, then the first in order.

    Args:
        edges: (target, source), in order of target; one gene each.
        operations: Candidates of every edge.
        allowed: bool ``(n_var, choices)``.
        params: Parameters of each choice ``(n_var, choices)``.

    Returns:
        int64 ``(choices ** n_var,)``, indices in lexicographic order of genomes; -1 for cells
        that use a choice that is not allowed.

    Raises:
        InputError: If there are more than 500,000 cells.
    """
    size = len(operations) ** len(edges)
    if size > LARGEST:
        raise InputError(
            f"{size} cells are too many to sort into classes (at most {LARGEST}); "
            "use fewer nodes or operations, or override canonical_within"
        )
    choices = [np.flatnonzero(row).tolist() for row in allowed]
    genomes = np.array(list(itertools.product(*choices)), dtype=np.int64)
    classes = function_classes(genomes, edges, operations)
    cost = params[np.arange(len(edges)), genomes].sum(axis=1)
    index = np.ravel_multi_index(tuple(genomes.T), (len(operations),) * len(edges))
    best = np.lexsort((index, cost, classes))
    _, first, inverse = np.unique(classes[best], return_index=True, return_inverse=True)
    members = np.full(size, -1, dtype=np.int64)
    members[index[best]] = index[best[first]][inverse]
    return members


def function_classes(
    genomes: IntArray, edges: Sequence[Edge], operations: Sequence[Operation]
) -> IntArray:
    """A number for each cell, equal where cells compute the same function.

    The value of a node is a multiset of terms; a term is an operation on a value, or the
    cell's input. A zero, or an operation on the empty multiset, adds nothing; an identity adds
    the terms of its source. With this flattening NAS-Bench-201 has 4,930 classes; with sums
    behind an identity kept apart it would have 5,819, which tear published classes apart.

    Args:
        genomes: ``(n, len(edges))``.
        edges: (target, source), in order of target.
        operations: Candidates of every edge; channels and size stay in a cell.

    Returns:
        int64 ``(n,)``.
    """
    kinds = [
        "zero" if op.is_zero else "same" if op.is_identity(1, 1, 1) else "" for op in operations
    ]
    same_as = [list(operations).index(op) for op in operations]
    # Values and terms as numbers, so that equal ones are found by hashing small tuples.
    values: dict[tuple[int, ...], int] = {(): 0, (0,): 1}
    contents: list[tuple[int, ...]] = [(), (0,)]
    terms: dict[tuple[int, int], int] = {}
    output = edges[-1][0]
    result = np.empty(len(genomes), dtype=np.int64)
    for row, genome in enumerate(genomes.tolist()):
        nodes = [1] + [0] * output
        sums: list[tuple[int, ...]] = [()] * (output + 1)
        for (target, source), choice in zip(edges, genome, strict=True):
            value = nodes[source]
            if value != 0 and kinds[choice] != "zero":
                if kinds[choice] == "same":
                    added = contents[value]
                else:
                    added = (terms.setdefault((same_as[choice], value), len(terms) + 1),)
                sums[target] += added
            if source == target - 1:  # the last edge into this node
                content = tuple(sorted(sums[target]))
                if content not in values:
                    values[content] = len(contents)
                    contents.append(content)
                nodes[target] = values[content]
        result[row] = nodes[output]
    return result
