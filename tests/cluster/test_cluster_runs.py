"""Runs on a cluster find what they find without one, whoever is killed meanwhile."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from workers import is_alive, processes_of

from evonas.cli import main

pytestmark = pytest.mark.usefixtures("empty_figures")

DIGITS = ["--problem", "digits-params", "--space", "tiny", "--train-images", "400",
          "--validation-images", "100", "--threads", "1"]  # fmt: skip
SCRATCH = [*DIGITS, "--from-scratch", "--scratch.epochs", "4", "--evaluations", "16"]
SHARED = [*DIGITS, "--training.steps", "60", "--training.batch-size", "24",
          "--evaluations", "60"]  # fmt: skip


def run(*arguments) -> Path:
    """A run in this process; its folder."""
    runs = Path(arguments[arguments.index("--runs") + 1])
    assert main(["run", *map(str, arguments), "--quiet"]) == 0
    (folder,) = runs.iterdir()
    return folder


def begun(*arguments) -> subprocess.Popen:
    """A run in a process of its own."""
    command = [sys.executable, "-m", "evonas.run", *map(str, arguments), "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what, process: subprocess.Popen, seconds: float = 120.0):
    """What a function says as soon as it says something, while a process goes on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told = what()
        if told:
            return told
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    raise AssertionError("waited in vain")


def results(runs: Path) -> list[dict]:
    lines = [line for file in runs.glob("*/journal.jsonl") for line in file.open()]
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in whole if line["kind"] == "result"]


def kill_worker(what: str, process: subprocess.Popen) -> None:
    os.kill(wait_for(lambda: processes_of(what, process.pid), process)[0], signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """What runs in this process work on; those in processes of their own start another one."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Without a cluster: the folders of both runs."""
    places = {name: tmp_path_factory.mktemp(name) for name in ("scratch", "shared")}
    return {
        "scratch": run(*SCRATCH, "--runs", places["scratch"]),
        "shared": run(*SHARED, "--runs", places["shared"]),
    }


def check_same(folder: Path, other: Path) -> None:
    """The same front, and one result for each network, in the same order."""
    assert (folder / "front.csv").read_bytes() == (other / "front.csv").read_bytes()
    found, wanted = results(folder.parent), results(other.parent)
    networks = [line["network"] for line in found]
    assert len(networks) == len(set(networks))
    assert networks == [line["network"] for line in wanted]


@pytest.mark.parametrize("kind", ["scratch", "shared"])
def test_one_worker_finds_the_same(undisturbed, tmp_path, kind):
    arguments = {"scratch": SCRATCH, "shared": SHARED}[kind]
    folder = run(*arguments, "--runs", tmp_path, "--cluster.workers", 1, "--ray")
    check_same(folder, undisturbed[kind])


def test_shared_weights_trained_by_a_worker_are_the_same(undisturbed, tmp_path):
    folder = run(*SHARED, "--runs", tmp_path, "--cluster.training-workers", 1, "--ray")
    check_same(folder, undisturbed["shared"])
    weights = Path("supernet") / "weights.safetensors"
    assert (folder / weights).read_bytes() == (undisturbed["shared"] / weights).read_bytes()


def test_a_worker_and_the_driver_are_killed_in_a_search(undisturbed, tmp_path):
    with begun(*SCRATCH, "--runs", tmp_path, "--cluster.workers", 2, "--ray") as driver:
        wait_for(lambda: results(tmp_path), driver)
        kill_worker("ray::evonas_trial", driver)
        count = len(results(tmp_path))
        wait_for(lambda: len(results(tmp_path)) > count, driver)
        wait_for(lambda: processes_of("ray::evonas_trial", driver.pid), driver)
        # Agents of Ray's own take a minute more.
        names = ("raylet/raylet --", "gcs/gcs_server", "ray::evonas_trial")
        there = [pid for name in names for pid in processes_of(name, driver.pid)]
        driver.kill()
    (folder,) = tmp_path.iterdir()
    assert not (folder / "front.csv").exists() and len(results(tmp_path)) < 16
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    check_same(folder, undisturbed["scratch"])
    # The cluster that the run had started has ended with it.
    end = time.monotonic() + 60
    while any(map(is_alive, there)) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(there) > 2 and not [pid for pid in there if is_alive(pid)]


def test_an_actor_is_killed_in_a_search(undisturbed, tmp_path):
    with begun(*SHARED, "--runs", tmp_path, "--cluster.workers", 2, "--ray") as driver:
        kill_worker("ray::EvonasScorer.score", driver)
        assert driver.wait(120) == 0, driver.communicate()
    (folder,) = tmp_path.iterdir()
    check_same(folder, undisturbed["shared"])
    assert len(results(tmp_path)) == 60


def test_ctrl_c_ends_a_run_on_a_cluster_and_says_how_to_go_on(undisturbed, tmp_path):
    with begun(*SCRATCH, "--runs", tmp_path, "--ray") as driver:
        wait_for(lambda: results(tmp_path), driver)
        driver.send_signal(signal.SIGINT)
        _, told = driver.communicate(timeout=60)
        assert driver.returncode == 130 and "--resume" in told and "Traceback" not in told
    (folder,) = tmp_path.iterdir()
    # Without the cluster now.
    assert main(["run", "--resume", str(folder), "--quiet", "--ray", "off"]) == 0
    check_same(folder, undisturbed["scratch"])
