"""Costs of one's own by name: tables in files, and functions that a plugin registers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evonas.errors import InputError
from evonas.problems.costs import AdditiveCost, Cost
from evonas.spaces import SearchSpace

# What has a meaning of its own among objectives and in a front.csv.
TAKEN = ("error", "loss", "accuracy", "params", "macs", "network", "test_error")

# Genomes that a function is asked about when it is made.
TRIED = 64

Factory = Callable[[SearchSpace], Cost]
_FACTORIES: dict[str, Factory] = {}


def register_cost(name: str, make: Factory) -> None:
    """Make a cost of one's own known by its name, as "cifar10-latency" and in constraints.

    Args:
        name: letters, digits and underscores, such as "latency".
        make: takes the space of a problem, returns the vectorised function X (n, n_var) -> (n,) of
            its canonical genomes, to be minimised. Where the problem's space is restricted, as
            after a pruning, it is asked about the base space and in its numbering.

    Raises:
        InputError: the name is taken or no name of a cost.
    """
    check_name(name)
    if _FACTORIES.setdefault(name, make) is not make:
        raise InputError(f"there is a cost named '{name}' already; choose another name")


def registered_costs() -> tuple[str, ...]:
    """Names that `register_cost` was given."""
    return tuple(_FACTORIES)


def check_name(name: str) -> str:
    """The name itself.

    Raises:
        InputError: it cannot be the name of a cost of one's own.
    """
    if name in TAKEN:
        raise InputError(f"a cost of your own cannot be named '{name}'; choose another name")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
        raise InputError(
            f"'{name}' is no name of a cost; use letters, digits and underscores, such as latency"
        )
    return name


def names_of(costs: Mapping[str, str | Path | Cost] | None) -> tuple[str, ...]:
    """Names of costs of one's own.

    Raises:
        InputError: it is no mapping, or a name cannot be used.
    """
    if not isinstance(costs or {}, Mapping):
        raise InputError(f'costs is {costs!r}; give names with files, {{"latency": "device.csv"}}')
    return tuple(check_name(name) for name in costs or ())


def make_costs(
    given: Mapping[str, str | Path | Cost] | None, space: SearchSpace
) -> dict[str, Cost]:
    """All costs of one's own as functions of the space's genomes.

    Args:
        given: name -> CSV file of an `AdditiveCost`, or a function X (n, n_var) -> (n,); those
            that were registered come in addition.
        space: whose genomes the functions take.

    Raises:
        InputError: a name is registered already, or a table or function is wrong.
    """
    made: dict[str, Cost] = {}
    for name, cost in (given or {}).items():
        if name in _FACTORIES:
            raise InputError(f"there is a registered cost '{name}' already; choose another name")
        made[name] = (
            AdditiveCost.from_csv(cost, space, name) if isinstance(cost, str | Path) else cost
        )
    for name, make in _FACTORIES.items():
        try:
            made[name] = _lifted(make(space.base), space, name)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the cost '{name}' cannot be made for the space '{space.name}' "
                f"({type(error).__name__}: {error}); correct its function"
            ) from error
    # A function that is wrong is found out now, and not after minutes of training.
    functions = {
        n: Checked(n, cost) for n, cost in made.items() if not isinstance(cost, AdditiveCost)
    }
    if functions:
        X = space.canonical(space.sample(TRIED, np.random.default_rng(0)))
        for cost in functions.values():
            cost(X)
    return made | functions


def _lifted(function: Any, space: SearchSpace, name: str) -> Any:
    """A cost of the base space as one of a restricted space."""
    if space is space.base or not callable(function):
        return function
    if isinstance(function, AdditiveCost):
        return AdditiveCost(space, function.table, function.constant, name=name)
    return lambda X: function(space.lift(X))


class Checked:
    """A function of somebody else's, whose every answer is looked at.

    Args:
        name: for messages.
        function: X (n, n_var) -> (n,).

    Raises:
        InputError: the function is none, or (when called) fails, or does not give one finite
            number a genome.
    """

    def __init__(self, name: str, function: Any) -> None:
        """Store both."""
        if not callable(function):
            raise InputError(
                f"the cost '{name}' is {function!r}; give a CSV file, or a function of genomes "
                "X (n, n_var) that returns (n,)"
            )
        self.name, self.function = name, function

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The function's answer, float64 (n,)."""
        genomes = np.asarray(X).view()
        genomes.flags.writeable = False  # a problem goes on with the same array
        try:
            values = np.asarray(self.function(genomes), dtype=float)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the cost '{self.name}' fails on genomes {genomes.shape} "
                f"({type(error).__name__}: {' '.join(str(error).split())}); correct its function"
            ) from error
        if values.shape != (len(genomes),):
            raise InputError(
                f"the cost '{self.name}' gives shape {values.shape} for {len(genomes)} genomes; "
                f"it must return ({len(genomes)},)"
            )
        if not np.isfinite(values).all():
            genome = genomes[np.flatnonzero(~np.isfinite(values))[0]].tolist()
            raise InputError(
                f"the cost '{self.name}' of genome {genome} is no finite number; correct its "
                "function"
            )
        return values
