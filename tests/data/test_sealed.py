"""Nothing that a search holds leads to test images."""

import ast
import gc
from pathlib import Path

import pytest
import torch

import evonas.data
from evonas.data import from_tensors, get_data, tensor_data_set
from evonas.data.sealed import open_test
from evonas.errors import InputError

PACKAGE = Path(evonas.data.__file__).parents[1]
DATA_SETS = ("cifar", "digits", "fashion_mnist", "folder", "tensors", "source", "sealed")


def _sources():
    for folder in (PACKAGE, PACKAGE / "problems", PACKAGE / "operators"):  # the latter are links
        yield from sorted(folder.rglob("*.py"))


def _mentions(path):
    """Names imported, attributes fetched and strings written in a file, docstrings left out."""
    tree = ast.parse(path.read_text())
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield f"attribute.{node.attr}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in documents:
                yield node.value


def test_only_retraining_imports_it():
    found = [
        path
        for path in _sources()
        if path.stem not in ("retrain", "sealed")
        and any("sealed" in word.split(".") or "open_test" in word for word in _mentions(path))
    ]
    assert found == []


def test_only_the_sealed_module_reads_test_images():
    words = {"attribute.read_test", "attribute.only_test"}
    found = {path.stem for path in _sources() if words & set(_mentions(path))}
    assert found <= set(DATA_SETS)


def test_the_scan_finds_what_it_should(tmp_path):
    for line in (
        "from evonas.data.sealed import open_test",
        "from evonas.data import sealed",
        "import evonas.data.sealed as s",
        "import importlib; importlib.import_module('evonas.data.sealed')",
    ):
        path = tmp_path / "x.py"
        path.write_text(line)
        assert any("sealed" in word.split(".") for word in _mentions(path)), line


@pytest.fixture(scope="module")
def digits():
    return get_data("digits")


def _rows(images):
    return {row.tobytes() for row in images.numpy().reshape(len(images), -1)}


def test_digits(digits):
    test = open_test(digits)
    assert len(test) == 347 and test.shape == (1, 8, 8)
    assert torch.equal(test.mean, digits.mean) and torch.equal(test.std, digits.std)
    assert not _rows(test.images) & (_rows(digits.train.images) | _rows(digits.validation.images))
    assert sum(len(labels) for _, labels in test.batches(100)) == 347


def test_no_reference_leads_there(digits):
    """Whatever can be reached from the data, the storage behind each tensor included."""
    secret = _rows(open_test(digits).images)
    seen, todo, tensors = set(), [digits], 0
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type) or callable(item):
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            tensors += 1
            whole = torch.tensor([], dtype=item.dtype).set_(item.untyped_storage())
            if item.dtype == torch.uint8:
                assert len(whole) % 64 == 0
                assert not secret & _rows(whole.view(-1, 64))
            continue
        todo += gc.get_referents(item)
    assert tensors == 6  # images and labels twice, mean, std
    assert not [n for n in (*dir(digits), *dir(digits.train)) if "test" in n.lower()]


def test_cifar(small_cifar):
    folder = small_cifar(10)
    data = get_data("cifar10", data_dir=folder)
    test = open_test(data, data_dir=folder)
    assert len(test) == 200
    assert not _rows(test.images) & _rows(data.train.images)


def test_real_cifar(data_dir):
    data = get_data("cifar10", data_dir=data_dir, train_images=100)
    test = open_test(data, data_dir=data_dir)
    assert test.labels.bincount().tolist() == [1000] * 10


@pytest.mark.parametrize("memory_limit", [None, 0])
def test_folder(pictures, memory_limit):
    data = get_data("folder", data_dir=pictures, image_size=24)
    test = open_test(data, data_dir=pictures, memory_limit=memory_limit)
    pixels = torch.cat([images for images, _ in test.batches(5)])
    assert pixels.shape == (14, 3, 24, 24)


def test_changed_folder(pictures):
    data = get_data("folder", data_dir=pictures)
    (pictures / "cat" / "new.png").write_bytes((pictures / "cat" / "001.png").read_bytes())
    with pytest.raises(InputError, match="may have been trained on"):
        open_test(data, data_dir=pictures)


def test_tensors():
    images = torch.randint(
        0, 256, (100, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    labels = torch.arange(100) % 2
    data = from_tensors(images, labels, test=20)
    test = open_test(data, data_set=tensor_data_set(images, labels, test=20))
    parts = [_rows(part.images) for part in (data.train, data.validation, test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 100
    with pytest.raises(InputError, match="another checksum"):
        open_test(data, data_set=tensor_data_set(images, labels, test=30))
    own = (images[:10], labels[:10])
    official = from_tensors(images, labels, test=own)
    opened = open_test(official, data_set=tensor_data_set(images, labels, test=own))
    assert torch.equal(opened.images, images[:10])
    with pytest.raises(InputError, match="unknown data set 'tensors'"):
        open_test(data)
