import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from evonas.data import Augmentation
from evonas.data.augment import crop_and_flip, cut_out, draw, normalise
from evonas.errors import InputError

CPU = torch.device("cpu")
SHAPES = [(3, 32, 32), (1, 8, 8), (2, 12, 20)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(shape, n=24):
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=generator(1))


def reference(image, top, left, flip, padding, mode):
    pads = ((0, 0), (padding, padding), (padding, padding))
    padded = np.pad(image, pads, mode="reflect" if mode == "reflect" else "constant")
    _, height, width = image.shape
    crop = padded[:, top : top + height, left : left + width]
    return crop[:, :, ::-1] if flip else crop


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["reflect", "zero"])
@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_crop_and_flip_equal_the_loop(shape, mode, padding, flip):
    policy = Augmentation(padding=padding, mode=mode, flip=flip).for_shape(shape)
    batch = images(shape)
    draws = draw(len(batch), shape, policy, generator(), CPU)
    out = crop_and_flip(batch, draws, policy).numpy()
    for i, image in enumerate(batch.numpy()):
        mirrored = bool(draws.flip[i]) if flip else False
        expected = reference(image, draws.top[i], draws.left[i], mirrored, padding, mode)
        assert np.array_equal(out[i], expected)


def test_zero_padding_wider_than_the_image():
    policy = Augmentation(padding=10, mode="zero")
    batch = images((1, 4, 4))
    draws = draw(len(batch), (1, 4, 4), policy, generator(), CPU)
    out = crop_and_flip(batch, draws, policy).numpy()
    for i, image in enumerate(batch.numpy()):
        assert np.array_equal(out[i], reference(image, draws.top[i], draws.left[i], False, 10, ""))


@pytest.mark.parametrize("size", [1, 4, 7])
def test_cutout_equals_the_loop(size):
    shape = (2, 12, 20)
    policy = Augmentation(padding=0, cutout=size)
    draws = draw(50, shape, policy, generator(), CPU)
    out = torch.ones(50, *shape)
    cut_out(out, draws, size)
    for i in range(50):
        expected = np.ones(shape, np.float32)
        top, left = int(draws.row[i]) - size // 2, int(draws.column[i]) - size // 2
        for row in range(max(top, 0), min(top + size, 12)):
            for column in range(max(left, 0), min(left + size, 20)):
                expected[:, row, column] = 0
        assert np.array_equal(out[i].numpy(), expected)


def test_draws_are_uniform():
    policy = Augmentation(padding=4, flip=True, cutout=8)
    draws = draw(90_000, (3, 32, 32), policy, generator(3), CPU)
    for values, choices in (
        (draws.top, 9),
        (draws.left, 9),
        (draws.flip.long(), 2),
        (draws.row, 32),
        (draws.column, 32),
        (draws.top * 9 + draws.left, 81),  # independent of one another
        (draws.left * 2 + draws.flip, 18),
    ):
        counts = values.bincount(minlength=choices).numpy()
        assert len(counts) == choices
        assert chisquare(counts).pvalue > 1e-3


def test_normalise():
    batch = images((3, 8, 8))
    mean, std = torch.tensor([1.0, 20, 90]), torch.tensor([3.0, 50, 70])
    expected = (batch.double() - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    for channels_last in (False, True):
        out = normalise(batch, mean, std, channels_last=channels_last)
        assert out.dtype == torch.float32 and out.shape == batch.shape
        assert out.is_contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )
        torch.testing.assert_close(out.double(), expected, rtol=1e-6, atol=1e-5)


def test_policy():
    assert Augmentation().for_shape((3, 32, 32)).padding == 4
    assert Augmentation().for_shape((1, 8, 8)).padding == 1
    with pytest.raises(InputError, match="at most 7"):
        Augmentation(padding=8).for_shape((1, 8, 8))
    with pytest.raises(InputError, match="reflect or zero"):
        Augmentation(mode="wrap")
    with pytest.raises(InputError, match="0 or more"):
        Augmentation(cutout=-1)
