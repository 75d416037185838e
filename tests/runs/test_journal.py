"""The journal keeps what was written, drops what was torn, and names what is broken."""

import errno
import json
import math
import os

import numpy as np
import pytest

from evonas.errors import InputError
from evonas.runs import Journal, read_lines


def line(i):
    return {"kind": "result", "value": i}


def write(path, n):
    with Journal(path) as journal:
        journal.append(line(i) for i in range(n))


def test_a_missing_file_is_an_empty_journal(tmp_path):
    assert read_lines(tmp_path / "journal.jsonl") == ([], 0)


def test_lines_come_back_and_more_can_be_added(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 2)
    with Journal(path) as journal:
        assert journal.lines == [line(0), line(1)]
        journal.append([line(2)])
        assert journal.lines == [line(0), line(1), line(2)]
    assert read_lines(path) == ([line(0), line(1), line(2)], path.stat().st_size)
    with pytest.raises(ValueError, match="closed"):
        journal.append([line(3)])


def test_floats_and_large_integers_come_back_exactly(tmp_path, random_state):
    path = tmp_path / "journal.jsonl"
    bits = random_state.integers(0, 2**63, 2000, dtype=np.uint64).view(np.float64)
    values = [v for v in bits.tolist() if math.isfinite(v)] + [0.1, 1e-320, 1 / 3, -0.0, 2.0**53]
    with Journal(path) as journal:
        journal.append([{"kind": "x", "values": values, "state": 2**127 + 1}])
    (back,), _ = read_lines(path)
    assert [v.hex() for v in back["values"]] == [v.hex() for v in values]
    assert back["state"] == 2**127 + 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_refused_and_nothing_is_written(tmp_path, bad):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal, pytest.raises(ValueError):
        journal.append([line(0), line(bad)])
    assert path.read_bytes() == b""


def test_a_torn_tail_is_dropped_wherever_it_was_torn(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    data = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        assert read_lines(path) == ([line(i) for i in range(whole)], ([0] + ends)[whole])
        with Journal(path) as journal:
            journal.append(line(i) for i in range(whole, 3))
        assert path.read_bytes() == data


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b'{"kind": "res\n', b"[1, 2]\n", b"\xff\xfe\n"])
def test_any_broken_last_line_is_dropped(tmp_path, tail):
    path = tmp_path / "journal.jsonl"
    write(path, 2)
    data = path.read_bytes()
    path.write_bytes(data + tail)
    assert read_lines(path) == ([line(0), line(1)], len(data))


@pytest.mark.parametrize("broken", [b'{"kind": "res\n', b"\n", b"3\n"])
def test_a_broken_line_elsewhere_is_an_error_with_its_number(tmp_path, broken):
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + broken + lines[2])
    for read in (read_lines, Journal):
        with pytest.raises(InputError, match="line 2 of .*journal.jsonl is broken"):
            read(path)
    assert path.read_bytes() == lines[0] + broken + lines[2]


def test_a_full_disk_leaves_the_lines_before(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    write(path, 2)
    data = path.read_bytes()
    real = os.write

    def half(descriptor, view):
        monkeypatch.setattr(os, "write", full)
        return real(descriptor, bytes(view)[: len(view) // 2])

    def full(descriptor, view):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(path) as journal:
        monkeypatch.setattr(os, "write", half)
        with pytest.raises(InputError, match="the disk is full: .*journal.jsonl"):
            journal.append([line(2), line(3)])
        assert path.read_bytes() == data
        monkeypatch.setattr(os, "write", real)
        journal.append([line(2)])
    assert [json.loads(text) for text in path.read_text().splitlines()] == [
        line(i) for i in (0, 1, 2)
    ]


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        Journal(tmp_path / "missing" / "journal.jsonl")
