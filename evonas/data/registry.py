"""Data sets by name. A new one is a file with a `DataSet` in it, and a line here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.data.cifar import CIFAR10, CIFAR100
from evonas.data.digits import DIGITS
from evonas.data.fashion_mnist import FASHION_MNIST
from evonas.data.folder import FOLDER
from evonas.data.policy import Augmentation
from evonas.data.source import DataSet, Request
from evonas.errors import InputError, unknown
from evonas.plugins import plugins

if TYPE_CHECKING:
    import torch

    from evonas.data.record import SearchData

_DATA_SETS: dict[str, DataSet] = {
    data_set.name: data_set
    for data_set in (
        DIGITS,
        FASHION_MNIST,
        CIFAR10,
        CIFAR100,
        FOLDER,
    )
}


_OURS = tuple(_DATA_SETS.values())


def list_data() -> list[str]:
    """Names that `get_data` knows, in the order of the registry."""
    return list(_DATA_SETS)


def register_data(data_set: DataSet) -> None:
    """Make a data set of one's own known by its name.

    Raises:
        InputError: if the name is taken by another one.
    """
    if _DATA_SETS.setdefault(data_set.name, data_set) is not data_set:
        raise InputError(f"there is a data set '{data_set.name}' already; choose another name")


def find_data(name: str) -> DataSet:
    """The data set of that name, unread.

    Raises:
        InputError: if there is none; names the nearest.
    """
    if name not in _DATA_SETS:
        raise unknown("data set", name, _DATA_SETS)
    return _DATA_SETS[name]


def get_data(
    name: str | DataSet,
    *,
    data_dir: str | Path | None = None,
    device: str | torch.device = "cpu",
    validation: int | float | None = None,
    train_images: int | None = None,
    image_size: int | None = None,
    augmentation: Augmentation | None = None,
    memory_limit: int | None = None,
    workers: int | None = None,
) -> SearchData:
    """Load what a search may see of a data set, split and on the device.

    The split is a function of the data set and of the two sizes, never of a seed; both parts are
    stratified by class. CIFAR and Fashion-MNIST: their official test images are test, 5,000 of
    the others validation. digits: 1,100 training, 350 validation, 347 test. folder: 15 % test,
    15 % of the rest validation.

    Data lies in `data_dir`, else in the folder that the environment variable EVONAS_DATA names;
    only where neither names one is it downloaded, into $XDG_CACHE_HOME/evonas (or
    ~/.cache/evonas). digits needs no folder.

    Args:
        name: one of `list_data()`, or a `DataSet` of one's own.
        data_dir: folder that holds the data; never created.
        device: where images shall lie, and batches arrive.
        validation: validation images, as a number or, below 1, a share; None for the default.
        train_images: training images, a stratified subset that is the same each time; None for
            all that are not validation.
        image_size: side in pixels of the images of `folder`, 32 by default.
        augmentation: instead of the data set's own policy.
        memory_limit: bytes that the images of `folder` may take on the device; a part that would
            need more is streamed from its files. By default half of the free memory.
        workers: processes that decode image files; by default one a core, at most eight, and
            none for less than 2,000 images.

    Raises:
        InputError: for an unknown name or device, missing or damaged data, no network to download
            with, and sizes that do not fit.
    """
    data_set = find_data(name) if isinstance(name, str) else name
    request = Request(data_dir=data_dir, image_size=image_size)
    from evonas.data.assemble import search_data
    from evonas.data.record import Recipe

    data = search_data(
        data_set,
        request,
        device=device,
        validation=validation,
        train_images=train_images,
        augmentation=augmentation,
        memory_limit=memory_limit,
        workers=workers,
    )
    if _DATA_SETS.get(data_set.name) is not data_set or not _known_elsewhere(data_set):
        return data
    arguments = {
        "name": data_set.name,
        "data_dir": None if data_dir is None else os.path.abspath(Path(data_dir).expanduser()),
        "validation": validation,
        "train_images": train_images,
        "image_size": image_size,
        "augmentation": augmentation,
        "memory_limit": memory_limit,
        "workers": workers,
    }
    return replace(data, recipe=Recipe(arguments, (data.train, data.validation)))


def _known_elsewhere(data_set: DataSet) -> bool:
    """Whether another process knows it by its name: one of ours, or of a plugin that was run."""
    return data_set in _OURS or data_set.read_search.__module__ in {p.module for p in plugins()}
