"""A training step of a full-width supernet against the same step of the stand-alone network.

    python benchmarks/training_step.py [--space macro] [--pairs 60] [--batch 64] [--threads 2]

Both run the same genome on the same batch with the same optimiser settings, in interleaved pairs
whose order alternates; genomes change from pair to pair. Prints the median ratio of the times and
its 95 % bootstrap interval.
"""

import argparse
import sys
import time

import numpy as np
import torch
from scipy.stats import bootstrap

from evonas.config import TrainingConfig
from evonas.data import from_tensors
from evonas.spaces import get_space
from evonas.supernet import Supernet
from evonas.training import Trainer


def measure(space_name: str, pairs: int, batch: int) -> np.ndarray:
    """Times in seconds of supernet and stand-alone steps, (pairs, 2)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4 * batch, 3, 32, 32), dtype=np.uint8)
    data = from_tensors(images, rng.integers(0, 10, len(images)), num_classes=10)
    space = get_space(space_name)
    config = TrainingConfig(
        steps=10**6, batch_size=batch, lr=0.1, weight_decay=5e-4, label_smoothing=0.1
    )
    genome = space.canonical(space.sample(1, rng))[0]

    class Chosen:
        """The genome of this pair."""

        def sample(self, space: object, random_state: np.random.Generator) -> np.ndarray:
            return genome[None]

    supernet = Supernet(space, data)
    shared = supernet.trainer(config, paths=Chosen())
    device = supernet.device
    inputs, labels = next(iter(shared.epoch()))
    times = []
    for pair in range(pairs + 3):
        genome = space.canonical(space.sample(1, rng))[0]
        network = space.build(genome).to(device, memory_format=torch.channels_last)
        network.train()
        alone = Trainer(network, data.train, config)
        row = [0.0, 0.0]
        # A first step of each allocates memory and buffers; the second is timed.
        for trainer in (shared, alone):
            trainer.train_step(inputs, labels)
        for which in (0, 1) if pair % 2 else (1, 0):
            trainer = (shared, alone)[which]
            start = time.perf_counter()
            trainer.train_step(inputs, labels)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            row[which] = time.perf_counter() - start
        times.append(row)
    return np.array(times[3:])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="macro")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    times = measure(arguments.space, arguments.pairs, arguments.batch)
    ratios = times[:, 0] / times[:, 1]
    interval = bootstrap(
        (ratios,), np.median, confidence_level=0.95, rng=np.random.default_rng(0)
    ).confidence_interval
    print(
        f"{arguments.space}, batch {arguments.batch}, {arguments.pairs} pairs: supernet "
        f"{1e3 * np.median(times[:, 0]):.1f} ms, stand-alone {1e3 * np.median(times[:, 1]):.1f} ms,"
        f" median ratio {np.median(ratios):.3f}, 95 % interval {interval.low:.3f} to "
        f"{interval.high:.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
