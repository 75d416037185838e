"""Searches that train every network on a Ray cluster: on 1 and 2 workers, and simulated on more.

    python benchmarks/scale_out.py --output docs [--rounds 3] [--networks 32] [--evaluations 40]

Each worker has one thread and is pinned to a core of its own; this process, which drives, shares
the cores with them. All is measured in turn, 1 worker and 2, in one cluster, and medians are taken.

- throughput: the same networks of `plain` on the digits, trained as `--from-scratch` does, handed
  in at once; 2 workers against 1.
- searches: `screened` on the digits, with 2 workers, by whole generations and asynchronously,
  beside what `cluster_simulation` makes of the times measured with 1 worker.
- overhead: trials that do nothing, a thousand of them: seconds that the driver is busy with each
  (all but waiting for Ray), and how long one takes from the driver to a worker and back; with the
  files and the journal that a run writes.
- asks: of `screened`, for one network and for a hundred, when it knows 50 to 2,000; the dearest is
  what every ask takes in the simulation of more workers.
- spread: networks of `macro` on CIFAR-10 (EVONAS_DATA), all sizes, trained on a few images for an
  epoch on one thread; times the images and epochs of the default recipe. They are what 1 to 1,000
  workers are simulated with, and drawn.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import ray
import torch
from cluster_simulation import WORKERS, Costs, draw, simulate, table
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
from evonas.spaces import get_space
from evonas.training.recipes import settle_for

TRIVIAL = 1000
# Of CIFAR-10: networks of all sizes, and images that each is trained on.
SIZES, IMAGES = 24, 1000
# Of asks: networks that are known, and that are asked for.
KNOWN, WANTED = (50, 200, 500, 2000), (1, 100)


def timed_trial(kit: Any, trial: Any, weights: Any, threads: int) -> Any:
    """A trial whose seconds are those of all that the worker does for it."""
    start = time.perf_counter()
    done = evonas_trial(kit, trial, weights, threads)
    return replace(done, seconds=time.perf_counter() - start)


def no_trial(kit: Any, trial: Any, weights: Any, threads: int) -> Any:
    """A trial that does nothing, and ends as one does: error and loss by formula."""
    from evonas.training.scratch import Trained

    error = 10.0 + 80.0 / (1 + sum(trial.genome))
    return Trained(error, error / 30, 50.0, 0.0, {})


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
    """Seconds and times that the driver waited for Ray."""

    seconds: float = 0.0

    @contextmanager
    def watched(self) -> Iterator["Waiting"]:
        """Watch `ray.wait` meanwhile."""
        real = ray.wait

        def wait(*given: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            try:
                return real(*given, **settings)
            finally:
                self.seconds += time.perf_counter() - start

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


def throughput(clusters: dict[int, Cluster], networks: int, rounds: int) -> dict[str, Any]:
    """Trainings per second of each number of workers, and the seconds of single ones."""
    X = sample(digits(), networks)
    rates: dict[int, list[float]] = {n: [] for n in clusters}
    seconds: dict[int, list[float]] = {n: [] for n in clusters}
    for _ in range(rounds):
        for n, cluster in clusters.items():
            problem = on(digits(), cluster, timed_trial)
            problem.on_training = lambda done, n=n: seconds[n].append(done.seconds)
            start = time.perf_counter()
            problem.evaluate(X)
            rates[n].append(len(X) / (time.perf_counter() - start))
    return {"rates": {n: median(each) for n, each in rates.items()}, "seconds": seconds}


def searched(cluster: Cluster, evaluations: int, seed: int, asynchronous: bool) -> dict[str, Any]:
    """One search: its seconds, those of its trials, and of each ask."""
    trials: list[float] = []
    asks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        problem = on(digits(folder=f"{folder}/trainings", seed=seed), cluster, timed_trial)
        problem.on_training = lambda done: trials.append(done.seconds)
        algorithm = get_algorithm("screened", problem)
        ask = type(algorithm).ask

        def timed_ask(self: Any) -> Any:
            start = time.perf_counter()
            try:
                return ask(self)
            finally:
                asks.append(time.perf_counter() - start)

        type(algorithm).ask = timed_ask
        try:
            with Journal(f"{folder}/journal.jsonl") as journal:
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
    return {"seconds": wall, "trials": trials, "asks": asks}


def overhead(clusters: dict[int, Cluster]) -> dict[str, float]:
    """Seconds that a trial that does nothing takes: of the driver, and there and back."""
    told = {}
    for n, cluster in clusters.items():
        with tempfile.TemporaryDirectory() as folder:
            problem = on(digits(folder=f"{folder}/trainings"), cluster, no_trial)
            algorithm = get_algorithm("random", problem, pop_size=100)
            waiting = Waiting()
            with Journal(f"{folder}/journal.jsonl") as journal, waiting.watched():
                start = time.perf_counter()
                done = drive(problem, algorithm, evaluations=TRIVIAL, seed=1, journal=journal)
                wall = time.perf_counter() - start
        told[f"wall_{n}"] = wall
        told[f"busy_{n}"] = (wall - waiting.seconds) / done.evaluations
        told[f"there_and_back_{n}"] = waiting.seconds / done.evaluations
    return told


def asks() -> dict[tuple[int, int], float]:
    """Median seconds of an ask of `screened`: networks known, networks wanted -> seconds."""
    problem = digits()
    random_state = np.random.default_rng(1)
    X = problem.canonical(problem.space.sample(4 * max(KNOWN), random_state))
    X = random_state.permutation(np.unique(X, axis=0))
    error = 10 + 60 * np.exp(-problem.cheap_values(X)[:, 0] / 3e5) + random_state.random(len(X))
    problem.remember(X, np.column_stack([error, problem.cheap_values(X)[:, 0]]))
    told = {}
    for known in KNOWN:
        for wanted in WANTED:
            algorithm = get_algorithm("screened", problem)
            algorithm.setup(problem, termination=("n_eval", 2**31), seed=1)
            first = Population.new(X=X[:known])
            algorithm.evaluator.eval(problem, first, algorithm=algorithm)
            algorithm.start_from(first)
            seconds = []
            for _ in range(5):
                start = time.perf_counter()
                algorithm.ask_for(wanted)
                seconds.append(time.perf_counter() - start)
            told[known, wanted] = median(seconds)
    return told


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


def main() -> int:
    """Measure, simulate, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of tables and figure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--evaluations", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[tuple[str, str, float]] = []

    def say(what: str, of: str, value: float) -> None:
        rows.append((what, of, value))
        print(f"{what:28} {of:44} {value:10.4g}", flush=True)

    with connect(workers=2, cpus=1) as two:
        clusters = {1: replace(two, asked=1), 2: two}
        on(digits(), two, timed_trial).evaluate(sample(digits(), 8))  # workers start and import
        pin(two)
        trivial = overhead(clusters)
        for name, value in trivial.items():
            say("trials that do nothing", name, value)
        busy, way = trivial["busy_1"], trivial["there_and_back_1"] / 2
        measured = throughput(clusters, arguments.networks, arguments.rounds)
        rates, seconds = measured["rates"], measured["seconds"]
        for n in clusters:
            say("digits, trainings a second", f"{n} workers", rates[n])
            say("digits, seconds of a training", f"{n} workers, mean", float(np.mean(seconds[n])))
        say("digits, trainings a second", "2 workers / 1 worker", rates[2] / rates[1])
        searches = {
            (n, mode): [
                searched(clusters[n], arguments.evaluations, seed, mode == "asynchronous")
                for seed in range(1, arguments.rounds + 1)
            ]
            for n, mode in ((1, "asynchronous"), (2, "synchronous"), (2, "asynchronous"))
        }
    propose = float(np.mean([s for d in searches[1, "asynchronous"] for s in d["asks"]]))
    say("screened, seconds of an ask", "mean", propose)
    for (n, mode), done in searches.items():
        # Each with its own networks, whose times with 1 worker are not known: those of the search.
        wall = median(d["seconds"] for d in done)
        share = [sum(d["trials"]) / (n * d["seconds"]) for d in done]
        say("digits, search", f"{n} workers, {mode}, seconds", wall)
        say("digits, search", f"{n} workers, {mode}, efficiency", median(share))
        told = []
        for d in done:
            costs = Costs(np.array(d["trials"]), float(np.mean(d["asks"])), busy, way)
            several = [
                simulate(
                    costs, n, len(d["trials"]), mode=mode, generation=4, initial=8, seed=seed
                ).efficiency
                for seed in range(20)
            ]
            told.append(float(np.mean(several)))
        say("digits, search", f"{n} workers, {mode}, simulated efficiency", median(told))
        say("digits, search", f"{n} workers, {mode}, simulated / measured",
            median(a / b for a, b in zip(told, share, strict=True)))  # fmt: skip
    # By the times that 1 worker took for the very same networks, in their order.
    X = np.array(seconds[1]).reshape(arguments.rounds, -1).mean(axis=0)
    one, other = (
        simulate(
            Costs(X, 0.0, busy, way), n, len(X), mode="synchronous", generation=len(X), seed=None
        ).per_second
        for n in (1, 2)
    )
    say("digits, trainings a second", "2 / 1 workers, simulated", other / one)
    say("digits, trainings a second", "2 workers, simulated / measured", other / rates[2])

    for (known, wanted), value in asks().items():
        say("screened, seconds of an ask", f"{wanted} of {known} known", value)
        propose = max(propose, value)
    times = spread()
    say("cifar10, seconds of a training", "mean", float(times.mean()))
    say("cifar10, seconds of a training", "standard deviation / mean",
        float(times.std() / times.mean()))  # fmt: skip
    of = {"trial": times, "propose": [propose], "overhead": [busy], "latency": [way]}
    pairs = [(kind, s) for kind, several in of.items() for s in several]
    arguments.output.mkdir(parents=True, exist_ok=True)

    def write(name: str, frame: pd.DataFrame) -> None:
        csv = frame.to_csv(index=False, float_format="%.5g", lineterminator="\n")
        write_text_atomic(arguments.output / name, csv)

    write("scale_out_times.csv", pd.DataFrame(pairs, columns=["kind", "seconds"]))
    costs = Costs(times, propose, busy, way)
    simulated = table(costs, WORKERS)
    write("scale_out_simulated.csv", pd.DataFrame(simulated))
    draw(simulated, arguments.output / "scale_out.png")
    for row in simulated:
        if row["workers"] == max(WORKERS):
            say("simulated, 1,000 workers", f"{row['arm']}, whole search", float(row["efficiency"]))
            say("simulated, 1,000 workers", f"{row['arm']}, steady", float(row["steady"]))
    write("scale_out.csv", pd.DataFrame(rows, columns=["what", "of", "value"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"scale_out: {error}", file=sys.stderr)
        sys.exit(2)
