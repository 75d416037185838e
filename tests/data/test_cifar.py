import pickle
import shutil
from pathlib import Path

import pytest
import torch

from evonas.data import get_data
from evonas.errors import InputError


@pytest.fixture(scope="module")
def cifar10(data_dir):
    return get_data("cifar10", data_dir=data_dir)


def test_real_split(cifar10):
    assert (len(cifar10.train), len(cifar10.validation)) == (45_000, 5_000)
    assert cifar10.input_shape == (3, 32, 32)
    assert cifar10.train.labels.bincount().tolist() == [4_500] * 10
    assert cifar10.validation.labels.bincount().tolist() == [500] * 10
    assert cifar10.class_names[:2] == ("airplane", "automobile")
    # The published statistics of all 50,000 training images, within what 45,000 of them allow.
    torch.testing.assert_close(
        cifar10.mean / 255, torch.tensor([0.4914, 0.4822, 0.4465]), atol=2e-3, rtol=0
    )
    torch.testing.assert_close(
        cifar10.std / 255, torch.tensor([0.2470, 0.2435, 0.2616]), atol=2e-3, rtol=0
    )
    # Every run and every published number rests on this: a change is a change of data.
    assert cifar10.checksum == "7767b07948029bf3ca686ea6760f94f4"


def test_real_parts_are_disjoint(cifar10):
    def rows(part):
        return {row.tobytes() for row in part.images.numpy().reshape(len(part), -1)}

    assert not rows(cifar10.train) & rows(cifar10.validation)


def test_real_images_equal_torchvision(cifar10, data_dir):
    from torchvision.datasets import CIFAR10

    from evonas.data.split import split_search

    source = CIFAR10(data_dir, train=True)
    labels = torch.tensor(source.targets)
    train, held = split_search(labels.numpy(), 5_000)
    pixels = torch.from_numpy(source.data).permute(0, 3, 1, 2)
    assert torch.equal(cifar10.train.images[:500], pixels[train[:500]])
    assert torch.equal(cifar10.validation.images, pixels[held])
    assert torch.equal(cifar10.train.labels, labels[train])


def test_inner_folder_may_be_named(small_cifar):
    folder = small_cifar(10)
    outer = get_data("cifar10", data_dir=folder)
    inner = get_data("cifar10", data_dir=folder / "cifar-10-batches-py")
    assert outer.checksum == inner.checksum


def test_variable_names_the_folder(small_cifar, monkeypatch):
    monkeypatch.setenv("EVONAS_DATA", str(small_cifar(100)))
    assert get_data("cifar100").num_classes == 100


def test_folder_without_it(tmp_path):
    with pytest.raises(InputError, match="holds no cifar10: expected the folder .*batches-py"):
        get_data("cifar10", data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def _damaged(data_dir: Path, tmp_path: Path, file: str) -> Path:
    """The real files, one of them a copy that may be damaged; returns the copy."""
    inner = tmp_path / "cifar-10-batches-py"
    inner.mkdir()
    for path in (data_dir / inner.name).iterdir():
        if path.name != file:
            (inner / path.name).symlink_to(path)
    shutil.copyfile(data_dir / inner.name / file, inner / file)
    return inner / file


@pytest.mark.parametrize("file", ["data_batch_1", "batches.meta"])
def test_flipped_byte(data_dir, tmp_path, file):
    path = _damaged(data_dir, tmp_path, file)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    _fails(tmp_path, path)


def test_half_a_file(data_dir, tmp_path):
    path = _damaged(data_dir, tmp_path, "test_batch")
    path.write_bytes(path.read_bytes()[:-1000])
    _fails(tmp_path, path)


def _fails(folder, path):
    with pytest.raises(InputError, match="replace") as caught:
        get_data("cifar10", data_dir=folder)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message


def test_missing_file(small_cifar):
    folder = small_cifar(10)
    path = folder / "cifar-10-batches-py" / "data_batch_3"
    path.unlink()
    with pytest.raises(InputError, match=f"{path} is missing"):
        get_data("cifar10", data_dir=folder)


@pytest.mark.parametrize("file", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_no_code_is_run_before_the_check(small_cifar, tmp_path, file):
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (marker,))

    folder = small_cifar(10)
    path = folder / "cifar-10-batches-py" / file
    path.write_bytes(pickle.dumps(Evil()))
    _fails(folder, path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()  # it would have
