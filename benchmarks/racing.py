"""Evaluation time of whole searches, as networks are scored, and what racing costs.

    python benchmarks/racing.py RUN [--algorithms screened nsga2] [--seeds 5] [--threads 2]

RUN is a run of cifar10-params on the space macro; its trained supernet is searched again, by each
algorithm with its default number of evaluations, and networks are scored

- loop: by a plain loop of one-path forwards of the supernet on all validation images,
- tree: as a prefix tree, with activations of earlier populations at hand,
- racing: by the loop, each network on as many images as the race takes,
- exact, confident: by tree and race together.

The loop's search is the tree's, whose numbers are the same: of its networks some are scored by the
loop, and their time is taken in proportion. Prints medians of the ratios over seeds, and the mean
excess error of the fronts by the published table (EVONAS_DATA).
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from moocore import is_nondominated

from evonas.errors import InputError
from evonas.problems import SupernetProblem, TabularProblem, get_problem
from evonas.problems.defaults import defaults_for, evaluations_of
from evonas.run import Run
from evonas.search import get_algorithm
from evonas.supernet import Supernet

ARMS = {
    "tree": ("off", True),
    "racing": ("confident", False),
    "exact": ("exact", True),
    "confident": ("confident", True),
}
LOOPED = 30


class Timed(SupernetProblem):
    """A problem that knows how long networks were scored."""

    seconds = 0.0

    def _score(self, X: np.ndarray) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        scores = super()._score(X)
        self.seconds += time.perf_counter() - start
        return dict(scores)


@contextmanager
def one_path_at_a_time(supernet: Supernet) -> Iterator[None]:
    """Nothing is shared between paths."""
    network = supernet.network
    whole = network.each

    def alone(images: torch.Tensor, genomes: list, **settings: object) -> Iterator[torch.Tensor]:
        for genome in genomes:
            yield from whole(images, [genome])

    network.each = alone
    try:
        yield
    finally:
        del network.each


def searched(problem: Timed, algorithm: str, evaluations: int, seed: int) -> np.ndarray:
    """Canonical genomes of all networks that a search evaluates, each once."""
    driven = get_algorithm(algorithm, problem)
    driven.setup(problem, termination=("n_eval", evaluations), seed=seed)
    asked = []
    while driven.has_next():
        infills = driven.ask()
        if infills is None or not np.size(infills):
            break
        driven.evaluator.eval(problem, infills, algorithm=driven)
        asked.append(np.array(infills.get("X"), dtype=int))
        driven.tell(infills=infills)
    return np.unique(problem.canonical(np.concatenate(asked)), axis=0)


def excess(problem: Timed, X: np.ndarray, table: TabularProblem) -> float:
    """Mean excess error of the front of what was evaluated."""
    F = problem.evaluate(X)
    front = X[is_nondominated(F)]
    return table.mean_excess_error(table.evaluate(front))


def measure(supernet: Supernet, table: TabularProblem, algorithm: str, seed: int) -> dict:
    """Seconds, images and excess errors of all arms, in turn."""
    evaluations = evaluations_of(algorithm, defaults_for("cifar10", "cpu").evaluations)
    row: dict[str, float | str | int] = {"algorithm": algorithm, "seed": seed}
    for arm, (racing, shared) in ARMS.items():
        problem = Timed(supernet.space, supernet.data, supernet=supernet, racing=racing)
        if shared:
            X = searched(problem, algorithm, evaluations, seed)
        else:
            with one_path_at_a_time(supernet):
                problem.memory = 0.0
                X = searched(problem, algorithm, evaluations, seed)
        row[arm] = problem.seconds
        row[f"{arm} images"] = problem.images_scored / len(X) / len(supernet.data.validation)
        row[f"{arm} excess"] = excess(problem, X, table)
        if arm == "tree":
            few = X[np.random.default_rng(seed).permutation(len(X))[:LOOPED]]
            start = time.perf_counter()
            with torch.no_grad():
                for images, _ in supernet.batches():
                    for genome in few.tolist():
                        supernet.network(images, genome)
            row["loop"] = (time.perf_counter() - start) * len(X) / len(few)
    return row


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a finished run of cifar10-params on the space macro")
    parser.add_argument("--algorithms", nargs="+", default=["screened", "nsga2"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        supernet = Run.load(arguments.run).supernet()
        table = get_problem("nasbench-macro-params")
    except InputError as error:
        print(f"racing: {error}", file=sys.stderr)
        return 2
    assert isinstance(table, TabularProblem)
    for algorithm in arguments.algorithms:
        rows = []
        for seed in range(1, arguments.seeds + 1):
            rows.append(measure(supernet, table, algorithm, seed))
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()})
            sys.stdout.flush()
        frame = pd.DataFrame(rows)
        for arm in ARMS:
            print(
                f"{algorithm}, {len(supernet.data.validation)} images, {arm}: "
                f"{(frame['loop'] / frame[arm]).median():.2f} times less time than a loop, "
                f"{100 * frame[f'{arm} images'].mean():.0f} % of the images, mean excess error "
                f"{frame[f'{arm} excess'].mean():.3f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
