"""Groups whose processes are threads, connected as processes are."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from evonas.training.group import Group

T = TypeVar("T")


def together(size: int, job: Callable[[Group], T]) -> list[T]:
    """What a job returns in each of so many threads, which are a group."""
    store = dist.HashStore()

    def one(rank: int) -> T:
        torch.get_num_threads()  # or its first operation would take what threads begin with
        torch.set_num_threads(1)
        processes = dist.ProcessGroupGloo(store, rank, size, timedelta(seconds=60))
        return job(Group(rank, size, processes))

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
