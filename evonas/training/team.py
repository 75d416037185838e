"""Passes of one step at the same time, each on its share of a CPU's threads."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor, nn

from evonas.device import cpu_threads

A = TypeVar("A")
T = TypeVar("T")


class Team:
    """Threads that share those of the caller.

    A network of small layers hardly gains from a second thread, which has to be woken and waited
    for in each of them; two passes at once need no such thing.

    Args:
        most: members, at most; fewer where torch has fewer threads.

    Attributes:
        size: members.
        share: threads of each.
    """

    def __init__(self, most: int) -> None:
        """Start all members."""
        threads = torch.get_num_threads()
        self.size = max(1, min(threads, most))
        self.share = threads // self.size
        began = threading.Barrier(self.size + 1)

        def begin() -> None:
            torch.get_num_threads()  # or its first operation would take what threads begin with
            torch.set_num_threads(self.share)
            began.wait()

        self._pool = ThreadPoolExecutor(self.size, thread_name_prefix="evonas-pass")
        for _ in range(self.size):
            self._pool.submit(begin)
        began.wait()
        torch.set_num_threads(threads)  # it is what threads have that begin from now on

    def lead(self) -> AbstractContextManager[None]:
        """Leave the threads to the members, but for a share: those of the caller spin for a while.

        Without it a step of a small network took twice as long.
        """
        return cpu_threads(self.share)

    def map(self, job: Callable[[A], T], each: Iterable[A]) -> list[T]:
        """What a job returns for each; begun in this order.

        Raises:
            Exception: what the first job raised that did.
        """
        return list(self._pool.map(job, each))

    def end(self) -> None:
        """Let the members go; threads that begin from now on have as many as the caller."""
        self._pool.shutdown()
        torch.set_num_threads(torch.get_num_threads())


def add_gradients(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Add gradients to those that parameters have, as ``backward`` does.

    Args:
        parameters: each with or without a gradient.
        gradients: None where a parameter took no part.
    """
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is not None:
            parameter.grad += gradient
        elif gradient.stride() == parameter.stride():
            parameter.grad = gradient
        else:  # optimisers expect the layout of the parameter
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
