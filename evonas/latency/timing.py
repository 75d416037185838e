"""Times of whole networks, measured in rounds so that a machine's moods reach all alike."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from evonas.device import wait
from evonas.spaces import SearchSpace

# Passes timed at each visit of a network, after one that is not: it warms the caches.
PASSES = 3


def build_all(
    space: SearchSpace, X: np.ndarray, images: torch.Tensor, advance: Callable[[int], Any]
) -> list[nn.Module]:
    """Networks of genomes (n, n_var) as written, ready for inference and run once.

    Tensors of equal shape are one in different networks, never within one: hundreds of networks
    take the memory of a few, and each still reads as many bytes as it would alone.

    Args:
        space: builds them.
        X: genomes (n, n_var).
        images: the batch, on the device of the networks; kernels are chosen when a layer first
            sees it.
        advance: called with 1 after each.
    """
    pool: dict[tuple[tuple[int, ...], int], nn.Parameter] = {}
    networks = []
    for x in X:
        network = space.build(x).eval().requires_grad_(False)
        count: dict[tuple[int, ...], int] = {}
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                shape = tuple(parameter.shape)
                count[shape] = count.get(shape, 0) + 1
                setattr(module, name, pool.setdefault((shape, count[shape]), parameter))
        with torch.inference_mode():
            network.to(images.device)(images)
        networks.append(network)
        advance(1)
    return networks


def time_all(
    networks: list[nn.Module],
    images: torch.Tensor,
    *,
    rounds: int,
    random_state: np.random.Generator,
    advance: Callable[[int], Any],
) -> np.ndarray:
    """Seconds that networks take for a batch.

    Every round visits all networks in an order of its own.

    Args:
        networks: ready for inference.
        images: the batch, on their device.
        rounds: visits of each network.
        random_state: numpy Generator, for the orders.
        advance: called with 1 after each visit.

    Returns:
        float64 (rounds, PASSES, networks).
    """
    seconds = np.empty((rounds, PASSES, len(networks)))
    with torch.inference_mode():
        for i in range(rounds):
            for at in random_state.permutation(len(networks)):
                network = networks[at]
                network(images)
                for j in range(PASSES):
                    wait(images.device)
                    start = time.perf_counter()
                    network(images)
                    wait(images.device)
                    seconds[i, j, at] = time.perf_counter() - start
                advance(1)
    return seconds
