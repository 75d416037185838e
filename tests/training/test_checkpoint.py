import os

import pytest
import torch

from evonas.errors import InputError
from evonas.training import Checkpoint


def example() -> Checkpoint:
    return Checkpoint({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, {"step": 7})


def test_round_trip(tmp_path):
    path = tmp_path / "supernet" / "w.safetensors"
    example().save(path)
    read = Checkpoint.load(path)
    assert read.values == {"step": 7}
    assert torch.equal(read.tensors["a"], example().tensors["a"])
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]


def test_bytes_are_those_of_the_file(tmp_path):
    path = tmp_path / "w.safetensors"
    example().save(path)
    assert example().to_bytes() == path.read_bytes()
    read = Checkpoint.from_bytes(path.read_bytes())
    assert read.values == {"step": 7} and read.tensors.keys() == {"a", "b"}
    assert torch.equal(read.tensors["a"], example().tensors["a"])


def test_a_full_disk_keeps_the_last_good_one(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    example().save(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="disk is full"):
        Checkpoint({"a": torch.zeros(9)}, {}).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("keep", [0, 4, 40, -3])
def test_a_torn_file_is_one_clear_line(tmp_path, keep):
    path = tmp_path / "w.safetensors"
    example().save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError) as error:
        Checkpoint.load(path)
    assert "no whole checkpoint" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        Checkpoint.load(tmp_path / "none")
