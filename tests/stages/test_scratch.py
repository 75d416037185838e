"""Runs that train every network from scratch: what they leave, and that nothing is lost."""

import csv
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from breaking import KILLER, broken_off

from evonas.cli import main
from evonas.config import RunConfig, ScratchConfig, TrueRankConfig
from evonas.errors import InputError
from evonas.problems import ScratchProblem
from evonas.run import Run
from evonas.search.true_rank import numbers_of
from evonas.spaces import get_space
from evonas.stages.plan import fill, plan
from evonas.training import evaluate_network

pytestmark = pytest.mark.usefixtures("empty_figures")

SMALL = ["--problem", "digits-params", "--space", "plain", "--space-settings", "depth=3,4",
         "width=2,4,2", "--train-images", 300, "--validation-images", 200,
         "--scratch.epochs", 1]  # fmt: skip
TRUE_RANK = [*SMALL, "--algorithm", "true-rank", "--threads", 1]
# Several at once, some of them short.
PROMOTED = [*SMALL[:-1], 2, "--algorithm", "nsga2", "--pop-size", 4, "--evaluations", 12,
            "--scratch.promotion", 1, "--threads", 2]  # fmt: skip


def arguments(*more) -> list[str]:
    return ["run", *map(str, more), "--quiet"]


def run(*more) -> Path:
    runs = Path(more[more.index("--runs") + 1])
    before = set(runs.iterdir()) if runs.exists() else set()
    assert main(arguments(*more)) == 0
    return (set(runs.iterdir()) - before).pop()


def broken_run(where, count, *more, **named):
    """The finished process that a signal was sent to, and the folder that it leaves."""
    done = broken_off(where, count, *arguments(*more), **named)
    return done, next(Path(more[more.index("--runs") + 1]).iterdir())


def trainings(folder: Path) -> dict[str, bytes]:
    """Records and weights, without seconds."""
    from safetensors import safe_open

    found = {}
    for file in sorted((folder / "trainings").iterdir()):
        assert file.suffix == ".safetensors", file
        with safe_open(file, "pt") as opened:
            record = json.loads(opened.metadata()["evonas"])["training"]
            weights = {name: opened.get_tensor(name).tolist() for name in opened.keys()}
        found[file.name] = ({k: v for k, v in record.items() if k != "seconds"}, weights)
    return found


def found(folder: Path) -> list[object]:
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    journal = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
    tables = [folder / "front.csv", folder / "decisions.csv"]
    return [journal, trainings(folder), *(t.read_bytes() for t in tables if t.exists())]


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    return run(*TRUE_RANK, "--runs", tmp_path_factory.mktemp("true-rank"))


@pytest.fixture(scope="module")
def promoted(tmp_path_factory) -> Path:
    return run(*PROMOTED, "--runs", tmp_path_factory.mktemp("promoted"))


# -- what a run leaves --------------------------------------------------------------------------


def test_a_true_rank_run_leaves_front_decisions_and_trainings(searched):
    names = {p.relative_to(searched).as_posix() for p in searched.rglob("*") if p.is_file()}
    assert names >= {"config.json", "journal.jsonl", "front.csv", "history.csv", "decisions.csv"}
    assert names >= {"figures/front.png", "figures/hypervolume.png"} and not names & {"supernet"}
    settings = json.loads((searched / "config.json").read_text())["settings"]
    assert settings["from_scratch"] and settings["evaluations"] == 2 + 2 - 1 + 4 * 3
    assert settings["space_settings"] == ["depth=3,4", "width=2,4,2"]
    assert None not in settings["scratch"].values() and settings["scratch"]["epochs"] == 1
    log = (searched / "log.txt").read_text()
    assert "networks trained from scratch for an epoch" in log and "search: done in" in log


def test_decisions_are_those_of_the_journal(searched):
    lines = [json.loads(line) for line in (searched / "journal.jsonl").read_text().splitlines()]
    results = [line for line in lines if line["kind"] == "result"]
    details = [line["details"] for line in lines if line["kind"] == "generation"]
    with (searched / "decisions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(results) == len(details) == len(trainings(searched))
    for row, result, told in zip(rows, results, details, strict=True):
        assert row["network"] == result["network"]
        assert float(row["correct"]) == round(200 * (1 - result["objectives"]["error"] / 100))
        cells = {k: v for k, v in row.items() if k not in ("network", "decision") and v != ""}
        assert {name: float(value) for name, value in cells.items()} == told
        phase, outcome = row["decision"].split(": ")
        assert (outcome == "kept") == (row["kept"] == "1")
        assert phase == ("depth", "width", "operations", "kernels")[int(row["phase"]) - 1]
    assert rows[0]["decision"] == "depth: kept" and rows[0]["margin"] == ""
    assert rows[0]["exceeds_noise"] == ""
    with (searched / "front.csv").open() as file:
        front = {row["network"] for row in csv.DictReader(file)}
    with_weights = {r["network"] for r, weights in trainings(searched).values() if weights}
    assert front == with_weights < {row["network"] for row in rows}


def test_a_decision_in_numbers():
    from types import SimpleNamespace

    nan = float("nan")
    first = SimpleNamespace(
        phase="kernels", outcome="rejected", correct=3.0, reference=nan, margin=nan, noise=nan,
        exceeds_noise=False,
    )  # fmt: skip
    told = numbers_of(first)
    assert (told["phase"], told["kept"], told["correct"]) == (4, 0, 3)
    assert np.isnan([told["reference"], told["margin"], told["exceeds_noise"]]).all()


def test_the_end_says_how_sure_the_decisions_are(searched, capsys):
    assert main(["run", "--resume", str(searched), "--quiet"]) == 0
    said = capsys.readouterr().out
    with (searched / "decisions.csv").open() as file:
        sure = sum(row["exceeds_noise"] == "1" for row in csv.DictReader(file))
    assert f"{len(trainings(searched))} candidates, {sure} decided by more than noise" in said
    assert "search on" not in said and "no more networks were found" not in said


def test_a_true_rank_search_that_is_cut_short_can_go_on(searched, tmp_path, capsys):
    folder = run(*TRUE_RANK, "--evaluations", 4, "--runs", tmp_path)
    assert "--evaluations 8" in capsys.readouterr().out
    before = trainings(folder)
    assert len(before) == 4
    assert main(["run", "--resume", str(folder), "--evaluations", "15", "--quiet"]) == 0
    for one, other in zip(found(folder)[1:], found(searched)[1:], strict=True):
        assert one == other


def test_the_run_from_python(searched, few_digits):
    done = Run.load(searched)
    problem = done.problem()
    assert isinstance(problem, ScratchProblem)
    before = {p: p.stat().st_mtime_ns for p in (searched / "trainings").iterdir()}
    X = np.stack([problem.space.encode(network) for network in done.front.networks])
    assert problem.evaluate(X).tolist() == done.front.F.tolist()
    for x, f in zip(X, done.front.F, strict=True):
        error, _ = evaluate_network(problem.network(x), problem.data.validation)
        assert error == f[0]
    assert problem.epochs_trained == 0
    # One that the run has not trained is trained, and the run stays as it is.
    new = problem.space.encode("3x2:111:777")
    assert problem.evaluate(new[None]).shape == (1, 2) and problem.epochs_trained == 1
    assert {p: p.stat().st_mtime_ns for p in (searched / "trainings").iterdir()} == before
    with pytest.raises(InputError, match="trained from scratch, without a supernet"):
        done.supernet()


def test_a_run_with_promotion_is_known_as_it_was(promoted):
    """Also what was stopped early: it is not trained to its end because a problem is new."""
    problem = Run.load(promoted).problem()
    lines = [json.loads(line) for line in (promoted / "journal.jsonl").read_text().splitlines()]
    results = [line for line in lines if line["kind"] == "result"]
    epochs = {record["epochs"] for record, _ in trainings(promoted).values()}
    assert epochs == {1, 2}
    for result in results[::-1]:
        told = problem.evaluate(np.array([result["genome"]]))
        assert told[0].tolist() == list(result["objectives"].values())
    assert problem.epochs_trained == 0


# -- killed and resumed ---------------------------------------------------------------------------


def check_resumed(folder: Path, whole: Path) -> None:
    assert not (folder / "front.csv").exists()
    kept = {p: p.stat().st_ino for p in folder.glob("trainings/[!.]*.safetensors")}
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    assert found(folder) == found(whole)
    full = {name for name, (_, weights) in trainings(whole).items() if weights}
    # Whose weights are kept for good, and was there, is the file that it was.
    for path, inode in kept.items():
        assert path.name not in full or path.stat().st_ino == inode
    assert not [p.name for p in folder.rglob(".*") if p.name != ".lock"]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("step", 15),
        ("trained", 1),  # before anything is kept of it
        ("kept", 1),  # between store and journal
        ("forget", 2),
        ("rename", 6),  # while a training is written
        ("journal", 2),  # in the middle of a line
        ("journal", 14),
    ],
)
def test_a_true_rank_search_killed_anywhere(searched, tmp_path, where, count):
    done, folder = broken_run(where, count, *TRUE_RANK, "--runs", tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    check_resumed(folder, searched)


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("step", 9),
        ("step", 40),
        ("kept", 3),
        ("forget", 2),
        ("journal", 4),  # results of the first generation: some lines of it are whole
        ("journal", 7),
    ],
)
def test_a_search_with_promotion_killed_anywhere(promoted, tmp_path, where, count):
    done, folder = broken_run(where, count, *PROMOTED, "--runs", tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    check_resumed(folder, promoted)


def test_a_search_with_promotion_goes_on_with_more_evaluations(promoted, tmp_path):
    folder = Path(shutil.copytree(promoted, tmp_path / "run"))
    assert main(["run", "--resume", str(folder), "--evaluations", "20", "--quiet"]) == 0
    whole = run(*PROMOTED, "--evaluations", 20, "--runs", tmp_path / "whole")
    assert found(folder)[1:] == found(whole)[1:]


def test_a_training_that_is_kept_is_never_made_again(searched, tmp_path, monkeypatch):
    """With its journal gone, a run has only its trainings, and they are enough."""
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    for name in ("journal.jsonl", "front.csv", "decisions.csv", "history.csv", "stages.json"):
        (folder / name).unlink()
    from evonas.training import Trainer

    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "train_step", never)
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    assert found(folder) == found(searched)


def test_a_long_training_goes_on_within(searched, tmp_path, monkeypatch):
    program = KILLER.replace(
        "from evonas.cli import main",
        "from evonas.training import scratch\nscratch.CHECKPOINT_SECONDS = 0.0\n"
        "from evonas.cli import main",
    )
    more = [*SMALL[:-1], 3, "--algorithm", "random", "--evaluations", 3, "--threads", 1]
    _, folder = broken_run("step", 10, *more, "--runs", tmp_path / "killed", program=program)
    assert [p.suffix for p in (folder / "trainings").iterdir()] == [".part"]
    steps = []
    from evonas.training import Trainer

    real = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda *a: steps.append(1) or real(*a))
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    resumed = len(steps)
    steps.clear()
    whole = run(*more, "--runs", tmp_path / "whole")
    assert found(folder) == found(whole)
    assert resumed in (len(steps) - 4, len(steps) - 8)  # of 4 to an epoch, without the killed one


def test_ctrl_c_ends_after_the_step_and_names_the_command(searched, tmp_path):
    done, folder = broken_run("step", 10, *TRUE_RANK, "--runs", tmp_path, by=signal.SIGINT)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done.stderr
    assert f"python -m evonas.run --resume {folder}" in done.stderr.splitlines()[-1]
    assert len((folder / "front.csv").read_text().splitlines()) > 1
    (folder / "front.csv").unlink()
    check_resumed(folder, searched)


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    program = KILLER.replace("os.kill(os.getpid(), number)", "interrupt()").replace(
        "def dying(",
        "import threading, time\n"
        "def interrupt():\n"
        "    for _ in range(2):\n"
        "        os.kill(os.getpid(), number)\n"
        "        time.sleep(0.5)\n\n"
        "def dying(",
    )
    given = [*PROMOTED, "--runs", tmp_path]
    done, _ = broken_run("step", 3, *given, by=signal.SIGINT, program=program)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done.stderr


def test_a_repeated_run_is_the_same(searched, tmp_path):
    again = run("--config", searched / "config.json", "--runs", tmp_path)
    assert found(again) == found(searched)
    assert fill(Run.load(searched).config) == Run.load(searched).config


# -- settled or refused ---------------------------------------------------------------------------


def test_a_true_rank_search_is_a_short_one_on_a_cpu():
    given = {"problem": "cifar10-params", "space": "plain", "device": "cpu", "threads": 2}
    short = fill(RunConfig(**given, algorithm="true-rank"))
    assert short.train_images == 20_000
    assert short.scratch == ScratchConfig(epochs=6, half_resolution=0.85, seeds=2, at_once=2)
    assert short.space_settings == ("depth=4,6", "width=12,16,4") and fill(short) == short
    said = ScratchConfig(epochs=9, seeds=1)
    long = fill(RunConfig(**given, algorithm="true-rank", train_images=30_000, scratch=said))
    assert (long.train_images, long.scratch.epochs) == (30_000, 9)
    assert (long.scratch.seeds, long.scratch.half_resolution) == (1, 0.85)
    assert long.scratch.at_once == 1
    trg = ScratchConfig(recipe="trg")
    named = fill(RunConfig(**given, algorithm="true-rank", scratch=trg))
    assert replace(named.scratch, at_once=None) == trg
    # Where candidates do not wait for each other, or nothing is known of the data.
    for other in ({"algorithm": "random"}, {"algorithm": "true-rank", "problem": "digits-params"}):
        filled = fill(RunConfig(**given | other))
        assert filled.train_images is None and filled.scratch.epochs is None
        assert filled.scratch.seeds is None


def test_as_many_are_trained_at_once_as_the_run_has_threads():
    for threads in (1, 3):
        settled = plan(RunConfig(space="plain", threads=threads)).config
        assert settled.scratch.at_once == threads == torch.get_num_threads()
        assert plan(settled).config == settled
    assert (
        plan(RunConfig(space="plain", threads=3, scratch=ScratchConfig(at_once=2))).config
        == (
            plan(plan(RunConfig(space="plain", threads=3, scratch=ScratchConfig(at_once=2))).config)
        ).config
    )


def test_a_run_from_scratch_is_settled():
    plain = fill(RunConfig(space="plain", device="cpu"))
    assert plain.from_scratch and plain.evaluations == 40 and plain.width is None
    assert plain.space_settings == ("depth=3,6", "width=8,24,4")
    assert plain.training == RunConfig().training
    tiny = plan(RunConfig(from_scratch=True, device="cpu", threads=1))
    assert tiny.config.space == "tiny" and isinstance(tiny.workspace.problem, ScratchProblem)
    assert tiny.expected == {}
    ranked = fill(RunConfig(space="plain", algorithm="true-rank", device="cpu"))
    assert ranked.evaluations == 4 + 5 - 1 + 6 * 3 and fill(ranked) == ranked


def test_a_true_rank_run_gives_each_candidate_all_threads(data_dir):
    common = dict(
        problem="cifar10-params", space="plain", algorithm="true-rank", data_dir=str(data_dir),
        device="cpu", threads=8,
    )  # fmt: skip
    assert fill(RunConfig(**common)).scratch.at_once == 2  # trainings of one candidate
    for n in (1, 3):
        seeds = ScratchConfig(seeds=n)
        assert fill(RunConfig(**common, scratch=seeds)).scratch.at_once == n


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--supernet", "SEARCHED"], "'plain' has no supernet: .*; leave --supernet out"),
        (["--joint", "--algorithm", "multi-distribution"], "leave --joint out"),
        (["--prune", "global"], "leave --prune out"),
        (["--width", 0.5], "leave --width out"),
        (["--training.lr", 0.1], "leave --training out .how they are trained is said by --scratch"),
        (["--budget", "60s"], "give --scratch.epochs and --evaluations"),
        (["--mutation", "saliency"], "leave --mutation saliency out"),
        (["--algorithm", "saliency"], "leave --algorithm saliency out"),
        (["--space", "tiny", "--from-scratch", "--prune", "global"], "trained from scratch here"),
        (["--algorithm", "true-rank", "--space", "tiny"], "'true-rank' goes through the space"),
        (
            ["--algorithm", "true-rank", "--space", "tiny", "--from-scratch"],
            "'true-rank' goes through the space 'plain'; give --space plain",
        ),
        (["--algorithm", "true-rank", "--start", "FRONT"], "begins at the shallowest network"),
        (
            ["--algorithm", "true-rank", "--scratch.promotion", 1, "--scratch.epochs", 2],
            "trained equally long; leave --scratch.promotion out",
        ),
        (["--algorithm", "true-rank", "--true-rank.rules", "lgo"], "unknown rules 'lgo'; did you"),
        (["--algorithm", "true-rank", "--true-rank.gain", -1], "gain is -1"),
        (["--algorithm", "true-rank", "--true-rank.layers", 1.5], "layers is 1.5; give a share"),
        (["--true-rank.gain", 0.5], "settings of --true-rank are of another algorithm than 'scr"),
        (["--space", "tiny", "--scratch.epochs", 2], "nothing in this run trains networks from"),
        (["--scratch.recipe", "fats"], "unknown recipe 'fats'"),
        (["--scratch.epochs", 0], "scratch.epochs is 0"),
        (["--scratch.ema", 1], "scratch.ema is 1"),
        (["--scratch.cutout", 9], "cutout 9 is a square larger than the images, of 8 pixels"),
        (["--scratch.promotion", 5, 2], "--scratch.promotion is 5 2; give ascending"),
        (["--scratch.batch-size", 5000], "a batch of 5000 images is more than the 1100"),
        (["--scratch.compile", "True", "--scratch.at-once", 2], "compiled one at a time"),
        (["--space-settings", "depth"], "'depth' is no setting of a space; write it like"),
        (["--space-settings", "hight=3"], "the space 'plain' has no setting 'hight'"),
        (["--space-settings", "num_classes=3"], "'plain' has no setting 'num_classes'; it has dep"),
        (["--space-settings", "name=3"], "'plain' has no setting 'name'"),
        (["--space-settings", "depth=3", "--space-settings", "depth=4"], "is given twice"),
        (["--space-settings", "depth=5,3"], "depth"),
        (["--space-settings", "kernels=2,4"], "no different odd numbers"),
        (["--space", "tiny", "--space-settings", "depth=3,4"], "'tiny' has no setting 'depth'"),
        (["--constraint", "params<=3"], "no network keeps params<=3"),
        (["--image-size", 16], "digits has images of 8 x 8"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_such_run_can_be_is_one_line(searched, tmp_path, capsys, given, told):
    import re

    names = {"SEARCHED": searched, "FRONT": searched / "front.csv"}
    given = [names.get(word, word) for word in given]
    capsys.readouterr()
    more = ["--space", "plain"] if "--space" not in given else []
    assert main(arguments(*more, *given, "--runs", tmp_path / "runs", "--threads", 1)) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("evonas: ") and "\n" not in said
    assert re.search(told, said), said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("given", [["--from-scratch"], ["--scratch.epochs", "2"]])
def test_a_table_trains_nothing(data_dir, capsys, given):
    common = ["--problem", "nasbench-macro-params", "--data-dir", data_dir]
    assert main(arguments(*common, *given)) == 2
    assert "leave --from-scratch and the settings of --scratch out" in capsys.readouterr().err


def test_diverging_training_stops_in_one_line(tmp_path, capsys):
    more = ["--scratch.lr", "1e30", "--scratch.clip-norm", 0, "--runs", tmp_path]
    assert main(arguments(*TRUE_RANK, *more)) == 2
    said = capsys.readouterr().err.strip()
    assert "evonas: plain:3x4:000:333: " in said and "--scratch.lr" in said and "\n" not in said
    assert not (next(tmp_path.iterdir()) / "front.csv").exists()


def test_numbers_of_python_are_settled():
    config = TrueRankConfig(gain=np.float32(0.5), layers=1)
    assert type(config.gain) is float and type(config.layers) is float
    with pytest.raises(InputError, match="'true_rank.gain' is 'much'"):
        TrueRankConfig(gain="much")


# -- what is shown --------------------------------------------------------------------------------


def test_a_dry_run_says_what_and_does_nothing(tmp_path, capsys):
    assert main(arguments(*TRUE_RANK, "--dry-run", "--runs", tmp_path / "runs")) == 0
    said = capsys.readouterr().out
    assert "networks trained from scratch for an epoch, true-rank: 15 evaluations" in said
    assert "300 training and 200 validation images" in said and "how long: " in said
    assert not (tmp_path / "runs").exists()


def test_status_counts_trainings(searched, tmp_path, capsys):
    folder = Path(shutil.copytree(searched, tmp_path / "run"))
    n = len(trainings(folder))
    (folder / "trainings" / ".half-written.safetensors").write_bytes(b"")
    (folder / "trainings" / "under-way.part").write_bytes(b"")
    assert main(["status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"trainings    {n} have ended" in said and f"evaluations  {n} of 15" in said


def test_help_and_problems_tell_of_it(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for option in ("--scratch.epochs", "--true-rank.rules", "--space-settings", "--from-scratch"):
        assert option in said
    assert main(["problems"]) == 0
    assert "--space plain, or --from-scratch" in capsys.readouterr().out


def test_settings_of_a_space_are_those_of_its_problem():
    given = ("depth=3,4", "width=2,4,2")
    problem = plan(RunConfig(space="plain", space_settings=given, threads=1)).workspace.problem
    assert problem.space is get_space("plain", 10, (1, 8, 8), depth=(3, 4), width=(2, 4, 2))


# -- with a supernet as the first rung ------------------------------------------------------------


def test_a_trained_supernet_is_the_first_rung(tmp_path):
    trained = run("--problem", "digits-params", "--training.steps", 30, "--evaluations", 20,
                  "--validation-images", 150, "--threads", 1, "--runs", tmp_path / "a")  # fmt: skip
    given = ["--problem", "digits-params", "--from-scratch", "--supernet", trained, "--threads", 1,
             "--train-images", 200, "--scratch.epochs", 1, "--algorithm", "random",
             "--evaluations", 8]  # fmt: skip
    folder = run(*given, "--runs", tmp_path / "b")
    done = Run.load(folder)
    # Not one of the images that it was trained on.
    assert done.config.validation_images == 150 and done.config.width is None
    assert 0 < len(trainings(folder)) < 8
    assert not done.problem().equal_footing
    killed, other = broken_run("kept", 2, *given, "--runs", tmp_path / "c")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    check_resumed(other, folder)
