"""A user's own tensors or arrays as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.data.policy import Augmentation
from evonas.data.source import DataSet, Part, Request
from evonas.errors import InputError

if TYPE_CHECKING:
    from evonas.data.record import SearchData

TEST_SHARE = 0.15
VALIDATION_SHARE = 0.15


def as_images(images: Any, *, layout: str | None = None) -> np.ndarray:
    """Check images and bring them into (n, C, H, W).

    Args:
        images: uint8 tensor or array, (n, C, H, W) or (n, H, W, C).
        layout: "nchw" or "nhwc"; None recognises the channel axis as the one of length 1 to 4.

    Returns:
        uint8 (n, C, H, W), contiguous.

    Raises:
        InputError: for another type or shape, or where the layout cannot be told.
    """
    array = _as_numpy(images)
    if array.dtype != np.uint8:
        raise InputError(
            f"images are {array.dtype}; give uint8, 0 to 255, such as "
            "(images * 255).round().astype('uint8')"
        )
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(
            f"images have the shape {array.shape}; give (n, C, H, W) or (n, H, W, C), "
            "with an axis of length 1 for grey ones"
        )
    if layout is None:
        first, last = array.shape[1] <= 4, array.shape[3] <= 4
        if first == last:
            raise InputError(
                f"the channel axis of images of shape {array.shape} cannot be told; "
                "say layout='nchw' or layout='nhwc'"
            )
        layout = "nchw" if first else "nhwc"
    if layout not in ("nchw", "nhwc"):
        raise InputError(f"layout '{layout}' is unknown; use nchw or nhwc")
    return np.ascontiguousarray(array if layout == "nchw" else array.transpose(0, 3, 1, 2))


def as_labels(labels: Any, images: int, num_classes: int | None) -> np.ndarray:
    """Check labels: whole numbers from 0, one an image.

    Raises:
        InputError: otherwise; the message says what was found.
    """
    array = _as_numpy(labels)
    if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
        raise InputError(
            f"labels are {array.dtype} of shape {array.shape}; give whole numbers, shape (n,)"
        )
    if len(array) != images:
        raise InputError(f"{images} images have {len(array)} labels; give one for each")
    most = array.max() + 1 if num_classes is None else num_classes
    if array.min() < 0 or array.max() >= most:
        raise InputError(
            f"labels run from {array.min()} to {array.max()}; with {most} classes they must run "
            f"from 0 to {most - 1}"
        )
    return array.astype(np.int64)


def _as_numpy(values: Any) -> np.ndarray:
    # A tensor is asked to come to the host; numpy cannot fetch it from an accelerator.
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def tensor_data_set(
    images: Any,
    labels: Any,
    *,
    num_classes: int | None = None,
    name: str = "tensors",
    test: int | float | tuple[Any, Any] = TEST_SHARE,
    class_names: Sequence[str] | None = None,
    layout: str | None = None,
    augmentation: Augmentation | None = None,
) -> DataSet:
    """A data set made of arrays, as `get_data` and, for retraining, `open_test` take it.

    Args:
        images: uint8 tensor or array, (n, C, H, W) or (n, H, W, C).
        labels: whole numbers 0..num_classes-1, (n,).
        num_classes: by default the largest label plus one.
        name: what the data set is called in a run.
        test: images and labels of an official test set; or the number or share of the images to
            cut off as test (the end of their stratified order).
        class_names: by default "0", "1", ...
        layout: "nchw" or "nhwc" where the shape does not tell.
        augmentation: by default a random crop without flips, since not everything may be
            mirrored.

    Raises:
        InputError: for images or labels that are no such thing.
    """
    pixels = as_images(images, layout=layout)
    classes = as_labels(labels, len(pixels), num_classes)
    total = int(classes.max()) + 1 if num_classes is None else num_classes
    if total < 2:
        raise InputError("there is one class only; give images of at least two")
    names = tuple(str(i) for i in range(total)) if class_names is None else tuple(class_names)
    if len(names) != total:
        raise InputError(f"{total} classes have {len(names)} class_names; give one for each")
    whole = Part(pixels, classes, names)
    if isinstance(test, tuple):
        test_pixels = as_images(test[0], layout=layout)
        sealed = Part(test_pixels, as_labels(test[1], len(test_pixels), total), names)
        if sealed.shape != whole.shape:
            raise InputError(
                f"test images are {sealed.shape}, the others {whole.shape}; give one shape"
            )
        search = whole
    else:
        if not 0 < test < len(pixels):
            raise InputError(f"test={test} does not split {len(pixels)} images; give fewer")
        search, sealed = whole.without_test(test), whole.only_test(test)

    def give(part: Part, request: Request) -> Part:
        request.expect_size(name, part.shape[1])
        return part

    return DataSet(
        name=name,
        read_search=lambda request: give(search, request),
        read_test=lambda request: give(sealed, request),
        augmentation=Augmentation() if augmentation is None else augmentation,
        validation=VALIDATION_SHARE,
    )


def from_tensors(
    images: Any,
    labels: Any,
    *,
    num_classes: int | None = None,
    name: str = "tensors",
    test: int | float | tuple[Any, Any] = TEST_SHARE,
    class_names: Sequence[str] | None = None,
    layout: str | None = None,
    augmentation: Augmentation | None = None,
    device: Any = "cpu",
    validation: int | float | None = None,
    train_images: int | None = None,
) -> SearchData:
    """`SearchData` of a user's own tensors or arrays.

    Arguments as in `tensor_data_set` and `get_data`; validation is 15 % of what is not test,
    unless said otherwise. What is test is not in the result: retraining opens it with
    `tensor_data_set` of the same arguments.

    Raises:
        InputError: for images or labels that are no such thing, and for sizes that do not fit.
    """
    from evonas.data.registry import get_data

    data_set = tensor_data_set(
        images,
        labels,
        num_classes=num_classes,
        name=name,
        test=test,
        class_names=class_names,
        layout=layout,
        augmentation=augmentation,
    )
    return get_data(data_set, device=device, validation=validation, train_images=train_images)
