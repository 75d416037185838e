"""Images read from their files while they are needed, for what does not fit in memory.

Decoding runs in the worker processes of a torch DataLoader; crop, flip, cutout and normalisation
then are those of resident images, on the device, with the same random numbers. A data set hence
gives the same batches, bit for bit, whether it fits or not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from evonas.data.images import Images
from evonas.data.source import FileList
from evonas.errors import InputError

# Below so many images starting worker processes costs more than they save.
WORTH_WORKERS = 2_000


def decode(path: str | os.PathLike[str], side: int) -> Tensor:
    """Read one image: RGB, the shorter side resized to `side`, the centre cut out.

    Returns:
        uint8 (3, side, side).

    Raises:
        InputError: if the file cannot be read as an image; names it.
    """
    from PIL import Image
    from torchvision.transforms import v2

    try:
        with Image.open(path) as image:
            pixels = v2.functional.pil_to_tensor(image.convert("RGB"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot read the image {path} ({reason}); replace or remove it"
        ) from error
    resized = v2.functional.resize(pixels, [side], antialias=True)
    return v2.functional.center_crop(resized, [side, side])


class _Decoded(Dataset[Tensor | str]):
    """A `FileList` as torch wants it; a broken file is its message instead of an exception.

    A DataLoader hands on an exception of a worker with its traceback in the message, and a user
    should get one line.
    """

    def __init__(self, files: FileList) -> None:
        self.root = str(files.root)
        # One array instead of a list of strings: workers that count references to a list's
        # members copy its memory page by page.
        self.names = np.array([name.encode("utf-8", "surrogateescape") for name in files.names])
        self.side = files.side

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Tensor | str:
        name = bytes(self.names[index]).decode("utf-8", "surrogateescape")
        try:
            return decode(os.path.join(self.root, name), self.side)
        except InputError as error:
            return str(error)


def _leave_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; what to do about it is the main one's to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collate(items: list[Tensor | str]) -> Tensor | str:
    for item in items:
        if isinstance(item, str):
            return item
    return torch.stack(items)  # type: ignore[arg-type]


def default_workers(images: int) -> int:
    """Worker processes for so many images: one a core, at most eight; none for a few images."""
    return 0 if images < WORTH_WORKERS else min(8, os.cpu_count() or 1)


def read(
    files: FileList, batches: Sequence[Sequence[int]], *, workers: int | None = None, pin: bool
) -> Iterator[Tensor]:
    """Decode files batch by batch, in the order given, whatever the workers' speed.

    Args:
        files: the images.
        batches: indices of each batch.
        workers: processes; 0 decodes here; None as `default_workers`.
        pin: into page-locked memory, for copies to an accelerator.

    Returns:
        An iterator over uint8 (b, 3, side, side) on the host.

    Raises:
        InputError: when a batch is reached that holds a broken file.
    """
    loader: DataLoader[Any] = DataLoader(
        _Decoded(files),
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=default_workers(sum(map(len, batches))) if workers is None else workers,
        collate_fn=_collate,
        pin_memory=pin,
        worker_init_fn=_leave_interrupts,
        # Without one of its own a DataLoader draws its seed from torch's global generator.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, str):
            raise InputError(batch)
        yield batch


@dataclass(frozen=True, eq=False)
class ImageFiles(Images):
    """Images that stay in their files; batches are as those of `ImageTensors`.

    Attributes:
        files: which.
        workers: processes that decode; None chooses by the number of images.
    """

    files: FileList
    workers: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        return (3, self.files.side, self.files.side)

    def _first(self, n: int) -> dict[str, Any]:
        return {"files": self.files.take(np.arange(n)), "labels": self.labels[:n]}

    def _pixels(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        lists = [batch.tolist() for batch in batches]
        pin = self.device.type == "cuda"
        for images in read(self.files, lists, workers=self.workers, pin=pin):
            yield images.to(self.device, non_blocking=True)
