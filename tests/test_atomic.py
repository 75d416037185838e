"""A file is the old one or the new one, whatever happens meanwhile."""

import errno
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from evonas.atomic import (
    replacing,
    write_bytes_atomic,
    write_json_atomic,
    write_text_atomic,
)
from evonas.errors import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_files_and_replaced_ones(tmp_path):
    path = tmp_path / "a.txt"
    write_text_atomic(path, "één\n")
    assert path.read_bytes() == "één\n".encode()
    write_bytes_atomic(str(path), b"\0\1")
    assert path.read_bytes() == b"\0\1"
    write_json_atomic(path, {"b": 0.1, "a": [1]})
    assert json.loads(path.read_text()) == {"b": 0.1, "a": [1]}
    assert path.read_text().index("b") < path.read_text().index("a")
    assert names(tmp_path) == ["a.txt"]


def test_readable_by_whom_the_umask_allows(tmp_path):
    old = os.umask(0o027)
    try:
        write_text_atomic(tmp_path / "a.txt", "x")
        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError):
        write_json_atomic(tmp_path / "a.json", {"a": float("nan")})
    assert names(tmp_path) == []


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".bin"
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and names(tmp_path) == ["weights.bin"]


@pytest.mark.parametrize("function", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path, monkeypatch, function, code):
    path = tmp_path / "front.csv"
    write_text_atomic(path, "old")

    def fail(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(InputError) as caught:
        write_text_atomic(path, "new")
    monkeypatch.undo()
    text = str(caught.value)
    assert "\n" not in text and str(path) in text and ";" in text
    assert ("free some space" in text) == (code != errno.EIO)
    assert path.read_text() == "old" and names(tmp_path) == ["front.csv"]


def test_a_write_that_takes_a_part_goes_on(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, view: real(fd, bytes(view)[:3]))
    write_text_atomic(tmp_path / "a.txt", "0123456789")
    assert (tmp_path / "a.txt").read_text() == "0123456789"


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_text_atomic(tmp_path / "missing" / "a.txt", "x")


def test_threads_that_write_at_once_leave_the_umask_alone(tmp_path, monkeypatch):
    """Whoever reads the mask sets it for a moment, in which another thread must not read it."""
    asked = os.umask

    def slowly(mask):
        before = asked(mask)
        time.sleep(0.002)
        return before

    mask = asked(0o022)
    monkeypatch.setattr(os, "umask", slowly)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: write_text_atomic(tmp_path / str(i), "x"), range(40)))
    finally:
        left = asked(mask)
    assert left == 0o022
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o644}
