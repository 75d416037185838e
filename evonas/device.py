"""Which device to compute on, by name."""

from evonas.errors import InputError


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
