"""Every command of the README and of docs/, as written, at its smallest setting.

`make` targets and benchmarks are left out: `.ci/run` makes the former, the latter take up to an
hour. CIFAR-10 is searched where EVONAS_DATA names it, and the digits elsewhere.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from manual import PAGES, commands, options, python_blocks

from evonas.cli import VERBS, main

# A cluster that is there already: here each command has one of its own.
OTHER_CLUSTER = r"--ray (auto|\S+:\d+)"
WRITTEN = (command for page in PAGES for command in commands(page))
COMMANDS = list(dict.fromkeys(re.sub(OTHER_CLUSTER, "--ray", command) for command in WRITTEN))
OPTIONS = sorted(set().union(*map(options, PAGES)))
DATA = "cifar10" if os.environ.get("EVONAS_DATA") else "digits"

# What is written, and what is run: the fewest of everything, and data that is at hand. Networks
# that are trained alone, and measured on all test images, are so on the digits.
SMALLEST = {
    r"cifar10-params --budget 10m": "digits-params --budget 12s",  # of CIFAR-10 a minute is least
    r"cifar10-(?=.*--(from-scratch|retrain|fidelity))(?!.*--prune)": "digits-",
    r"\bcifar10-": f"{DATA}-",
    r"\bfashion-mnist-": "digits-",
    r"--evaluations \d+": "--evaluations 24",
    r"--distributions \d+": "--distributions 2",
    r"--prune-to \d+": "--prune-to 2000",
    r"--(fidelity|networks) \d+": r"--\1 3",
    r"--(retrain|members|member) \d+": r"--\1 1",
    r"--scratch\.epochs \d+": "--scratch.epochs 1",
    r"--scratch\.seeds \d+": "--scratch.seeds 2",
}

IMAGES = ["--train-images", "200", "--validation-images", "64", "--threads", "1", "--quiet"]
TRAINING = ["--training.steps", "12", "--training.batch-size", "16"]
SEARCH = ["--evaluations", "24"]
FEW = ["--evaluations", "6"]  # each of which is trained by itself


def smallest(command: str, runs: list[Path]) -> list[str]:
    """Verb and options of a command; what it does not say is as small as can be, too."""
    space = ["--space", "macro"] if "cifar10-" in command else []  # its default, also of digits
    for written, run in SMALLEST.items():
        command = re.sub(written, run, command)
    folders = iter(runs)
    command = re.sub(r"\bRUN\b", lambda _: str(next(folders)), command)
    words = shlex.split(command.replace("python -m evonas.run", "evonas run"))[1:]
    scratch = ["--scratch.epochs", "1"]
    if words[0] == "retrain":
        more = ["--members", "1", *scratch, "--quiet"]
    elif words[0] == "fidelity":
        more = [*scratch, "--quiet"]
    elif words[0] == "measure-latency":
        more = ["--networks", "3", "--rounds", "2", "--quiet"]
    elif words[0] != "run":
        more = []
    elif "--resume" in words or "--config" in words:
        more = ["--quiet"]
    elif "--supernet" in words or "--budget" in words:
        more = [*SEARCH, "--quiet"] if "--supernet" in words else [*IMAGES, *TRAINING[2:]]
    elif {"--from-scratch", "plain"} & set(words):
        more = [*IMAGES, *FEW, *scratch]
        if "--ray" in words:
            more += ["--cluster.workers", "1"]
    else:
        more = [*IMAGES, *TRAINING, *SEARCH, *space]
        if space and "--joint" not in words:
            more += ["--fidelity", "3"]  # looked up; a hundred by default where the table is
        if {"--retrain", "--fidelity"} & set(words):
            more += scratch
        if "--joint" in words:
            more += ["--weight-steps", "1"]
    for option in re.findall(r"--\S+(?: (?!--)\S+)?", " ".join(more)):
        if option.split()[0] not in words:
            words += option.split()
    return words


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A finished run, which stands where a command says RUN."""
    runs = tmp_path_factory.mktemp("runs")
    words = ["run", "--problem", f"{DATA}-params", "--space", "macro", "--width", "0.25"]
    assert main([*words, "--runs", str(runs), *IMAGES, *TRAINING, *SEARCH]) == 0
    return next(runs.iterdir())


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory) -> Path:
    """The same of digits, of full width, with a network that was trained alone."""
    runs = tmp_path_factory.mktemp("digits")
    words = ["run", "--space", "macro", "--width", "1", "--runs", str(runs)]
    assert (
        main([*words, *IMAGES, *TRAINING, *SEARCH, "--retrain", "1", "--scratch.epochs", "1"]) == 0
    )
    return next(runs.iterdir())


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """What commands with --ray work on."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'evonas[ray]'")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def desk(tmp_path, monkeypatch, own_registries) -> Path:
    """A folder with the files of a user's own that the commands name."""
    monkeypatch.chdir(tmp_path)
    blocks = [block for page in PAGES for block in python_blocks(page)]
    (space,) = (block for block in blocks if "register_space(" in block)
    (data,) = (block for block in blocks if "register_data(" in block)
    (cost,) = (block for block in blocks if "def depth(" in block)
    Path("my_space.py").write_text(space)
    Path("my_images.py").write_text(data)
    cost = cost[: cost.index("problem =")] + 'register_cost("depth", lambda space: depth)\n'
    Path("my_cost.py").write_text(f"from evonas.problems import register_cost\n\n\n{cost}")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 3, 16, 16)).astype(np.uint8)
    np.savez("my_images.npz", images=images, labels=rng.integers(0, 2, 600))
    rows = [f"{gene},{choice},{0.1 * (gene + choice)}" for gene in range(8) for choice in range(3)]
    Path("my_device.csv").write_text("gene,choice,latency\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_the_manual_has_commands():
    assert len(COMMANDS) > 30
    assert {command.split()[1] for command in COMMANDS if command.startswith("evonas ")} == {
        *VERBS
    } - {"run"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, desk, run_folder, digits_folder, capsys, request):
    if "--ray" in command.split():
        request.getfixturevalue("cluster")
    single = re.match("evonas (retrain|export) |.*retrained", command)
    original = digits_folder if single else run_folder
    runs = [Path(shutil.copytree(original, desk / name)) for name in ("RUN", "RUN2")]
    if "--output my_device.csv" in command:
        Path("my_device.csv").unlink()
    try:
        code = main(smallest(command, runs))
    except SystemExit as stop:  # --help
        code = stop.code or 0
    said = capsys.readouterr()
    assert code == 0, said.err


@pytest.fixture(scope="module")
def known_options() -> set[str]:
    """Options of all verbs, as --help lists them."""
    known: set[str] = set()
    for verb in VERBS:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main([verb, "--help"])
        known |= set(re.findall(r"--[a-z][a-z0-9.-]*[a-z0-9]", told.getvalue()))
    return known


@pytest.mark.parametrize("option", OPTIONS)
def test_option_exists(option, known_options):
    # `--scratch.*` is written for all that begin so
    assert option in known_options or any(name.startswith(f"{option}.") for name in known_options)
