"""A training step of a full-width supernet against as many steps of stand-alone networks.

    python benchmarks/training_step.py [--space macro] [--paths uniform] [--pairs 60] [--threads 2]
    python benchmarks/training_step.py --profile [--space macro] [--width 1]
    python benchmarks/training_step.py --precision [--space macro] [--width 1] [--paths uniform]

A step of a supernet trains one path (uniform) or several, each on its part of the batch; beside it
the same genomes are trained as stand-alone networks, each on the same part of the same batch, with
the same optimiser settings. Pairs are interleaved, in alternating order, and genomes change from
pair to pair. Prints the median ratio of the times and its 95 % bootstrap interval, and images per
second beside those of a plain stack of residual blocks of as many multiply-adds, which is trained
on the same batch in the same turns.

With --profile it says instead which operations the time of a step of one path goes to, its data
included; with --precision, what a step in bfloat16 takes of one in float32.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from evonas.config import TrainingConfig
from evonas.data import SearchData, from_tensors
from evonas.device import resolve_device, wait
from evonas.spaces import get_space
from evonas.spaces.blocks import Residual, conv
from evonas.supernet import Supernet
from evonas.supernet.calibration import bfloat16_ratio, settle_precision
from evonas.supernet.paths import get_single_paths
from evonas.training import Trainer

BATCH = 64


@dataclass(frozen=True)
class Step:
    """What was measured.

    Attributes:
        space, paths, batch, pairs: as asked for.
        images: in a step of all paths.
        shared, alone, stack: median seconds of a step of the supernet, of stand-alone networks,
            and of a plain stack of residual blocks of as many multiply-adds.
        ratio: median of shared / alone, of each pair.
        low, high: its 95 % interval.
        throughput: median of stack / shared: images per second against those of the stack.
    """

    space: str
    paths: str
    batch: int
    pairs: int
    images: int
    shared: float
    alone: float
    stack: float
    ratio: float
    low: float
    high: float
    throughput: float

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.space}, {self.paths}, batch {self.batch}, {self.pairs} pairs: supernet "
            f"{1e3 * self.shared:.1f} ms, stand-alone {1e3 * self.alone:.1f} ms, median ratio "
            f"{self.ratio:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f}; "
            f"{self.images / self.shared:.0f} images/s, {self.throughput:.2f} of a plain stack of "
            "residual blocks of equal multiply-adds"
        )


class Stack(nn.Sequential):
    """Residual blocks of two 3x3 convolutions, of about so many multiply-adds on 32 x 32 images.

    What a device can do: no layer of it is small.
    """

    def __init__(self, macs: float, channels: int = 32) -> None:
        """As many channels, from 16 to those given, and blocks as make the multiply-adds."""
        while channels > 16 and macs < 4 * _macs_of_block(channels):
            channels //= 2
        blocks = max(1, round(macs / _macs_of_block(channels)))
        super().__init__(
            nn.Conv2d(3, channels, 3, 1, 1, bias=False),
            *(_block(channels) for _ in range(blocks)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, 10),
        )


def _block(channels: int) -> nn.Module:
    branch = Residual(
        conv(channels, channels, kernel=3),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        conv(channels, channels, kernel=3),
        nn.BatchNorm2d(channels),
    )
    return nn.Sequential(branch, nn.ReLU())


def _macs_of_block(channels: int) -> int:
    return 2 * 9 * channels**2 * 32 * 32


class Chosen:
    """The genomes of this pair."""

    genomes: np.ndarray

    def sample(self, space: object, random_state: np.random.Generator) -> np.ndarray:
        """Those, whatever is asked."""
        return self.genomes


def noise(batch: int, rng: np.random.Generator) -> tuple[SearchData, TrainingConfig]:
    """CIFAR-sized data for four batches of so many images, and how to train on them."""
    images = rng.integers(0, 256, (4 * batch, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    data = from_tensors(images, labels, num_classes=10, device=resolve_device("auto"))
    return data, TrainingConfig(
        steps=10**6, batch_size=batch, lr=0.1, weight_decay=5e-4, label_smoothing=0.1
    )


def measure(space_name: str, paths: str, pairs: int, batch: int) -> tuple[np.ndarray, int]:
    """Seconds of steps of supernet, stand-alone networks and stack, (pairs, 3); its images."""
    rng = np.random.default_rng(0)
    space, strategy, chosen = get_space(space_name), get_single_paths(paths), Chosen()
    k = len(strategy.sample(space, rng))
    data, config = noise(batch * k, rng)
    supernet = Supernet(space, data)
    shared = supernet.trainer(config, paths=chosen)
    device = supernet.device
    inputs, labels = next(iter(shared.epoch()))
    parts = list(zip(inputs.tensor_split(k), labels.tensor_split(k), strict=True))
    usual = float(np.mean([space.macs(strategy.sample(space, rng)).mean() for _ in range(100)]))
    stack = Trainer(
        Stack(usual).to(device, memory_format=torch.channels_last).train(), data.train, config
    )
    times = []
    for pair in range(pairs + 3):
        # The dearest first, as the supernet has them.
        genomes = space.canonical(strategy.sample(space, rng))
        chosen.genomes = genomes[np.argsort(-space.macs(genomes), kind="stable")]
        networks = [
            space.build(x).to(device, memory_format=torch.channels_last).train()
            for x in chosen.genomes
        ]
        alone = [Trainer(network, data.train, config) for network in networks]

        def step_alone(alone: list[Trainer] = alone) -> None:
            for trainer, part in zip(alone, parts, strict=True):
                trainer.train_step(*part)

        steps = (
            lambda: shared.train_step(inputs, labels),
            step_alone,
            lambda: stack.train_step(inputs, labels),
        )
        # A first step of each allocates memory and buffers; the second is timed.
        for step in steps:
            step()
        row = [0.0] * 3
        for which in (0, 1, 2) if pair % 2 else (1, 0, 2):
            start = time.perf_counter()
            steps[which]()
            wait(device)
            row[which] = time.perf_counter() - start
        times.append(row)
    return np.array(times[3:]), len(labels)


def step_ratio(space: str, paths: str, pairs: int, batch: int = BATCH) -> Step:
    """Medians, and how sure the ratio is.

    Args:
        space: name of a space.
        paths: "uniform", "fair" or "spread".
        pairs: of steps.
        batch: images of each path.
    """
    times, images = measure(space, paths, pairs, batch)
    ratios = times[:, 0] / times[:, 1]
    interval = bootstrap(
        (ratios,), np.median, confidence_level=0.95, rng=np.random.default_rng(0)
    ).confidence_interval
    return Step(
        space,
        paths,
        batch,
        pairs,
        images,
        *(float(np.median(column)) for column in times.T),
        float(np.median(ratios)),
        float(interval.low),
        float(interval.high),
        float(np.median(times[:, 2] / times[:, 0])),
    )


STEPS, OPERATIONS = 10, 14


def profile(space_name: str, width: float, batch: int) -> None:
    """Print what a step's time goes to: operations by their own time, on the device if it has one.

    Args:
        space_name: name of a space.
        width: of the supernet.
        batch: images of a step.
    """
    data, config = noise(batch, np.random.default_rng(0))
    supernet = Supernet(get_space(space_name), data, width)
    trainer = supernet.trainer(config)
    on_cuda = supernet.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_cuda
    batches = trainer.endless()

    def steps() -> float:
        start = time.perf_counter()
        for inputs, labels in islice(batches, STEPS):
            trainer.train_step(inputs, labels)
        wait(supernet.device)
        return (time.perf_counter() - start) / STEPS

    steps()
    each = steps()
    with torch.profiler.profile(activities=activities) as profiler:
        steps()
    events = [
        (event.self_device_time_total if on_cuda else event.self_cpu_time_total, event)
        for event in profiler.key_averages()
        if not on_cuda or event.device_type == DeviceType.CUDA  # kernels, not who launched them
    ]
    whole = sum(taken for taken, _ in events)
    print(
        f"{space_name}, width {width:g}, uniform, batch {batch}: {1e3 * each:.1f} ms a step; "
        f"shares of {whole / 1e3 / STEPS:.1f} ms in operations, and calls of each in a step"
    )
    events.sort(key=lambda one: -one[0])
    for taken, event in events[:OPERATIONS]:
        print(f"{100 * taken / whole:5.1f} %  {event.count / STEPS:7.1f}  {event.key}")
    others = sum(taken for taken, _ in events[OPERATIONS:])
    print(f"{100 * others / whole:5.1f} %           {len(events[OPERATIONS:])} others")


def compare_precisions(space_name: str, paths: str, width: float, batch: int, pairs: int) -> None:
    """Print what a step in bfloat16 takes of one in float32, and what a run would choose.

    Args:
        space_name: name of a space.
        paths: "uniform" or "fair".
        width: of the supernet.
        batch: images of each path.
        pairs: of steps.
    """
    space, rng = get_space(space_name), np.random.default_rng(0)
    data, config = noise(batch * len(get_single_paths(paths).sample(space, rng)), rng)
    config = replace(config, paths=paths)
    ratio = bfloat16_ratio(space, data, width, config, pairs=pairs)
    print(
        f"{space_name}, width {width:g}, {paths}, batch {batch}: a step in bfloat16 takes "
        f"{ratio:.2f} of one in float32 ({pairs} pairs); a run trains in "
        f"{settle_precision(space, data, width, config).precision}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="macro")
    parser.add_argument("--paths", default="uniform")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=BATCH, help="images of each path")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="say what a step's time goes to")
    parser.add_argument(
        "--precision", action="store_true", help="compare bfloat16 with float32 instead"
    )
    parser.add_argument(
        "--width", type=float, default=1.0, help="of the supernet, with --profile or --precision"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.profile:
        profile(arguments.space, arguments.width, arguments.batch)
        return 0
    if arguments.precision:
        compare_precisions(
            arguments.space, arguments.paths, arguments.width, arguments.batch, arguments.pairs
        )
        return 0
    print(step_ratio(arguments.space, arguments.paths, arguments.pairs, arguments.batch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
