"""The command line, in process: what it prints, what it refuses, and how it ends."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import run_program

from evonas import cli
from evonas.cli import main
from evonas.errors import InputError
from evonas.run import Run
from evonas.spaces import get_space
from evonas.stages.start import read_networks

SMALL = ["--training.steps", "40", "--evaluations", "40", "--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """One small finished run on the real digits."""
    runs = tmp_path_factory.mktemp("runs")
    assert main(["run", "--problem", "digits-params", "--runs", str(runs), *SMALL]) == 0
    return next(runs.iterdir())


@pytest.fixture
def copy_of(finished, tmp_path):
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def refused(capsys, arguments, message):
    """The command ends with 2 and one line that says the message."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said, said
    assert said.startswith("evonas: ") and "\n" not in said


def test_a_run_leaves_everything_that_the_design_names(finished, capsys):
    names = {p.relative_to(finished).as_posix() for p in finished.rglob("*") if p.is_file()}
    assert names >= {
        "config.json",
        "journal.jsonl",
        "front.csv",
        "history.csv",
        "log.txt",
        "supernet/weights.safetensors",
        "figures/front.png",
        "figures/hypervolume.png",
        "report.html",
    }
    config = json.loads((finished / "config.json").read_text())
    assert config["settings"]["training"]["steps"] == 40
    assert all(value is not None for value in config["settings"]["training"].values())
    assert {"evonas", "torch", "pymoo"} <= set(config["versions"]) and config["data"]["checksum"]
    header = (finished / "front.csv").read_text().splitlines()[0]
    assert header == "network,error,params,macs"


def test_the_end_shows_the_front_and_the_next_command(finished, capsys):
    assert main(["run", "--resume", str(finished), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "Pareto front of digits-params" in said and "tiny:" in said
    assert "front.png" in said and f"--resume {finished} --evaluations 80" in said


def test_run_from_python(finished):
    done = Run.load(finished)
    assert done.config.problem == "digits-params" and len(done.front) >= 1
    assert done.history.evaluations[-1] == 40
    X = done.problem().space.encode(done.front.networks[0])[None]
    F = done.problem().evaluate(X)
    assert F[0].tolist() == done.front.F[0].tolist()
    assert done.supernet().evaluate(X).error[0] == F[0, 0]


def test_same_settings_same_front(finished, tmp_path, capsys):
    again = ["run", "--config", finished / "config.json", "--runs", tmp_path, "--quiet"]
    assert main([str(a) for a in again]) == 0
    other = next(tmp_path.iterdir())
    assert (other / "front.csv").read_bytes() == (finished / "front.csv").read_bytes()
    assert main([str(a) for a in [*again, "--seed", "2"]]) == 0
    seed2 = next(p for p in tmp_path.iterdir() if p != other)
    assert (seed2 / "front.csv").read_bytes() != (finished / "front.csv").read_bytes()


def test_a_longer_run_is_the_extended_one(finished, copy_of, tmp_path):
    assert main(["run", "--resume", str(copy_of), "--evaluations", "80", "--quiet"]) == 0
    whole = ["run", "--config", finished / "config.json", "--evaluations", 80, "--runs", tmp_path]
    assert main([str(a) for a in [*whole, "--quiet"]]) == 0
    other = next(p for p in tmp_path.iterdir() if p != copy_of)
    assert (other / "front.csv").read_bytes() == (copy_of / "front.csv").read_bytes()
    assert Run.load(copy_of).history.evaluations[-1] == 80


def test_searching_a_trained_supernet_again(finished, tmp_path, capsys):
    common = ["--supernet", finished, "--runs", tmp_path, "--evaluations", 40, "--quiet"]
    given = ["--problem", "digits-macs", "--algorithm", "random", "--constraint", "params<=8000"]
    assert main([str(a) for a in ["run", *given, *common]]) == 0
    done = Run.load(next(tmp_path.iterdir()))
    assert done.front.objectives == ("error", "macs")
    assert (done.front.column("params") <= 8000).all()
    assert done.supernet().trained_steps == 40


def test_a_supernet_is_never_scored_on_images_it_was_trained_on(finished, tmp_path, capsys):
    more = ["--supernet", finished, "--runs", tmp_path, "--quiet", "--validation-images"]
    refused(capsys, ["run", *more, 400], "ask for at most 350")
    refused(capsys, ["run", "--supernet", finished, "--width", 0.5], "the supernet has width 1")


def test_restarting_a_search_keeps_its_results(copy_of):
    again = ["--evaluations", "60", "--restart-search", "--quiet"]
    assert main(["run", "--resume", str(copy_of), *again]) == 0
    text = (copy_of / "journal.jsonl").read_text()
    assert '"restart"' in text


def test_starting_from_a_front(finished, tmp_path):
    arguments = ["run", "--supernet", finished, "--start", finished / "front.csv", "--runs",
                 tmp_path, "--seed", 5, "--evaluations", 20, "--quiet"]  # fmt: skip
    assert main([str(a) for a in arguments]) == 0
    done = Run.load(next(tmp_path.iterdir()))
    journal = (done.folder.path / "journal.jsonl").read_text()
    assert all(f'"{network}"' in journal for network in Run.load(finished).front.networks)


def test_a_long_network_takes_lines_and_its_numbers_are_whole(capsys):
    space = get_space("darts")
    network = space.decode(np.zeros(space.n_var, dtype=int))
    cli._print_networks([network], ["error", "params"], np.array([[3.25, 3_349_342.0]]))
    said = capsys.readouterr().out
    assert "3.25" in said and "3,349,342" in said
    lines = [line.split("│")[1] for line in said.splitlines() if line.startswith("│")]
    assert len(lines) > 1 and " ".join(" ".join(lines).split()) == network


def test_three_objectives(finished, tmp_path):
    arguments = ["run", "--problem", "digits-params-macs", "--supernet", finished, "--runs",
                 tmp_path, "--evaluations", 40, "--quiet"]  # fmt: skip
    assert main([str(a) for a in arguments]) == 0
    assert Run.load(next(tmp_path.iterdir())).front.objectives == ("error", "params", "macs")


def test_dry_run_says_what_and_how_long_and_does_nothing(tmp_path, capsys):
    assert main(["run", "--dry-run", "--runs", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "would run: digits-params on" in said and "supernet: about" in said
    assert not (tmp_path / "runs").exists()


def test_budget_is_written_as_numbers(tmp_path, capsys):
    given = ["--budget", "12s", "--evaluations", "20", "--validation-images", "100", "--quiet"]
    assert main(["run", *given, "--runs", str(tmp_path)]) == 0
    settings = json.loads((next(tmp_path.iterdir()) / "config.json").read_text())["settings"]
    assert settings["budget"] == "12s" and settings["evaluations"] == 20
    assert settings["training"]["steps"] >= 20


def test_help_shows_every_default(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "--problem", "cifar10-params", "--help"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "default: cifar10-params" in said and "default: macro" in said
    for option in ("--training.steps", "--evaluations", "--width", "--training.lr"):
        (default,) = re.findall(rf"{option} {{None}}\|\w+ .*?\(default: (.*?)\)", said)
        assert float(default) > 0


def test_status(finished, capsys):
    assert main(["status", str(finished)]) == 0
    said = capsys.readouterr().out
    assert "finished" in said and "40 of 40" in said


def test_problems_lists_all(capsys):
    assert main(["problems"]) == 0
    assert "fashion-mnist-params-macs" in capsys.readouterr().out


def test_no_verb_shows_the_verbs(capsys):
    assert main([]) == 2
    assert "evonas VERB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--constraint", "params>=9000", "--constraint", "macs<=9000"], "no network was"),
        (["run", "--algorithm", "moead", "--constraint", "params<=9000"], "moead"),
        (["run", "--resume", ""], "--resume is empty"),
        (["run", "--seed", "9" * 30], "below 2**63"),
        (["run", "--budget", "20s", "--training.steps", "999999"], "is too small"),
        (["run", "--problem", "cifar-params"], "unknown problem 'cifar-params'; did you mean"),
        (["run", "--space", "macr"], "unknown space 'macr'; did you mean macro"),
        (["run", "--algorithm", "nsga"], "unknown algorithm 'nsga'; did you mean nsga"),
        (["run", "--training.paths", "fare"], "unknown path sampling 'fare'; did you mean fair"),
        (["run", "--device", "gpu"], "unknown device 'gpu'"),
        (["run", "--device", "cuda:63"], "no device 'cuda:63'"),
        (
            ["run", "--constraint", "params<=3"],
            "no network keeps params<=3; the space 'tiny' has params from 702",
        ),
        (["run", "--constraint", "parms<=3"], "did you mean params"),
        (["run", "--budget", "soon"], "'soon' is no length of time"),
        (["run", "--budget", "3s"], "a budget of 3s is too small"),
        (["run", "--evaluations", "0"], "evaluations is 0"),
        (["run", "--evaluations", "many"], "--evaluations"),
        (["run", "--evaluatoins", "3"], "--evaluatoins"),
        (["run", "--evaluations"], "Missing value for argument '--evaluations'"),
        (["run", "--seed", "-1"], "seed is -1"),
        (["run", "--width", "inf"], "width is inf"),
        (["run", "--width", "nan"], "width is nan"),
        (["run", "--budget", "9s", "--evaluations", "9", "--training.steps", "9"], "nothing left"),
        (["run", "--data-dir", "nowhere"], "the data folder nowhere (from --data-dir) does not"),
        (["run", "--threads", "100000"], "threads is 100000; give at most 1024"),
        (["run", "--plugin", "nowhere.py"], "the plugin nowhere.py cannot be run (FileNotFound"),
        (["run", "--resume", "nowhere"], "there is no run folder nowhere"),
        (["run", "--config", "nowhere.json"], "there is no nowhere.json"),
        (["run", "--supernet", "nowhere"], "there is no run folder nowhere"),
        (["run", "--start", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["run", "--problem", "cifar10-params", "--data-dir", "nowhere"], "nowhere"),
        (["run", "--restart-search"], "--restart-search needs --resume"),
        (["run", "--training.batch-size", "5000"], "a batch of 5000 cannot be drawn from 1100"),
        (["run", "--training.batch-size", "7"], "give a --training.batch-size of at least 8"),
        (["run", "--validation-images", "5000"], "5000"),
        (["status", "nowhere"], "there is no run folder nowhere"),
        (["status"], "status"),
        (["serach"], "unknown command 'serach'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused(capsys, arguments, message)
    # Nothing half made: a folder that cannot be run is not left behind.
    assert not (tmp_path / "runs").exists()


def test_a_missing_data_folder_is_never_created(capsys, tmp_path):
    missing = tmp_path / "data"
    refused(capsys, ["run", "--problem", "cifar10-params", "--data-dir", missing], str(missing))
    assert not missing.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--seed", "2"], "was run with seed = 1, not 2"),
        (["--training.lr", "0.01"], "training.lr"),
        (["--evaluations", "20"], "can only be raised"),
        (["--algorithm", "random"], "algorithm = screened, not random"),
        (["--dry-run"], "leave --dry-run/--config out"),
        (["--restart-search"], "has spent its budget; add --evaluations"),
    ],
)
def test_a_resume_with_changed_settings_is_refused(copy_of, capsys, changed, message):
    before = (copy_of / "front.csv").read_bytes()
    refused(capsys, ["run", "--resume", copy_of, *changed], message)
    assert (copy_of / "front.csv").read_bytes() == before


def test_a_folder_in_use_is_refused(copy_of, capsys):
    program = (
        "import sys\nfrom evonas.runs import RunFolder, locked\n"
        "with locked(RunFolder(sys.argv[1])):\n print('held', flush=True)\n sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(copy_of)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        refused(
            capsys, ["run", "--resume", copy_of, "--evaluations", 80], "in use by another process"
        )
    finally:
        other.communicate("")
    assert main(["run", "--resume", str(copy_of), "--quiet"]) == 0


def test_a_diverged_training_stops_and_writes_no_front(tmp_path, capsys):
    refused(
        capsys,
        ["run", "--runs", tmp_path, "--training.lr", "1e30", "--training.clip-norm", 0, *SMALL],
        "with learning rate",
    )
    folder = next(tmp_path.iterdir())
    assert not (folder / "front.csv").exists()


def test_a_torn_supernet_is_refused_by_name(copy_of, tmp_path, capsys):
    weights = copy_of / "supernet" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused(
        capsys,
        ["run", "--supernet", copy_of, "--runs", tmp_path / "new"],
        "is no whole checkpoint of evonas",
    )


def test_start_with_networks_of_another_space(copy_of, tmp_path, capsys):
    start = tmp_path / "front.csv"
    start.write_text("network,error\nmacro:00000000,3\n")
    refused(
        capsys,
        ["run", "--supernet", copy_of, "--start", start, "--runs", tmp_path / "new"],
        "is a genome of space 'macro', not of 'tiny'",
    )
    start.write_text("name,error\nx,3\n")
    refused(capsys, ["run", "--start", start], "no networks in a column 'network'")


def test_a_start_that_excel_has_saved(finished, tmp_path):
    text = (finished / "front.csv").read_text()
    (tmp_path / "front.csv").write_text(text, encoding="utf-8-sig")
    assert read_networks(tmp_path / "front.csv") == read_networks(finished / "front.csv")


def test_searching_again_takes_the_problem_and_refuses_what_cannot_change(
    finished, tmp_path, capsys
):
    common = ["--supernet", finished, "--runs", tmp_path / "runs", "--quiet"]
    refused(capsys, ["run", *common, "--training.lr", 0.1], "is trained already")
    refused(capsys, ["run", *common, "--budget", "9s", "--evaluations", 9], "nothing left for")
    other = ["--problem", "cifar10-macs"]
    refused(capsys, ["run", *common, *other], "give --problem digits-params")
    assert main([str(a) for a in ["run", *common, "--evaluations", 20]]) == 0
    assert Run.load(next((tmp_path / "runs").iterdir())).config.problem == "digits-params"


def test_a_home_folder_may_be_written_as_a_tilde(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = ["run", "--supernet", finished, "--evaluations", 20, "--runs", "~/mine", "--quiet"]
    assert main([str(a) for a in arguments]) == 0
    assert next((tmp_path / "mine").iterdir()).name.startswith("digits-params")
    refused(capsys, ["run", "--problem", "cifar10-params", "--data-dir=~/no"], f"{tmp_path}/no")
    monkeypatch.setenv("EVONAS_DATA", "~/no")
    refused(capsys, ["run", "--problem", "cifar10-params"], f"{tmp_path}/no (from EVONAS_DATA)")


PLUGIN = """
from dataclasses import dataclass

from evonas.spaces import ChainSpace, Conv, Fixed, Identity, Stage, register_space


@dataclass(frozen=True)
class Sizes:
    first: int = 4


def plugged(num_classes, input_shape):
    stages = (Stage(8, 5, 2, (Identity(), Conv(3), Conv(1))),)
    stem = (Fixed(Conv(3), Sizes().first),)
    return ChainSpace(
        name="plugged", stem=stem, stages=stages, num_classes=num_classes, input_shape=input_shape
    )


register_space("plugged", plugged)
"""


def test_a_space_of_ones_own_from_the_command_line(tmp_path):
    (tmp_path / "my space.py").write_text(PLUGIN)

    def command(*more):
        return run_program(
            "import sys\nfrom evonas.cli import main\nsys.exit(main(sys.argv[1:]))",
            "run", *map(str, more), "--quiet", cwd=tmp_path,
        )  # fmt: skip

    made = subprocess.run(
        [sys.executable, "-m", "evonas.run", "--space", "plugged", "--plugin", "my space.py",
         *map(str, SMALL[:-1]), "--quiet"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (again,) = (line for line in made.stdout.splitlines() if line.startswith("search on"))
    words = shlex.split(again)[5:]
    assert words[-2:] == ["--plugin", "my space.py"]
    assert command(*words).returncode == 0
    without = command(*words[:-2], "--evaluations", 900)
    assert without.returncode == 2 and "--plugin FILE" in without.stderr


def test_no_memory_on_the_host_is_one_line(tmp_path, capsys):
    arguments = ["run", "--width", 20000, "--runs", tmp_path, "--quiet"]
    refused(capsys, arguments, "out of memory; give a smaller")


def test_a_published_table_is_searched_in_seconds(data_dir, tmp_path, capsys):
    common = ["run", "--problem", "nasbench-macro-params", "--data-dir", data_dir]
    more = ["--evaluations", 60, "--runs", tmp_path, "--quiet"]
    assert main([str(a) for a in [*common, *more]]) == 0
    done = Run.load(next(tmp_path.iterdir()))
    assert not (done.folder.path / "supernet").exists() or not list(done.folder.supernet.iterdir())
    assert done.front.columns == ("error", "params", "macs")
    F = done.problem().evaluate(
        np.stack([done.problem().space.encode(n) for n in done.front.networks])
    )
    assert F.tolist() == done.front.F.tolist()
    extended = ["run", "--resume", done.folder.path, "--evaluations", 100, "--quiet"]
    assert main([str(a) for a in extended]) == 0
    assert Run.load(done.folder.path).history.evaluations[-1] >= 100
    with pytest.raises(InputError, match="has no supernet"):
        done.supernet()
    assert main([str(a) for a in [*common, "--dry-run"]]) == 0
    assert "a table of 6561 networks" in capsys.readouterr().out
    for wrong in (["--budget", "9s"], ["--width", 1], ["--training.lr", 0.1]):
        refused(capsys, [*common, *wrong, "--runs", tmp_path], "is a table of measured networks")


def test_a_search_that_runs_out_of_networks_says_so(finished, tmp_path, capsys):
    arguments = ["--supernet", finished, "--runs", tmp_path, "--constraint", "params<=1000"]
    assert main([str(a) for a in ["run", *arguments, "--evaluations", 400]]) == 0
    said = capsys.readouterr().out
    done = Run.load(next(tmp_path.iterdir()))
    count = done.history.evaluations[-1]
    assert 0 < count < 400
    log = done.folder.log.read_text()
    assert f"the search ended at {count} of 400 networks" in log
    assert f"new and keep the limits, after {count} of 400" in said and "search on" not in said
    assert " left" not in log.split("search: stopped")[1].splitlines()[0]


def test_a_resume_of_settings_that_are_not_settled(copy_of, capsys, tmp_path):
    refused(capsys, ["run", "--resume", copy_of, "--data-dir", "nowhere"], "does not exist")
    (copy_of / "config.json").write_text("{}")
    refused(capsys, ["run", "--resume", copy_of], "is no settled configuration of a run")


def test_a_plugin_that_fails_is_one_line(tmp_path, capsys):
    plugin = tmp_path / "bad.py"
    plugin.write_text("import sys\nsys.exit(3)\n")
    refused(capsys, ["run", "--plugin", plugin], "cannot be run (SystemExit: 3)")
    plugin.write_text(
        "from evonas.spaces import register_space\n"
        "register_space('broken', lambda classes, shape: 1 // 0)\n"
    )
    refused(capsys, ["run", "--plugin", plugin, "--space", "broken"], "(ZeroDivisionError:")


def test_report_is_written_again(finished, copy_of, capsys):
    first = (copy_of / "report.html").read_text(encoding="utf-8")
    (copy_of / "report.html").unlink()
    capsys.readouterr()
    assert main(["report", str(copy_of)]) == 0
    assert capsys.readouterr().out.split() == ["report", str(copy_of / "report.html")]
    again = (copy_of / "report.html").read_text(encoding="utf-8")
    # the copy's folder has another name, which titles of figures hold
    moved = first.replace(str(finished), str(copy_of)).replace(finished.name, copy_of.name)
    texts = [re.sub(r'"data:image[^"]*"', "", page) for page in (moved, again)]
    assert texts[0] == texts[1] and "<svg" in again


def test_a_report_of_what_has_no_front(copy_of, tmp_path, capsys):
    (copy_of / "front.csv").unlink()
    refused(capsys, ["report", copy_of], "has no front.csv yet")
    refused(capsys, ["report", tmp_path / "nothing"], "there is no run folder")
    refused(capsys, ["report", tmp_path], "is no run folder")


def test_a_front_edited_by_hand(copy_of, capsys):
    lines = (copy_of / "front.csv").read_text().splitlines()
    cut = [line.rpartition(",")[0].rpartition(",")[0] for line in lines]
    (copy_of / "front.csv").write_text("\n".join(cut) + "\n")
    refused(capsys, ["report", copy_of], "has no column 'params' (it has network, error)")
    refused(capsys, ["compare", copy_of, copy_of], "has no column 'params'")


def test_compare(finished, copy_of, tmp_path, capsys):
    table, figure = tmp_path / "table.csv", tmp_path / "compare.svg"
    command = ["compare", str(finished), str(copy_of)]
    assert main([*command, "--csv", str(table), "--output", str(figure)]) == 0
    said = capsys.readouterr().out
    assert finished.name in said and "hypervolume" in said and "all together" in said
    assert "supernets" not in said
    header, *rows = table.read_text().splitlines()
    assert header == "run,networks,hypervolume,on_merged,epsilon,least_error,least_params"
    assert len(rows) == 2 and figure.read_text().startswith("<?xml")
    with (copy_of / "supernet" / "weights.safetensors").open("ab") as weights:
        weights.write(b"x")
    assert main([*command, "--objectives", "error", "macs"]) == 0
    said = capsys.readouterr().out
    assert "compared by error, macs" in said and "errors are estimates of 2 supernets" in said
    assert main([*command, "--objectives", "macs", "params"]) == 0
    assert "supernets" not in capsys.readouterr().out


def test_compare_in_a_narrow_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    paths = []
    for name in ("run[bold]:smile:-20261129-031200", "cifar10-params-20261129-031200", "third"):
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text("network,error,params,macs\na,1,2000000,3\nb,0.5,3000000,4\n")
    assert main(["compare", *map(str, paths), "--objectives", "error", "params", "macs"]) == 0
    said = capsys.readouterr().out
    for path in paths:
        assert f"  {path.stem}\n" in said
    assert "compared by error, params, macs\n" in said
    assert " 2M " in said and "…" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_comparisons_that_are_none(finished, tmp_path, capsys):
    refused(capsys, ["compare", finished], "name two runs or more")
    refused(capsys, ["compare", finished, tmp_path / "no"], "there is no run folder")
    other = tmp_path / "other.csv"
    other.write_text("network,error,macs\na,1,2\n")
    refused(capsys, ["compare", finished, other], "minimised error, params and other error, macs")
    pair = ["compare", finished, finished]
    refused(capsys, [*pair, "--output", tmp_path / "a.doc"], "no ending of a figure")
    refused(capsys, [*pair, "--objectives", "error", "flops"], "give some of: error, params, macs")


def test_watching_a_finished_run_ends_at_once(finished, capsys):
    capsys.readouterr()
    assert main(["status", str(finished), "--watch"]) == 0
    assert capsys.readouterr().out.startswith(f"{finished}: finished")
    refused(capsys, ["status", finished, "--watch", "--interval", "0"], "the interval is 0")
