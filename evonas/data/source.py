"""What one data set must provide: two functions and its customs. No torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from evonas.data.policy import Augmentation
from evonas.data.split import hold_out
from evonas.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user said about where data lies and how large the images are.

    Attributes:
        data_dir: the folder named by the user, or None.
        image_size: side in pixels, for data sets whose images have no size of their own.
    """

    data_dir: str | Path | None = None
    image_size: int | None = None

    def expect_size(self, name: str, side: int) -> None:
        """Refuse an image size that the data set does not have.

        Raises:
            InputError: if `image_size` is given and is not `side`.
        """
        if self.image_size not in (None, side):
            raise InputError(
                f"{name} has images of {side} x {side} pixels; "
                f"leave image_size={self.image_size} out (it applies to the data set 'folder')"
            )


@dataclass(frozen=True)
class FileList:
    """Images still in their files: what `folder` gives instead of an array.

    Attributes:
        root: the folder.
        names: paths relative to it, with forward slashes.
        sizes: bytes of each file.
        side: pixels of the square that every image becomes.
    """

    root: Path
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    side: int

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def take(self, indices: np.ndarray) -> FileList:
        """Those files, in that order."""
        return FileList(
            self.root,
            tuple(self.names[i] for i in indices),
            tuple(self.sizes[i] for i in indices),
            self.side,
        )


@dataclass(frozen=True, eq=False)
class Part:
    """Images with labels, on the host, before they are split further and moved to a device.

    Attributes:
        images: uint8 (n, C, H, W), or a `FileList`.
        labels: int64 (n,).
        class_names: one name a class; their number is the number of classes.
    """

    images: np.ndarray | FileList
    labels: np.ndarray
    class_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        if isinstance(self.images, FileList):
            return (3, self.images.side, self.images.side)
        _, channels, height, width = self.images.shape
        return (channels, height, width)

    def take(self, indices: np.ndarray) -> Part:
        """Those images, in that order."""
        if isinstance(self.images, FileList):
            return Part(self.images.take(indices), self.labels[indices], self.class_names)
        return Part(self.images[indices], self.labels[indices], self.class_names)

    def without_test(self, test: int | float) -> Part:
        """All but the `test` images at the end of the stratified order."""
        return self.take(hold_out(self.labels, test)[0])

    def only_test(self, test: int | float) -> Part:
        """The `test` images at the end of the stratified order."""
        return self.take(hold_out(self.labels, test)[1])

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over pixels, labels and class names (0.1 s for CIFAR), 32 hex digits.

        A `FileList` counts with names and sizes of its files: reading an ImageNet to name it
        would take minutes.
        """
        digest = hashlib.sha256(repr((self.shape, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        if isinstance(self.images, FileList):
            digest.update(repr((self.images.names, self.images.sizes)).encode())
        else:
            digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One data set: how to read it, and its customs.

    Attributes:
        name: its name in the registry.
        read_search: reads what the search may see, training and validation images together.
        read_test: reads the test images; called by `evonas.data.sealed` and by nothing else.
        augmentation: what a training image stands.
        validation: default size of the validation part, images or (a float below 1) a share.
        statistics_images: mean and deviation are taken over at most so many training images.
    """

    name: str
    read_search: Callable[[Request], Part]
    read_test: Callable[[Request], Part]
    augmentation: Augmentation
    validation: int | float
    statistics_images: int | None = None
