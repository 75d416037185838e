"""The one split of a data set: a function of its labels alone, never of a run's seed.

Every split is a slice of one *stratified order*: a fixed order of the images in which each
prefix and each slice holds the classes in the proportions of the whole, as far as whole images
allow. A longer prefix therefore contains every shorter one.
"""

from __future__ import annotations

import numpy as np

from evonas.errors import InputError

# A constant: with another value every published number would rest on another split.
SPLIT_KEY = 20240229


def stratified_order(labels: np.ndarray) -> np.ndarray:
    """A fixed order of all images that spreads every class evenly over its length.

    The r-th image (in a fixed random order) of a class with m images is placed at (r + 1/2) / m,
    ties in the order of the classes. The randomness is PCG64's raw stream, which numpy guarantees
    never to change, unlike `Generator.permutation`.

    Args:
        labels: class of each image, int (n,).

    Returns:
        A permutation of 0..n-1, int64 (n,).
    """
    labels = np.asarray(labels)
    shuffled = np.lexsort((np.random.PCG64(SPLIT_KEY).random_raw(len(labels)), labels))
    _, first, inverse, counts = np.unique(
        labels[shuffled], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.arange(len(labels)) - first[inverse]
    place = (rank + 0.5) / counts[inverse]
    return shuffled[np.lexsort((labels[shuffled], place))]


def hold_out(labels: np.ndarray, size: int | float) -> tuple[np.ndarray, np.ndarray]:
    """Cut off the last `size` images of the stratified order.

    Args:
        labels: class of each image, int (n,).
        size: number of images, or, as a float below 1, their share.

    Returns:
        Indices of the rest and of the part held out, both in the stratified order.
    """
    order = stratified_order(labels)
    cut = len(order) - count(size, len(order))
    return order[:cut], order[cut:]


def count(size: int | float, total: int) -> int:
    """A number of images from a number or a share (a float below 1) of `total`."""
    return round(size * total) if isinstance(size, float) and size < 1 else int(size)


def split_search(
    labels: np.ndarray, validation: int | float, train_images: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split what the search may see: validation is the end of the order, training its beginning.

    So the training images of `train_images=n` are the same whatever the size of the validation
    part, and a larger validation part contains every smaller one.

    Args:
        labels: class of each image, int (n,).
        validation: number of validation images, or their share.
        train_images: number of training images; None takes all that are not validation.

    Returns:
        Indices of the training and the validation images, disjoint.

    Raises:
        InputError: where the sizes are not positive or do not fit.
    """
    total = len(labels)
    held = count(validation, total)
    if not 1 <= held < total:
        raise InputError(
            f"validation={validation} does not split {total} images; "
            f"choose a number from 1 to {total - 1}"
        )
    train, kept = hold_out(labels, held)
    if train_images is None:
        return train, kept
    if not 1 <= train_images <= len(train):
        raise InputError(
            f"train_images={train_images} is not possible with {len(train)} training images "
            f"beside {held} for validation; choose a number from 1 to {len(train)}"
        )
    return train[:train_images], kept
