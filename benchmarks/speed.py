"""Speed, each number beside what it is compared with, in one run.

    python benchmarks/speed.py [--parts population training algorithm] [--repeats 5] [--threads 2]

- population: a population scored as a prefix tree, against a plain loop of one-path forwards of the
  same supernet, against one-by-one evaluation with re-estimated statistics (as in DyNAS-T), and
  against the tree's limit: times of single blocks summed over all networks, divided by their sum
  over the nodes of the tree. Peak memory of both, above that of the loaded supernet.
- training: a step of a supernet against as many steps of stand-alone networks as it has paths, and
  images per second against a plain stack of residual blocks of equal multiply-adds.
- algorithm: a generation of NSGA-II without evaluation, against pymoo's with its documented integer
  recipe, on spaces of 10^3 to 10^17 genomes.

All timings are interleaved and repeated; what is printed and written are medians (populations that
take minutes are scored once). Writes what was measured into docs/speed.csv as it goes, and draws
docs/speed.png. Some populations need EVONAS_DATA.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from moocore import is_nondominated
from pymoo.core.population import Population
from search_quality import DOCS, integer_recipe
from torch import nn
from training_step import BATCH, Step, step_ratio

from evonas.data import from_tensors
from evonas.errors import InputError
from evonas.operators.choice_mutation import mutate_choices
from evonas.problems import ArchitectureProblem, get_problem
from evonas.search import get_algorithm
from evonas.spaces import SearchSpace, get_space
from evonas.supernet import Supernet
from evonas.supernet.network import estimate_statistics

IMAGES = 1000
# Networks of a population that a loop goes through one by one; its time is that of all in
# proportion to the times of their blocks.
LOOPED = 40
# Training images that statistics are re-estimated on, for each network.
CALIBRATION = 500
OFFSPRING, SEEN = 1000, 100_000
TABLE = DOCS / "speed.csv"
COLUMNS = "part space width what networks macs_limit limit ratio seconds dynas".split()
PARTS = ("population", "training", "algorithm")
Row = dict[str, object]


def noise(images: int) -> object:
    """CIFAR-sized data: times depend on neither images nor weights."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images + CALIBRATION, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(len(pixels)) % 10
    return from_tensors(pixels, labels, num_classes=10, validation=images)


def optimal_networks(space: SearchSpace) -> np.ndarray:
    """The truly optimal networks of NAS-Bench-Macro."""
    table = get_problem("nasbench-macro-params")
    truth = table.evaluate(table.genes)
    best = is_nondominated(truth, keep_weakly=True)
    return np.unique(space.canonical(table.genes[best]), axis=0)


def converged(space: SearchSpace, n: int) -> np.ndarray:
    """Networks as a search has them in the end: mutants of ten, one or two genes moved."""
    rng = np.random.default_rng(0)
    low, high = np.zeros(space.n_var, int), np.asarray(space.n_choices) - 1
    parents = space.sample(10, rng)[rng.integers(10, size=20 * n)]
    found = space.canonical(
        mutate_choices(parents, low, high, random_state=rng, prob_var=1.5 / space.n_var)
    )
    return np.unique(found, axis=0)[rng.permutation(len(np.unique(found, axis=0)))[:n]]


def populations(space: SearchSpace, sizes: list[int], whole: bool) -> dict[str, np.ndarray]:
    """Populations by name, canonical and distinct."""
    rng = np.random.default_rng(0)
    named = {}
    for n in sizes:
        X = np.unique(space.canonical(space.sample(2 * n, rng)), axis=0)
        named[f"{n} random"] = X[rng.permutation(len(X))[:n]]
    if space.name == "macro":
        if os.environ.get("EVONAS_DATA"):
            best = optimal_networks(space)
            named[f"the {len(best)} truly optimal"] = best
        if whole:
            every = np.indices(tuple(space.n_choices)).reshape(space.n_var, -1).T
            named["the whole space"] = np.unique(space.canonical(every), axis=0)
    else:
        named["100 of a converged search"] = converged(space, 100)
    return named


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def one_by_one(network: nn.Module, images: torch.Tensor, genomes: list[tuple[int, ...]]) -> None:
    """A plain loop of one-path forwards."""
    for genome in genomes:
        network(images, genome)


def with_own_statistics(supernet: Supernet) -> nn.Module:
    """A copy of the shared weights whose normalisation has running statistics."""
    import copy

    network = copy.deepcopy(supernet.network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = True
            for name in ("running_mean", "running_var"):
                module.register_buffer(name, torch.ones(module.num_features))
            module.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))
    return network


class OnePath(nn.Module):
    """One path of a shared network."""

    def __init__(self, network: nn.Module, genome: tuple[int, ...]) -> None:
        """Hold both."""
        super().__init__()
        self.network, self.genome = network, genome

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes)."""
        return self.network(images, self.genome)


@torch.no_grad()
def scored(supernet: Supernet, label: str, X: np.ndarray, repeats: int, *, estimated: bool) -> Row:
    """One population, all ways."""
    space = supernet.space
    batches = list(supernet.batches())
    X = np.unique(X, axis=0)  # in order, as `evaluate` goes through them
    paths = [tuple(genome) for genome in X.tolist()]
    order = np.random.default_rng(0).permutation(len(paths))
    few = [paths[i] for i in order[:LOOPED]]
    generator = torch.Generator().manual_seed(0)
    calibration = [
        images for images, _ in supernet.data.train.batches(125, generator, augment=False)
    ]
    own = with_own_statistics(supernet) if estimated else None
    rows = []
    supernet.score(paths[:3], batches)
    for _ in range(repeats):
        costs = supernet.block_seconds(repeats=5)
        alone = timed(lambda: [one_by_one(supernet.network, b, few) for b, _ in batches])
        together = timed(lambda: supernet.score(paths, batches))
        plan = supernet.evaluation_plan(X, costs)
        # The few are not quite as dear as the others.
        share = plan.one_by_one / supernet.evaluation_plan(np.array(few), costs).one_by_one
        row = {
            "limit": plan.saving,
            "ratio": share * alone / together,
            "seconds": together,
        }
        if own is not None:
            some = few[:10]

            def estimate_and_score(own: nn.Module = own, some: list = some) -> None:
                for genome in some:
                    path = OnePath(own, genome)
                    estimate_statistics(path, calibration)
                    path.eval()
                    for images, _ in batches:
                        path(images)

            row["dynas"] = timed(estimate_and_score) * len(paths) / len(some) / together
        rows.append(row)
    middle = pd.DataFrame(rows).median()
    by_macs = supernet.evaluation_plan(X).saving
    print(
        f"{space.name}, width {supernet.width:g}, {label}: {middle['seconds']:.2f} s for "
        f"{len(batches)} batches, {middle['ratio']:.2f} times faster than a loop, limit "
        f"{middle['limit']:.2f} ({middle['ratio'] / middle['limit']:.2f} of it; in MACs "
        f"{by_macs:.2f})"
        + (f", {middle['dynas']:.2f} times faster than DyNAS-T's way" if own is not None else ""),
        flush=True,
    )
    return {
        "part": "population",
        "space": space.name,
        "width": supernet.width,
        "what": label,
        "networks": len(X),
        "macs_limit": by_macs,
        **middle.to_dict(),
    }


MEMORY = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {folder!r})
from speed import noise, populations
from evonas.spaces import get_space
from evonas.supernet import Supernet
torch.set_num_threads({threads})
space = get_space({space!r})
supernet = Supernet(space, noise(250), {width})
X = populations(space, [100], False)["100 random"]
batches = list(supernet.batches())
largest = X[[space.macs(X).argmax()]]
paths = [tuple(g) for g in (X if {together} else largest).tolist()]
def megabytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = megabytes("VmRSS")
supernet.score(paths, batches)
print(before, megabytes("VmHWM"))
"""


def memory(space: str, width: float, threads: int) -> Row:
    """Peak memory of scoring 100 random networks, and the largest of them, in processes alone.

    As Linux tells it.
    """
    peaks = []
    for together in (False, True):
        code = MEMORY.format(
            folder=str(Path(__file__).parent),
            threads=threads,
            space=space,
            width=width,
            together=together,
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        before, after = map(float, done.stdout.split())
        peaks.append(after - before)
    print(
        f"{space}, width {width:g}: peak memory of 100 networks {peaks[1]:.0f} MB above the loaded "
        f"supernet, of the largest one {peaks[0]:.0f} MB, ratio {peaks[1] / peaks[0]:.2f}",
        flush=True,
    )
    return {
        "part": "memory",
        "space": space,
        "width": width,
        "what": "100 random",
        "ratio": peaks[1] / peaks[0],
    }


def population(repeats: int, threads: int, *, whole: bool) -> Iterator[Row]:
    """All populations."""
    data = noise(IMAGES)
    for name, width, sizes in (
        ("macro", 0.25, [10, 100, 1000]),
        ("mobile-cifar", 0.25, [100]),
        ("macro", 1.0, [100]),
    ):
        space = get_space(name)
        supernet = Supernet(space, data, width)  # type: ignore[arg-type]
        for label, X in populations(space, sizes, whole and width < 1).items():
            once = label == "the whole space" or width == 1  # they take minutes
            estimated = label == "100 random"
            yield scored(supernet, label, X, 1 if once else repeats, estimated=estimated)
        yield memory(name, width, threads)


def training(pairs: int) -> Iterator[Row]:
    """Steps of supernets against stand-alone ones."""
    for space, paths in (
        ("macro", "uniform"),
        ("macro", "fair"),
        ("nb201", "uniform"),
        ("nb201", "fair"),
        ("mobile-cifar", "uniform"),
        ("mobile-cifar", "fair"),
    ):
        step: Step = step_ratio(space, paths, pairs)
        print(step, flush=True)
        yield {
            "part": "training",
            "space": space,
            "width": 1.0,
            "what": f"{paths}, batch {BATCH}",
            "ratio": step.ratio,
            "seconds": step.shared,
        }
        yield {
            "part": "throughput",
            "space": space,
            "width": 1.0,
            "what": f"{paths}, batch {BATCH}",
            "ratio": step.throughput,
            "seconds": step.shared / step.images,
        }


class Free(ArchitectureProblem):
    """Errors that cost nothing."""

    def _score(self, X: np.ndarray) -> dict[str, np.ndarray]:
        error = 60.0 - X.mean(axis=1) + np.sin(X @ np.arange(1, X.shape[1] + 1))
        return {"error": error, "loss": error / 30}


def generations(algorithm: object, problem: Free, seen: np.ndarray | None, n: int) -> list[float]:
    """Seconds of generations, evaluation (which is free but for params and MACs) included."""
    algorithm.setup(problem, termination=("n_gen", 10**9), seed=1)  # type: ignore[attr-defined]
    if seen is not None:
        elimination = algorithm.eliminate_duplicates  # type: ignore[attr-defined]
        elimination.do(Population.empty(), Population.new(X=seen, F=np.zeros((len(seen), 1))))
    algorithm.next()  # type: ignore[attr-defined]
    return [timed(algorithm.next) for _ in range(n)]  # type: ignore[attr-defined]


def algorithm(repeats: int) -> Iterator[Row]:
    """A generation of 1,000 offspring."""
    shapes = {"mobile-imagenet": (3, 224, 224)}
    for name in ("macro", "nb201", "mobile-cifar", "darts", "mobile-imagenet"):
        space = get_space(name, input_shape=shapes.get(name, (3, 32, 32)))
        problem = Free(space, ("error", "params", "macs"))
        large = space.size > 10 * SEEN
        seen = space.sample(SEEN, np.random.default_rng(1)) if large else None
        size = OFFSPRING if large else 100
        ours = generations(get_algorithm("nsga2", problem, pop_size=size), problem, seen, repeats)
        other = generations(integer_recipe(size), problem, None, repeats)
        row = {
            "part": "algorithm",
            "space": name,
            "what": f"{size} offspring, {len(seen) if seen is not None else 0} seen before",
            "networks": float(space.size),
            "seconds": float(np.median(ours)),
            "ratio": float(np.median(other) / np.median(ours)),
        }
        print(
            f"{name} ({space.size:.1e} genomes), {row['what']}: {1e3 * np.median(ours):.0f} ms a "
            f"generation, pymoo's NSGA-II {1e3 * np.median(other):.0f} ms",
            flush=True,
        )
        yield row


def drawn(frame: pd.DataFrame) -> Figure:
    """Shares of the limit, and times of generations."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    rows = frame[frame["part"] == "population"].reset_index(drop=True)
    places = np.arange(len(rows))
    left.barh(places - 0.2, rows["limit"], 0.4, color="#bbbbbb", label="limit")
    left.barh(places + 0.2, rows["ratio"], 0.4, color="#0072b2", label="measured")
    names = [f"{r.space}, width {r.width:g}: {r.what}" for r in rows.itertuples()]
    left.set_yticks(places, names, fontsize=7)
    left.invert_yaxis()
    left.set_xlabel("times faster than one by one")
    left.legend(frameon=False, fontsize=7)
    rows = frame[frame["part"] == "algorithm"].sort_values("networks")
    ours, places = 1e3 * rows["seconds"], np.arange(len(rows))
    right.barh(places - 0.2, ours * rows["ratio"], 0.4, color="#bbbbbb", label="pymoo's integers")
    right.barh(places + 0.2, ours, 0.4, color="#0072b2", label="evonas")
    names = [
        f"{r.space}, $10^{{{np.log10(r.networks):.0f}}}$: {r.what.partition(',')[0]}"
        for r in rows.itertuples()
    ]
    right.set_yticks(places, names, fontsize=7)
    right.invert_yaxis()
    right.set_xlabel("ms per generation")
    right.legend(frameon=False, fontsize=7)
    return figure


def write(row: Row) -> None:
    """Put a row into the table, in place of an earlier one of the same, and draw."""
    frame = pd.DataFrame([row], columns=COLUMNS)
    if TABLE.is_file():
        frame = pd.concat([pd.read_csv(TABLE), frame], ignore_index=True)
        frame = frame.drop_duplicates(["part", "space", "width", "what"], keep="last")
    frame.to_csv(TABLE, index=False, float_format="%.4g")
    drawn(frame).savefig(TABLE.with_suffix(".png"), dpi=150)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=60, help="of training steps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-whole-space", action="store_true", help="leave out the longest")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parts = {
        "population": lambda: population(
            arguments.repeats, arguments.threads, whole=not arguments.no_whole_space
        ),
        "training": lambda: training(arguments.pairs),
        "algorithm": lambda: algorithm(arguments.repeats),
    }
    try:
        for part in arguments.parts:
            for row in parts[part]():
                write(row)
    except InputError as error:
        print(f"speed: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
