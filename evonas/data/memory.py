"""How much memory images may take."""

from __future__ import annotations

import os
from pathlib import Path

import torch

# Networks and activations need the rest.
SHARE = 0.5
UNKNOWN = 2 << 30


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, and on the host, through which images pass.

    Where the system does not tell (neither Linux nor any POSIX), 2 GiB are assumed.
    """
    host = _host_memory()
    if device.type != "cuda":
        return host
    return min(host, torch.cuda.mem_get_info(device)[0])


def default_limit(device: torch.device) -> int:
    """Half of what is free, in bytes."""
    return int(free_memory(device) * SHARE)


def _host_memory() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return UNKNOWN
