"""The network behind a member of a run's front, with the best weights that the run has of it."""

from __future__ import annotations

import hashlib
import numbers
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.analysis import Front
from evonas.analysis.quantities import quantity
from evonas.atomic import LONGEST_STEM, file_stem
from evonas.errors import InputError
from evonas.exporting.record import FROM_SUPERNET, ExportedNetwork
from evonas.problems import ScratchProblem, SupernetProblem
from evonas.retrain import all_retrained, method_of
from evonas.runs import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from evonas.stages.workspace import AnyProblem


@dataclass(frozen=True)
class Found:
    """A network with weights, where these come from, and what is known of it."""

    network: nn.Module
    weights: str
    numbers: dict[str, float]


def member_of(folder: RunFolder, problem: AnyProblem, text: str) -> ExportedNetwork:
    """A network of a run, ready to be exported.

    Weights are, in this order, those of a retraining (of several the one of least validation
    error), those that a search by training from scratch has kept, and those of a supernet of width
    1.

    Args:
        folder: the run.
        problem: its own, ready to evaluate.
        text: the network, in the notation of its space.

    Raises:
        InputError: the run has no weights of it.
    """
    if not isinstance(problem, SupernetProblem | ScratchProblem):
        raise InputError(
            f"{folder.path} searched a table of measured networks and has no weights; build the "
            "network with Run.load(...).problem().space.build(...)"
        )
    space = problem.space
    x = space.canonical(space.encode(text)[None])[0]
    name = space.decode(x)
    found = _retrained(folder, problem, name, x) or (
        _trained(problem, name, x)
        if isinstance(problem, ScratchProblem)
        else _shared(folder, problem, name, x)
    )
    columns, (values,) = problem.cost_columns(x[None])
    costs = {
        name: int(value) if quantity(name).count else value
        for name, value in zip(columns, values.tolist(), strict=True)
    }
    return ExportedNetwork(
        network=found.network,
        genome=name,
        input_shape=space.input_shape,
        mean=problem.data.mean.tolist(),
        std=problem.data.std.tolist(),
        class_names=problem.data.class_names,
        weights=found.weights,
        numbers={**found.numbers, **costs},
    )


def folder_for(folder: RunFolder, text: str, format: str) -> Path:
    """Where a network goes if nothing else is said: a folder for each text."""
    stem = file_stem(text)
    if len(text) > LONGEST_STEM:  # others may begin alike
        stem += f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return folder.path / "exports" / f"{stem}-{format}"


def front_network(folder: RunFolder, member: int | None) -> str:
    """The text of a row of front.csv, from 0; negative ones count from the end.

    Args:
        folder: the run.
        member: the row; None for the knee.

    Raises:
        InputError: there is no such row.
    """
    front = Front.load(folder.path)
    if member is None:
        return front.knee().network
    if isinstance(member, bool) or not isinstance(member, numbers.Integral):
        raise InputError(f"member is {member!r}; give a row of front.csv, from 0")
    if not -len(front) <= member < len(front):
        raise InputError(
            f"the front of {folder.path} has {len(front)} members; give --member 0 to "
            f"{len(front) - 1}, or a --network"
        )
    return front.networks[member]


def _build(problem: SupernetProblem | ScratchProblem, x: np.ndarray) -> Callable[[], nn.Module]:
    return lambda: problem.space.build(x)


def _retrained(
    folder: RunFolder, problem: SupernetProblem | ScratchProblem, name: str, x: np.ndarray
) -> Found | None:
    from evonas.training import Checkpoint
    from evonas.training.scratch import new_network

    records = {f: r for f, r in all_retrained(folder.networks, name).items() if r.network == name}
    if not records:
        return None
    file, best = min(records.items(), key=lambda item: (item[1].error, item[0]))
    network = new_network(
        _build(problem, x), problem.data.train.device, weights=Checkpoint.load(file).tensors
    )
    return Found(network, best.method, {"error": best.error, "test_error": best.test_error})


def _trained(problem: ScratchProblem, name: str, x: np.ndarray) -> Found:
    records = problem.records(name)
    if not records:
        raise InputError(f"{name} was not trained in this run; name a network of its front")
    weights = f"{method_of(problem)} by the search"
    return Found(problem.network(x), weights, {"error": records[0].error})


def _shared(folder: RunFolder, problem: SupernetProblem, name: str, x: np.ndarray) -> Found:
    supernet = problem.supernet
    assert supernet is not None
    if supernet.width != 1:
        raise InputError(
            f"{name} was not retrained, and the shared weights have width {supernet.width:g} and "
            f"fit no network; first: evonas retrain {shlex.quote(str(folder.path))} --network "
            f"{shlex.quote(name)}"
        )
    # The problem may be one of what a pruning has left, the supernet one of the whole space.
    own = supernet.space.lower(problem.space.lift(x[None]))[0]
    error = float(supernet.evaluate(own[None]).error[0])
    return Found(supernet.extract(own), FROM_SUPERNET, {"estimated_error": error})
