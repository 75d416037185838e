"""Measure a space on the device at hand, and write the table that `--cost` reads."""

from __future__ import annotations

import csv
import io
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evonas.atomic import write_text_atomic
from evonas.config import LatencyConfig
from evonas.data.registry import find_data
from evonas.data.source import Request
from evonas.device import cpu_threads, kind_of, resolve_device
from evonas.errors import InputError
from evonas.latency.design import make_design
from evonas.latency.fit import Agreement, fit_table
from evonas.problems import AdditiveCost
from evonas.problems.defaults import defaults_for
from evonas.problems.published import TABLES
from evonas.problems.registry import data_of
from evonas.runs import Progress, open_progress
from evonas.spaces import SearchSpace, get_space

# Below this rank correlation, or above this mean relative error, a table is said to be bad.
GOOD_TAU, GOOD_ERROR = 0.8, 0.15


@dataclass(frozen=True, eq=False)
class Latency:
    """A measured space.

    Attributes:
        cost: milliseconds of a batch as a function of genomes.
        fitted: networks that the table was fitted to.
        checked: genomes of the other networks, int64 (n, n_var).
        measured: their median milliseconds, (n,).
        adds_up: how the sums of the table agree with these.
        repeats: how even rounds agree with odd ones: what the noise of the machine allows.
        batch_size: images of a batch.
        threads: CPU threads.
        device: name of the device.
        rounds: visits of each network.
    """

    cost: AdditiveCost
    fitted: int
    checked: np.ndarray
    measured: np.ndarray
    adds_up: Agreement
    repeats: Agreement
    batch_size: int
    threads: int
    device: str
    rounds: int

    def __str__(self) -> str:
        """Lines for people."""
        space, low, high = self.cost.space, self.measured.min(), self.measured.max()
        shape = "x".join(map(str, space.input_shape))
        return "\n".join(
            [
                f"latency of {space.name} for {shape} on {self.device}, batch size "
                f"{self.batch_size}, threads {self.threads}: medians of {self.rounds} rounds, "
                f"{self.fitted} networks fitted",
                f"adds up      Kendall's tau {self.adds_up.tau:.2f}, mean error "
                f"{self.adds_up.error:.1%}, with {len(self.measured)} other networks measured "
                f"whole ({low:.3g} to {high:.3g} ms)",
                f"repeats      tau {self.repeats.tau:.2f}, mean difference "
                f"{self.repeats.error:.1%}: these networks in even against odd rounds",
                *([self.warning] if self.warning else []),
            ]
        )

    @property
    def warning(self) -> str:
        """What is to be said where the table adds up badly; empty where it does well."""
        if self.adds_up.tau >= GOOD_TAU and self.adds_up.error <= GOOD_ERROR:
            return ""
        bad = "it adds up badly: a search by this table would take the wrong networks"
        if self.repeats.tau < GOOD_TAU or self.repeats.error > GOOD_ERROR:
            return f"{bad}; the times do not even repeat: let the machine rest, or raise --rounds"
        return f"{bad}; here the time of a network is no sum over its choices"

    def write(self, path: str | Path) -> None:
        """Write the table as CSV: the constant part first, then a row for each choice.

        Raises:
            InputError: the folder cannot be written.
        """
        space = self.cost.space
        how = {
            "unit": "ms",
            "space": space.name,
            "input_shape": "x".join(map(str, space.input_shape)),
            "batch_size": self.batch_size,
            "threads": self.threads,
            "device": self.device,
            "rounds": self.rounds,
        }
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["gene", "choice", "label", "latency", *how])
        rest = ["", "", "all else, with the cheapest choices", f"{self.cost.constant:.6g}"]
        writer.writerow([*rest, *how.values()])
        for gene, choice in np.argwhere(space.allowed).tolist():
            value = f"{self.cost.table[gene, choice]:.6g}"
            writer.writerow([gene, choice, space.labels[gene][choice], value, *how.values()])
        write_text_atomic(path, file.getvalue())


def measure_latency(config: LatencyConfig, *, progress: Progress | None = None) -> Latency:
    """Measure whole networks, and fit a number for each choice of each gene to their times.

    Networks are those of canonical genomes at full width, in float32 and inference mode; the time
    of one is the median over all its passes.

    Args:
        config: what to measure, and how; nothing is written.
        progress: where to say how far it is; None shows nothing.

    Raises:
        InputError: a name is unknown, the space has too few networks, or there is no such device.
    """
    device = resolve_device(config.device)
    space = space_of(config)
    random_state = np.random.default_rng(config.seed)
    design = make_design(space, config.networks, random_state)
    progress = progress or open_progress(quiet=True)
    import torch

    from evonas.latency.timing import build_all, time_all

    X = np.concatenate([design.fitted, design.checked])
    generator = torch.Generator().manual_seed(config.seed)
    images = torch.randn(config.batch_size, *space.input_shape, generator=generator).to(device)
    with cpu_threads(config.threads):
        with progress.stage("building", len(X), "networks") as step:
            networks = build_all(space, X, images, step.advance)
        with progress.stage("measuring", config.rounds * len(X), "visits") as step:
            seconds = time_all(
                networks,
                images,
                rounds=config.rounds,
                random_state=random_state,
                advance=step.advance,
            )
    n = len(design.fitted)
    times = 1e3 * np.median(seconds, axis=(0, 1))
    table, constant = fit_table(space, design.fitted, times[:n])
    cost = AdditiveCost(space, table, constant, name="latency")
    even, odd = (np.median(seconds[i::2, :, n:], axis=(0, 1)) for i in (0, 1))
    gpu = kind_of(device) == "cuda"
    return Latency(
        cost=cost,
        fitted=n,
        checked=design.checked,
        measured=times[n:],
        adds_up=Agreement.of(cost(design.checked), times[n:]),
        repeats=Agreement.of(even, odd),
        batch_size=config.batch_size,
        threads=config.threads,
        device=torch.cuda.get_device_name(device) if gpu else f"cpu {platform.machine()}",
        rounds=config.rounds,
    )


def space_of(config: LatencyConfig) -> SearchSpace:
    """The space to measure: that of the problem, where one is named, for its images.

    Raises:
        InputError: a name is unknown, the data is missing, or neither space nor problem is named.
    """
    if config.problem is None:
        if config.space is None:
            raise InputError("name what to measure: give --space, or --problem for its space")
        return get_space(config.space, config.num_classes or 10, config.input_shape or (3, 32, 32))
    data = data_of(config.problem)
    if data in TABLES:
        table = TABLES[data]
        name, classes, shape = table.space, table.num_classes, table.input_shape
    else:
        # What a network computes on is in the images themselves; the test images stay sealed.
        part = find_data(data).read_search(Request(data_dir=config.data_dir))
        name, classes, shape = defaults_for(data, "cpu").space, len(part.class_names), part.shape
    return get_space(
        config.space or name, config.num_classes or classes, config.input_shape or shape
    )


def check_output(path: str | Path) -> Path:
    """The file to write, checked before anything is measured.

    Raises:
        InputError: it exists already, or its folder cannot be written.
    """
    path = Path(path).expanduser()
    if path.exists():
        raise InputError(f"there is a {path} already; name another file with --output")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write into the folder {path.parent}; make it, or name another")
    return path
