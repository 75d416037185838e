"""The data of a search: a training and a validation part. Test images are not in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from evonas.data.images import Images
from evonas.data.policy import Augmentation


@dataclass(frozen=True, eq=False)
class Recipe:
    """How another process gets the same images.

    Attributes:
        arguments: of `get_data`, without a device.
        parts: training and validation images that they gave here; a `SearchData` that was made of
            others by hand is not theirs.
    """

    arguments: Mapping[str, Any]
    parts: tuple[Images, Images]


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchData:
    """What a search sees of a data set. Immutable, and copied by nobody.

    Attributes:
        name: the data set's name in the registry.
        train: training images, in an order of which every prefix is stratified by class.
        validation: validation images, likewise; none of them is in `train`.
        class_names: one for each class.
        checksum: of the images that training and validation are cut from, 32 hex digits; the
            same for every size of the two.
        recipe: how another process gets the same images; None where it cannot, as of a user's own
            tensors.
    """

    name: str
    train: Images
    validation: Images
    class_names: tuple[str, ...]
    checksum: str
    recipe: Recipe | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The object itself: it never changes, and copies of a data set would fill a device."""
        return self

    def to(self, device: str | torch.device) -> Self:
        """The same data on another device."""
        train, validation = self.train.to(device), self.validation.to(device)
        arguments = self.arguments
        recipe = None if arguments is None else Recipe(arguments, (train, validation))
        return replace(self, train=train, validation=validation, recipe=recipe)

    @property
    def arguments(self) -> Mapping[str, Any] | None:
        """Of `get_data`, that give the very same images in another process; None for none."""
        recipe = self.recipe
        if recipe is None:
            return None
        train, validation = recipe.parts
        if train is not self.train or validation is not self.validation:
            return None
        return recipe.arguments

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        return self.train.shape

    @property
    def mean(self) -> Tensor:
        """Per channel over the training part, in the units of the bytes (0..255), float32 (C,)."""
        return self.train.mean

    @property
    def std(self) -> Tensor:
        """Standard deviation, likewise."""
        return self.train.std

    @property
    def augmentation(self) -> Augmentation:
        """What a training image stands."""
        return self.train.augmentation
