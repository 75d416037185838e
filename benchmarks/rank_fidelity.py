"""How well a supernet ranks networks, and what that is worth, against NAS-Bench-Macro's truth.

    python benchmarks/rank_fidelity.py RUN        a run of cifar10-params on the space macro
    python benchmarks/rank_fidelity.py            makes one first: --budget 10m, about 10 minutes

Prints Kendall's tau between validation loss (and error) and published mean accuracy over 300
random networks, tau of parameter count and multiply-adds alone, and the mean excess error of the
run's front beside that of the front of all networks ranked by MACs without any training.

Needs EVONAS_DATA: a folder with CIFAR-10 and nas-bench-macro_cifar10.json (published in the
repository xiusu/NAS-Bench-Macro).
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from moocore import is_nondominated

from evonas.analysis import Front, kendall_tau
from evonas.config import RunConfig
from evonas.errors import InputError
from evonas.problems import get_problem
from evonas.run import Run, run

NETWORKS, SEED = 300, 2022

# Members of a front that are looked up, chosen by their estimates (the published errors of the
# others would be the dear part of a real check: training each of them from scratch).
LOOKED_UP = 40


def front_of(quality: np.ndarray, cost: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated networks among some; equal points are all kept."""
    points = np.column_stack([quality, cost])[among]
    return among[is_nondominated(points, keep_weakly=True)]


def measure(done: Run, data_dir: Path) -> dict[str, float]:
    """All numbers of the benchmark for one finished run."""
    table = get_problem("nasbench-macro-params", data_dir=data_dir)
    genomes = table.genes
    truth = table.evaluate(genomes)
    error = truth[:, 0]
    supernet = done.supernet()
    space = supernet.space
    if space.base.name != "macro":
        raise InputError(f"{done.folder.path} is a run of the space '{space.name}', not 'macro'")
    params, macs = space.params(genomes), space.macs(genomes)
    chosen = np.random.default_rng(SEED).choice(len(genomes), NETWORKS, replace=False)
    start = time.perf_counter()
    scores = supernet.evaluate(genomes[chosen])
    seconds = time.perf_counter() - start

    _, distinct = np.unique(space.canonical(genomes), axis=0, return_index=True)
    place = {tuple(genome): i for i, genome in enumerate(genomes.tolist())}

    def looked_up(front: Front) -> list[int]:
        return [place[tuple(space.encode(text).tolist())] for text in front.networks]

    def excess(members: np.ndarray | list[int]) -> float:
        return table.mean_excess_error(truth[members])

    ranked = front_of(-macs.astype(float), params, distinct)

    def tau(values: np.ndarray) -> float:
        return kendall_tau(values, error[chosen])

    return {
        "tau loss": tau(scores.loss),
        "tau error": tau(scores.error),
        "tau params": tau(-params[chosen]),
        "tau macs": tau(-macs[chosen]),
        "excess error of the front": excess(looked_up(done.front.representatives(LOOKED_UP))),
        "excess error ranked by macs": excess(ranked),
        "members of the front": len(done.front),
        "steps": done.config.training.steps or 0,
        "evaluations": done.config.evaluations or 0,
        "validation images": len(supernet.data.validation),
        "seconds per network": seconds / NETWORKS,
    }


def main() -> int:
    """Run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", help="run folder; made anew if left out")
    parser.add_argument("--budget", default="10m", help="of a run made anew")
    parser.add_argument("--seed", type=int, default=1, help="of a run made anew")
    arguments = parser.parse_args()
    try:
        data_dir = Path(os.environ.get("EVONAS_DATA") or _no_data())
        if arguments.run:
            done = Run.load(arguments.run)
        else:
            start = time.perf_counter()
            config = RunConfig(
                problem="cifar10-params",
                data_dir=str(data_dir),
                budget=arguments.budget,
                seed=arguments.seed,
            )
            done = run(config, started=start)
            print(f"run: {time.perf_counter() - start:.0f} s")
        for name, value in measure(done, data_dir).items():
            print(f"{name:28} {value:.4g}")
    except InputError as error:
        print(f"rank_fidelity: {error}", file=sys.stderr)
        return 2
    return 0


def _no_data() -> str:
    raise InputError("set EVONAS_DATA to the folder of CIFAR-10 and nas-bench-macro_cifar10.json")


if __name__ == "__main__":
    sys.exit(main())
