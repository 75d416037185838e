"""The final network of the published true-rank log, trained here: how good, and how fast.

    python benchmarks/published_network.py [--epochs 600] [--seeds 3] [--work FOLDER]

Trains 16x56:1010000000000000:3333333333333333 (16 layers, 56 channels, full convolutions at layers
0 and 2, 453,498 parameters) on all training images of CIFAR-10 but 500, by the recipe of evonas,
and opens the test images once for each seed, at the last epoch: nothing is chosen by them. The log
has 96.00 %, the best of 600 epochs on the test images.

Prints test accuracy, seconds and images per second of each seed and, on CUDA, the arithmetic of the
multiply-adds (forward and backward, six operations each) as a share of what a large bf16 matrix
product reaches on the same device, and the time of a step whose kernels are launched one by one
beside that of a replayed one. What is trained goes to the work folder; a repeated call goes on
from there. Needs EVONAS_DATA, and a GPU: a CPU takes days.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from evonas.config import ScratchConfig
from evonas.errors import InputError
from evonas.problems import ScratchProblem, get_problem
from evonas.retrain import Retrained, retrain
from evonas.training import Trainer
from evonas.training.recipes import training_of
from evonas.training.scratch import new_network
from evonas.training.timing import step_seconds

NETWORK = "16x56:1010000000000000:3333333333333333"
VALIDATION = 500
SIDE, PRODUCTS = 8192, 20
STEPS = 100


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


def speed(problem: ScratchProblem, done: Retrained) -> tuple[float, float]:
    """Training images per second, and operations per second of their multiply-adds."""
    config = problem.config
    assert config.batch_size and config.half_resolution is not None
    images = done.epochs * problem.data.train.steps(config.batch_size) * config.batch_size
    macs = int(problem.space.macs(problem.space.encode(NETWORK)[None])[0])
    share = 1 - 0.75 * config.half_resolution  # images of half the side have a quarter of the work
    return images / done.seconds, 6 * macs * share * images / done.seconds


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=None, help="by default those of the recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--cutout", type=int, default=None)
    parser.add_argument("--half-resolution", type=float, default=None)
    parser.add_argument("--weight-decay", type=float, default=None)
    parser.add_argument("--label-smoothing", type=float, default=None)
    parser.add_argument("--lr", type=float, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path("published-network"))
    arguments = vars(parser.parse_args())
    device, work, seed = (arguments.pop(name) for name in ("device", "work", "seed"))
    data_dir = os.environ.get("EVONAS_DATA")
    if not data_dir:
        sys.exit("set EVONAS_DATA to a folder with CIFAR-10")
    try:
        problem = get_problem(
            "cifar10-params",
            "plain",
            data_dir,
            device,
            validation_images=VALIDATION,
            scratch=ScratchConfig(**arguments),
            folder=work / "trainings",
            seed=seed,
        )
        assert isinstance(problem, ScratchProblem)
        report(problem, work / "networks", data_dir)
    except InputError as error:
        sys.exit(str(error))


def step_time(problem: ScratchProblem, *, replay: bool) -> float:
    """Seconds of a training step, on images of full size."""
    data, config = problem.data.train, replace(problem.config, half_resolution=0.0)
    build = partial(problem.space.build, problem.space.encode(NETWORK))
    # A short training: no kernels are chosen, for what is chosen once stays in the process.
    training = training_of(config, 1)
    trainer = Trainer(new_network(build, data.device), data, training, replay=replay)
    return step_seconds(trainer, STEPS)


def report(problem: ScratchProblem, folder: Path, data_dir: str) -> None:
    """Train, and print a line for each seed and their mean."""
    device = problem.data.train.device
    print(problem.config)
    most = peak(device) if device.type == "cuda" else None
    if most:
        print(f"{torch.cuda.get_device_name(device)}: {most / 1e12:.0f} TFLOP/s in bf16")
        each, replayed = (1e3 * step_time(problem, replay=replay) for replay in (False, True))
        print(f"a training step: {each:.1f} ms kernel by kernel, {replayed:.1f} ms replayed")
    network = problem.space.decode(problem.space.encode(NETWORK))

    def told(done: Retrained) -> None:
        images, operations = speed(problem, done)
        share = f", {100 * operations / most:.1f} % of the peak" if most else ""
        print(
            f"seed {done.seed}: {100 - done.test_error:.2f} % of {done.test_images} test images, "
            f"{100 - done.error:.2f} % of the validation images, {done.seconds:.0f} s, "
            f"{images:,.0f} images/s{share}",
            flush=True,
        )

    found = retrain(problem, [network], folder, data_dir=data_dir, on_network=told)
    accuracy = [100 - done.test_error for done in found]
    print(
        f"{len(found)} seeds of {found[0].epochs} epochs: mean test accuracy "
        f"{np.mean(accuracy):.2f} % ({min(accuracy):.2f} to {max(accuracy):.2f}), at most "
        f"{max(done.seconds for done in found):.0f} s each"
    )


if __name__ == "__main__":
    main()
