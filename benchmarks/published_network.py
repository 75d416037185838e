"""The final network of the published true-rank log, trained here: how good, and how fast.

    python benchmarks/published_network.py [--epochs 540] [--seeds 3] [--work FOLDER]
    python benchmarks/published_network.py --no-test --validation 5000 [--epochs 100] [--lr 0.2]

Trains 16x56:1010000000000000:3333333333333333 (16 layers, 56 channels, full convolutions at layers
0 and 2, 453,498 parameters) on all training images of CIFAR-10 but 500, by the recipe of evonas,
and opens the test images once for each seed, at the last epoch: nothing is chosen by them. The log
has 96.00 %, the best of 600 epochs on the test images. What a recipe is to be chosen by, the second
command tells: validation images, and the test images stay sealed.

Prints accuracy, seconds and images per second of each seed and, on CUDA, the arithmetic of the
multiply-adds (forward and backward, six operations each) as a share of what a large bf16 matrix
product reaches on the same device, and the time of a step whose kernels are launched one by one
beside that of a replayed one. What is trained goes to the work folder; a repeated call goes on
from there, and seconds are those of all calls. Needs EVONAS_DATA, and a GPU: a CPU takes days.
"""

import argparse
import os
import sys
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from evonas.analysis.quantities import plural
from evonas.config import ScratchConfig
from evonas.errors import InputError
from evonas.problems import ScratchProblem, get_problem
from evonas.retrain import retrain
from evonas.spaces.plain import DEPTH, WIDTH
from evonas.training import Trainer, Training
from evonas.training.recipes import training_of
from evonas.training.scratch import new_network
from evonas.training.timing import step_seconds

NETWORK = "16x56:1010000000000000:3333333333333333"
VALIDATION = 500
SIDE, PRODUCTS = 8192, 20
STEPS = 100
# Settings of the training that the command line names as `ScratchConfig` does.
NUMBERS = {
    "epochs": int, "batch_size": int, "lr": float, "momentum": float, "weight_decay": float,
    "warmup": float, "label_smoothing": float, "clip_norm": float, "cutout": int,
    "half_resolution": float, "ema": float,
}  # fmt: skip


def peak(device: torch.device) -> float:
    """Operations per second of a large bf16 matrix product of random numbers."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(PRODUCTS):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        a @ b
        torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return float(2 * SIDE**3 / np.median(seconds))


def speed(problem: ScratchProblem, done: Training) -> tuple[float, float]:
    """Training images per second, and operations per second of their multiply-adds."""
    config = problem.config
    assert config.batch_size and config.half_resolution is not None
    images = done.epochs * problem.data.train.steps(config.batch_size) * config.batch_size
    macs = int(problem.space.macs(problem.space.encode(done.network)[None])[0])
    share = 1 - 0.75 * config.half_resolution  # images of half the side have a quarter of the work
    return images / done.seconds, 6 * macs * share * images / done.seconds


def step_time(problem: ScratchProblem, network: str, *, replay: bool) -> float:
    """Seconds of a training step, on images of full size.

    To be asked after the trainings: cuDNN keeps the kernels of the first steps that it sees, and
    those of a long training are chosen by timing them.
    """
    data, config = problem.data.train, replace(problem.config, half_resolution=0.0)
    build = partial(problem.space.build, problem.space.encode(network))
    trainer = Trainer(new_network(build, data.device), data, training_of(config, 1), replay=replay)
    return step_seconds(trainer, STEPS)


class Lines:
    """Prints a line for each seed, once, and their mean.

    Args:
        problem: says how the network is trained.
        network: canonical.
        most: operations per second of the device; None if unknown.
    """

    def __init__(self, problem: ScratchProblem, network: str, most: float | None) -> None:
        """Nothing is printed yet."""
        self.problem, self.network, self.most = problem, network, most
        self.accuracy: dict[int, float] = {}
        self.seconds: dict[int, float] = {}

    def tell(self, seed: int, test_error: float | None = None) -> None:
        """A training has ended; its error on the test images, where they were opened."""
        if seed in self.accuracy:
            return
        done = self.problem.record(self.network, seed)
        if done.lost:
            print(f"seed {seed}: diverged", flush=True)
            return
        self.accuracy[seed] = 100 - (done.error if test_error is None else test_error)
        self.seconds[seed] = done.seconds
        images, operations = speed(self.problem, done)
        parts = [] if test_error is None else [f"{100 - test_error:.2f} % of the test images"]
        parts += [
            f"{100 - done.error:.2f} % of {self.problem.evaluation_images} validation images",
            f"{done.training_accuracy:.2f} % of training images",
            f"{done.seconds:.0f} s",
            f"{images:,.0f} images/s",
        ]
        if self.most:
            parts.append(f"{100 * operations / self.most:.1f} % of the peak")
        print(f"seed {seed}: {', '.join(parts)}", flush=True)

    def mean(self, what: str) -> None:
        """The last line."""
        values = list(self.accuracy.values())
        if not values:
            sys.exit("no training came to a good end; give a smaller --lr")
        print(
            f"{len(values)} of {plural(len(self.problem.seeds), 'seed')}, "
            f"{plural(self.problem.config.epochs or 0, 'epoch')}: mean {what} accuracy "
            f"{np.mean(values):.2f} % ({min(values):.2f} to {max(values):.2f}), at most "
            f"{max(self.seconds.values()):.0f} s each"
        )


def report(
    problem: ScratchProblem, network: str, folder: Path, data_dir: str, *, test: bool
) -> None:
    """Train a network, print what comes of it, and how fast.

    Args:
        problem: says how, and by which seeds.
        network: canonical.
        folder: keeps what was measured on the test images.
        data_dir: folder of CIFAR-10.
        test: whether these are opened.
    """
    device = problem.data.train.device
    print(problem.config, flush=True)
    most = peak(device) if device.type == "cuda" else None
    if most:
        name = torch.cuda.get_device_name(device)
        print(f"{name}: {most / 1e12:.0f} TFLOP/s in bf16", flush=True)
    lines = Lines(problem, network, most)
    if test:
        tell = lambda done: lines.tell(done.seed, done.test_error)  # noqa: E731
        for done in retrain(problem, [network], folder, data_dir=data_dir, on_network=tell):
            tell(done)  # of an earlier call
    else:
        problem.on_training = lambda training: lines.tell(training.seed)
        problem.evaluate(problem.space.encode(network)[None])
    for seed in problem.seeds:
        if not test or problem.record(network, seed).lost:
            lines.tell(seed)
    lines.mean("test" if test else "validation")
    if most:
        each, replayed = (
            1e3 * step_time(problem, network, replay=replay) for replay in (False, True)
        )
        print(f"a training step: {each:.1f} ms kernel by kernel, {replayed:.1f} ms replayed")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--recipe", default=None, help="by default the fast one")
    for name, kind in NUMBERS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=None, help="by default the recipe's")
    parser.add_argument("--compile", action="store_true", default=None)
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--train-images", type=int, default=None, help="by default all")
    parser.add_argument("--validation", type=int, default=VALIDATION, help="images")
    parser.add_argument("--no-test", action="store_true", help="leave the test images sealed")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path("runs/published-network"))
    given = vars(parser.parse_args())
    scratch = {f.name: given[f.name] for f in fields(ScratchConfig) if f.name in given}
    data_dir = os.environ.get("EVONAS_DATA")
    if not data_dir:
        sys.exit("set EVONAS_DATA to a folder with CIFAR-10")
    try:
        problem = get_problem(
            "cifar10-params",
            "plain",
            data_dir,
            given["device"],
            train_images=given["train_images"],
            validation_images=given["validation"],
            settings={"depth": DEPTH, "width": WIDTH},
            scratch=ScratchConfig(**scratch),
            folder=given["work"] / "trainings",
            seed=given["seed"],
        )
        assert isinstance(problem, ScratchProblem)
        network = problem.space.decode(problem.space.encode(given["network"]))
        networks = given["work"] / "networks"
        report(problem, network, networks, data_dir, test=not given["no_test"])
    except InputError as error:
        sys.exit(f"published_network: {error}")


if __name__ == "__main__":
    main()
