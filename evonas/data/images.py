"""Labelled images that give batches: resident on the device, or anything that can act like it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor

from evonas.data.augment import Draws, crop_and_flip, cut_out, draw, normalise
from evonas.data.policy import Augmentation
from evonas.errors import InputError


@dataclass(frozen=True, eq=False)
class Images(ABC):
    """One part of a data set (training, validation or test), immutable.

    Attributes:
        labels: int64 (n,), on the device.
        mean: per channel over the training part, in the units of the bytes, float32 (C,).
        std: likewise; 1 for a channel that never varies.
        augmentation: what the images stand; its padding is a number here.
    """

    labels: Tensor
    mean: Tensor
    std: Tensor
    augmentation: Augmentation

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""

    @abstractmethod
    def _pixels(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """For each index tensor uint8 images (b, C, H, W) on the device, in this order."""

    @abstractmethod
    def _first(self, n: int) -> dict[str, Any]:
        """The fields that change when only the first n images are kept."""

    def __len__(self) -> int:
        """Number of images."""
        return self.labels.shape[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The object itself: it never changes, and copies of a data set would fill a device."""
        return self

    @property
    def device(self) -> torch.device:
        """Where batches arrive."""
        return self.labels.device

    def to(self, device: str | torch.device) -> Self:
        """The same images on another device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)
        }
        return replace(self, **moved)

    def take(self, n: int) -> Self:
        """The first n images, which hold the classes in the proportions of the whole.

        Raises:
            InputError: unless 1 <= n <= len(self).
        """
        if not 1 <= n <= len(self):
            raise InputError(f"cannot take {n} of {len(self)} images; ask for 1 to {len(self)}")
        return replace(self, **self._first(n))

    def steps(self, batch_size: int) -> int:
        """Number of batches in a shuffled epoch: the last short one is dropped.

        Raises:
            InputError: if not even one batch is full.
        """
        if not 1 <= batch_size <= len(self):
            raise InputError(
                f"a batch of {batch_size} cannot be drawn from {len(self)} training images; "
                f"choose a batch size from 1 to {len(self)}"
            )
        return len(self) // batch_size

    def batches(
        self,
        batch_size: int,
        generator: torch.Generator | None = None,
        *,
        augment: bool | Augmentation | None = None,
        channels_last: bool = False,
        only: Collection[int] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch.

        With a generator (training): shuffled, augmented, every batch full, the images left over
        dropped. All random numbers are drawn from it before this method returns, so the epoch is
        a function of its state, and it can be stored and restored between epochs.

        Without one (validation): fixed order, no augmentation, every image once. Since batch
        statistics are taken on each batch, sizes differ by at most one: ceil(n / batch_size)
        batches that share the images evenly.

        Args:
            batch_size: images in a batch; the most images, without a generator.
            generator: of shuffling and augmentation, on the CPU or on the device.
            augment: True for the data set's own policy, or another policy; by default True with
                a generator and False without.
            channels_last: memory format of the images.
            only: without a generator, numbers of the batches wanted; no others are read.

        Returns:
            An iterator over images, normalised float32 (b, C, H, W), and labels, int64 (b,).

        Raises:
            InputError: for a batch size below 1 or, with a generator, above n.
            ValueError: for augmentation without a generator.
        """
        if generator is None:
            if augment:
                raise ValueError("augmentation draws random numbers; give batches() a generator")
            if batch_size < 1:
                raise InputError(f"a batch of {batch_size} images is none; give 1 or more")
            return self._in_order(batch_size, channels_last, only)
        steps = self.steps(batch_size)
        used = steps * batch_size
        order = torch.randperm(len(self), generator=generator, device=generator.device)[:used]
        policy = _policy(augment, self.augmentation, self.shape)
        draws = None
        if policy is not None:
            draws = draw(used, self.shape, policy, generator, self.device)
        return self._shuffled(order, batch_size, policy, draws, channels_last)

    def spans(self, batch_size: int) -> list[tuple[int, int]]:
        """First image of each batch in the fixed order, and the one after its last.

        Args:
            batch_size: images in a batch, at most; they are shared evenly.
        """
        n = len(self)
        steps = -(-n // batch_size)
        return list(pairwise(i * n // steps for i in range(steps + 1)))

    def _in_order(
        self, batch_size: int, channels_last: bool, only: Collection[int] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        spans = self.spans(batch_size)
        if only is not None:
            spans = [span for number, span in enumerate(spans) if number in only]
        pixels = self._pixels([torch.arange(a, b) for a, b in spans])
        for (start, stop), images in zip(spans, pixels, strict=True):
            yield (
                normalise(images, self.mean, self.std, channels_last=channels_last),
                self.labels[start:stop],
            )

    def _shuffled(
        self,
        order: Tensor,
        batch_size: int,
        policy: Augmentation | None,
        draws: Draws | None,
        channels_last: bool,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        labels = self.labels.index_select(0, order.to(self.device))
        starts = range(0, len(order), batch_size)
        for start, images in zip(starts, self._pixels(order.split(batch_size)), strict=True):
            stop = start + batch_size
            mine = None
            if policy is not None and draws is not None:
                mine = draws.slice(start, stop)
                images = crop_and_flip(images, mine, policy)
            out = normalise(images, self.mean, self.std, channels_last=channels_last)
            if policy is not None and mine is not None and policy.cutout:
                cut_out(out, mine, policy.cutout)
            yield out, labels[start:stop]


def _policy(
    augment: bool | Augmentation | None, own: Augmentation, shape: tuple[int, int, int]
) -> Augmentation | None:
    if isinstance(augment, Augmentation):
        return augment.for_shape(shape)
    return None if augment is False else own


@dataclass(frozen=True, eq=False)
class ImageTensors(Images):
    """Images that lie on the device as bytes.

    Attributes:
        images: uint8 (n, C, H, W).
    """

    images: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def _first(self, n: int) -> dict[str, Any]:
        return {"images": self.images[:n], "labels": self.labels[:n]}

    def _pixels(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        # One copy of all indices, before the first batch: copying in the loop would wait for the
        # device each time.
        order = torch.cat(list(batches)).to(self.device)
        for index in order.split([len(batch) for batch in batches]):
            yield self.images.index_select(0, index)
