"""Data sets on the device: load, split once, augment.

`get_data(name)` gives a `SearchData`: the training and the validation split, and nothing that
leads to test images. Importing this package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.data.images import Images, ImageTensors
    from evonas.data.policy import Augmentation
    from evonas.data.record import SearchData
    from evonas.data.registry import find_data, get_data, list_data, register_data
    from evonas.data.source import DataSet, Part, Request
    from evonas.data.stream import ImageFiles
    from evonas.data.tensors import from_tensors, tensor_data_set

_HOMES = {
    "Augmentation": "policy",
    "DataSet": "source",
    "ImageFiles": "stream",
    "ImageTensors": "images",
    "Images": "images",
    "Part": "source",
    "Request": "source",
    "SearchData": "record",
    "find_data": "registry",
    "from_tensors": "tensors",
    "get_data": "registry",
    "list_data": "registry",
    "register_data": "registry",
    "tensor_data_set": "tensors",
}

__all__ = [
    "Augmentation",
    "DataSet",
    "ImageFiles",
    "ImageTensors",
    "Images",
    "Part",
    "Request",
    "SearchData",
    "find_data",
    "from_tensors",
    "get_data",
    "list_data",
    "register_data",
    "tensor_data_set",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
