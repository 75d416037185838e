"""Crop, flip and cutout of a whole batch at once, on its device, without a loop over images.

All random numbers of an epoch are drawn at its start. Inside the epoch nothing is then drawn or
copied from the host, so an accelerator is never waited for; and a CPU generator gives the same
images on every device.

Measured on one core (2026): a batch of 128 CIFAR images, cropped, flipped and normalised, takes
0.7 ms, in channels_last 1.0 ms, with cutout 1.4 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evonas.data.policy import Augmentation


@dataclass(frozen=True, eq=False)
class Draws:
    """Random numbers for n images.

    Attributes:
        top, left: corner of the crop in the padded image, 0..2 * padding, int64 (n,).
        flip: mirror it, bool (n,); None where the policy has no flip.
        row, column: centre of the cutout, int64 (n,); None without cutout.
    """

    top: Tensor
    left: Tensor
    flip: Tensor | None
    row: Tensor | None
    column: Tensor | None

    def slice(self, start: int, stop: int) -> Draws:
        """Those of the images start..stop-1."""
        values = (self.top, self.left, self.flip, self.row, self.column)
        return Draws(*(None if v is None else v[start:stop] for v in values))  # type: ignore[arg-type]


def draw(
    n: int,
    shape: tuple[int, int, int],
    policy: Augmentation,
    generator: torch.Generator,
    device: torch.device,
) -> Draws:
    """Draw for n images of `shape` (C, H, W) from the generator, and move to the device."""

    def integers(high: int) -> Tensor:
        values = torch.randint(0, high, (n,), generator=generator, device=generator.device)
        return values.to(device)

    assert policy.padding is not None, "settle the policy with for_shape first"
    corners = 2 * policy.padding + 1
    return Draws(
        top=integers(corners),
        left=integers(corners),
        flip=integers(2).bool() if policy.flip else None,
        row=integers(shape[1]) if policy.cutout else None,
        column=integers(shape[2]) if policy.cutout else None,
    )


def crop_and_flip(images: Tensor, draws: Draws, policy: Augmentation) -> Tensor:
    """Pad, crop back to size, and mirror.

    Each output pixel is fetched from where it comes from in the unpadded image: one gather of
    bytes does all three.

    Args:
        images: uint8 (b, C, H, W).
        draws: for these b images.
        policy: with its padding settled.

    Returns:
        uint8 (b, C, H, W).
    """
    padding = policy.padding
    assert padding is not None, "settle the policy with for_shape first"
    if padding == 0 and draws.flip is None:
        return images
    b, channels, height, width = images.shape
    device = images.device
    rows = draws.top[:, None] + torch.arange(height, device=device) - padding
    columns = draws.left[:, None] + torch.arange(width, device=device) - padding
    if draws.flip is not None:
        columns = torch.where(draws.flip[:, None], columns.flip(1), columns)
    source = _reflect(rows, height)[:, :, None] * width + _reflect(columns, width)[:, None, :]
    index = source.view(b, 1, -1).expand(b, channels, -1)
    out = images.reshape(b, channels, -1).gather(2, index).view_as(images)
    if policy.mode == "zero":
        outside_rows = (rows < 0) | (rows >= height)
        outside_columns = (columns < 0) | (columns >= width)
        out.masked_fill_((outside_rows[:, :, None] | outside_columns[:, None, :])[:, None], 0)
    return out


def _reflect(index: Tensor, size: int) -> Tensor:
    """Mirror positions outside 0..size-1 at the border pixel; any that are further off clamp."""
    last = size - 1
    return (last - (last - index.abs()).abs()).clamp_(0, last)


def normalise(images: Tensor, mean: Tensor, std: Tensor, *, channels_last: bool = False) -> Tensor:
    """Turn bytes into (x - mean) / std, float32.

    Args:
        images: uint8 (b, C, H, W).
        mean: per channel, in the units of the bytes, (C,).
        std: likewise.
        channels_last: memory format of the result; its shape stays (b, C, H, W).
    """
    out = images.to(torch.float32)
    out.sub_(mean.view(-1, 1, 1)).mul_((1 / std).view(-1, 1, 1))
    return out.contiguous(memory_format=torch.channels_last) if channels_last else out


def cut_out(images: Tensor, draws: Draws, size: int) -> None:
    """Set a square of `size` pixels to 0, which is the mean colour, in place.

    Args:
        images: normalised, float (b, C, H, W).
        draws: for these b images, with row and column.
        size: side of the square; what hangs over the border is lost.
    """
    assert draws.row is not None and draws.column is not None
    start = size // 2
    rows = torch.arange(images.shape[2], device=images.device) - (draws.row[:, None] - start)
    columns = torch.arange(images.shape[3], device=images.device) - (draws.column[:, None] - start)
    inside_rows = (rows >= 0) & (rows < size)
    inside_columns = (columns >= 0) & (columns < size)
    images.masked_fill_((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], 0.0)
