"""How a run stands, read from its folder alone."""

import os
import subprocess
import sys
from datetime import datetime

import pytest

from evonas.atomic import write_json_atomic
from evonas.errors import InputError
from evonas.runs import Journal, RunFolder, drive, locked, read_status


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "toy", now=datetime(2026, 1, 2, 3, 4, 5))
    folder.config.write_text("{}")
    return folder


def search(folder, problem, algorithm, **settings):
    with Journal(folder.journal) as journal:
        return drive(problem, algorithm, evaluations=24, seed=1, journal=journal, **settings)


def test_before_anything(folder):
    status = read_status(folder.path)
    assert (status.stages, status.evaluations, status.budget, status.front) == ((), 0, None, None)
    assert not status.locked and not status.finished
    assert status.command == f"python -m evonas.run --resume {folder.path}"


def test_in_the_middle_and_at_the_end(folder, blocks, make):
    asked = iter([False, False, True])
    search(folder, blocks(), make("nsga2"), stop=lambda: next(asked))
    stages = {"supernet": {"state": "done", "seconds": 61.2}, "search": {"state": "running"}}
    write_json_atomic(folder.stages, stages)
    os.utime(folder.config, (0, 0))
    status = read_status(folder.path)
    assert (status.evaluations, status.budget) == (16, 24)
    assert [(s.name, s.state, s.seconds) for s in status.stages] == [
        ("supernet", "done", 61.2),
        ("search", "stopped", None),
    ]
    text = str(status)
    assert "not finished" in text and "16 of 24" in text and "supernet done (1:01)" in text
    assert "go on with   python -m evonas.run --resume" in text
    assert abs((datetime.now() - status.last_activity).total_seconds()) < 60

    with locked(folder):
        status = read_status(folder.path)
        assert status.locked and status.command is None and status.stages[1].state == "running"
        assert ": running" in str(status)

    outcome = search(folder, blocks(), make("nsga2"))
    stages["search"] = {"state": "done", "seconds": 1.0}
    write_json_atomic(folder.stages, stages)
    status = read_status(folder.path)
    assert status.finished and status.command is None and status.evaluations == 24
    assert status.hypervolume is not None and 0 < status.front < len(outcome.results)


def test_stages_are_asked_if_given(folder):
    class Search:
        name = "search"

        def done(self, run):
            return run.front.exists()

    write_json_atomic(folder.stages, {"search": {"state": "done"}, "other": {"state": "done"}})
    assert [(s.name, s.state) for s in read_status(folder.path, [Search()]).stages] == [
        ("search", "waiting")
    ]
    folder.front.write_text("")
    assert read_status(folder.path, [Search()]).finished


def test_a_generation_under_way_counts_its_networks(folder, blocks, make):
    asked = iter([False, False, True])
    search(folder, blocks(), make("nsga2"), stop=lambda: next(asked), batch=2)
    status = read_status(folder.path)
    assert status.evaluations == 4 and status.hypervolume is None and status.front > 0


def test_no_run(tmp_path):
    with pytest.raises(InputError):
        read_status(tmp_path / "gone")


def test_torch_is_not_needed(folder):
    code = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "thop"):
            raise ImportError(name)
sys.meta_path.insert(0, NoTorch())
import evonas.analysis
from evonas.runs import read_status
assert "matplotlib" not in sys.modules
read_status(sys.argv[1])
"""
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)
