"""A cost of one's own on the command line: tables, plugins, resuming, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evonas.cli import main
from evonas.run import Run
from evonas.spaces import get_space

SMALL = ["--training.steps", 20, "--evaluations", 40, "--threads", 1, "--quiet"]


def command(*words):
    return main([str(word) for word in ("run", *words)])


def refused(capsys, words, message):
    """The command ends with 2 and one line that says the message."""
    capsys.readouterr()
    assert command(*words) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said, said


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr("evonas.problems.own_costs._FACTORIES", {})


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A table of the space 'tiny': 0.25 a choice, 1.5 for the rest."""
    space = get_space("tiny", 10, (1, 8, 8))
    rows = [f"{g},{c},{0.25 * c}" for g, c in np.argwhere(space.allowed).tolist()]
    path = tmp_path_factory.mktemp("tables") / "device.csv"
    path.write_text("\n".join(["gene,choice,latency", ",,1.5", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    given = ["--problem", "digits-latency", "--cost", f"latency={table}", "--runs", runs]
    assert command(*given, "--constraint", "latency<=4", *SMALL) == 0
    return next(runs.iterdir())


@pytest.fixture
def copy_of(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_it_is_an_objective_a_limit_and_a_column(finished, table):
    done = Run.load(finished)
    assert done.front.columns == ("error", "latency", "params", "macs")
    X = np.stack([done.problem().space.encode(network) for network in done.front.networks])
    assert done.front.column("latency").tolist() == (1.5 + 0.25 * X.sum(axis=1)).tolist()
    assert (done.front.column("latency") <= 4).all()
    F = done.problem().evaluate(X, return_values_of=["F"])
    assert F.tolist() == done.front.F.tolist()
    settings = json.loads((finished / "config.json").read_text())["settings"]
    assert settings["cost"] == [f"latency={table}"] and Path(table).is_absolute()


def test_a_relative_table_is_found_from_anywhere(table, tmp_path, monkeypatch, capsys):
    shutil.copy(table, tmp_path / "mine.csv")
    monkeypatch.chdir(tmp_path)
    given = ["--problem", "digits-params-latency", "--cost=latency=mine.csv", "--dry-run"]
    assert command(*given, "--training.steps", 20) == 0
    assert f"latency={tmp_path / 'mine.csv'}" in capsys.readouterr().out


def test_a_resume_notices_a_table_that_has_changed(copy_of, table, tmp_path, capsys):
    more = ["--resume", copy_of, "--evaluations", 60, "--quiet"]
    moved = Path(shutil.copy(table, tmp_path / "moved.csv"))
    moved.write_text(moved.read_text().replace(",,1.5", ",,1.50"))
    assert command(*more, "--cost", f"latency={moved}") == 0
    moved.write_text(moved.read_text().replace(",,1.50", ",,1.6"))
    refused(capsys, more, f"the cost 'latency' of {copy_of} has changed in {moved}")
    moved.unlink()
    refused(capsys, more, f"there is no table of latency {moved}")
    refused(capsys, [*more, "--cost", f"energy={table}"], "was run with cost = ")


def test_searching_again_takes_the_cost_with_the_problem(finished, tmp_path, table, capsys):
    common = ["--supernet", finished, "--runs", tmp_path, "--evaluations", 20, "--quiet"]
    assert command(*common) == 0
    assert Run.load(next(tmp_path.iterdir())).front.objectives == ("error", "latency")
    refused(capsys, [*common, "--problem", "digits-params-latency"], "which nobody gave")
    given = ["--problem", "digits-params", "--cost", f"latency={table}", "--algorithm", "screened"]
    assert command(*common, *given, "--constraint", "latency<=3") == 0


PLUGIN = """
from evonas.problems import register_cost

register_cost("depth", lambda space: lambda X: 1.0 + (X > 0).sum(axis=1))
"""


def test_a_function_comes_from_a_plugin(finished, tmp_path, monkeypatch, capsys):
    (tmp_path / "depth.py").write_text(PLUGIN)
    plugin = ["--plugin", tmp_path / "depth.py"]
    common = ["--supernet", finished, "--runs", tmp_path / "runs", "--quiet"]
    named = [*common, "--problem", "digits-depth", "--evaluations", 20]
    assert command(*named, *plugin) == 0
    assert f"--plugin {tmp_path / 'depth.py'}" in capsys.readouterr().out
    done = Run.load(next((tmp_path / "runs").iterdir()))
    assert done.front.objectives == ("error", "depth") and done.front.column("depth").min() == 1
    assert "--cost" not in json.dumps(json.loads((done.folder.config).read_text()))
    monkeypatch.setattr("evonas.problems.own_costs._FACTORIES", {})
    refused(capsys, named, "names the cost 'depth', which nobody gave")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cost", "latency"], "'latency' is no cost; write it like latency=my_device.csv"),
        (["--cost", "latency="], "'latency=' is no cost"),
        (["--cost", "latency=a.csv", "--cost", "latency=b.csv"], "'latency' is given twice"),
        (["--cost", "params=TABLE"], "a cost of your own cannot be named 'params'"),
        (["--cost", "my-cost=TABLE"], "'my-cost' is no name of a cost"),
        (["--cost", "latency=nowhere.csv"], "there is no table of latency"),
        (["--cost", "latency=TABLE", "--space", "macro"], "is none of the space 'macro'"),
        (["--cost", "latency=TABLE", "--problem", "digits-latncy"], "did you mean digits-latency"),
        (["--problem", "digits-latency"], "give --cost latency=FILE"),
        (["--cost", "latency=TABLE", "--constraint", "latncy<=3"], "did you mean latency"),
        (["--cost", "latency=TABLE", "--constraint", "latency<=1"], "latency from 1.5 to 5.5"),
    ],
)
def test_bad_input_is_one_line(words, message, table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refused(capsys, [word.replace("TABLE", str(table)) for word in words], message)
    assert not (tmp_path / "runs").exists()
