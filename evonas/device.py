"""Which device to compute on, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from evonas.errors import InputError

if TYPE_CHECKING:
    import torch

BFLOAT16 = ("avx512_bf16", "amx_tile")  # instructions, as torch calls them


def cores() -> int:
    """CPU cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def resolve_device(name: str) -> str:
    """The device that a name stands for: "cpu", "cuda" or "cuda:<number>".

    Args:
        name: "auto" takes CUDA where there is one.

    Raises:
        InputError: the name is unknown or there is no such device.
    """
    import re

    if name == "cpu":
        return "cpu"
    if name != "auto" and not re.fullmatch(r"cuda(:\d+)?", name):
        raise InputError(f"unknown device '{name}'; give auto, cpu, cuda or cuda:<number>")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    if int(name.partition(":")[2] or 0) >= count:
        raise InputError(f"there is no device '{name}' (CUDA devices: {count}); give --device cpu")
    return name


def kind_of(device: str) -> str:
    """The kind of a device by its name: "cuda" for "cuda:1"."""
    return device.partition(":")[0]


def wait(device: torch.device) -> None:
    """Until an accelerator has done all that it was given; elsewhere nothing is under way."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def computes_in_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16; others imitate them."""
    import torch

    # Older versions of torch know less of the processor.
    tests = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in BFLOAT16)
    return torch.backends.mkldnn.is_available() and any(test and test() for test in tests)


@contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Torch computes with so many CPU threads, and afterwards with as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def keep_memory() -> None:
    """Have the C library keep freed memory for the next tensors, where it can be told to (glibc).

    By default it gives what is larger than a few megabytes back at once, and the system clears
    every page anew that the next layer writes to: a tenth of a training on a CPU. The process then
    stays as large as it once was. Threads share one arena, since those of their own cannot keep
    what they let go.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8
    kept = {trim_threshold: -1, top_pad: 64 << 20, mmap_max: 0, arena_max: 1}
    for parameter, value in kept.items():
        mallopt(parameter, value)
