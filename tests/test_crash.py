"""A run killed at any point and resumed ends as an unbroken one does."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from breaking import broken_off

from evonas.cli import main
from evonas.search import list_algorithms

pytestmark = pytest.mark.usefixtures("empty_figures")

COMMON = ["--threads", "1", "--quiet"]


def run(*arguments) -> Path:
    """A run from the command line, in this process; its folder."""
    runs = Path(arguments[arguments.index("--runs") + 1])
    before = set(runs.iterdir()) if runs.exists() else set()
    assert main(["run", *map(str, arguments), *COMMON]) == 0
    return (set(runs.iterdir()) - before).pop()


def killed(where: str, count: int, *arguments) -> Path:
    """The same in a process of its own that dies at a point; the folder it leaves."""
    done = broken_off(where, count, "run", *map(str, arguments), *COMMON)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = Path(arguments[arguments.index("--runs") + 1]).iterdir()
    return folder


def resumed(folder: Path) -> Path:
    assert not (folder / "front.csv").exists()
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    return folder


def found(folder: Path) -> tuple[bytes, list[object]]:
    """front.csv, and all that the journal says except seconds."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    kept = ("kind", "generation", "genomes", "random_state", "genome", "objectives", "feasible")
    journal = [{key: line.get(key) for key in kept} for line in lines]
    return (folder / "front.csv").read_bytes(), journal


def check_resumed(folder: Path, unbroken: Path, name: str) -> None:
    """Resumed, it finds what the unbroken run found, and has the same table and a figure of it."""
    assert found(resumed(folder)) == found(unbroken)
    assert (folder / f"{name}.csv").read_bytes() == (unbroken / f"{name}.csv").read_bytes()
    assert (folder / "figures" / f"{name}.png").is_file()


TRAINED = ["--problem", "digits-params", "--training.steps", "60", "--evaluations", "40",
           "--train-images", "400", "--validation-images", "100",
           "--training.batch-size", "24"]  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    return run(*TRAINED, "--runs", tmp_path_factory.mktemp("unbroken"))


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("step", 5),  # in the first epoch, of 16 steps
        ("step", 30),  # in the second
        ("rename", 2),  # writing stages.json, before anything is trained
        ("rename", 4),  # writing a checkpoint
        ("rename", 7),  # writing the final weights or what surrounds them
        ("journal", 6),  # in the middle of a line
        ("evaluate", 2),  # in the search
    ],
)
def test_killed_anywhere(unbroken, tmp_path, where, count):
    folder = killed(where, count, *TRAINED, "--runs", tmp_path)
    assert found(resumed(folder)) == found(unbroken)
    assert not [p.name for p in folder.rglob(".*") if p.name != ".lock"]


# "saliency" evaluates all it has in one step; "true-rank" has no supernet to search
STEPWISE = [name for name in list_algorithms() if name not in ("saliency", "true-rank")]


@pytest.mark.parametrize("algorithm", STEPWISE)
def test_every_algorithm_resumes_its_search(unbroken, tmp_path, algorithm):
    given = ["--supernet", unbroken, "--algorithm", algorithm, "--evaluations", 60, "--runs"]
    whole = run(*given, tmp_path / "whole")
    # Killed twice: in the middle of an evaluation, then in the middle of a line.
    folder = killed("evaluate", 3, *given, tmp_path / "killed")
    again = broken_off("journal", 3, "run", "--resume", str(folder), "--quiet")
    assert again.returncode == -signal.SIGKILL, again.stderr
    assert found(resumed(folder)) == found(whole)


RACED = [*TRAINED, "--validation-images", "350", "--racing", "confident"]


@pytest.mark.parametrize(("algorithm", "count"), [("screened", 5), ("nsga2", 2)])
def test_a_race_killed_in_the_search(tmp_path, algorithm, count):
    """Rivals that an earlier process has scored are the same ones to later networks."""
    given = [*RACED, "--algorithm", algorithm, "--runs"]
    whole = run(*given, tmp_path / "whole")
    folder = killed("evaluate", count, *given, tmp_path / "killed")
    assert found(resumed(folder)) == found(whole)
    journals = [
        [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
        for run in (folder, whole)
    ]
    saved, other = (
        {line["network"]: line["images_saved"] for line in lines if "images_saved" in line}
        for lines in journals
    )
    # One batch of three, or two, in any order.
    assert saved == other and set(saved.values()) <= {116, 117, 233, 234}
    history = (whole / "history.csv").read_text().splitlines()
    column = history[0].split(",").index("images_saved")
    assert sum(float(row.split(",")[column]) for row in history[1:]) == sum(saved.values()) > 0
    front = (whole / "front.csv").read_text()
    assert not any(network in front for network in saved)
    assert (folder / "history.csv").read_text().count("\n") == len(history)


GUIDED = [*TRAINED, "--algorithm", "nsga2", "--mutation", "saliency"]


@pytest.fixture(scope="module")
def unbroken_guided(tmp_path_factory) -> Path:
    return run(*GUIDED, "--runs", tmp_path_factory.mktemp("unbroken"))


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("rename", 9),  # writing saliency.csv or what surrounds it
        ("rename", 10),
        ("rename", 11),
        ("evaluate", 2),
        ("journal", 7),
    ],
)
def test_a_guided_search_killed_anywhere(unbroken_guided, tmp_path, where, count):
    folder = killed(where, count, *GUIDED, "--runs", tmp_path)
    check_resumed(folder, unbroken_guided, "saliency")


PRUNED = [*TRAINED, "--prune", "global"]


@pytest.fixture(scope="module")
def unbroken_pruned(tmp_path_factory) -> Path:
    return run(*PRUNED, "--runs", tmp_path_factory.mktemp("unbroken"))


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("step", 20),  # between levels
        ("rename", 5),  # writing a checkpoint
        ("rename", 8),  # writing pruning.csv, the weights, or what surrounds them
        ("rename", 9),
        ("rename", 10),
        ("evaluate", 6),  # in the search
        ("journal", 7),
    ],
)
def test_a_pruning_killed_anywhere(unbroken_pruned, tmp_path, where, count):
    folder = killed(where, count, *PRUNED, "--runs", tmp_path)
    check_resumed(folder, unbroken_pruned, "pruning")


def test_a_selection_by_saliency_killed_in_the_search(tmp_path):
    selection = [*TRAINED, "--algorithm", "saliency"]
    whole = run(*selection, "--runs", tmp_path / "whole")
    folder = killed("evaluate", 1, *selection, "--runs", tmp_path / "killed")
    assert found(resumed(folder)) == found(whole)


def test_a_guided_search_needs_its_table(unbroken_guided, tmp_path, capsys):
    """A broken table is named; without one it is computed again, to the last digit."""
    folder = Path(shutil.copytree(unbroken_guided, tmp_path / "run"))
    table = folder / "saliency.csv"
    before = table.read_bytes()
    table.write_text("operation,gene,choice\n")
    assert main(["run", "--resume", str(folder), "--evaluations", "70", "--quiet"]) == 2
    assert "saliency.csv has no column 'saliency'" in capsys.readouterr().err
    for lines in (2, -1):  # a file cut short within, and by its last line
        table.write_bytes(b"".join(before.splitlines(keepends=True)[:lines]))
        assert main(["run", "--resume", str(folder), "--evaluations", "70", "--quiet"]) == 2
        assert "saliency.csv lacks choices" in capsys.readouterr().err
    table.unlink()
    assert main(["run", "--resume", str(folder), "--evaluations", "70", "--quiet"]) == 0
    assert table.read_bytes() == before


JOINT = [*TRAINED, "--algorithm", "multi-distribution", "--joint", "--weight-steps", "4",
         "--evaluations", "60"]  # fmt: skip
LEARNT = ("joint.csv", "architectures.csv", "supernet/distributions.json")


@pytest.fixture(scope="module")
def unbroken_joint(tmp_path_factory) -> Path:
    return run(*JOINT, "--runs", tmp_path_factory.mktemp("unbroken"))


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("step", 44),  # distributions learn since step 36; the last checkpoint is of step 34
        ("step", 55),  # the last checkpoint is of step 51
        ("rename", 7),  # the final weights
        ("rename", 8),  # what was learnt
        ("rename", 9),
        ("evaluate", 2),
        ("journal", 12),
    ],
)
def test_a_joint_search_killed_anywhere(unbroken_joint, tmp_path, where, count):
    folder = killed(where, count, *JOINT, "--runs", tmp_path)
    assert found(resumed(folder)) == found(unbroken_joint)
    for name in LEARNT:
        assert (folder / name).read_bytes() == (unbroken_joint / name).read_bytes(), name


@pytest.mark.parametrize("name", LEARNT[1:])
def test_what_a_joint_search_left_is_written_again(unbroken_joint, tmp_path, name):
    folder = Path(shutil.copytree(unbroken_joint, tmp_path / "run"))
    (folder / name).unlink()
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    assert (folder / name).read_bytes() == (unbroken_joint / name).read_bytes()


def test_a_search_whose_budget_is_spent_is_not_begun_anew_for_a_file(
    unbroken_joint, tmp_path, capsys
):
    folder = Path(shutil.copytree(unbroken_joint, tmp_path / "run"))
    (folder / "architectures.csv").unlink()
    assert main(["run", "--resume", str(folder), "--restart-search", "--quiet"]) == 2
    assert "has spent its budget" in capsys.readouterr().err


def test_a_joint_search_with_a_start_evaluates_its_architectures_first(unbroken_joint, tmp_path):
    start = ["--start", unbroken_joint / "front.csv", "--evaluations", "20"]
    folder = run(*JOINT, *start, "--runs", tmp_path)
    rows = (folder / "architectures.csv").read_text().splitlines()[1:]
    assert len(rows) == 8 and all("" not in row.split(",") for row in rows)


def test_a_joint_search_goes_on_with_more_evaluations(unbroken_joint, tmp_path):
    folder = Path(shutil.copytree(unbroken_joint, tmp_path / "run"))
    more = ["--evaluations", "80", "--quiet"]
    assert main(["run", "--resume", str(folder), *more]) == 0
    rows = [(path / "history.csv").read_text().splitlines() for path in (unbroken_joint, folder)]
    assert int(rows[1][-1].split(",")[1]) == 80
    architectures = [(p / "architectures.csv").read_bytes() for p in (unbroken_joint, folder)]
    assert architectures[0] == architectures[1]


def test_a_torn_file_of_distributions_is_named_and_nothing_lost(unbroken_joint, tmp_path, capsys):
    folder = Path(shutil.copytree(unbroken_joint, tmp_path / "run"))
    torn = folder / "supernet" / "distributions.json"
    torn.write_bytes(torn.read_bytes()[:100])
    assert main(["run", "--resume", str(folder), "--evaluations", "80", "--quiet"]) == 2
    assert "distributions.json is broken" in capsys.readouterr().err
    for name in ("architectures.csv", "front.csv", "journal.jsonl"):
        assert (folder / name).read_bytes() == (unbroken_joint / name).read_bytes(), name


def test_a_run_that_ended_is_left_as_it_is(unbroken, tmp_path):
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    before = found(folder)
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    assert found(folder) == before


def test_ctrl_c_writes_the_front_so_far_and_names_the_command(unbroken, tmp_path):
    """SIGINT in the search: exit 130, a front, and the line that resumes."""
    given = ["run", "--supernet", str(unbroken), "--evaluations", "80", "--runs", str(tmp_path)]
    done = broken_off("evaluate", 3, *given, "--threads", "1", by=signal.SIGINT)
    (folder,) = tmp_path.iterdir()
    assert done.returncode == 130, done.stderr
    assert f"python -m evonas.run --resume {folder}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len((folder / "front.csv").read_text().splitlines()) > 1
    whole = run("--supernet", unbroken, "--evaluations", 80, "--runs", tmp_path / "whole")
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    assert found(folder) == found(whole)
