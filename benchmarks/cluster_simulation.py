"""How busy 1 to 1,000 workers are kept by a search that trains every network, simulated.

    python benchmarks/cluster_simulation.py TIMES.csv --table TABLE.csv --figure FIGURE.png

TIMES.csv has columns kind and seconds; kinds are trial (as many as were measured), propose,
overhead and latency, whose means are taken; see `Costs`.

One driver proposes networks, submits their trials and takes in results, one thing after the other;
each trial runs on one worker. A search either waits for a whole generation before it proposes the
next (synchronous) or proposes anew for every worker that is free (asynchronous). Generations are as
many networks as workers, or four; asynchronously one ask is for all workers that are free when the
driver comes to it.

Each search has 20 trials per worker: workers fill up and run dry in a few of them, and in the rest
they do what they would in a search of any length. So what the whole search reaches depends on that
number, and what it reaches in between (`steady`: from when all workers have started until the last
trial has been submitted) does not. Prints and writes means over seeds, which draw the trials.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evonas.analysis.drawing import BLUE, GREY, ORANGE, plain_ticks, save, style
from evonas.analysis.tables import read_table
from evonas.atomic import write_text_atomic
from evonas.errors import InputError, unknown

MODES = ("asynchronous", "synchronous")
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
TRIALS = 20  # per worker
# Ways to search: settings of `simulate`.
ARMS: dict[str, dict] = {
    "asynchronous": {"mode": "asynchronous"},
    "synchronous, one per worker": {"mode": "synchronous", "generation": None},
    "synchronous, four at a time": {"mode": "synchronous", "generation": 4},
}
COLOURS = dict(zip(ARMS, (BLUE, ORANGE, GREY), strict=True))


@dataclass(frozen=True, eq=False)
class Costs:
    """What takes how long, in seconds.

    Attributes:
        trial: measured times of trials, (k,); a trial takes one of them, drawn with replacement.
        propose: of the driver for an ask, however many networks it is for.
        overhead: of the driver for a trial: half to submit it, half to take its result in.
        latency: from the submission to the start on a free worker, and again from the end of the
            trial until the driver can take its result in.
    """

    trial: np.ndarray
    propose: float = 0.0
    overhead: float = 0.0
    latency: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("trial", "propose", "overhead", "latency"):
            seconds = np.asarray(getattr(self, name), dtype=float)
            if not (seconds.size and np.isfinite(seconds).all() and (seconds >= 0).all()):
                raise InputError(f"{name} holds what is no time; give seconds, from 0 on")
        if not np.max(self.trial) > 0:
            raise InputError("all trials take 0 seconds; give measured times")

    @classmethod
    def load(cls, path: Path | str) -> "Costs":
        """Read measured times, a row each: columns kind and seconds.

        Raises:
            InputError: the file is no such table, or a kind is missing or unknown.
        """
        kinds, columns, values = read_table(path, text="kind", required=["seconds"])
        seconds = values[:, columns.index("seconds")]
        known = ("trial", "propose", "overhead", "latency")
        for kind in set(kinds) - set(known):
            raise unknown("kind of time", kind, known)
        by_kind = {kind: seconds[np.array(kinds) == kind] for kind in known}
        for kind in known:
            if not by_kind[kind].size:
                raise InputError(f"{path} has no row of kind {kind}; measure it, or give 0 seconds")
        trial = by_kind.pop("trial")
        return cls(trial, **{kind: float(times.mean()) for kind, times in by_kind.items()})


@dataclass(frozen=True, eq=False)
class Schedule:
    """When each trial was where; arrays are (trials,), in the order of submission, in seconds.

    Attributes:
        workers: how many there are.
        first: networks of the first ask.
        seconds: what trials take.
        submitted: when the driver had submitted them.
        started: when they started on a worker.
        taken: when the driver had taken their results in.
        worker: where they ran, int.
        asks: how often the driver proposed.
        driver: seconds that it was busy.
    """

    workers: int
    first: int
    seconds: np.ndarray = field(repr=False)
    submitted: np.ndarray = field(repr=False)
    started: np.ndarray = field(repr=False)
    taken: np.ndarray = field(repr=False)
    worker: np.ndarray = field(repr=False)
    asks: int
    driver: float

    @property
    def makespan(self) -> float:
        """Seconds until the last result has been taken in."""
        return float(self.taken.max())

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that trials ran."""
        return float(self.seconds.sum() / (self.workers * self.makespan))

    @property
    def steady(self) -> float:
        """The same without filling up and running dry; NaN where there is nothing in between.

        It begins when the first ask has started on as many workers as it has networks for, and ends
        when the last trial has been submitted.
        """
        begin = self.started[: min(self.workers, self.first)].max()
        end = self.submitted.max()
        if end <= begin:
            return float("nan")
        ended = self.started + self.seconds
        within = np.minimum(ended, end) - np.maximum(self.started, begin)
        return float(np.maximum(within, 0.0).sum() / (self.workers * (end - begin)))

    @property
    def idle(self) -> np.ndarray:
        """Share of the makespan that each worker ran nothing, (workers,)."""
        busy = np.bincount(self.worker, weights=self.seconds, minlength=self.workers)
        return 1 - busy / self.makespan

    @property
    def driver_utilisation(self) -> float:
        """Share of the makespan that the driver was busy."""
        return self.driver / self.makespan

    @property
    def per_second(self) -> float:
        """Trials per second."""
        return len(self.seconds) / self.makespan


def simulate(
    costs: Costs,
    workers: int,
    trials: int,
    *,
    mode: str,
    generation: int | None = 4,
    initial: int | None = None,
    batch: int | None = None,
    seed: int | None = 0,
) -> Schedule:
    """A search on a cluster, event by event.

    The driver takes in all results that have arrived, proposes where the mode says so, submits what
    it proposed, and begins again; it rests when there is nothing to do. Trials that find no free
    worker wait in the order of submission.

    Args:
        costs: of everything.
        workers: trials that run at once.
        trials: of the whole search; the last ask is for what is left of them.
        mode: a member of `MODES`.
        generation: networks of a synchronous ask; None: as many as workers.
        initial: networks of the first ask; None: as many as of a later one. Asynchronously they are
            never fewer than workers.
        batch: the most networks of an asynchronous ask but the first; None: for all free workers.
        seed: of the times of trials, which are the same in all modes; None: trial after trial
            takes what was measured of it.

    Raises:
        InputError: the mode is unknown, or a number is below 1.
    """
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    generation = workers if generation is None else generation
    batch = workers if batch is None else batch
    synchronous = mode == "synchronous"
    if initial is None:
        initial = generation if synchronous else workers
    for name, value in {
        "workers": workers,
        "trials": trials,
        "generation": generation,
        "initial": initial,
        "batch": batch,
    }.items():
        if value < 1:
            raise InputError(f"{name} is {value}; give 1 or more")
    first = initial if synchronous else max(initial, workers)

    seconds = np.asarray(costs.trial, dtype=float)
    if seed is not None:
        seconds = np.random.default_rng(seed).choice(seconds, trials)
    elif len(seconds) != trials:
        raise InputError(f"{len(seconds)} trials were measured, not {trials}; give a seed")
    submitted, started, taken = np.zeros((3, trials))
    worker = np.zeros(trials, dtype=int)
    free = [(0.0, number) for number in range(workers)]  # since when, or from when on; a heap
    arrivals: list[tuple[float, int]] = []  # of results at the driver, and whose; a heap
    now, rested, asks, given = 0.0, 0.0, 0, 0
    while True:
        while arrivals and arrivals[0][0] <= now:
            now += costs.overhead / 2
            taken[heappop(arrivals)[1]] = now
        if not asks:
            wanted = first
        elif synchronous:
            wanted = 0 if arrivals else generation
        else:
            wanted = min(workers - len(arrivals), batch)
        wanted = min(wanted, trials - given)
        if wanted > 0:
            asks += 1
            now += costs.propose
            for trial in range(given, given + wanted):
                now += costs.overhead / 2
                since, number = heappop(free)
                start = max(now + costs.latency, since)
                end = start + float(seconds[trial])
                submitted[trial], started[trial], worker[trial] = now, start, number
                heappush(free, (end, number))
                heappush(arrivals, (end + costs.latency, trial))
            given += wanted
        elif arrivals:
            rested += arrivals[0][0] - now
            now = arrivals[0][0]
        else:
            break
    return Schedule(
        workers, first, seconds, submitted, started, taken, worker, asks, driver=now - rested
    )


def table(
    costs: Costs,
    workers: Sequence[int] = WORKERS,
    *,
    trials: int = TRIALS,
    seeds: int = 10,
) -> list[dict[str, object]]:
    """A row for each of `ARMS` and number of workers: means over seeds.

    Columns are quantities of `Schedule`; `driver` is a share, `per_ask` the networks of an ask.

    Args:
        costs: of everything.
        workers: numbers of them.
        trials: per worker.
        seeds: how many.
    """
    rows: list[dict[str, object]] = []
    for arm, settings in ARMS.items():
        for number in workers:
            done = [
                simulate(costs, number, trials * number, seed=seed, **settings)
                for seed in range(seeds)
            ]
            means = {
                "makespan": [one.makespan for one in done],
                "efficiency": [one.efficiency for one in done],
                "steady": [one.steady for one in done],
                "idle": [one.idle.mean() for one in done],
                "driver": [one.driver_utilisation for one in done],
                "per_second": [one.per_second for one in done],
                "per_ask": [trials * number / one.asks for one in done],
            }
            rows.append(
                {"arm": arm, "workers": number, "trials": trials * number}
                | {name: float(np.mean(values)) for name, values in means.items()}
            )
    return rows


def draw(rows: Sequence[dict[str, object]], path: Path) -> None:
    """Efficiency and idle shares over the number of workers."""
    frame = pd.DataFrame(rows)
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for arm, part in frame.groupby("arm", sort=False):
        for ax, whole, steady in (
            (left, part["efficiency"], part["steady"]),
            (right, part["idle"], 1 - part["steady"]),
        ):
            look = {"color": COLOURS[str(arm)], "markersize": 4}
            ax.plot(part["workers"], 100 * steady, "o-", label=arm, **look)
            ax.plot(part["workers"], 100 * whole, ":", **look)
    trials = int(frame["trials"].iloc[0] / frame["workers"].iloc[0])
    left.plot([], [], "k:", label=f"whole search, {trials} trials per worker")
    style(left, "workers' time that trials run")
    style(right, "workers' time idle")
    left.set(ylabel="efficiency [%]", ylim=(0, 103))
    right.set(ylabel="idle share [%]", yscale="log")
    for ax in (left, right):
        ax.set(xlabel="workers", xscale="log")
        plain_ticks(ax.xaxis, True)
    plain_ticks(right.yaxis, True)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize="small"
    )
    save(figure, path)


def main() -> int:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("times", type=Path, help="CSV of measured times: kind, seconds")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="PNG to write")
    parser.add_argument("--workers", type=int, nargs="+", default=list(WORKERS))
    parser.add_argument("--trials", type=int, default=TRIALS, help="per worker")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds: give one or more")
    try:
        rows = table(
            Costs.load(arguments.times),
            arguments.workers,
            trials=arguments.trials,
            seeds=arguments.seeds,
        )
        frame = pd.DataFrame(rows)
        csv = frame.to_csv(index=False, float_format="%.4g", lineterminator="\n")
        write_text_atomic(arguments.table, csv)
        draw(rows, arguments.figure)
    except InputError as error:
        print(f"cluster_simulation: {error}", file=sys.stderr)
        return 2
    print(frame.to_string(index=False, float_format="%.4g"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
