"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read by torchvision.

The official 10,000 test images are the test part; of the 50,000 training images 5,000 are
validation by default.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evonas.data.locate import HOW_TO_NAME, downloaded, named_folder, read_bytes, verify
from evonas.data.policy import Augmentation
from evonas.data.source import DataSet, Part, Request
from evonas.errors import InputError


def _torchvision(classes: int) -> Any:
    from torchvision import datasets

    return {10: datasets.CIFAR10, 100: datasets.CIFAR100}[classes]


def _fetch(classes: int, folder: Path) -> None:
    _torchvision(classes)(folder, download=True)


def _root(classes: int, request: Request) -> Path:
    """The folder that holds torchvision's; every file in it has passed its MD5 check."""
    base: str = _torchvision(classes).base_folder
    named = named_folder(request.data_dir)
    if named is None:
        root = downloaded(f"cifar{classes}", base, partial(_fetch, classes))
    elif named.name == base and not (named / base).exists():
        root = named.parent  # the user named the inner folder; what is meant is plain
    else:
        root = named
    if not (root / base).is_dir():
        raise InputError(
            f"{root} holds no cifar{classes}: expected the folder {root / base} (the unpacked "
            f"{_torchvision(classes).filename}); {HOW_TO_NAME}"
        )
    return root


def _read(classes: int, train: bool, request: Request) -> Part:
    request.expect_size(f"cifar{classes}", 32)
    source = _torchvision(classes)
    root = _root(classes, request)
    # torchvision makes the same check before it unpickles anything, but does not say which
    # file failed.
    files = [*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])]
    for file, md5 in files:
        path = root / source.base_folder / file
        verify(read_bytes(path), md5, path)
    data = source(root, train=train, download=False)
    images = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))
    return Part(images, np.asarray(data.targets, dtype=np.int64), tuple(data.classes))


def _data_set(classes: int) -> DataSet:
    return DataSet(
        name=f"cifar{classes}",
        read_search=partial(_read, classes, True),
        read_test=partial(_read, classes, False),
        augmentation=Augmentation(padding=4, flip=True),
        validation=5_000,
    )


CIFAR10 = _data_set(10)
CIFAR100 = _data_set(100)
