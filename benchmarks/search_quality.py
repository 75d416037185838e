"""What a search finds per evaluated network: evonas beside its peers, on measured networks.

    pip install '.[benchmarks]'
    python benchmarks/search_quality.py [--tables NAME ...] [--searches NAME ...] [--seeds 31]

Every network that a table holds was trained, so that the best front is known. Evaluations are of
distinct networks: what a search asks for again, and what a table does not hold, is free.
Hypervolume is a share of that of the true front (objectives divided by its range, reference 1.1);
recall is the share of its points found; overhead is everything but a training. Seeds are 1 to 31;
all settings were chosen on seeds from 1000 on. Of a partial table a search may know beforehand
which genomes it holds: evonas's ask the problem, the peers are told after the fact, for free.

Writes search_quality.csv (a row for each table and search) and search_quality.png (bands hold the
middle 80 % of the seeds) into docs/. Needs EVONAS_DATA, a folder with the published tables;
`digits-mlps` is `digits_table.csv` beside this file. About twenty minutes on two cores.
"""

import argparse
import copy
import functools
import os
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from moocore import is_nondominated
from threadpoolctl import threadpool_limits

from evonas.errors import InputError
from evonas.problems import TabularProblem, get_problem
from evonas.search import get_algorithm

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"

TARGETS = (0.95, 0.99, 0.999)
AFTER = (100, 200, 400)
REPEATS = 5  # proposals for each evaluation, after which a search that repeats itself is ended


# -- tables -----------------------------------------------------------------------------------


def digits_mlps() -> TabularProblem:
    """The partial grid with three objectives that `digits_table.py` trained."""
    return TabularProblem.from_csv(
        HERE / "digits_table.csv",
        objectives=("error", "params", "training_macs"),
        name="digits-mlps",
    )


TABLES: dict[str, Callable[[], TabularProblem]] = {
    **{
        name: functools.partial(get_problem, name)  # type: ignore[dict-item]
        for name in (
            "nasbench-macro-params",
            "nasbench-macro-macs",
            "nasbench201-cifar10-params",
            "nasbench201-cifar100-params",
            "nasbench201-imagenet16-120-params",
        )
    },
    "digits-mlps": digits_mlps,
}


@functools.cache
def untouched(table: str) -> TabularProblem:
    """A table, read once a process."""
    return TABLES[table]()


@dataclass
class Watch:
    """A table of which is noted what is looked up."""

    table: str
    evaluations: int
    problem: TabularProblem = field(init=False)
    asked: list[np.ndarray] = field(default_factory=list)
    proposed: int = 0

    def __post_init__(self) -> None:
        """Look up in a copy, which has seen nothing yet."""
        self.problem = copy.deepcopy(untouched(self.table))
        score = self.problem._score

        def noted(X: np.ndarray) -> object:
            self.asked.extend(X)
            return score(X)

        self.problem._score = noted  # type: ignore[method-assign, assignment]

    @property
    def more(self) -> bool:
        """Whether evaluations are left."""
        spent = self.proposed >= REPEATS * self.evaluations
        return len(self.asked) < self.evaluations and not spent

    def objectives(self) -> np.ndarray:
        """Of the networks in the order of their evaluation, (n, n_obj)."""
        return self.problem.evaluate(np.array(self.asked[: self.evaluations]), return_values_of="F")


# -- searches ---------------------------------------------------------------------------------


def with_pymoo(watch: Watch, algorithm: object, seed: int) -> None:
    """Step a pymoo algorithm until the evaluations are spent."""
    algorithm.setup(watch.problem, termination=("n_gen", 10**9), seed=seed)
    while algorithm.has_next() and watch.more:
        algorithm.next()
        watch.proposed += len(algorithm.off) if algorithm.off is not None else 0


def evonas(name: str, watch: Watch, seed: int) -> None:
    """An algorithm of evonas, as it comes; population 20."""
    with_pymoo(watch, get_algorithm(name, watch.problem), seed)


def integer_recipe(pop_size: int = 20) -> object:
    """NSGA-II of pymoo, with the recipe for integers in its documentation."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    return NSGA2(
        pop_size=pop_size,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )


def pymoo_nsga2(watch: Watch, seed: int) -> None:
    """NSGA-II of pymoo itself."""
    with_pymoo(watch, integer_recipe(), seed)


def optuna_search(sampler: str, watch: Watch, seed: int) -> None:
    """A sampler of Optuna over categorical genes, told which genomes the table does not hold."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = watch.problem
    settings: dict[str, dict] = {
        "NSGAIISampler": {"population_size": 20},
        "TPESampler": {"multivariate": True},
    }
    if problem.has_constraints():
        settings[sampler]["constraints_func"] = lambda trial: trial.user_attrs["violations"]
    study = optuna.create_study(
        directions=["minimize"] * problem.n_obj,
        sampler=getattr(optuna.samplers, sampler)(seed=seed, **settings[sampler]),
    )
    while watch.more:
        trial = study.ask()
        genome = [
            trial.suggest_categorical(str(gene), range(choices))
            for gene, choices in enumerate(problem.space.n_choices.tolist())
        ]
        values = problem.evaluate(np.array([genome]), return_as_dictionary=True)
        trial.set_user_attr("violations", values.get("G", np.zeros((1, 0)))[0].tolist())
        study.tell(trial, values["F"][0].tolist())
        watch.proposed += 1


SEARCHES: dict[str, Callable[[Watch, int], None]] = {
    **{
        f"evonas {name}": functools.partial(evonas, name)
        for name in ("screened", "nsga2", "nsga3", "sms-emoa", "age-moea", "moead", "random")
    },
    "pymoo NSGA-II": pymoo_nsga2,
    "Optuna NSGA-II": functools.partial(optuna_search, "NSGAIISampler"),
    "Optuna TPE": functools.partial(optuna_search, "TPESampler"),
}
PEERS = ("pymoo NSGA-II", "Optuna NSGA-II", "Optuna TPE")
DRAWN = ("evonas screened", "evonas nsga2", *PEERS, "evonas random")


# -- measuring --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One search of one table.

    Attributes:
        hypervolume: share of the best after 1, 2, ... evaluations, (evaluations,).
        recall: at the numbers of `AFTER`.
        overhead: seconds for each evaluation.
    """

    table: str
    search: str
    hypervolume: np.ndarray
    recall: dict[int, float]
    overhead: float


def hypervolumes(problem: TabularProblem, F: np.ndarray, evaluations: int) -> np.ndarray:
    """Share of the best after 1, 2, ... of the networks with objectives F, (evaluations,)."""
    shares = np.zeros(evaluations)
    front = F[:0]
    for i, point in enumerate(F):
        if i and (front <= point).all(axis=1).any():
            shares[i] = shares[i - 1]
            continue
        front = np.vstack([front, point])
        front = front[is_nondominated(front)]
        shares[i] = problem.hypervolume(front)
    shares[len(F) :] = shares[len(F) - 1]  # there was nothing more to ask for
    return shares


def evaluations_to(target: float, shares: np.ndarray) -> dict[str, str]:
    """Evaluations to a share of the best, median and worst of seeds (seeds, evaluations)."""
    there = shares >= target
    needed = np.where(there.any(axis=1), there.argmax(axis=1) + 1, np.inf)
    return {
        kind: f"{number:g}" if np.isfinite(number) else f">{shares.shape[1]}"
        for kind, number in (("", np.median(needed)), ("_worst", needed.max()))
    }


def measure(job: tuple[str, str, int, int]) -> Curve:
    """Search once."""
    table, search, seed, evaluations = job
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watch = Watch(table, evaluations)
        start = time.perf_counter()
        SEARCHES[search](watch, seed)
        seconds = time.perf_counter() - start
    F, problem = watch.objectives(), watch.problem
    shares = hypervolumes(problem, F, evaluations)
    recall = {n: problem.recall(F[:n]) for n in AFTER if n <= evaluations}
    return Curve(table, search, shares, recall, seconds / len(F))


def summary(curves: list[Curve]) -> dict[str, object]:
    """A row of the CSV: medians, means and the worst over the seeds of one table and search."""
    shares = np.stack([curve.hypervolume for curve in curves])
    row: dict[str, object] = {
        "table": curves[0].table,
        "search": curves[0].search,
        "seeds": len(curves),
    }
    for target in TARGETS:
        for kind, text in evaluations_to(target, shares).items():
            row[f"to_{100 * target:g}%{kind}"] = text
    for n in curves[0].recall:
        row[f"hypervolume_{n}"] = round(float(shares[:, n - 1].mean()), 4)
        row[f"hypervolume_{n}_worst"] = round(float(shares[:, n - 1].min()), 4)
        row[f"recall_{n}"] = round(float(np.mean([c.recall[n] for c in curves])), 3)
    row["overhead_ms"] = round(1e3 * float(np.median([c.overhead for c in curves])), 2)
    return row


def draw_band(ax: Axes, x: np.ndarray, values: np.ndarray, colour: str, label: str = "") -> None:
    """Draw the median of seeds (seeds, len(x)), and a band that holds the middle 80 % of them."""
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9), axis=0)
    ax.plot(x, middle, color=colour, label=label)
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def draw_missing(ax: Axes, shares: list[np.ndarray], colour: str, label: str) -> None:
    """Draw what is missing to the best hypervolume, in percent, on what will be a log scale."""
    missing = np.maximum(100 * (1 - np.stack(shares)), 1e-3)
    draw_band(ax, np.arange(1, missing.shape[1] + 1), missing, colour, label)


def draw(curves: dict[tuple[str, str], list[Curve]], path: Path) -> None:
    """What is missing to the best hypervolume, a panel for each table."""
    from matplotlib.figure import Figure

    colours = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#7f7f7f")
    tables = list(dict.fromkeys(table for table, _ in curves))
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for ax, table in zip(axes.flat, tables, strict=False):
        for search, colour in zip(DRAWN, colours, strict=True):
            if (table, search) not in curves:
                continue
            label = search.replace("evonas random", "random")
            draw_missing(ax, [c.hypervolume for c in curves[table, search]], colour, label)
        ax.set(title=table, yscale="log", ylim=(0.005, 100), xlim=(0, None))
        ax.title.set_fontsize("medium")
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(tables) :]:
        ax.remove()
    figure.supxlabel("distinct networks evaluated")
    figure.supylabel("% of the best hypervolume missing")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=110)


def parsed(parser: argparse.ArgumentParser, *, first_seed: int = 1) -> argparse.Namespace:
    """Arguments of a benchmark over seeds; `seeds` is their range."""
    parser.add_argument("--seeds", type=int, default=31, help="how many")
    parser.add_argument("--first-seed", type=int, default=first_seed)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the CSV and figure")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds: give one or more")
    arguments.seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    return arguments


def main() -> int:
    """Search, write, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=list(SEARCHES))
    parser.add_argument("--evaluations", type=int, default=400)
    arguments = parsed(parser)
    whole = (list(TABLES), list(SEARCHES)) == (arguments.tables, arguments.searches)
    if arguments.output == DOCS and not whole:
        parser.error("a part is not written over the whole in docs/; give another --output")
    skipped = [
        # its weighted sums are for problems without limits
        ("digits-mlps", "evonas moead"),
    ]
    jobs = [
        (table, search, seed, arguments.evaluations)
        for table in arguments.tables
        for search in arguments.searches
        for seed in arguments.seeds
        if (table, search) not in skipped
    ]
    try:
        for table in arguments.tables:
            untouched(table)
    except InputError as error:
        print(f"search_quality: {error}", file=sys.stderr)
        return 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    curves: dict[tuple[str, str], list[Curve]] = {}
    rows = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for curve in pool.map(measure, jobs):
            of_one = curves.setdefault((curve.table, curve.search), [])
            of_one.append(curve)
            if len(of_one) < len(arguments.seeds):
                continue
            rows.append(summary(of_one))
            print("; ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
            frame = pd.DataFrame(rows)
            frame.to_csv(arguments.output / "search_quality.csv", index=False, lineterminator="\n")
            draw(curves, arguments.output / "search_quality.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
