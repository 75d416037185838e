"""Trainings on a cluster lead to what they lead to in this process, whoever is killed meanwhile."""

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from evonas.cluster import ClusterTrainers
from evonas.cluster import trials as module
from evonas.cluster.connection import NodeUnfit
from evonas.cluster.trials import evonas_trial
from evonas.errors import EvaluationStopped, InputError
from evonas.training.trials import Trial


@pytest.fixture
def X(make):
    return make().canonical(make().space.sample(6, np.random.default_rng(0)))


def on_cluster(problem, cluster):
    problem.trainers = ClusterTrainers(cluster)
    return problem


def test_results_and_weights_are_those_of_this_process(make, X, cluster):
    here, there = make(), on_cluster(make(), cluster)
    assert np.array_equal(here.evaluate(X), there.evaluate(X))
    for x in X:
        name = here.space.decode(x)
        assert replace(here.record(name, 1), seconds=0) == replace(there.record(name, 1), seconds=0)
        one, other = here.weights(name, 1), there.weights(name, 1)
        assert (one is None) == (other is None)
        assert one is None or all(one[key].equal(other[key]) for key in one)


def test_images_without_a_recipe_travel(make, X, cluster, few_digits):
    data = replace(few_digits, recipe=None)
    here, there = make(), on_cluster(make(), cluster)
    there.data = data
    assert np.array_equal(here.evaluate(X[:2]), there.evaluate(X[:2]))


@dataclass(frozen=True)
class Doing:
    """What a worker does instead of training; travels with the trial."""

    folder: Path
    what: str

    def __call__(self, kit, trial: Trial, weights, threads):
        number = len(list(self.folder.glob(f"{trial.key}-*")))
        (self.folder / f"{trial.key}-{number}").write_text(str(os.getpid()))
        if self.what == "die once" and number == 0 and trial.network.endswith("2"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "die" and trial.network.endswith("2"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "raise" and trial.network.endswith("2"):
            raise RuntimeError("out of something\nat a place")
        if self.what == "wait":
            time.sleep(60)
        return evonas_trial(kit, trial, weights, threads)


@pytest.fixture
def doing(tmp_path):
    """Has workers do something else; they note each time that they begin in a folder."""
    import ray

    # Workers cannot import the tests.
    ray.cloudpickle.register_pickle_by_value(sys.modules[Doing.__module__])

    def does(problem, what: str) -> Path:
        doing = Doing(tmp_path / what, what)
        doing.folder.mkdir()
        problem.trainers.task = lambda *given: doing(*given)
        return doing.folder

    yield does
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[Doing.__module__])


@pytest.fixture
def networks(make):
    """Two networks whose texts end in 2, and one whose does not."""
    space = make().space
    texts = ("222202", "222221", "122202")
    return space.canonical(np.stack([space.encode(f"tiny:{text}") for text in texts]))


def test_a_worker_that_dies_is_replaced(make, networks, cluster, doing):
    there = on_cluster(make(), cluster)
    begun, loads = doing(there, "die once"), []
    there.on_training = lambda training: loads.append(there.load)
    assert np.array_equal(there.evaluate(networks), make().evaluate(networks))
    assert len(list(begun.iterdir())) == len(networks) + 2  # each that died was begun twice
    assert there.epochs_trained == len(networks) and there.load == {}
    assert loads[-1] == {"workers": 0, "queued": 0, "retried": 2}


@pytest.mark.parametrize(
    ("what", "told"), [("die", "WorkerCrashed"), ("raise", "RuntimeError: out of something")]
)
def test_what_fails_three_times_is_infeasible_and_kept(
    make, networks, cluster, doing, tmp_path, what, told
):
    folder = tmp_path / "trainings"
    there = on_cluster(make(folder=folder), cluster)
    begun = doing(there, what)
    F = there.evaluate(networks)
    bad = [name.endswith("2") for name in map(there.space.decode, networks)]
    assert (F[bad, 0] == 100).all() and (F[np.invert(bad), 0] < 100).all()
    assert np.array_equal(F[:, 1], there.cheap_values(networks)[:, 0])
    for why, lost in zip(there.failures(networks), bad, strict=True):
        assert (f"failed 3 times, the last time by {told}" in why) == lost and "\n" not in why
    assert len(list(begun.iterdir())) == 1 + 3 * 2
    again = make(folder=folder)
    assert np.array_equal(again.evaluate(networks), F) and not again.epochs_trained
    assert again.failures(networks) == there.failures(networks)


def test_where_nothing_ever_goes_well_the_networks_are_not_to_blame(make, networks, cluster, doing):
    there = on_cluster(make(), cluster)
    doing(there, "raise")
    with pytest.raises(InputError, match="cannot be trained: it failed 3 times"):
        there.evaluate(networks[[0, 2]])


def test_many_in_a_row_end_a_search_of_small_generations(
    make, networks, cluster, doing, monkeypatch
):
    """What broke after one had gone well is no fault of networks: a full disk, a driver."""
    monkeypatch.setattr(module, "GIVEN_UP", 2)
    there = on_cluster(make(), cluster)
    doing(there, "raise")
    assert there.evaluate(networks[[1]])[0, 0] < 100
    assert there.evaluate(networks[[0]])[0, 0] == 100
    with pytest.raises(InputError, match="^2 trainings in a row came to nothing; .* out of someth"):
        there.evaluate(networks[[2]])


def test_another_evonas(make, networks, cluster, monkeypatch):
    there = on_cluster(make(), cluster)
    with monkeypatch.context() as patched:
        patched.setattr(module, "__version__", "9.9")
        with pytest.raises(NodeUnfit, match="has evonas .*, and the run 9.9; install the same th"):
            there.evaluate(networks)
    assert not cluster.left_out  # whoever goes on has seen to it


def test_stopping_does_not_wait_for_trainings(make, networks, cluster, doing):
    there = on_cluster(make(), cluster)
    begun = doing(there, "wait")
    there.stop = lambda: bool(list(begun.iterdir()))
    begin = time.monotonic()
    with pytest.raises(EvaluationStopped):
        there.evaluate(networks)
    assert time.monotonic() - begin < 20


def test_errors_of_settings_are_one_line(make, networks, cluster):
    there = on_cluster(make(), cluster)
    there.config = replace(there.config, batch_size=10_000)
    with pytest.raises(InputError) as caught:
        there.evaluate(networks)
    assert "\n" not in str(caught.value) and "batch" in str(caught.value)
