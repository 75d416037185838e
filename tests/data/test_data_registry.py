"""What every data set must do, run over the registry."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evonas.data import DataSet, find_data, get_data, list_data, register_data
from evonas.data import registry as registry_module
from evonas.data.fashion_mnist import fashion_mnist
from evonas.errors import InputError


@pytest.fixture(params=list_data())
def arguments(request, small_cifar, small_fashion, pictures):
    """A data set (or its name) and the folder of a small version of it."""
    name = request.param
    if name in ("cifar10", "cifar100"):
        return name, small_cifar(int(name.removeprefix("cifar")))
    if name == "fashion-mnist":
        return fashion_mnist(published=False, validation=50), small_fashion
    if name == "folder":
        return name, pictures
    return name, None


def test_conformance(arguments):
    name, folder = arguments
    data = get_data(name, data_dir=folder)
    assert data.name == (name if isinstance(name, str) else name.name)
    assert data.num_classes == len(data.class_names) >= 2
    for part in (data.train, data.validation):
        assert part.images.dtype == torch.uint8 and part.labels.dtype == torch.int64
        assert tuple(part.images.shape[1:]) == part.shape == data.input_shape
        assert len(part.images) == len(part.labels) == len(part)
        assert 0 <= part.labels.min() and part.labels.max() < data.num_classes
    channels = data.input_shape[0]
    assert data.mean.shape == data.std.shape == (channels,) and data.mean.dtype == torch.float32
    exact = data.train.images.double()
    torch.testing.assert_close(data.mean.double(), exact.mean((0, 2, 3)), rtol=0, atol=1e-4)
    assert data.augmentation.padding is not None
    if isinstance(name, str):
        again = get_data(**data.arguments)
        assert again.checksum == data.checksum and len(again.train) == len(data.train)
        assert data.to("cpu").arguments == data.arguments
        assert replace(data, train=data.train.take(20)).arguments is None  # of no name
    else:
        assert data.arguments is None  # another process knows no such data set by its name
    train, held = (_rows(part) for part in (data.train, data.validation))
    assert not train & held, "an image is in both parts"
    images, labels = next(data.train.batches(16, torch.Generator().manual_seed(0)))
    assert images.shape == (16, *data.input_shape) and labels.shape == (16,)


def _rows(part):
    return {row.tobytes() for row in part.images.numpy().reshape(len(part), -1)}


def test_same_each_time(arguments):
    name, folder = arguments
    torch.manual_seed(1)
    one = get_data(name, data_dir=folder)
    torch.manual_seed(2)
    np.random.default_rng(3)
    two = get_data(name, data_dir=folder)
    assert one.checksum == two.checksum and len(one.checksum) == 32
    for a, b in ((one.train, two.train), (one.validation, two.validation)):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    fewer = get_data(name, data_dir=folder, train_images=20, validation=10)
    assert (len(fewer.train), len(fewer.validation)) == (20, 10)
    assert fewer.checksum == one.checksum
    assert torch.equal(fewer.train.images, one.train.images[:20])


def test_stratified(arguments):
    name, folder = arguments
    data = get_data(name, data_dir=folder)
    share = data.train.labels.bincount(minlength=data.num_classes) / len(data.train)
    counts = data.validation.labels.bincount(minlength=data.num_classes)
    assert ((counts - share * len(data.validation)).abs() <= 2).all()


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean cifar10"):
        get_data("cifar-10")


def test_unknown_device():
    with pytest.raises(InputError, match="unknown device 'gpu'"):
        get_data("digits", device="gpu")
    with pytest.raises(InputError, match="there is no device 'cuda:99'"):
        get_data("digits", device="cuda:99")


def test_image_size_where_there_is_one_already():
    with pytest.raises(InputError, match="8 x 8"):
        get_data("digits", image_size=32)
    assert get_data("digits", image_size=8).input_shape == (1, 8, 8)


def test_register(monkeypatch):
    monkeypatch.setattr(registry_module, "_DATA_SETS", dict(registry_module._DATA_SETS))
    digits = find_data("digits")
    own = DataSet(
        name="own",
        read_search=digits.read_search,
        read_test=digits.read_test,
        augmentation=digits.augmentation,
        validation=0.5,
    )
    register_data(own)
    register_data(own)
    assert list_data()[-1] == "own"
    assert len(get_data("own").validation) == 725
    with pytest.raises(InputError, match="already"):
        register_data(DataSet(**{**vars(own), "name": "digits"}))


def test_digits(monkeypatch):
    monkeypatch.setenv("EVONAS_DATA", "/nowhere/at/all")  # digits needs no folder
    data = get_data("digits")
    assert (len(data.train), len(data.validation)) == (1100, 350)
    assert data.input_shape == (1, 8, 8) and data.num_classes == 10
    assert data.train.images.max() == 255
    # The split belongs to published numbers: a new value here breaks them.
    assert data.checksum == "37ed47bee7b2658335fc00e6a98f0795"


def test_cuda_when_there_is_one():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    host, device = get_data("digits"), get_data("digits", device="cuda")
    assert device.checksum == host.checksum and torch.equal(device.mean.cpu(), host.mean)
    epochs = [d.train.batches(100, torch.Generator().manual_seed(0)) for d in (host, device)]
    torch.cuda.set_sync_debug_mode("default")
    next(epochs[1])
    next(epochs[0])
    torch.cuda.set_sync_debug_mode("error")  # from the second batch on nobody waits
    try:
        arrived = list(epochs[1])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for (x, y), (a, b) in zip(epochs[0], arrived, strict=True):
        assert torch.equal(y, b.cpu())
        torch.testing.assert_close(x, a.cpu())
