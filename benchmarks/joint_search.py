"""The CIFAR-10 half of `multi_distribution.py`: weights are trained while distributions learn.

On the space macro, whose networks NAS-Bench-Macro trained from scratch: the errors of a front are
looked up there. Arms as there: eight separate searches, each with a supernet of its own, with the
coefficients that the joint search ended with; eight distributions on one supernet, each learning
from its own samples; and from the samples of all. Training steps, steps of distributions, two
samples of a distribution to each, and evaluations of a distribution in the end are the same in all.
In all arms distributions learn in the last 40 % of the training only, the default.

`forwards` are of a network on a batch of 125 validation images, of half the side while training
images are. `excess_error` is of the members that no other one beats by the estimates of the
supernets, `excess_error_all_members` of all members of all fronts together, as if their true errors
were known: what eight separate searches must at least be granted.

Settings were chosen on seeds 1 to 3, with 2,000 and 3,250 training steps.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from moocore import is_nondominated

from evonas.config import RunConfig
from evonas.problems import get_problem
from evonas.problems.defaults import JOINT_EVALUATIONS
from evonas.problems.tabular import TabularProblem
from evonas.search.joint import MIXTURE, WARM_UP, WEIGHT_STEPS

DISTRIBUTIONS = 8
CURVE = (1, 4, 16)
TRUTH = "nasbench-macro-params"
ARMS = ("separate", "own samples", "pooled")


@dataclass(frozen=True)
class Job:
    """One joint search.

    Attributes:
        arm: whose it is.
        weight_steps: training steps to one of the distributions.
        steps: training steps.
        seed: of everything.
        coefficient: of the one distribution of a separate search, in nats for a parameter.
        threads: of torch; all cores if None.
        warm_up: share of the training before distributions begin.
        mixture: share of the later steps that train networks of the distributions.
        evaluates: whether its front is evaluated in the end.
    """

    arm: str
    weight_steps: int
    steps: int
    seed: int
    coefficient: float | None = None
    threads: int | None = None
    warm_up: float = WARM_UP
    mixture: float = MIXTURE
    evaluates: bool = True


@dataclass(frozen=True)
class Joint:
    """What a joint search took and found.

    Attributes:
        job: see there.
        training: seconds of it, the steps of the distributions included.
        evaluation: seconds of evaluating the front.
        forwards: of a network on a batch of validation images.
        evaluations: networks evaluated on all validation images.
        coefficients: at the end, (M,).
        architectures: the likeliest genome of each distribution, (M, n_var).
        genomes: of its front, (n, n_var).
        estimates: (error, params) of these as the supernet has them, (n, 2).
    """

    job: Job
    training: float
    evaluation: float
    forwards: int
    evaluations: int
    coefficients: np.ndarray
    architectures: np.ndarray
    genomes: np.ndarray | None = None
    estimates: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock of all but reading the data."""
        return self.training + self.evaluation


def search(job: Job) -> Joint:
    """One joint search on as many images and of as wide a supernet as the command line's."""
    import torch
    from pymoo.optimize import minimize

    from evonas.search import JointLearning, MultiDistributionSearch
    from evonas.stages.filling import fill, use_threads
    from evonas.stages.workspace import Workspace

    M = 1 if job.arm == "separate" else DISTRIBUTIONS
    config = fill(
        RunConfig(
            problem="cifar10-params", algorithm="multi-distribution", joint=True, distributions=M,
            weight_steps=job.weight_steps, seed=job.seed, threads=job.threads, device="cpu",
        )
    )  # fmt: skip
    use_threads(config)
    training = replace(config.training, steps=job.steps)
    workspace = Workspace(config)
    problem, supernet = workspace.supernet_problem(), workspace.new_supernet()
    joint = JointLearning(
        problem,
        supernet,
        training,
        M,
        weight_steps=job.weight_steps,
        seed=job.seed,
        pooled=job.arm != "own samples",
        coefficients=None if job.coefficient is None else [job.coefficient],
        warm_up=job.warm_up,
        mixture=job.mixture,
    )
    start = time.perf_counter()
    supernet.train(training, seed=job.seed, paths=joint, companion=joint)
    trained = time.perf_counter()
    assert torch.get_num_threads() == config.threads
    assert joint.coefficients is not None
    likeliest = problem.canonical(joint.probabilities.argmax(axis=2))
    done = Joint(job, trained - start, 0.0, joint.networks, 0, joint.coefficients, likeliest)
    if not job.evaluates:
        return done
    problem.supernet = supernet
    algorithm = MultiDistributionSearch(M, probabilities=joint.probabilities, learning=False)
    evaluations = JOINT_EVALUATIONS * M
    front = minimize(problem, algorithm, ("n_eval", evaluations), seed=job.seed).opt
    return replace(
        done,
        evaluation=time.perf_counter() - trained,
        forwards=joint.networks + evaluations * supernet.validation_batches,
        evaluations=evaluations,
        genomes=np.atleast_2d(front.get("X")).astype(int),
        estimates=np.atleast_2d(front.get("F")),
    )


def excess(found: list[Joint], truth: TabularProblem) -> tuple[float, float, int]:
    """Mean excess error of fronts together, by two readings, and members.

    The first takes all members of all fronts, as if the best of them were known; the second those
    that no other one beats by the estimates of the supernets, which is what a user could do.
    """
    genomes = np.concatenate([one.genomes for one in found])
    errors = truth.evaluate(genomes, return_values_of="F")
    kept = is_nondominated(np.concatenate([one.estimates for one in found]), keep_weakly=True)
    return truth.mean_excess_error(errors), truth.mean_excess_error(errors[kept]), int(kept.sum())


def row(arm: str, seed: int, found: list[Joint], truth: TabularProblem) -> dict[str, object]:
    """A line of the CSV: sums over the searches of an arm; `seed` is that of all arms."""
    generous, estimated, members = excess(found, truth)
    architectures = np.concatenate([one.architectures for one in found])
    distinct = np.unique(truth.canonical(architectures), axis=0)
    return {
        "arm": arm,
        "seed": seed,
        "weight_steps": found[0].job.weight_steps,
        "training_steps": sum(one.job.steps for one in found),
        "forwards": sum(one.forwards for one in found),
        "evaluations": sum(one.evaluations for one in found),
        "excess_error": round(estimated, 3),
        "excess_error_all_members": round(generous, 3),
        "members": members,
        "architectures": len(distinct),
        "architectures_excess_error": round(
            truth.mean_excess_error(truth.evaluate(distinct, return_values_of="F")), 2
        ),
    }


def show(values: dict[str, object]) -> None:
    """Print a line at once: a run takes an hour."""
    print("; ".join(f"{name} {value}" for name, value in values.items()), flush=True)


def curve(steps: int, seed: int, repeats: int) -> list[dict[str, object]]:
    """Wall-clock of training eight distributions and one, in turn, for some weight steps.

    As they are by default, and as in the textbook, where distributions learn from the first step,
    and all steps train their networks.
    """
    rows = []
    for (warm_up, mixture), weight_steps in product(((WARM_UP, MIXTURE), (0.0, 1.0)), CURVE):
        taken: dict[str, list[Joint]] = {"separate": [], "pooled": []}
        for repeat in range(repeats):
            for arm in ("pooled", "separate"):
                coefficient = None if arm == "pooled" else taken["pooled"][0].coefficients[4]
                job = Job(arm, weight_steps, steps, seed + repeat, coefficient)
                job = replace(job, warm_up=warm_up, mixture=mixture, evaluates=False)
                taken[arm].append(search(job))
        pairs = list(zip(taken["pooled"], taken["separate"], strict=True))
        values: dict[str, object] = {
            "warm_up": warm_up,
            "mixture": mixture,
            "weight_steps": weight_steps,
            "training_steps": steps,
            "seconds_1": round(median(one.seconds for one in taken["separate"]), 1),
            "seconds_8": round(median(one.seconds for one in taken["pooled"]), 1),
            "ratio": round(median(many.seconds / one.seconds for many, one in pairs), 3),
            "forwards_1": taken["separate"][0].forwards,
            "forwards_8": taken["pooled"][0].forwards,
        }
        show(values)
        rows.append(values)
    return rows


def compare(steps: int, seed: int, processes: int) -> list[dict[str, object]]:
    """Fronts of the three arms; eight against one are timed alone on the machine."""
    truth = get_problem(TRUTH)
    assert isinstance(truth, TabularProblem)
    job = Job("pooled", WEIGHT_STEPS, steps, seed)
    pooled = search(job)
    one = search(replace(job, arm="separate", coefficient=pooled.coefficients[4]))
    rows = [row("pooled", seed, [pooled], truth)]
    rows[0] |= {"seconds": round(pooled.seconds), "ratio": round(pooled.seconds / one.seconds, 3)}
    show(rows[0] | {"seconds of one": round(one.seconds)})
    threads = 1 if processes > 1 else None
    jobs = [replace(job, arm="own samples", threads=threads)]
    jobs += [
        replace(job, arm="separate", coefficient=c, seed=seed + 100 * m, threads=threads)
        for m, c in enumerate(pooled.coefficients, start=1)
    ]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        own, *separate = pool.map(search, jobs)
    for arm, found in (("own samples", [own]), ("separate", separate)):
        rows.append(row(arm, seed, found, truth))
        show(rows[-1])
    return rows


def measure(steps: int, curve_steps: int, seeds: range, processes: int, output: Path) -> None:
    """Measure, print, and write two tables."""
    frames = {
        "joint_search_curve.csv": pd.DataFrame(curve(curve_steps, seeds[0], 3)),
        "joint_search.csv": pd.DataFrame(
            [values for seed in seeds for values in compare(steps, seed, processes)]
        ),
    }
    for name, frame in frames.items():
        frame.to_csv(output / name, index=False, lineterminator="\n")
