"""True-rank search against random sampling of equal training cost, on CIFAR-10.

    python benchmarks/true_rank.py [--seeds 1] [--random 3] [--kinds uniform] [--work FOLDER]

A true-rank search (`cifar10-params` on `plain`, reduced in depth and width so that two cores do it
in a quarter of an hour), and random samples of the same space: uniform ones, and ones spread over
params (`StratifiedSampling`), whose networks are trained in the same way until their training has
cost at least as many multiply-adds as the search's. Prints, for each, networks, training cost,
seconds and the dominated hypervolume.

Writes true_rank.csv (every network trained) and true_rank.png into docs/; what is trained goes to
the work folder, which a repeated call goes on from. Needs EVONAS_DATA. On two cores an arm takes
about a quarter of an hour.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from search_quality import DOCS

from evonas.analysis.drawing import BLUE, GREY, ORANGE, plain_ticks, save, style
from evonas.analysis.quantities import quantity
from evonas.atomic import make_folder
from evonas.config import RunConfig, space_settings
from evonas.errors import InputError
from evonas.operators import StratifiedSampling
from evonas.problems import ScratchProblem, get_problem
from evonas.run import run
from evonas.stages.plan import fill

ARMS = {"true-rank": BLUE, "uniform": GREY, "stratified": ORANGE}
RANDOM = tuple(ARMS)[1:]
TITLE = "CIFAR-10, plain chains: every network trained, equal training cost"


def config_of(seed: int, work: Path, data_dir: str) -> RunConfig:
    """The search on its CPU defaults, settled; samples are drawn and trained by the same."""
    return fill(
        RunConfig(
            problem="cifar10-params",
            space="plain",
            algorithm="true-rank",
            seed=seed,
            device="cpu",
            threads=torch.get_num_threads(),
            data_dir=data_dir,
            runs=str(work / f"search-{seed}"),
        )
    )


def searched(seed: int, work: Path, data_dir: str) -> tuple[np.ndarray, float]:
    """Errors and params of all that a true-rank search trained, in order, and its seconds."""
    before = sorted((work / f"search-{seed}").glob("*/config.json"))
    done = run(resume=before[0].parent) if before else run(config_of(seed, work, data_dir))
    frame = pd.read_csv(done.folder.decisions)
    problem = problem_of(seed, work, data_dir)
    problem.keep_in(done.folder.trainings)
    X = np.stack([problem.space.encode(text) for text in frame["network"]])
    return X, float(done.history.seconds[-1])


def problem_of(seed: int, work: Path, data_dir: str) -> ScratchProblem:
    """The problem of all arms; each has a folder of its own for trainings."""
    config = config_of(seed, work, data_dir)
    problem = get_problem(
        config.problem,
        config.space,
        data_dir,
        settings=space_settings(config.space_settings),
        scratch=config.scratch,
        seed=seed,
        device=config.device,
        train_images=config.train_images,
        validation_images=config.validation_images,
    )
    assert isinstance(problem, ScratchProblem)
    return problem


def draws(arm: str, problem: ScratchProblem, seed: int) -> Iterator[np.ndarray]:
    """Distinct networks, one after the other."""
    random_state = np.random.default_rng(seed)
    seen: set[bytes] = set()
    while True:
        if arm == "uniform":
            X = problem.space.sample(20, random_state)
        else:
            X = StratifiedSampling()(problem, 20, random_state=random_state).get("X")
        for x in random_state.permutation(problem.canonical(X.astype(np.int64))):
            if x.tobytes() not in seen:
                seen.add(x.tobytes())
                yield x


def sampled(
    arm: str, number: int, cost: float, seed: int, work: Path, data_dir: str
) -> tuple[np.ndarray, float]:
    """Networks drawn at random until their training costs as much, and its seconds."""
    problem = problem_of(seed, work, data_dir)
    problem.keep_in(work / f"{arm}-{seed}-{number}")
    chosen: list[np.ndarray] = []
    spent = 0.0
    for x in draws(arm, problem, 1000 * seed + number):
        chosen.append(x)
        spent += float(problem.space.macs(x[None])[0])
        if spent >= cost:  # with the one that goes beyond: chance is to have no less
            break
    X = np.stack(chosen)
    problem.evaluate(X)
    return X, sum(record.seconds for x in X for record in problem.records(problem.space.decode(x)))


def rows_of(arm: str, number: int, problem: ScratchProblem, X: np.ndarray) -> pd.DataFrame:
    """What is known of the networks of an arm."""
    F = problem.evaluate(X)
    return pd.DataFrame(
        {
            "arm": arm,
            "sample": number,
            "seed": problem.seed,
            "network": [problem.space.decode(x) for x in X],
            "error": F[:, 0],
            "params": F[:, 1].astype(int),
            "macs": problem.space.macs(X),
        }
    )


def summary(frame: pd.DataFrame, problem: ScratchProblem) -> pd.DataFrame:
    """Networks, cost and hypervolume of each sample."""
    groups = frame.groupby(["seed", "arm", "sample"], sort=False)
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "arm": arm,
                "sample": sample,
                "networks": len(part),
                "training cost [MACs]": part["macs"].sum(),
                "hypervolume": problem.hypervolume(part[["error", "params"]].to_numpy(float)),
                "least error": part["error"].min(),
            }
            for (seed, arm, sample), part in groups
        ]
    )


def draw(frame: pd.DataFrame, path: Path) -> None:
    """All trained networks by arm, a panel for each seed."""
    seeds = list(frame["seed"].unique())
    figure = Figure(figsize=(2.4 + 4.8 * len(seeds), 4.5), layout="constrained")
    axes = figure.subplots(1, len(seeds), sharex=True, sharey=True, squeeze=False)[0]
    for ax, seed in zip(axes, seeds, strict=True):
        style(ax, f"seed {seed}")
        draw_seed(ax, frame[frame["seed"] == seed])
        ax.set_xscale("log")
        ax.set_xlabel(quantity("params").label)
        plain_ticks(ax.xaxis, True)
        ax.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel(quantity("error").label)
    figure.suptitle(TITLE, fontsize=11)
    save(figure, path)


def draw_seed(ax: Axes, frame: pd.DataFrame) -> None:
    """The networks of one seed, and the front of each sample as stairs."""
    for arm, colour in ARMS.items():
        part = frame[frame["arm"] == arm]
        several = part["sample"].nunique()
        if not several:
            continue
        label = f"{arm}, {several} samples" if several > 1 else arm
        ax.scatter(part["params"], part["error"], s=18, color=colour, alpha=0.8, label=label)
        for _, one in part.groupby("sample"):
            stairs = one.sort_values(["params", "error"])
            stairs = stairs[stairs["error"] < stairs["error"].cummin().shift(fill_value=np.inf)]
            ax.step(
                stairs["params"],
                stairs["error"],
                where="post",
                color=colour,
                linewidth=1,
                alpha=0.7,
            )


def main() -> int:
    """Train, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--random", type=int, default=3, help="samples of each kind")
    parser.add_argument("--kinds", nargs="+", default=RANDOM, choices=RANDOM)
    parser.add_argument("--work", type=Path, default=Path("true-rank-work"))
    parser.add_argument("--output", type=Path, default=DOCS)
    arguments = parser.parse_args()
    data_dir = os.environ.get("EVONAS_DATA")
    if not data_dir:
        print("true_rank: set EVONAS_DATA to the folder of CIFAR-10", file=sys.stderr)
        return 2
    frames = []
    try:
        make_folder(arguments.output)
        for seed in arguments.seeds:
            start = time.perf_counter()
            X, seconds = searched(seed, arguments.work, data_dir)
            print(
                f"true-rank, seed {seed}: {seconds:.0f} s ({time.perf_counter() - start:.0f} now)"
            )
            problem = problem_of(seed, arguments.work, data_dir)
            problem.keep_in(next((arguments.work / f"search-{seed}").glob("*/trainings")))
            frames.append(rows_of("true-rank", 0, problem, X))
            cost = float(problem.space.macs(X).sum())
            for arm in arguments.kinds:
                for number in range(arguments.random):
                    X, seconds = sampled(arm, number, cost, seed, arguments.work, data_dir)
                    print(f"{arm} {number}: {len(X)} networks, {seconds:.0f} s of training")
                    problem.keep_in(arguments.work / f"{arm}-{seed}-{number}")
                    frames.append(rows_of(arm, number, problem, X))
    except InputError as error:
        print(f"true_rank: {error}", file=sys.stderr)
        return 2
    frame = pd.concat(frames, ignore_index=True)
    frame.to_csv(arguments.output / "true_rank.csv", index=False)
    draw(frame, arguments.output / "true_rank.png")
    table = summary(frame, problem)
    print(table.to_string(index=False))
    means = table.groupby(["arm", "seed"], sort=False)["hypervolume"].mean().unstack("seed")
    print(f"\nmean hypervolume by seed\n{means.to_string()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
