"""From parts on the host to images on the device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evonas.data.images import Images, ImageTensors
from evonas.data.memory import default_limit
from evonas.data.policy import Augmentation
from evonas.data.record import SearchData
from evonas.data.source import DataSet, FileList, Part, Request
from evonas.data.split import split_search
from evonas.data.statistics import channel_statistics
from evonas.data.stream import ImageFiles, read
from evonas.errors import InputError

CHUNK = 512


def as_device(device: str | torch.device) -> torch.device:
    """A device that is there.

    Raises:
        InputError: for a name torch does not know, and for CUDA where there is none.
    """
    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(f"unknown device '{device}'; use cpu, cuda or cuda:N") from None
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise InputError(f"there is no device '{device}' here; use cpu, or another number")
    return found


def search_data(
    data_set: DataSet,
    request: Request,
    *,
    device: str | torch.device = "cpu",
    validation: int | float | None = None,
    train_images: int | None = None,
    augmentation: Augmentation | None = None,
    memory_limit: int | None = None,
    workers: int | None = None,
) -> SearchData:
    """Read a data set, split it and put it on the device; arguments as in `get_data`."""
    place = as_device(device)
    part = data_set.read_search(request)
    size = data_set.validation if validation is None else validation
    train, held = (part.take(i) for i in split_search(part.labels, size, train_images))
    policy = (augmentation or data_set.augmentation).for_shape(part.shape)
    limit = default_limit(place) if memory_limit is None else memory_limit
    # Validation comes first: a search reads it again for every network.
    held_pixels = _resident(held, place, limit, workers)
    if held_pixels is not None:
        limit -= held_pixels.numel()
    train_pixels = _resident(train, place, limit, workers)
    mean, std = channel_statistics(
        _some(train, train_pixels, data_set.statistics_images, place, workers)
    )

    def images(of: Part, pixels: Tensor | None) -> Images:
        return as_images(of, pixels, mean, std, policy, workers)

    return SearchData(
        name=data_set.name,
        train=images(train, train_pixels),
        validation=images(held, held_pixels),
        class_names=part.class_names,
        checksum=part.checksum,
    )


def as_images(
    part: Part,
    pixels: Tensor | None,
    mean: Tensor,
    std: Tensor,
    policy: Augmentation,
    workers: int | None,
) -> Images:
    """Resident images if there are pixels, else images in their files."""
    labels = torch.from_numpy(np.ascontiguousarray(part.labels)).to(mean.device)
    if pixels is not None:
        return ImageTensors(labels, mean, std, policy, pixels)
    assert isinstance(part.images, FileList)
    return ImageFiles(labels, mean, std, policy, part.images, workers)


def place_part(
    part: Part,
    like: Images,
    *,
    memory_limit: int | None = None,
    workers: int | None = None,
) -> Images:
    """A part on the device of `like`, normalised as it is."""
    limit = default_limit(like.device) if memory_limit is None else memory_limit
    pixels = _resident(part, like.device, limit, workers)
    return as_images(part, pixels, like.mean, like.std, like.augmentation, workers)


def _resident(part: Part, device: torch.device, limit: int, workers: int | None) -> Tensor | None:
    """All pixels on the device, uint8 (n, C, H, W); None for files that would exceed the limit."""
    if not isinstance(part.images, FileList):
        # A copy: what a user's array holds later must not change a data set.
        return torch.tensor(part.images, device=device)
    n = len(part.labels)
    if n * int(np.prod(part.shape)) > limit:
        return None
    pixels = torch.empty((n, *part.shape), dtype=torch.uint8, device=device)
    for start, chunk in zip(range(0, n, CHUNK), _decoded(part.images, n, workers), strict=True):
        pixels[start : start + CHUNK] = chunk
    return pixels


def _some(
    part: Part, pixels: Tensor | None, most: int | None, device: torch.device, workers: int | None
) -> Iterator[Tensor]:
    """The first images of a part, at most `most`, in chunks on the device."""
    n = len(part.labels) if most is None else min(most, len(part.labels))
    if pixels is not None:
        yield from pixels[:n].split(CHUNK)
        return
    assert isinstance(part.images, FileList)
    for chunk in _decoded(part.images, n, workers):
        yield chunk.to(device)


def _decoded(files: FileList, n: int, workers: int | None) -> Iterator[Tensor]:
    chunks = [range(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    return read(files, chunks, workers=workers, pin=False)
