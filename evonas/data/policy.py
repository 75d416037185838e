"""What augmentation a data set stands: settings only, no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evonas.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random crop, flip and cutout, drawn anew for each image in each epoch.

    Attributes:
        padding: pixels around the image before the random crop back to its size; None means an
            eighth of the shorter side, which is the customary 4 for CIFAR's 32 pixels.
        mode: what fills the padding, "reflect" or "zero" (black).
        flip: mirror left and right with probability one half.
        cutout: side in pixels of one square set to the mean colour, its centre uniform over the
            image and its overhang cut off (DeVries and Taylor 2017, arXiv:1708.04552); 0 is none.

    Raises:
        InputError: for a negative size or an unknown mode.
    """

    padding: int | None = None
    mode: str = "reflect"
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        if self.mode not in ("reflect", "zero"):
            raise InputError(f"augmentation mode '{self.mode}' is unknown; use reflect or zero")
        if (self.padding is not None and self.padding < 0) or self.cutout < 0:
            raise InputError("augmentation padding and cutout are pixels; give 0 or more")

    def for_shape(self, shape: tuple[int, int, int]) -> Augmentation:
        """The same policy with its padding settled for images of `shape` (C, H, W).

        Raises:
            InputError: where the image is too small to reflect that many pixels.
        """
        side = min(shape[1:])
        padding = side // 8 if self.padding is None else self.padding
        if self.mode == "reflect" and padding >= side:
            raise InputError(
                f"cannot reflect {padding} pixels of an image {side} pixels wide; "
                f"use a padding of at most {side - 1}"
            )
        return replace(self, padding=padding)
