import gzip
import shutil

import numpy as np
import pytest
import torch

from evonas.data import fashion_mnist as module
from evonas.data import get_data
from evonas.data.fashion_mnist import FILES, TORCHVISION, fashion_mnist, read_idx
from evonas.errors import InputError

SMALL = fashion_mnist(published=False, validation=50)
IMAGES, LABELS = FILES["train"]


def test_gzipped_files_in_the_folder(small_fashion):
    data = get_data(SMALL, data_dir=small_fashion)
    assert (len(data.train), len(data.validation)) == (250, 50)
    assert data.input_shape == (1, 28, 28)
    assert data.class_names[0] == "T-shirt/top"
    assert data.validation.labels.bincount().tolist() == [5] * 10


@pytest.mark.parametrize("place", [TORCHVISION, ".", "fashion-mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_layouts(small_fashion, tmp_path, place, packed):
    folder = tmp_path / "root" / place
    folder.mkdir(parents=True)
    for path in small_fashion.iterdir():
        if packed:
            shutil.copy(path, folder)
        else:
            (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    data = get_data(SMALL, data_dir=tmp_path / "root")
    assert data.checksum == get_data(SMALL, data_dir=small_fashion).checksum


def test_debian_folder_is_found(small_fashion, no_folder, monkeypatch):
    monkeypatch.setattr(module, "DEBIAN", small_fashion)
    assert len(get_data(SMALL).train) == 250


def test_other_content_passes_only_when_said(small_fashion):
    with pytest.raises(InputError, match="MD5"):
        get_data("fashion-mnist", data_dir=small_fashion)


def test_read_idx(small_fashion):
    images = read_idx(small_fashion / f"{IMAGES}.gz", 3)
    assert images.shape == (300, 28, 28) and images.dtype == np.uint8


def _fails(folder, message, path=None):
    with pytest.raises(InputError, match=message) as caught:
        get_data(SMALL, data_dir=folder)
    assert "\n" not in str(caught.value)
    assert path is None or str(path) in str(caught.value)


def test_truncated_gzip(small_fashion):
    path = small_fashion / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-5000])
    _fails(small_fashion, "damaged or incomplete", path)


def test_flipped_byte(small_fashion):
    path = small_fashion / f"{IMAGES}.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    _fails(small_fashion, "damaged or incomplete", path)


def test_no_gzip(small_fashion):
    path = small_fashion / f"{LABELS}.gz"
    path.write_bytes(b"<html>not found</html>")
    _fails(small_fashion, "damaged or incomplete", path)


def test_wrong_magic(small_fashion):
    shutil.copy(small_fashion / f"{LABELS}.gz", small_fashion / f"{IMAGES}.gz")
    _fails(small_fashion, "no idx file of 3-dimensional bytes", small_fashion / f"{IMAGES}.gz")


def test_wrong_size(small_fashion):
    path = small_fashion / f"{IMAGES}.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-784]))
    _fails(small_fashion, "is incomplete", path)


def test_labels_of_other_images(small_fashion):
    shutil.copy(small_fashion / f"{FILES['test'][1]}.gz", small_fashion / f"{LABELS}.gz")
    _fails(small_fashion, "do not belong together", small_fashion)


def test_missing_file(small_fashion):
    (small_fashion / f"{LABELS}.gz").unlink()
    _fails(small_fashion, "is missing", small_fashion / LABELS)


def test_folder_without_it(tmp_path):
    _fails(tmp_path, "holds no fashion-mnist: expected")


def test_augmentation_pads_black(small_fashion):
    data = get_data(SMALL, data_dir=small_fashion)
    assert data.augmentation.mode == "zero"
    images, _ = next(data.train.batches(200, torch.Generator().manual_seed(0)))
    black = (-data.mean / data.std).item()
    corner = images[:, 0, 0, 0]
    # Shifted down or right in 1 - (3/5)**2 of the draws.
    assert 0.5 < torch.isclose(corner, torch.tensor(black)).float().mean() < 0.78
