"""Names of run folders, and what is said of folders that are none."""

from datetime import datetime
from pathlib import Path

import pytest

from evonas.errors import InputError
from evonas.runs import RunFolder

NOW = datetime(2026, 11, 21, 23, 15, 0)


def test_names_are_unique(tmp_path):
    names = [RunFolder.create(tmp_path / "runs", "cifar10-params", now=NOW).name for _ in range(3)]
    stem = "cifar10-params-20261121-231500"
    assert names == [stem, f"{stem}-2", f"{stem}-3"]


def test_it_is_taken_wherever_a_path_is(tmp_path):
    folder = RunFolder.create(tmp_path, "digits-params")
    folder.config.write_text("{}")
    assert RunFolder.open(folder) == folder and Path(folder) == folder.path


def test_what_no_file_name_holds_is_replaced(tmp_path):
    folder = RunFolder.create(tmp_path, "../my problem/é", now=NOW)
    assert folder.path.parent == tmp_path and folder.name == "my-problem-20261121-231500"


def test_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for parent in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(InputError):
            RunFolder.create(parent, "digits-params")


def test_members_are_those_of_the_design():
    folder = RunFolder("runs/x")
    members = {
        "config": "config.json",
        "journal": "journal.jsonl",
        "supernet": "supernet",
        "front": "front.csv",
        "history": "history.csv",
        "saliency": "saliency.csv",
        "pruning": "pruning.csv",
        "fidelity": "fidelity.csv",
        "networks": "networks",
        "figures": "figures",
        "report": "report.html",
        "log": "log.txt",
    }
    for attribute, name in members.items():
        assert getattr(folder, attribute) == folder.path / name


def test_opening(tmp_path):
    with pytest.raises(InputError, match="there is no run folder"):
        RunFolder.open(tmp_path / "gone")
    (tmp_path / "file.csv").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RunFolder.open(tmp_path / "file.csv")
    with pytest.raises(InputError, match="no run folder .*python -m evonas.run"):
        RunFolder.open(tmp_path)
    folder = RunFolder.create(tmp_path, "digits-params", now=NOW)
    folder.config.write_text("{}")
    with pytest.raises(InputError, match="digits-params-20261121-231500"):
        RunFolder.open(tmp_path)
    assert RunFolder.open(str(folder.path)) == folder


def test_what_is_missing_names_the_command_that_makes_it(tmp_path):
    folder = RunFolder(tmp_path / "a run")
    folder.path.mkdir()
    with pytest.raises(InputError, match=r"no front.csv yet.*--resume '.*/a run'"):
        folder.require(folder.front)
    folder.front.write_text("network\n")
    assert folder.require(folder.front) == folder.front
