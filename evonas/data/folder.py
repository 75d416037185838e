"""Any folder of class sub-folders of images: the user's own pictures.

Classes are the sub-folders, sorted by name. 15 % of the images are test and 15 % of the rest are
validation, cut off a fixed order of the relative file names, stratified by class.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from evonas.data.locate import HOW_TO_NAME, named_folder
from evonas.data.policy import Augmentation
from evonas.data.source import DataSet, FileList, Part, Request
from evonas.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
IMAGE_SIZE = 32
TEST_SHARE = 0.15
VALIDATION_SHARE = 0.15


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise InputError(f"cannot read {folder} ({error.strerror}); make it readable") from None


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError as error:
        raise InputError(
            f"cannot read the image {entry.path} ({error.strerror}); replace or remove it"
        ) from None


def scan(root: Path) -> tuple[list[str], list[list[os.DirEntry[str]]]]:
    """List the classes and their image files, both sorted by name.

    Raises:
        InputError: for a folder without class sub-folders, with one class only, or with a class
            that holds no image.
    """
    classes = [entry for entry in _entries(root) if entry.is_dir()]
    if len(classes) < 2:
        found = f"only one, {classes[0].name}" if classes else "none"
        raise InputError(
            f"{root} must hold a sub-folder of images for each of at least two classes "
            f"(there is {found}); name the folder above the classes"
        )
    images = []
    for entry in classes:
        files = [e for e in _entries(Path(entry.path)) if e.name.lower().endswith(SUFFIXES)]
        if not files:
            raise InputError(
                f"{entry.path} holds no images ({', '.join(SUFFIXES[:3])}, ...); each sub-folder "
                "of the data folder must be a class: remove it, or name another folder"
            )
        images.append(files)
    return [entry.name for entry in classes], images


def _read(request: Request) -> Part:
    root = named_folder(request.data_dir)
    if root is None:
        raise InputError(f"the data set 'folder' is yours to name; {HOW_TO_NAME}")
    side = IMAGE_SIZE if request.image_size is None else request.image_size
    if side < 1:
        raise InputError(f"image_size={side} is no size; give pixels, such as {IMAGE_SIZE}")
    classes, images = scan(root)
    names, sizes = [], []
    for name, files in zip(classes, images, strict=True):
        names += [f"{name}/{entry.name}" for entry in files]
        sizes += [_size(entry) for entry in files]
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in images])
    if len(names) < 10:
        raise InputError(
            f"{root} holds {len(names)} images, too few to split in three; add some (at least 10)"
        )
    return Part(FileList(root, tuple(names), tuple(sizes), side), labels, tuple(classes))


def read_search(request: Request) -> Part:
    """The 85 % of the images that are not test."""
    return _read(request).without_test(TEST_SHARE)


def read_test(request: Request) -> Part:
    """The test images."""
    return _read(request).only_test(TEST_SHARE)


FOLDER = DataSet(
    name="folder",
    read_search=read_search,
    read_test=read_test,
    augmentation=Augmentation(flip=True),
    validation=VALIDATION_SHARE,
    # The same for resident and streamed images, so that memory changes no number of a run.
    statistics_images=10_000,
)
