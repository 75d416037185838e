"""What one search for eight architectures saves, and where the saving comes from.

    python benchmarks/multi_distribution.py [--seeds 31]
    python benchmarks/multi_distribution.py --cifar10 --seeds 1 [--steps 6500]

Ways to eight architectures of NAS-Bench-Macro, with equal coefficients:

- separate: eight searches of one distribution each, which know nothing of each other;
- own samples: eight distributions on one archive, each learning from its own samples; also with
  steps eight times as long, for a part of what pooling saves is that it affords longer steps;
- pooled: eight that learn from the samples of all; also with steps of ordinary length.

Evaluations are of distinct networks (of the separate searches, each pays for its own; they are
stepped in turn). Hypervolume is a share of that of the true front (objectives divided by its range,
reference 1.1). Architectures are the likeliest genomes after 300 evaluations. Coefficients, and all
settings, were chosen on seeds from 1000 on.

The same on CIFAR-10, where distributions learn while shared weights are trained (`--joint`), is
described in joint_search.py.

Writes multi_distribution.csv and multi_distribution.png, or joint_search.csv and
joint_search_curve.csv, into docs/. Needs EVONAS_DATA, a folder with the published table, and with
CIFAR-10. A minute on two cores; a seed of CIFAR-10 an hour.
"""

import argparse
import copy
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joint_search
import numpy as np
import pandas as pd
from search_quality import (
    Watch,
    draw_band,
    draw_missing,
    evaluations_to,
    hypervolumes,
    parsed,
    untouched,
)
from threadpoolctl import threadpool_limits

from evonas.errors import InputError
from evonas.search import MultiDistributionSearch

DOCS = Path(__file__).parent.parent / "docs"
TABLE = "nasbench-macro-params"
# Settings of `MultiDistributionSearch`; none of the separate searches.
ARMS: dict[str, dict[str, object] | None] = {
    "separate": None,
    "own samples": {"pooled": False},
    "own samples, eightfold steps": {"pooled": False, "stretched": 8.0},
    "pooled, ordinary steps": {"stretched": False},
    "pooled": {},
}
DISTRIBUTIONS, EVALUATIONS, AFTER = 8, 400, 300
TARGETS = (0.95, 0.99)


@dataclass(frozen=True)
class Curve:
    """One arm with one seed.

    Attributes:
        hypervolume: share of the best after 1, 2, ... evaluations, (EVALUATIONS,).
        effective: (evaluations, mean effective sample size) after each generation, (g, 2).
        architectures: distinct likeliest networks after `AFTER` evaluations.
        volume: what they alone hold of the best hypervolume.
    """

    arm: str
    hypervolume: np.ndarray
    effective: np.ndarray
    architectures: int
    volume: float


def _started(watch: Watch, seed: int, budget: int, **settings: object) -> MultiDistributionSearch:
    algorithm = MultiDistributionSearch(**settings)  # type: ignore[arg-type]
    algorithm.setup(watch.problem, termination=("n_eval", budget), seed=seed)
    return algorithm


def together(
    seed: int, budget: int, settings: dict[str, object]
) -> tuple[Watch, MultiDistributionSearch, list]:
    """Eight distributions in one search."""
    watch = Watch(TABLE, budget)
    algorithm = _started(watch, seed, budget, distributions=DISTRIBUTIONS, **settings)
    effective = []
    while algorithm.has_next():
        algorithm.next()
        if algorithm.learnt is not None:
            mean = float(algorithm.learnt.effective_samples.mean())
            effective.append((len(watch.asked), mean))
    return watch, algorithm, effective


def separately(seed: int, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight searches of one distribution: networks in the order of evaluation, architectures."""
    # the coefficients of the other arms, which settle them from their first samples
    settled = _started(Watch(TABLE, budget), seed, budget, distributions=DISTRIBUTIONS)
    settled.next()
    coefficients = settled.coefficients
    assert coefficients is not None
    watches = [Watch(TABLE, budget) for _ in coefficients]
    searches = [
        _started(watch, 100 * seed + m, budget, coefficients=[coefficient], distributions=1)
        for m, (watch, coefficient) in enumerate(zip(watches, coefficients, strict=True))
    ]
    asked: list[np.ndarray] = []
    while len(asked) < budget and any(search.has_next() for search in searches):
        for watch, search in zip(watches, searches, strict=True):
            before = len(watch.asked)
            if search.has_next():
                search.next()
            asked += watch.asked[before:]
    likeliest = np.concatenate([search.architectures for search in searches])
    return np.array(asked[:budget]), likeliest


def measure(job: tuple[str, int]) -> Curve:
    """One arm with one seed."""
    arm, seed = job
    problem = copy.deepcopy(untouched(TABLE))  # which remembers what it is asked
    with threadpool_limits(1):
        settings = ARMS[arm]
        if settings is None:
            X, effective = separately(seed, EVALUATIONS)[0], []
            likeliest = separately(seed, AFTER)[1]
        else:
            watch, _, effective = together(seed, EVALUATIONS, settings)
            X = np.array(watch.asked[:EVALUATIONS])
            likeliest = together(seed, AFTER, settings)[1].architectures
    F = problem.evaluate(X, return_values_of="F")
    shares = hypervolumes(problem, F, EVALUATIONS)
    likeliest = np.unique(problem.canonical(likeliest), axis=0)
    volume = problem.hypervolume(problem.evaluate(likeliest, return_values_of="F"))
    return Curve(arm, shares, np.array(effective).reshape(-1, 2), len(likeliest), volume)


def summary(curves: list[Curve]) -> dict[str, object]:
    """A row of the CSV."""
    shares = np.stack([curve.hypervolume for curve in curves])
    row: dict[str, object] = {"arm": curves[0].arm, "seeds": len(curves)}
    for target in TARGETS:
        row[f"to_{100 * target:g}%"] = evaluations_to(target, shares)[""]
    for n in (100, 200, 300, 400):
        row[f"hypervolume_{n}"] = round(float(shares[:, n - 1].mean()), 4)
    row[f"architectures_{AFTER}"] = round(float(np.mean([c.architectures for c in curves])), 2)
    row[f"architectures_hypervolume_{AFTER}"] = round(float(np.mean([c.volume for c in curves])), 3)
    return row


def draw(curves: dict[str, list[Curve]], path: Path) -> None:
    """What is missing to the best hypervolume, and how many samples count for a distribution."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = dict(zip(ARMS, ("#7f7f7f", "#0072B2", "#56B4E9", "#E69F00", "#D55E00"), strict=True))
    for arm, of_one in curves.items():
        draw_missing(left, [curve.hypervolume for curve in of_one], colours[arm], arm)
        if not all(len(curve.effective) for curve in of_one):
            continue
        grid = np.arange(2 * DISTRIBUTIONS, EVALUATIONS + 1)
        effective = np.stack([np.interp(grid, *curve.effective.T) for curve in of_one])
        draw_band(right, grid, effective, colours[arm])
    left.set(yscale="log", ylabel="% of the best hypervolume missing", xlim=(0, EVALUATIONS))
    right.set(ylabel="effective samples of a distribution", ylim=(0, None), xlim=(0, EVALUATIONS))
    for ax in (left, right):
        ax.set_xlabel("distinct networks evaluated")
        ax.grid(alpha=0.3)
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Search, write, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", action="store_true", help="the joint searches instead")
    parser.add_argument("--steps", type=int, default=6500, help="of each training on CIFAR-10")
    parser.add_argument("--curve-steps", type=int, default=300, help="where it is only timed")
    arguments = parsed(parser)
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        untouched(TABLE)
        if arguments.cifar10:
            joint_search.measure(
                arguments.steps,
                arguments.curve_steps,
                arguments.seeds,
                arguments.processes,
                arguments.output,
            )
            return 0
    except InputError as error:
        print(f"multi_distribution: {error}", file=sys.stderr)
        return 2
    curves: dict[str, list[Curve]] = {arm: [] for arm in ARMS}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for curve in pool.map(measure, [(arm, seed) for arm in ARMS for seed in arguments.seeds]):
            curves[curve.arm].append(curve)
    rows = [summary(of_one) for of_one in curves.values()]
    for row in rows:
        print("; ".join(f"{name} {value}" for name, value in row.items()))
    frame = pd.DataFrame(rows)
    frame.to_csv(arguments.output / "multi_distribution.csv", index=False, lineterminator="\n")
    draw(curves, arguments.output / "multi_distribution.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
