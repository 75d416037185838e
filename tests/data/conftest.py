"""Small data sets of the real formats, written by the tests."""

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from evonas.data import fashion_mnist
from evonas.data.fashion_mnist import FILES


@pytest.fixture
def no_folder(monkeypatch, tmp_path):
    """Nobody names a folder, and the cache is an empty one; returns where it would be."""
    monkeypatch.delenv("EVONAS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "not-installed")
    return tmp_path / "cache" / "evonas"


def idx_bytes(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + np.asarray(array.shape, dtype=">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_fashion(tmp_path):
    """A folder of four small gzipped idx files; 300 training and 60 test images."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, n in (("train", 300), ("test", 60)):
        images, labels = FILES[part]
        pixels = rng.integers(0, 256, (n, 28, 28))
        (folder / f"{images}.gz").write_bytes(gzip.compress(idx_bytes(pixels)))
        (folder / f"{labels}.gz").write_bytes(gzip.compress(idx_bytes(np.arange(n) % 10)))
    return folder


def write_cifar(folder: Path, classes: int, monkeypatch) -> Path:
    """Small files in CIFAR's format, whose MD5 sums torchvision is told; returns their folder."""
    from torchvision import datasets

    source = {10: datasets.CIFAR10, 100: datasets.CIFAR100}[classes]
    inner = folder / source.base_folder
    inner.mkdir(parents=True)
    rng = np.random.default_rng(1)
    key = "labels" if classes == 10 else "fine_labels"

    def write(name, content):
        (inner / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((inner / name).read_bytes()).hexdigest()

    def batch(name, n):
        pixels = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
        return [name, write(name, {"data": pixels, key: [i % classes for i in range(n)]})]

    sizes = 6_000 // len(source.train_list)
    train = [batch(name, sizes) for name, _ in source.train_list]
    test = [batch(name, 200) for name, _ in source.test_list]
    meta = dict(source.meta)
    meta["md5"] = write(meta["filename"], {meta["key"]: [f"class{i}" for i in range(classes)]})
    for name, value in (("train_list", train), ("test_list", test), ("meta", meta)):
        monkeypatch.setattr(source, name, value)
    return inner


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Returns a function (classes) -> data folder; 6,000 training and 200 test images."""

    def make(classes: int) -> Path:
        folder = tmp_path / f"small-cifar{classes}"
        write_cifar(folder, classes, monkeypatch)
        return folder

    return make


@pytest.fixture
def pictures(tmp_path):
    """A folder of three classes of PNG and JPEG images, 40, 30 and 20, of several shapes."""
    from PIL import Image

    root = tmp_path / "pictures"
    rng = np.random.default_rng(2)
    for name, n in (("ant", 40), ("bee", 30), ("cat", 20)):
        (root / name).mkdir(parents=True)
        for i in range(n):
            height, width = rng.integers(16, 40, 2)
            image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            if i % 5 == 0:
                image = image.convert("L")
            image.save(root / name / f"{i:03d}.{'jpg' if i % 3 == 0 else 'png'}")
    (root / "ant" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    return root
