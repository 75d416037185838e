"""Evaluation time of whole searches, as networks are scored, and what racing costs.

    python benchmarks/racing.py RUN [--algorithms screened nsga2] [--seeds 5] [--threads 2]

RUN is a run of cifar10-params on the space macro; its trained supernet is searched again, by each
algorithm with its default number of evaluations, without racing and with `confident`. Beside the
seconds that networks were scored in stand those of

- a loop of one-path forwards of the supernet, on all validation images;
- the same loop with racing alone: each network on as many images as the race took.

Both searches' networks are each run by themselves for that, on one batch, several times in turn;
the race decides the same with and without a tree, whose numbers are the same. Prints the ratios of
each seed and their medians, and the mean excess errors of the fronts by the published table
(EVONAS_DATA). For the first seed all networks of the search also race `exact`, and the two fronts
are compared.
"""

import argparse
import gc
import sys
import time

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

# Of networks run by themselves.
ROUNDS = 3


class Timed(SupernetProblem):
    """A problem that knows how long networks were scored."""

    seconds = 0.0

    def _score(self, X: np.ndarray) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        scores = super()._score(X)
        self.seconds += time.perf_counter() - start
        return dict(scores)


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


@torch.no_grad()
def seconds_alone(supernet: Supernet, X: np.ndarray) -> np.ndarray:
    """Seconds of each network by itself on one validation image, medians of `ROUNDS`, (n,).

    All are run once before any is run again: what slows the machine down slows down all of them.
    """
    ((images, _),) = supernet.batches({0})
    distinct, where = np.unique(X, axis=0, return_inverse=True)
    supernet.network(images, tuple(distinct[0].tolist()))
    seconds = np.empty((ROUNDS, len(distinct)))
    for round_ in seconds:
        for i, genome in enumerate(distinct.tolist()):
            start = time.perf_counter()
            supernet.network(images, tuple(genome))
            round_[i] = time.perf_counter() - start
    return np.median(seconds, axis=0)[where.reshape(-1)] / len(images)


def measure(supernet: Supernet, table: TabularProblem, algorithm: str, seed: int) -> dict:
    """Seconds, images and excess errors of both searches, and seconds of loops."""
    evaluations = evaluations_of(algorithm, defaults_for("cifar10", "cpu").evaluations)
    images = len(supernet.data.validation)
    row: dict[str, float | str | int] = {"algorithm": algorithm, "seed": seed}
    asked, seen = {}, {}
    for arm, racing in (("tree", "off"), ("confident", "confident")):
        problem = Timed(supernet.space, supernet.data, supernet=supernet, racing=racing, seed=seed)
        X = searched(problem, algorithm, evaluations, seed)
        row[arm], row[f"{arm} excess"] = problem.seconds, excess(problem, X, table)
        asked[arm], seen[arm] = X, images - problem.images_saved(X)
        if racing == "off" and seed == 1:
            row["exact is right"] = exact_is_right(problem, X)
        del problem
        gc.collect()  # activations, which the next one needs room for
    alone = seconds_alone(supernet, np.concatenate([asked["tree"], asked["confident"]]))
    row["loop"] = images * alone[: len(asked["tree"])].sum()
    row["racing alone"] = seen["confident"] @ alone[len(asked["tree"]) :]
    row["images"] = seen["confident"].mean() / images
    return row


def exact_is_right(whole: Timed, X: np.ndarray) -> bool:
    """Whether an exact race of evaluated networks has the same non-dominated ones and values."""
    race = Timed(whole.space, whole.data, supernet=whole.supernet, racing="exact")
    race.memory = 0.0
    fronts = []
    for F in (whole.evaluate(X), race.evaluate(X)):
        front = is_nondominated(F, keep_weakly=True)
        fronts.append((X[front].tolist(), F[front].tolist()))
    return fronts[0] == fronts[1]


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
            print(
                ", ".join(
                    f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in rows[-1].items()
                ),
                flush=True,
            )
        frame = pd.DataFrame(rows)
        ratios = {arm: frame["loop"] / frame[arm] for arm in ("tree", "racing alone", "confident")}
        print(
            f"{algorithm}, {len(supernet.data.validation)} images, medians of {len(rows)} "
            "searches, times less than a loop: "
            + ", ".join(f"{arm} {ratio.median():.2f}" for arm, ratio in ratios.items())
            + f"; {100 * frame['images'].mean():.0f} % of the images; mean excess error "
            f"{frame['tree excess'].mean():.3f} without racing, "
            f"{frame['confident excess'].mean():.3f} with it"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
