"""The 1,797 real handwritten digits that scikit-learn carries: 8 x 8 pixels, no download."""

from __future__ import annotations

import numpy as np

from evonas.data.policy import Augmentation
from evonas.data.source import DataSet, Part, Request

# Of 1,797 images: 347 test, 350 validation (an error of 5 % is 17.5 of them), 1,100 training.
TEST_IMAGES = 347
VALIDATION_IMAGES = 350


def _read(request: Request) -> Part:
    from sklearn.datasets import load_digits

    request.expect_size("digits", 8)
    bunch = load_digits()
    # Grey levels are 0..16; spread over the range of a byte so that they look like any image.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    return Part(images, bunch.target.astype(np.int64), tuple(str(i) for i in range(10)))


def read_search(request: Request) -> Part:
    """The 1,450 digits that are not test. A data folder is not needed and not looked at."""
    return _read(request).without_test(TEST_IMAGES)


def read_test(request: Request) -> Part:
    """The 347 test digits: the end of the stratified order of all 1,797."""
    return _read(request).only_test(TEST_IMAGES)


DIGITS = DataSet(
    name="digits",
    read_search=read_search,
    read_test=read_test,
    # No flip: a mirrored digit is none. The background is black, so the padding is too.
    augmentation=Augmentation(padding=1, mode="zero"),
    validation=VALIDATION_IMAGES,
)
