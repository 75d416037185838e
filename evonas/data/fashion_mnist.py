"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747): 28 x 28 pixels, grey.

The official 10,000 test images are the test part; of the 60,000 training images 5,000 are
validation by default. Read from torchvision's layout, or from the four idx files, gzipped or
not, lying directly in a folder, as Debian's package dataset-fashion-mnist installs them.
"""

from __future__ import annotations

import gzip
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from evonas.data.locate import (
    HOW_TO_NAME,
    cache_folder,
    downloaded,
    named_folder,
    read_bytes,
    verify,
)
from evonas.data.policy import Augmentation
from evonas.data.source import DataSet, Part, Request
from evonas.errors import InputError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
TORCHVISION = Path("FashionMNIST", "raw")
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# Of the unpacked content. The sums that torchvision knows are of the published .gz files, which
# Debian's lack their names and times of; the content of both is the same (checked 2026).
MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def read_idx(path: Path, dimensions: int, *, md5: str | None = None) -> np.ndarray:
    """Read one idx file of bytes, unpacking it if its name ends in .gz.

    Args:
        path: the file.
        dimensions: how many the array must have: 3 for images, 1 for labels.
        md5: published sum of the unpacked content, or None to compare none.

    Returns:
        uint8 array of the shape that the file states.

    Raises:
        InputError: for a file that is damaged, cut short or no idx file; names it.
    """
    content = read_bytes(path)
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{path} is damaged or incomplete ({error}); replace it by a fresh copy"
            ) from error
    start = 4 + 4 * dimensions
    # Two zero bytes, 8 for unsigned bytes, the number of dimensions; then each dimension.
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        raise InputError(
            f"{path} is no idx file of {dimensions}-dimensional bytes; replace it by a fresh copy"
        )
    shape = tuple(np.frombuffer(content[4:start], dtype=">u4").astype(int).tolist())
    if len(content) != start + int(np.prod(shape)):
        raise InputError(
            f"{path} is incomplete: {len(content) - start} bytes for the shape {shape}; "
            "replace it by a fresh copy"
        )
    if md5 is not None:
        verify(content, md5, path)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _find(folder: Path, file: str) -> Path | None:
    for path in (folder / file, folder / f"{file}.gz"):
        if path.exists():
            return path
    return None


def _places(folder: Path) -> list[Path]:
    return [folder / TORCHVISION, folder, folder / "fashion-mnist"]


def _holds_some(folder: Path) -> bool:
    return any(_find(folder, file) for pair in FILES.values() for file in pair)


def _fetch(folder: Path) -> None:
    from torchvision.datasets import FashionMNIST

    FashionMNIST(folder, download=True)


def locate(data_dir: str | Path | None) -> Path:
    """The folder with the four files.

    That is the folder the user named (in it: FashionMNIST/raw, the folder itself, fashion-mnist);
    where none is named, the cache, Debian's folder, or a download, in this order.

    Raises:
        InputError: where the folder named holds none of the files, or a download fails.
    """
    named = named_folder(data_dir)
    if named is not None:
        place = next(filter(_holds_some, _places(named)), None)
        if place is None:
            raise InputError(
                f"{named} holds no fashion-mnist: expected {named / TORCHVISION / '*-ubyte'} or "
                f"{named / '*-ubyte.gz'}; {HOW_TO_NAME}"
            )
        return place
    for place in (cache_folder() / TORCHVISION, DEBIAN):
        if _holds_some(place):
            return place
    return downloaded("fashion-mnist", TORCHVISION.parts[0], _fetch) / TORCHVISION


def read_part(part: str, published: bool, request: Request) -> Part:
    """Read the "train" or the "test" images.

    Args:
        part: which.
        published: expect exactly the published files; otherwise any consistent idx files of
            square images and ten classes pass.
        request: the folder, and an image size that must be the images' own.
    """
    folder = locate(request.data_dir)
    arrays = []
    for file, dimensions in zip(FILES[part], (3, 1), strict=True):
        path = _find(folder, file)
        if path is None:
            raise InputError(f"{folder / file}(.gz) is missing; put the complete data set there")
        arrays.append(read_idx(path, dimensions, md5=MD5[file] if published else None))
    images, labels = arrays
    if len(images) != len(labels) or (len(labels) and labels.max() >= len(CLASSES)):
        raise InputError(
            f"images and labels in {folder} do not belong together; replace them by fresh copies"
        )
    request.expect_size("fashion-mnist", images.shape[1])
    return Part(images[:, None], labels.astype(np.int64), CLASSES)


def fashion_mnist(*, published: bool = True, validation: int | float = 5_000) -> DataSet:
    """The data set; with `published=False` also for files of the same form and another content."""
    return DataSet(
        name="fashion-mnist",
        read_search=partial(read_part, "train", published),
        read_test=partial(read_part, "test", published),
        augmentation=Augmentation(padding=2, mode="zero", flip=True),
        validation=validation,
    )


FASHION_MNIST = fashion_mnist()
