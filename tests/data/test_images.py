"""Batches of resident images."""

import copy
import subprocess
import sys

import pytest
import torch

from evonas.data import Augmentation, from_tensors, get_data
from evonas.data.statistics import channel_statistics
from evonas.errors import InputError


@pytest.fixture(scope="module")
def digits():
    return get_data("digits")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_shuffled_epoch(digits):
    batches = list(digits.train.batches(128, generator(), augment=False))
    assert len(batches) == digits.train.steps(128) == 1100 // 128
    assert {len(labels) for _, labels in batches} == {128}
    pixels = torch.cat([images for images, _ in batches])
    mean, std = digits.mean.view(-1, 1, 1), digits.std.view(-1, 1, 1)
    back = (pixels * std + mean).round().to(torch.uint8)
    rows = {tuple(x.flatten().tolist()): int(y) for x, y in _pairs(digits.train)}
    seen = [tuple(x.flatten().tolist()) for x in back]
    labels = torch.cat([labels for _, labels in batches]).tolist()
    assert [rows[s] for s in seen] == labels
    assert len(set(seen)) >= 1020  # of 1,024; each image once, and a few digits are twins


def _pairs(part):
    return zip(part.images, part.labels, strict=True)


def test_epoch_is_a_function_of_the_generator(digits):
    def epoch(g):
        return torch.cat([x for x, _ in digits.train.batches(100, g)])

    one, two = generator(1), generator(1)
    assert torch.equal(epoch(one), epoch(two))
    state = one.get_state()
    second = epoch(one)
    assert not torch.equal(second, epoch(generator(1)))
    resumed = generator()
    resumed.set_state(state)
    assert torch.equal(second, epoch(resumed))


def test_all_random_numbers_are_drawn_at_once(digits):
    g = generator()
    epoch = digits.train.batches(100, g)
    state = g.get_state()
    list(epoch)
    assert torch.equal(state, g.get_state())


def test_global_generator_is_left_alone(digits):
    before = torch.get_rng_state()
    list(digits.train.batches(100, generator()))
    list(digits.validation.batches(100))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("batch_size", [1, 7, 100, 175, 349, 350, 5000])
def test_validation_uses_all_images_in_even_batches(digits, batch_size):
    batches = list(digits.validation.batches(batch_size))
    sizes = [len(labels) for _, labels in batches]
    assert sum(sizes) == 350 and max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-350 // batch_size)
    assert torch.equal(torch.cat([y for _, y in batches]), digits.validation.labels)
    expected = (digits.validation.images - digits.mean) / digits.std
    torch.testing.assert_close(torch.cat([x for x, _ in batches]), expected)


def test_augment_argument(digits):
    plain = torch.cat([x for x, _ in digits.train.batches(1100, generator(), augment=False)])
    none = Augmentation(padding=0)
    same = torch.cat([x for x, _ in digits.train.batches(1100, generator(), augment=none)])
    own = torch.cat([x for x, _ in digits.train.batches(1100, generator())])
    assert torch.equal(plain, same) and not torch.equal(plain, own)
    cut = Augmentation(padding=0, cutout=4)
    holed = torch.cat([x for x, _ in digits.train.batches(1100, generator(), augment=cut)])
    changed = holed != plain
    assert (holed[changed] == 0).all() and 0 < changed.float().mean() < 0.25
    with pytest.raises(ValueError, match="generator"):
        digits.train.batches(10, augment=True)


@pytest.mark.parametrize("batch_size", [0, -1, 1101])
def test_impossible_batch_size(digits, batch_size):
    with pytest.raises(InputError, match="batch size from 1 to 1100"):
        digits.train.batches(batch_size, generator())
    if batch_size < 1:
        with pytest.raises(InputError, match="1 or more"):
            digits.train.batches(batch_size)


def test_channels_last(digits):
    data = from_tensors(torch.zeros(40, 3, 8, 8, dtype=torch.uint8), torch.arange(40) % 2)
    for args in ((8, generator()), (8,)):
        for images, _ in data.train.batches(*args, channels_last=True):
            assert images.is_contiguous(memory_format=torch.channels_last)


def test_take(digits):
    part = digits.train.take(100)
    assert len(part) == 100 and torch.equal(part.images, digits.train.images[:100])
    assert part.labels.bincount().tolist() == [10] * 10
    with pytest.raises(InputError, match="1 to 1100"):
        digits.train.take(1101)


def test_data_on_another_device(digits):
    there = digits.to("meta")
    assert (
        there.train.device == there.validation.device == there.mean.device == torch.device("meta")
    )
    assert there.checksum == digits.checksum and digits.train.device.type == "cpu"
    assert len(there.train) == len(digits.train) and there.input_shape == digits.input_shape


def test_nothing_is_copied_or_changed(digits):
    assert copy.deepcopy(digits) is digits
    assert copy.deepcopy(digits.train) is digits.train
    with pytest.raises(AttributeError):
        digits.train.labels = None


def test_statistics_are_exact():
    images = torch.randint(0, 256, (60, 3, 9, 300), dtype=torch.uint8, generator=generator())
    images[:, 2] = 7
    for part in (images, images[:, :, :, :20].contiguous()):
        mean, std = channel_statistics(part.split(7))
        exact = part.double()
        torch.testing.assert_close(mean, exact.mean((0, 2, 3)).float(), rtol=0, atol=1e-4)
        expected = exact.std((0, 2, 3), correction=0).float()
        torch.testing.assert_close(std[:2], expected[:2], rtol=1e-6, atol=0)
        assert std[2] == 1
        assert torch.equal(mean, channel_statistics([part])[0])


def test_import_loads_no_torch():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "thop"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import evonas.data
from evonas.data import list_data, get_data, from_tensors, Augmentation, DataSet
assert "digits" in list_data()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
