"""Scoring a population at once, layers of a common beginning run once, against one by one.

    python benchmarks/scoring.py [--space macro] [--width 0.25] [--images 500] [--threads 2]

Random networks, untrained weights, CIFAR-sized noise: the time depends on neither. Rounds of the
two are interleaved; prints the median ratio for each size of population.
"""

import argparse
import sys
import time

import numpy as np
import torch

from evonas.data import from_tensors
from evonas.spaces import get_space
from evonas.supernet import Supernet


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="macro")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 20, 100, 300])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2 * arguments.images, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(len(images)) % 10
    data = from_tensors(images, labels, num_classes=10, validation=arguments.images)
    space = get_space(arguments.space)
    supernet = Supernet(space, data, arguments.width)
    supernet.evaluate(space.sample(2, rng))
    for size in arguments.sizes:
        ratios, each = [], []
        for _ in range(arguments.rounds):
            genomes = np.unique(space.canonical(space.sample(size, rng)), axis=0)
            start = time.perf_counter()
            alone = [supernet.evaluate(genome[None]).loss[0] for genome in genomes]
            middle = time.perf_counter()
            together = supernet.evaluate(genomes).loss
            end = time.perf_counter()
            assert np.array_equal(alone, together), "scores depend on the population"
            ratios.append((middle - start) / (end - middle))
            each.append((end - middle) / len(genomes))
        print(
            f"{arguments.space}, width {arguments.width:g}, {arguments.images} images, population "
            f"{size}: {1e3 * np.median(each):.1f} ms a network, {np.median(ratios):.2f} times "
            "faster than one by one"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
