"""Networks that start a search: read from a front.csv, kept in the run, filled up."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evonas.analysis.tables import write_table
from evonas.config import RunConfig
from evonas.errors import InputError
from evonas.operators import StratifiedSampling
from evonas.problems import ArchitectureProblem
from evonas.runs import RunFolder
from evonas.spaces import SearchSpace


def start_file(folder: RunFolder) -> Path:
    """The run's own copy of the networks that start its search."""
    return folder.path / "start.csv"


def read_networks(path: str | Path) -> list[str]:
    """The column "network" of a front.csv.

    Raises:
        InputError: the file is missing, is no CSV, or has no such column or no row.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a front.csv") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is no CSV file; give a front.csv") from None
    if not rows or not rows[0].get("network"):
        raise InputError(f"{path} has no networks in a column 'network'; give a front.csv")
    return [row["network"] for row in rows]


def write_networks(path: str | Path, networks: Sequence[str]) -> None:
    """Write what `read_networks` reads, atomically.

    Raises:
        InputError: the disk is full; the old file is unchanged.
    """
    write_table(path, (), np.empty((len(networks), 0)), texts=("network", networks))


def held_by(space: SearchSpace, networks: Sequence[str]) -> list[str]:
    """Those networks, as text, that a space holds, restricted or not."""
    X = np.stack([space.base.encode(text) for text in networks])
    return [networks[place] for place in np.flatnonzero(space.holds(X)).tolist()]


def with_start(problem: ArchitectureProblem, networks: list[str], config: RunConfig) -> np.ndarray:
    """An initial population: the given networks, filled up with networks spread over the cost.

    A joint search has learnt already what else is worth an evaluation: there nothing is filled up.
    """
    size, seed = config.pop_size, config.seed
    given = problem.space.canonical(np.stack([problem.space.encode(text) for text in networks]))
    given = given[np.sort(np.unique(given, axis=0, return_index=True)[1])]
    missing = size - len(given)
    if missing <= 0 or config.joint:
        return given
    spread = StratifiedSampling()(problem, size, random_state=np.random.default_rng(seed))
    more = problem.space.canonical(spread.get("X").astype(np.int64))
    known = {row.tobytes() for row in given}
    new = np.array([row for row in more if row.tobytes() not in known]).reshape(-1, given.shape[1])
    keep = np.round(np.linspace(0, len(new) - 1, min(missing, len(new)))).astype(int)
    return np.vstack([given, new[keep]])
