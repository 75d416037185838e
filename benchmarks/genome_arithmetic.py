"""Counting, canonical forms and sampling of a million genomes: seconds for one call each.

python benchmarks/genome_arithmetic.py [--genomes 1000000] [--repeats 5]
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from evonas.spaces import get_space


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median over repeats, after one call that is not timed."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genomes", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    shapes = {"mobile-imagenet": (3, 224, 224)}
    print(f"seconds for {arguments.genomes} genomes, median of {arguments.repeats}")
    print(f"{'space':18}{'sample':>9}{'params':>9}{'macs':>9}{'canonical':>11}")
    for name in ("macro", "nb201", "darts", "mobile-cifar", "mobile-imagenet"):
        space = get_space(name, input_shape=shapes.get(name, (3, 32, 32)))
        rng = np.random.default_rng(0)
        X = space.sample(arguments.genomes, rng)
        calls = (
            lambda s=space, r=rng: s.sample(arguments.genomes, r),
            lambda s=space, g=X: s.params(g),
            lambda s=space, g=X: s.macs(g),
            lambda s=space, g=X: s.canonical(g),
        )
        sample, params, macs, canonical = (median_seconds(c, arguments.repeats) for c in calls)
        print(f"{name:18}{sample:9.3f}{params:9.3f}{macs:9.3f}{canonical:11.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
