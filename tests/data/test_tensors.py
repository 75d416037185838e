import numpy as np
import pytest
import torch

from evonas.data import from_tensors
from evonas.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (200, 3, 16, 12), dtype=np.uint8)
LABELS = np.arange(200) % 4


def test_arrays_and_tensors_and_layouts_agree():
    data = from_tensors(IMAGES, LABELS)
    assert (len(data.train), len(data.validation)) == (144, 26)  # 30 are test
    assert data.input_shape == (3, 16, 12) and data.num_classes == 4 and data.name == "tensors"
    assert not data.augmentation.flip and data.augmentation.padding == 1
    others = [
        from_tensors(torch.from_numpy(IMAGES), torch.from_numpy(LABELS)),
        from_tensors(IMAGES.transpose(0, 2, 3, 1), LABELS.astype(np.int32)),
        from_tensors(IMAGES, LABELS.tolist(), layout="nchw"),
    ]
    for other in others:
        assert other.checksum == data.checksum
        assert torch.equal(other.train.images, data.train.images)


def test_settings():
    data = from_tensors(
        IMAGES, LABELS, num_classes=6, name="mine", test=20, validation=30, train_images=100
    )
    assert (data.num_classes, data.name) == (6, "mine")
    assert (len(data.train), len(data.validation)) == (100, 30)
    named = from_tensors(IMAGES, LABELS, class_names="abcd")
    assert named.class_names == ("a", "b", "c", "d")


def test_official_test_set_leaves_all_images_to_the_search():
    data = from_tensors(IMAGES, LABELS, test=(IMAGES[:50], LABELS[:50]), validation=40)
    assert (len(data.train), len(data.validation)) == (160, 40)


def test_later_changes_of_the_array_change_nothing():
    images = IMAGES.copy()
    data = from_tensors(images, LABELS)
    before = data.train.images.clone()
    images[:] = 0
    assert torch.equal(before, data.train.images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32), "images are float32; give uint8"),
        (torch.zeros(200, 3, 8, 8), "images are float32; give uint8"),
        (IMAGES[:, 0], "with an axis of length 1 for grey"),
        (IMAGES[:0], "shape"),
        (np.zeros((200, 3, 8, 3), np.uint8), "say layout="),
        (np.zeros((200, 13, 8, 9), np.uint8), "say layout="),
    ],
)
def test_wrong_images(images, message):
    with pytest.raises(InputError, match=message):
        from_tensors(images, LABELS[: len(images)])


def test_layout_where_the_shape_does_not_tell():
    images = np.zeros((200, 13, 8, 9), np.uint8)
    assert from_tensors(images, LABELS, layout="nhwc").input_shape == (9, 13, 8)
    with pytest.raises(InputError, match="nchw or nhwc"):
        from_tensors(images, LABELS, layout="chw")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:-1], "200 images have 199 labels"),
        (LABELS.astype(float), "labels are float64"),
        (LABELS[:, None], "shape"),
        (LABELS - 1, "run from -1 to 2"),
        (LABELS * 0, "one class only"),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(InputError, match=message):
        from_tensors(IMAGES, labels)


def test_wrong_settings():
    with pytest.raises(InputError, match="with 3 classes they must run from 0 to 2"):
        from_tensors(IMAGES, LABELS, num_classes=3)
    with pytest.raises(InputError, match="give one for each"):
        from_tensors(IMAGES, LABELS, class_names=["a"])
    with pytest.raises(InputError, match="test=200 does not split"):
        from_tensors(IMAGES, LABELS, test=200)
    with pytest.raises(InputError, match="give one shape"):
        from_tensors(IMAGES, LABELS, test=(IMAGES[:, :1], LABELS))
