"""Genomes between a problem and its journal: base numbering, canonical text, generator state."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def objective_names(problem: Any) -> tuple[str, ...]:
    """The names of a problem's objectives; `f1`, `f2`, ... where it gives none."""
    names = getattr(problem, "objectives", None)
    return tuple(names) if names is not None else tuple(f"f{i + 1}" for i in range(problem.n_obj))


def to_record(problem: Any, X: np.ndarray) -> list[list[float]]:
    """Genomes as the journal writes them, in the numbering of the base space.

    Args:
        problem: a pymoo problem; evonas's have a `space`.
        X: genomes (n, n_var) in the problem's own numbering.
    """
    space = getattr(problem, "space", None)
    return np.asarray(X if space is None else space.lift(X)).tolist()


def from_record(problem: Any, genomes: Sequence[Sequence[float]]) -> np.ndarray:
    """The inverse of `to_record`: genomes (n, n_var) in the problem's own numbering."""
    space = getattr(problem, "space", None)
    X = np.array(genomes)
    return X if space is None else np.asarray(space.lower(X))


def network_texts(problem: Any, X: np.ndarray) -> list[str | None]:
    """The canonical network of each genome in the space's notation; None without a space."""
    space = getattr(problem, "space", None)
    if space is None:
        return [None] * len(X)
    return [space.decode(x) for x in problem.canonical(X)]


def generator_state(random_state: np.random.Generator) -> dict[str, Any]:
    """The state of a generator's bit generator, as JSON can hold it."""
    return _plain(random_state.bit_generator.state)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
