"""Searches that train every network on a Ray cluster: on 1 and 2 workers, and simulated on more.

    python benchmarks/scale_out.py --output docs [--rounds 4] [--networks 24] [--evaluations 24]

Each worker has one thread and is pinned to a core of its own; this process, which drives, shares
the cores with them. All is measured in one cluster. Of what is done in rounds the median is told,
the smallest and the largest.

- overhead: a thousand trials that train nothing, and give what a training gives: an error, a loss,
  and the first weights of their network. By random search, with all files and the journal that a
  run writes and the forgetting of weights; with 1 worker and with 2, in generations of a hundred,
  and with all thousand under way at once on the 2. `busy` are the seconds that the driver has with
  each: all but resting in `ray.wait`. There and back: a single one under way, from its submission
  until its result is there, without the seconds of the worker.
- throughput: the same networks of `plain` on the digits, trained as `--from-scratch` does, handed
  in at once; in each round with 1 worker and with 2, in the next one the other way round. Told are
  ratios within rounds; and by the times that 1 worker took in a round, trial after trial, what
  `cluster_simulation` makes of 2 workers, against what they did in it.
- searches: `screened` on the digits with 2 workers, by whole generations and asynchronously, each
  round with a seed of its own. `busy` as above, without the asks, per trial. Then 1 worker trains
  what both have evaluated again, by the same seed and in one go: by these times, in the order in
  which the search asked for its networks, it is simulated. The search itself gives its mean ask,
  and the searches of its mode the seconds that the driver is busy with a trial (their median).
- asks: of `screened`, for one network and for a hundred, when it knows 50 to 5,000 and fits its
  models anew, as it does where enough results have come since: up to 1,500 networks a Gaussian
  process, beyond it trees. And what it takes to tell it of one more result, which `busy` holds for
  the few networks of the searches only.
- spread: networks of `macro` on CIFAR-10 (EVONAS_DATA), all sizes, trained on a few images for an
  epoch on one thread; times the images and epochs of the default recipe.

1 to 1,000 workers are simulated, and drawn, with this spread: each ask takes what the dearest of
these took, and a trial keeps the driver busy for the largest `busy` of all (of searches the median
of a mode).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import ray
import torch
from cluster_simulation import MODES, WORKERS, Costs, Schedule, draw, simulate, table
from pymoo.core.population import Population

from evonas.atomic import write_text_atomic
from evonas.cluster import Cluster, ClusterTrainers, connect
from evonas.cluster.trials import evonas_trial
from evonas.config import ScratchConfig
from evonas.data import get_data
from evonas.errors import InputError
from evonas.operators import StratifiedSampling
from evonas.problems import ScratchProblem, get_problem
from evonas.runs import Journal, drive
from evonas.search import get_algorithm
from evonas.search.screened import CHOSEN, INITIAL
from evonas.search.surrogate import MOST_POINTS
from evonas.spaces import get_space
from evonas.training.recipes import settle_for

# Trials that train nothing, and those of which a single one is under way.
TRIVIAL, SINGLE = 1000, 100
# Of CIFAR-10: networks of all sizes, and images that each is trained on.
SIZES, IMAGES = 24, 1000
# Of asks: networks that are known, and that are asked for; and how often each is made.
KNOWN, WANTED, REPEATS = (50, 200, 500, MOST_POINTS, 2000, 5000), (1, 100), 3


def timed_trial(kit: Any, trial: Any, weights: Any, threads: int) -> Any:
    """A trial whose seconds are those of all that the worker does for it."""
    start = time.perf_counter()
    done: Any = evonas_trial(kit, trial, weights, threads)
    return replace(done, seconds=time.perf_counter() - start)


def no_trial(kit: Any, trial: Any, weights: Any, threads: int) -> Any:
    """A trial that trains nothing, and gives what one does: error and loss by formula, weights."""
    from evonas.training.scratch import Trained

    start = time.perf_counter()
    torch.set_num_threads(threads)
    space, _ = kit.open()
    state = {name: value.detach() for name, value in space.build(trial.genome).state_dict().items()}
    error = 10.0 + 80.0 / (1 + sum(trial.genome))
    return Trained(error, error / 30, 50.0, time.perf_counter() - start, state)


def pin(cluster: Cluster) -> None:
    """Give each worker process a core of its own."""

    def who() -> int:
        time.sleep(1.0)  # so that each is asked by another one
        return os.getpid()

    remote = ray.remote(**cluster.resources)(who)
    pids = sorted(set(ray.get([remote.remote() for _ in range(cluster.workers)])))
    cores = sorted(os.sched_getaffinity(0))
    for pid, core in zip(pids, cores, strict=False):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {core})


@dataclass
class Waiting:
    """Seconds that the driver waited for Ray, and rested; what it computes meanwhile is work.

    A look that found nothing is all rest: nobody waited for its end.
    """

    seconds: float = 0.0

    @contextmanager
    def watched(self) -> Iterator["Waiting"]:
        """Watch `ray.wait` meanwhile."""
        real = ray.wait

        def wait(*given: Any, **settings: Any) -> Any:
            start, computed = time.perf_counter(), time.thread_time()
            ready, others = real(*given, **settings)
            rested = time.perf_counter() - start
            if ready:
                rested -= time.thread_time() - computed
            self.seconds += max(0.0, rested)
            return ready, others

        ray.wait = wait
        try:
            yield self
        finally:
            ray.wait = real


def on(problem: ScratchProblem, cluster: Cluster, task: Callable[..., Any]) -> ScratchProblem:
    """The problem with its trainings on a cluster."""
    trainers = ClusterTrainers(cluster)
    trainers.task = task
    problem.trainers = trainers
    return problem


def note_in(trials: dict[str, float]) -> Callable[[Any], None]:
    """What notes the seconds of a training by its network; for `on_training` of a problem."""

    def note(done: Any) -> None:
        trials[done.network] = done.seconds

    return note


def digits(**settings: Any) -> ScratchProblem:
    """Networks of `plain` on the digits, by default settings."""
    problem = get_problem("digits-params", "plain", scratch=True, **settings)
    assert isinstance(problem, ScratchProblem)
    return problem


def sample(problem: ScratchProblem, n: int) -> np.ndarray:
    """Networks of all sizes, canonical and distinct, in any order."""
    random_state = np.random.default_rng(1)
    X = StratifiedSampling()(problem, n, random_state=random_state).get("X")
    X = np.unique(problem.canonical(np.asarray(X, dtype=int)), axis=0)
    return random_state.permutation(X)


def overhead(clusters: dict[int, Cluster]) -> dict[str, float]:
    """Seconds of trials that train nothing: of all, of the driver for each, and there and back."""
    told = {}
    at_once = clusters | {TRIVIAL: replace(clusters[2], asked=TRIVIAL)}
    for n, cluster in at_once.items():
        with tempfile.TemporaryDirectory() as folder:
            problem = on(digits(folder=f"{folder}/trainings"), cluster, no_trial)
            algorithm = get_algorithm("random", problem, pop_size=max(100, n))
            waiting = Waiting()
            with Journal(f"{folder}/journal.jsonl") as journal, waiting.watched():
                start = time.perf_counter()
                done = drive(problem, algorithm, evaluations=TRIVIAL, seed=1, journal=journal)
                wall = time.perf_counter() - start
        told[f"wall_{n}"] = wall
        told[f"busy_{n}"] = (wall - waiting.seconds) / done.evaluations
    told["there_and_back"] = there_and_back(clusters[1])
    return told


def there_and_back(cluster: Cluster) -> float:
    """Median seconds of a trial, the only one under way, but those that its worker takes."""
    problem = on(digits(), cluster, no_trial)
    ways = []
    with problem.trainers.open(
        problem.space, problem.data, at_once=1, stop=lambda: False, checkpoint=lambda key: None
    ) as trials:
        for x in sample(problem, SINGLE):
            (trial,) = problem.missing(x)
            start = time.perf_counter()
            trials.submit(trial)
            done: Any = trials.ended()[1]
            ways.append(time.perf_counter() - start - done.seconds)
    return median(ways)


@dataclass(frozen=True)
class Batch:
    """Trainings that were handed in at once.

    Attributes:
        rate: trainings per second.
        trials: seconds of each, in the order in which they ended.
    """

    rate: float
    trials: list[float]


def throughput(clusters: dict[int, Cluster], networks: int, rounds: int) -> list[dict[int, Batch]]:
    """In each round the same networks, by each number of workers; in turn, to and fro."""
    X = sample(digits(), networks)
    told = []
    for number in range(rounds):
        done = {}
        for n in sorted(clusters, reverse=number % 2 == 1):
            problem = on(digits(), clusters[n], timed_trial)
            trials: dict[str, float] = {}
            problem.on_training = note_in(trials)
            start = time.perf_counter()
            problem.evaluate(X)
            done[n] = Batch(len(X) / (time.perf_counter() - start), list(trials.values()))
        told.append(done)
    return told


@dataclass(frozen=True)
class Searched:
    """One search.

    Attributes:
        seconds: of all of it.
        busy: of the driver for each trial, without asks; telling the algorithm is part of it.
        asks: seconds of each.
        trials: seconds of each, by network, in the order in which these were asked for.
    """

    seconds: float
    busy: float
    asks: list[float]
    trials: dict[str, float]


def searched(cluster: Cluster, evaluations: int, seed: int, asynchronous: bool) -> Searched:
    """Search the digits."""
    trials: dict[str, float] = {}
    asks: list[float] = []
    asked: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        problem = on(digits(folder=f"{folder}/trainings", seed=seed), cluster, timed_trial)
        problem.on_training = note_in(trials)
        algorithm = get_algorithm("screened", problem)
        ask = type(algorithm).ask

        def timed_ask(self: Any) -> Any:
            start = time.perf_counter()
            infills = ask(self)
            asks.append(time.perf_counter() - start)
            if infills is not None:
                asked.extend(map(problem.space.decode, problem.canonical(infills.get("X"))))
            return infills

        type(algorithm).ask = timed_ask
        waiting = Waiting()
        try:
            with Journal(f"{folder}/journal.jsonl") as journal, waiting.watched():
                start = time.perf_counter()
                drive(
                    problem,
                    algorithm,
                    evaluations=evaluations,
                    seed=seed,
                    journal=journal,
                    asynchronous=asynchronous,
                )
                wall = time.perf_counter() - start
        finally:
            del type(algorithm).ask
    busy = (wall - waiting.seconds - sum(asks)) / len(trials)
    return Searched(wall, busy, asks, {name: trials[name] for name in asked if name in trials})


def alone(cluster: Cluster, networks: Iterable[str], seed: int) -> dict[str, float]:
    """Seconds of trainings by 1 worker, by network, each of these once."""
    problem = on(digits(seed=seed), cluster, timed_trial)
    trials: dict[str, float] = {}
    problem.on_training = note_in(trials)
    problem.evaluate(np.stack([problem.space.encode(name) for name in dict.fromkeys(networks)]))
    return trials


@dataclass(frozen=True)
class Round:
    """Searches by one seed.

    Attributes:
        searches: by mode, with 2 workers.
        alone: seconds of their trainings with 1, by network.
    """

    searches: dict[str, Searched]
    alone: dict[str, float]

    def times(self, mode: str) -> np.ndarray:
        """Seconds of the trainings of a search with 1 worker, in the order of the search."""
        return np.array([self.alone[name] for name in self.searches[mode].trials])

    def simulated(self, mode: str, busy: float, way: float) -> Schedule:
        """A search by these times, and by its mean ask."""
        costs = Costs(self.times(mode), float(np.mean(self.searches[mode].asks)), busy, way)
        return simulate(
            costs,
            2,
            len(costs.trial),
            mode=mode,
            generation=CHOSEN,
            initial=INITIAL,
            seed=None,
        )


def searches(clusters: dict[int, Cluster], evaluations: int, rounds: int) -> list[Round]:
    """Searches by both modes, in turn, to and fro; and what they trained, with 1 worker."""
    told = []
    for seed in range(1, rounds + 1):
        done = {
            mode: searched(clusters[2], evaluations, seed, mode == "asynchronous")
            for mode in (MODES if seed % 2 else reversed(MODES))
        }
        networks = [name for search in done.values() for name in search.trials]
        told.append(Round(done, alone(clusters[1], networks, seed)))
    return told


def asks() -> tuple[dict[tuple[int, int], float], dict[int, float]]:
    """Median seconds of an ask of `screened` that fits its models anew, and of telling it.

    Returns:
        Networks known, networks wanted -> seconds of an ask; networks known -> seconds to tell it
        of one more.
    """
    problem = digits()
    random_state = np.random.default_rng(1)
    X = problem.canonical(problem.space.sample(4 * max(KNOWN), random_state))
    X = random_state.permutation(np.unique(X, axis=0))
    error = 10 + 60 * np.exp(-problem.cheap_values(X)[:, 0] / 3e5) + random_state.random(len(X))
    problem.remember(X, np.column_stack([error, problem.cheap_values(X)[:, 0]]))
    asked: dict[tuple[int, int], float] = {}
    told: dict[int, float] = {}
    for known in KNOWN:
        tells = []
        for wanted in WANTED:
            seconds = []
            for seed in range(1, REPEATS + 1):
                # It has no models yet; when they are stale, it throws them away first.
                algorithm = get_algorithm("screened", problem)
                algorithm.setup(problem, termination=("n_eval", 2**31), seed=seed)
                first, one = Population.new(X=X[:known]), Population.new(X=X[known : known + 1])
                for members in (first, one):
                    algorithm.evaluator.eval(problem, members, algorithm=algorithm)
                algorithm.start_from(first)
                start = time.perf_counter()
                algorithm.ask_for(wanted)
                seconds.append(time.perf_counter() - start)
                start = time.perf_counter()
                algorithm.tell(infills=one)
                tells.append(time.perf_counter() - start)
            asked[known, wanted] = median(seconds)
        told[known] = median(tells)
    return asked, told


def spread() -> np.ndarray:
    """Seconds of trainings on CIFAR-10 by the default recipe, on one thread, (SIZES,)."""
    whole = get_data("cifar10")
    data = get_data("cifar10", train_images=IMAGES, validation=250)
    space = get_space("macro", 10, data.input_shape)
    config = settle_for(ScratchConfig(), whole, threads=1)
    assert config.epochs
    few = ScratchProblem(space, data, config=replace(config, epochs=1))
    X = sample(few, SIZES)
    seconds: list[float] = []
    few.on_training = lambda done: seconds.append(done.seconds)
    torch.set_num_threads(1)
    few.evaluate(X[:1])  # once, for what is slow the first time
    seconds.clear()
    few.evaluate(X)
    return np.array(seconds) * config.epochs * len(whole.train) / IMAGES


class Table:
    """Rows of quantities, printed as they come."""

    def __init__(self) -> None:
        """No rows yet."""
        self.rows: list[tuple[str, str, float]] = []

    def say(self, what: str, of: str, value: float | Sequence[float]) -> None:
        """A row; of what was measured in rounds three."""
        if isinstance(value, Sequence):
            for name, one in (("median", median), ("smallest", min), ("largest", max)):
                self.say(what, f"{of}, {name}", one(value))
            return
        self.rows.append((what, of, value))
        print(f"{what:30} {of:62} {value:10.4g}", flush=True)


def compare_batches(told: Table, rounds: list[dict[int, Batch]], busy: float, way: float) -> None:
    """Tell of `throughput`, and of what is simulated by the times of 1 worker."""
    what = "digits, trainings a second"
    for n in rounds[0]:
        told.say(what, f"workers: {n}", [one[n].rate for one in rounds])
        seconds = float(np.mean([one[n].trials for one in rounds]))
        told.say("digits, seconds of a training", f"workers: {n}, mean", seconds)
    told.say(what, "2 workers / 1 worker", [one[2].rate / one[1].rate for one in rounds])
    ratios = []
    for one in rounds:
        costs, n = Costs(np.array(one[1].trials), 0.0, busy, way), len(one[1].trials)
        done = simulate(costs, 2, n, mode="synchronous", generation=n, seed=None)
        ratios.append(done.per_second / one[2].rate)
    told.say(what, "2 workers, simulated / measured", ratios)


def compare_searches(told: Table, rounds: list[Round], mode: str, way: float) -> float:
    """Tell of the searches of a mode, measured and simulated; seconds that a trial keeps busy."""

    def say(of: str, values: Sequence[float]) -> None:
        told.say(f"digits, {mode} search", of, values)

    done = [one.searches[mode] for one in rounds]
    busy = median(one.busy for one in done)
    simulated = [one.simulated(mode, busy, way) for one in rounds]
    trained = [sum(one.trials.values()) for one in done]
    shares = [a / (2 * one.seconds) for a, one in zip(trained, done, strict=True)]
    say("seconds", [one.seconds for one in done])
    say("efficiency", shares)
    say("seconds of an ask", [float(np.mean(one.asks)) for one in done])
    say("busy", [one.busy for one in done])
    say("seconds of its trainings, 2 workers / 1 worker",
        [a / one.times(mode).sum() for a, one in zip(trained, rounds, strict=True)])  # fmt: skip
    say("seconds, simulated / measured",
        [a.makespan / one.seconds for a, one in zip(simulated, done, strict=True)])  # fmt: skip
    say("efficiency, simulated / measured",
        [a.efficiency / share for a, share in zip(simulated, shares, strict=True)])  # fmt: skip
    return busy


def main() -> int:
    """Measure, simulate, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of tables and figure")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--evaluations", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    told = Table()
    with connect(workers=2, cpus=1) as two:
        clusters = {1: replace(two, asked=1), 2: two}
        on(digits(), two, timed_trial).evaluate(sample(digits(), 8))  # workers start and import
        pin(two)
        trivial = overhead(clusters)
        for name, value in trivial.items():
            told.say("trials that train nothing", name, value)
        way = trivial["there_and_back"] / 2
        batches = throughput(clusters, arguments.networks, arguments.rounds)
        compare_batches(told, batches, trivial["busy_2"], way)
        rounds = searches(clusters, arguments.evaluations, arguments.rounds)
    busy = max(value for name, value in trivial.items() if name.startswith("busy"))
    busy = max(busy, *(compare_searches(told, rounds, mode, way) for mode in MODES))

    propose = 0.0
    asked, tells = asks()
    for (known, wanted), value in asked.items():
        told.say("screened, seconds of an ask", f"{wanted} of {known} known", value)
        propose = max(propose, value)
    for known, value in tells.items():
        told.say("screened, seconds of a tell", f"{known} known", value)
    times = spread()
    told.say("cifar10, seconds of a training", "mean", float(times.mean()))
    deviation = float(times.std() / times.mean())
    told.say("cifar10, seconds of a training", "standard deviation / mean", deviation)
    of: dict[str, Any] = {
        "trial": times,
        "propose": [propose],
        "overhead": [busy],
        "latency": [way],
    }
    pairs = [(kind, s) for kind, several in of.items() for s in several]
    arguments.output.mkdir(parents=True, exist_ok=True)

    def write(name: str, frame: pd.DataFrame) -> None:
        csv = frame.to_csv(index=False, float_format="%.5g", lineterminator="\n")
        write_text_atomic(arguments.output / name, csv)

    write("scale_out_times.csv", pd.DataFrame(pairs, columns=["kind", "seconds"]))
    costs = Costs(times, propose, busy, way)
    simulated: list[dict[str, Any]] = table(costs, WORKERS)
    write("scale_out_simulated.csv", pd.DataFrame(simulated))
    draw(simulated, arguments.output / "scale_out.png")
    for row in simulated:
        if row["workers"] == max(WORKERS):
            for name, key in (("whole search", "efficiency"), ("steady", "steady")):
                told.say("simulated, 1,000 workers", f"{row['arm']}, {name}", row[key])
    write("scale_out.csv", pd.DataFrame(told.rows, columns=["what", "of", "value"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"scale_out: {error}", file=sys.stderr)
        sys.exit(2)
