"""A training step of a full-width supernet against as many steps of stand-alone networks.

    python benchmarks/training_step.py [--space macro] [--paths uniform] [--pairs 60] [--threads 2]

A step of a supernet trains one path (uniform) or several, each on its part of the batch; beside it
the same genomes are trained as stand-alone networks, each on the same part of the same batch, with
the same optimiser settings. Pairs are interleaved, in alternating order, and genomes change from
pair to pair. Prints the median ratio of the times and its 95 % bootstrap interval.
"""

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import bootstrap

from evonas.config import TrainingConfig
from evonas.data import from_tensors
from evonas.spaces import get_space
from evonas.supernet import Supernet
from evonas.supernet.paths import get_single_paths
from evonas.training import Trainer

BATCH = 64


@dataclass(frozen=True)
class Step:
    """What was measured: medians in seconds, their ratio, and its 95 % interval."""

    space: str
    paths: str
    batch: int
    pairs: int
    shared: float
    alone: float
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.space}, {self.paths}, batch {self.batch}, {self.pairs} pairs: supernet "
            f"{1e3 * self.shared:.1f} ms, stand-alone {1e3 * self.alone:.1f} ms, median ratio "
            f"{self.ratio:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f}"
        )


class Chosen:
    """The genomes of this pair."""

    genomes: np.ndarray

    def sample(self, space: object, random_state: np.random.Generator) -> np.ndarray:
        """Those, whatever is asked."""
        return self.genomes


def measure(space_name: str, paths: str, pairs: int, batch: int) -> np.ndarray:
    """Times in seconds of supernet and stand-alone steps, (pairs, 2)."""
    rng = np.random.default_rng(0)
    space, strategy, chosen = get_space(space_name), get_single_paths(paths), Chosen()
    k = len(strategy.sample(space, rng))
    images = rng.integers(0, 256, (4 * batch * k, 3, 32, 32), dtype=np.uint8)
    data = from_tensors(images, rng.integers(0, 10, len(images)), num_classes=10)
    config = TrainingConfig(
        steps=10**6, batch_size=batch * k, lr=0.1, weight_decay=5e-4, label_smoothing=0.1
    )
    supernet = Supernet(space, data)
    shared = supernet.trainer(config, paths=chosen)
    device = supernet.device
    inputs, labels = next(iter(shared.epoch()))
    parts = list(zip(inputs.tensor_split(k), labels.tensor_split(k), strict=True))
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

        steps = (lambda: shared.train_step(inputs, labels), step_alone)
        # A first step of each allocates memory and buffers; the second is timed.
        for step in steps:
            step()
        row = [0.0, 0.0]
        for which in (0, 1) if pair % 2 else (1, 0):
            start = time.perf_counter()
            steps[which]()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            row[which] = time.perf_counter() - start
        times.append(row)
    return np.array(times[3:])


def step_ratio(space: str, paths: str, pairs: int, batch: int = BATCH) -> Step:
    """Medians, and how sure the ratio is.

    Args:
        space: name of a space.
        paths: "uniform", "fair" or "spread".
        pairs: of steps.
        batch: images of each path.
    """
    times = measure(space, paths, pairs, batch)
    ratios = times[:, 0] / times[:, 1]
    interval = bootstrap(
        (ratios,), np.median, confidence_level=0.95, rng=np.random.default_rng(0)
    ).confidence_interval
    return Step(
        space,
        paths,
        batch,
        pairs,
        float(np.median(times[:, 0])),
        float(np.median(times[:, 1])),
        float(np.median(ratios)),
        float(interval.low),
        float(interval.high),
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="macro")
    parser.add_argument("--paths", default="uniform")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=BATCH, help="images of each path")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(step_ratio(arguments.space, arguments.paths, arguments.pairs, arguments.batch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
