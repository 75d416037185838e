"""What saliency tables of a trained supernet are worth to a search, against published truth.

    pip install '.[benchmarks]'
    python benchmarks/saliency.py [--spaces macro nb201] [--seeds 31] [--work FOLDER]

A supernet is trained on CIFAR-10 for each space, all kinds of saliency table are computed from
it, and searches that take them look networks up in the published table of the space. That of
`nb201`, with its fifteen cells, needs 20,000 steps and full width until it tells operations apart.
Nine tenths of them see images of half the side, and its tables are computed on such images: in the
last tenth the network does not learn to tell operations apart at the full side (Kendall's tau with
published error 0.48 at half the side, 0.30 at the full one).

Tables: Spearman's correlation with `exact` over all choices, and within genes (mean); their cost in
forward passes over the same images for each path; how often a removal lowers the loss. Searches:
NSGA-II with uniform and with saliency mutation, the same settings otherwise, `screened` with and
without a table, and the selection by saliency alone; seeds are 0 to 30, settings were chosen on
seeds from 1000 on, and the tables come from one supernet.

Writes saliency_tables.csv, saliency.csv and saliency.png into docs/; weights and tables go to the
work folder, which a repeated call goes on from. Needs EVONAS_DATA. On two cores the supernets take
about five (macro) and sixty minutes (nb201), tables and searches a quarter of an hour.
"""

import argparse
import hashlib
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from search_quality import (
    DOCS,
    Watch,
    draw_missing,
    evaluations_to,
    hypervolumes,
    parsed,
    untouched,
    with_pymoo,
)
from threadpoolctl import threadpool_limits

from evonas.errors import InputError
from evonas.problems import get_problem
from evonas.problems.defaults import SALIENCY_BATCHES, defaults_for
from evonas.search import get_algorithm
from evonas.supernet import Supernet, removal_effects, saliency_table
from evonas.supernet.variants import CONTEXTS, VARIANTS
from evonas.training.trainer import half_size

# all but magnitude, which says nothing of paths
SCORED = tuple(variant for variant in VARIANTS if variant != "magnitude")
TARGETS = (0.95, 0.99)
AFTER = (100, 200, 400)


@dataclass(frozen=True)
class Case:
    """A space, how its supernet is trained, and where its truth is.

    Attributes:
        table: name of the published table.
        width: of the supernet.
        training: what differs from the defaults of CIFAR-10 on a processor.
        evaluations: of a search.
        half_side: whether tables are computed on images of half the side.
    """

    table: str
    width: float
    training: dict[str, float]
    evaluations: int
    half_side: bool = False


CASES = {
    "macro": Case("nasbench-macro-params", 0.25, {}, evaluations=400),
    "nb201": Case(
        "nasbench201-cifar10-params",
        1.0,
        {"steps": 20000, "half_resolution": 0.9, "lr": 0.1},
        evaluations=1000,
        half_side=True,
    ),
}


# -- the supernet and its tables ----------------------------------------------------------------


def trained(name: str, seed: int, work: Path) -> Supernet:
    """The supernet of a case, trained or read from the work folder."""
    case = CASES[name]
    defaults = defaults_for("cifar10", "cpu")
    problem = get_problem(
        "cifar10-params", name, device="cpu", validation_images=defaults.validation_images
    )
    space = problem.space
    path = work / f"{name}-{seed}.safetensors"
    if path.is_file():
        return Supernet.load(path, problem.data, space=space)
    supernet = Supernet(space, problem.data, case.width, seed=seed)
    config = replace(defaults.training, **case.training)  # type: ignore[arg-type]
    seen = 0

    def tell(steps: int, loss: float) -> None:
        nonlocal seen
        seen += steps
        if seen % 500 == 0:
            print(f"{name}: {seen}/{config.steps} steps, loss {loss:.3f}", flush=True)

    supernet.train(config, seed=seed, checkpoint=work / f"{name}-{seed}.training", on_step=tell)
    supernet.save(path)
    return supernet


def tables(name: str, seed: int, work: Path) -> dict[str, np.ndarray]:
    """All tables of a case, computed, or read where they are of the weights at hand."""
    path, weights = work / f"{name}-{seed}-tables.npz", work / f"{name}-{seed}.safetensors"
    if path.is_file() and weights.is_file():
        with np.load(path, allow_pickle=False) as stored:
            made = dict(stored)
        if str(made.pop("weights", "")) == _digest(weights) and set(made) == set(SCORED):
            return made
    supernet = trained(name, seed, work)
    made = {
        variant: saliency_table(
            supernet, SALIENCY_BATCHES, variant, half_resolution=CASES[name].half_side
        )
        for variant in SCORED
    }
    np.savez(path, weights=_digest(weights), **made)  # type: ignore[arg-type]
    return made


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe(name: str, seed: int, work: Path) -> list[dict[str, object]]:
    """A row for each table: how it compares with `exact`, and what it costs."""
    supernet, made = trained(name, seed, work), tables(name, seed, work)
    X = supernet.space.sample(CONTEXTS, np.random.default_rng(0))
    genomes = [tuple(x) for x in X.tolist()]
    half = CASES[name].half_side
    batches = range(SALIENCY_BATCHES)
    effects = removal_effects(supernet, batches, X, half_resolution=half)
    removed = supernet.network.weighable[np.arange(X.shape[1]), X]
    lowered = float((effects < 0)[removed].mean())

    def seconds(score: object) -> float:
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            score()  # type: ignore[operator]
            taken.append(time.perf_counter() - start)
        return float(np.median(taken))

    # Each path on its own: prefixes that paths share would make the forward pass look cheaper.
    images = [(half_size(part) if half else part, of) for part, of in supernet.batches(batches)]
    forward = seconds(lambda: [supernet.score([genome], images) for genome in genomes])
    rows = []
    for variant in VARIANTS:
        row: dict[str, object] = {"space": name, "saliency": variant}
        if variant in made:
            table, exact = made[variant], made["exact"]
            there = np.isfinite(table)
            row["spearman_exact"] = round(float(spearmanr(table[there], exact[there])[0]), 3)
            row["spearman_exact_within_genes"] = round(
                float(np.mean([spearmanr(*pair)[0] for pair in zip(table, exact, strict=True)])), 3
            )
        if variant in ("exact", "taylor", "fisher", "second-order", "removal"):
            taken = seconds(
                lambda v=variant: saliency_table(
                    supernet, batches, v, contexts=CONTEXTS, half_resolution=half
                )
            )
            row["forward_passes_per_path"] = round(taken / forward, 2)
        if variant == "removal":
            row["lowers_loss"] = round(lowered, 3)
        rows.append(row)
        print("; ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return rows


# -- searches -----------------------------------------------------------------------------------


SEARCHES = ("nsga2", "screened", "saliency")


@dataclass(frozen=True)
class Curve:
    """One search: hypervolume after each evaluation (share of the best), recall, evaluations."""

    hypervolume: np.ndarray
    recall: dict[int, float]
    evaluated: int


def measure(job: tuple[str, str, str, np.ndarray | None, int]) -> Curve:
    """Search once; the arm is a variant of saliency, or "uniform"."""
    name, search, arm, table, seed = job
    case = CASES[name]
    budget = case.evaluations if search != "screened" else min(case.evaluations, 400)
    settings: dict[str, object] = {}
    if table is not None:
        settings = {"saliency": table}
        if search == "nsga2":
            settings["mutation"] = "saliency"
    with threadpool_limits(1):
        watch = Watch(case.table, budget)
        with_pymoo(watch, get_algorithm(search, watch.problem, **settings), seed)
    F, problem = watch.objectives(), untouched(case.table)
    recall = {n: problem.recall(F[:n]) for n in AFTER if n <= budget}
    return Curve(hypervolumes(problem, F, budget), recall, len(F))


def arms_of(search: str) -> list[str]:
    """What a search is run with; the dear one with the best tables only."""
    return {
        "nsga2": ["uniform", *SCORED],
        "screened": ["uniform", "main-effect", "rank-effect"],
        "saliency": list(SCORED),
    }[search]


def summary(name: str, search: str, arm: str, curves: list[Curve]) -> dict[str, object]:
    """A row: medians over seeds of evaluations to a share, means of the rest."""
    shares = np.stack([curve.hypervolume for curve in curves])
    row: dict[str, object] = {"table": CASES[name].table, "search": search, "saliency": arm}
    row["seeds"] = len(curves)
    for target in TARGETS:
        for kind, text in evaluations_to(target, shares).items():
            row[f"to_{100 * target:g}%{kind}"] = text
    row["evaluated"] = round(float(np.mean([curve.evaluated for curve in curves])), 1)
    row["hypervolume"] = round(float(shares[:, -1].mean()), 4)
    for n in curves[0].recall:
        row[f"recall_{n}"] = round(float(np.mean([curve.recall[n] for curve in curves])), 3)
    return row


def draw(curves: dict[tuple[str, str, str], list[Curve]], path: Path) -> None:
    """What is missing to the best hypervolume with each table, a panel for each space."""
    from matplotlib.figure import Figure

    colours = dict(
        zip(
            ("uniform", "rank-effect", "main-effect", "removal", "exact", "fisher"),
            ("#7f7f7f", "#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7"),
            strict=True,
        )
    )
    names = list(dict.fromkeys(name for name, _, _ in curves))
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    for ax, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for arm, colour in colours.items():
            if (name, "nsga2", arm) in curves:
                shares = [c.hypervolume for c in curves[name, "nsga2", arm]]
                draw_missing(ax, shares, colour, arm)
        ax.set(title=CASES[name].table, yscale="log", xlim=(0, None), ylim=(0.01, 100))
        ax.title.set_fontsize("medium")
        ax.grid(alpha=0.3)
    figure.supxlabel("distinct networks evaluated by NSGA-II")
    figure.supylabel("% of the best hypervolume missing")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Train, score, search, write, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--supernet-seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/saliency-benchmark"))
    arguments = parsed(parser, first_seed=0)
    if arguments.output == DOCS and arguments.spaces != list(CASES):
        parser.error("a part is not written over the whole in docs/; give another --output")
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    try:
        for name in arguments.spaces:
            trained(name, arguments.supernet_seed, arguments.work)
        torch.set_num_threads(1)
        described = [
            row
            for name in arguments.spaces
            for row in describe(name, arguments.supernet_seed, arguments.work)
        ]
    except InputError as error:
        print(f"saliency: {error}", file=sys.stderr)
        return 2
    frame = pd.DataFrame(described)
    frame.to_csv(arguments.output / "saliency_tables.csv", index=False, lineterminator="\n")
    jobs = []
    for name in arguments.spaces:
        made = tables(name, arguments.supernet_seed, arguments.work)
        for search in SEARCHES:
            for arm in arms_of(search):
                seeds = arguments.seeds if search != "saliency" else arguments.seeds[:1]
                table = None if arm == "uniform" else made[arm]
                jobs += [(name, search, arm, table, seed) for seed in seeds]
    curves: dict[tuple[str, str, str], list[Curve]] = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for job, curve in zip(jobs, pool.map(measure, jobs), strict=True):
            curves.setdefault(job[:3], []).append(curve)
    rows = [summary(*key, of_one) for key, of_one in curves.items()]
    for row in rows:
        print("; ".join(f"{key} {value}" for key, value in row.items()))
    pd.DataFrame(rows).to_csv(arguments.output / "saliency.csv", index=False, lineterminator="\n")
    draw(curves, arguments.output / "saliency.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
