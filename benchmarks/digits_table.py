"""A table of our own for `search_quality.py`: small networks trained on scikit-learn's digits.

    python benchmarks/digits_table.py [--processes 2]

Writes `digits_table.csv` beside this file: half of the valid combinations of seven genes, drawn
once, each trained three times. Three objectives: error in percent on images that no training saw,
mean of the three; trainable parameters; million multiply-adds of the whole training. A network
without a second hidden layer has no third one, so that the grid has holes beside the drawn ones.
Takes about half an hour on two cores.
"""

import argparse
import csv
import itertools
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

GENES: dict[str, tuple[object, ...]] = {
    "width1": (4, 8, 16, 32, 64),
    "width2": (0, 4, 8, 16, 32),
    "width3": (0, 4, 8, 16),
    "activation": ("logistic", "tanh", "relu"),
    "side": (4, 8),  # pixels; 4 means averages of 2 x 2
    "lr": (0.001, 0.003, 0.01, 0.03),
    "epochs": (5, 15, 45),
}
TRAININGS = 3
BACKWARD = 2  # multiply-adds of a backward pass, in forward passes
PATH = Path(__file__).with_name("digits_table.csv")


def networks() -> list[tuple]:
    """The drawn half of the valid combinations, in the order of the grid."""
    grid = [g for g in itertools.product(*GENES.values()) if g[1] or not g[2]]
    drawn = np.random.default_rng(0).choice(len(grid), len(grid) // 2, replace=False)
    return [grid[i] for i in sorted(drawn)]


def measure(network: tuple) -> tuple[float, int, float]:
    """Error in percent, params, and million multiply-adds of one training."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    *widths, activation, side, lr, epochs = network
    digits = load_digits()
    pixels = digits.images.reshape(-1, side, 8 // side, side, 8 // side).mean(axis=(2, 4)) / 16
    X, X_test, y, y_test = train_test_split(
        pixels.reshape(len(pixels), -1), digits.target, test_size=0.4, random_state=0
    )
    hidden = [w for w in widths if w]
    shape = [side * side, *hidden, 10]
    layers = list(itertools.pairwise(shape))
    errors = []
    for seed in range(TRAININGS):
        model = MLPClassifier(hidden, activation=activation, learning_rate_init=lr,
                              max_iter=epochs, batch_size=64, random_state=seed, tol=0,
                              n_iter_no_change=epochs + 1)  # fmt: skip
        # one thread: sums over several differ in their last bits
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fixed number of epochs is meant
            errors.append(100 * (1 - model.fit(X, y).score(X_test, y_test)))
    macs = sum(a * b for a, b in layers)
    return (
        round(float(np.mean(errors)), 4),
        macs + sum(b for _, b in layers),
        round(macs * (1 + BACKWARD) * len(X) * epochs / 1e6, 4),
    )


def main() -> int:
    """Train all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    drawn = networks()
    with ProcessPoolExecutor(parser.parse_args().processes) as pool:
        rows: Iterator[tuple] = pool.map(measure, drawn, chunksize=8)
        lines = [(*network, *row) for network, row in zip(drawn, rows, strict=True)]
    with PATH.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*GENES, "error", "params", "training_macs"])
        writer.writerows(lines)
    print(f"{PATH.name}: {len(lines)} networks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
