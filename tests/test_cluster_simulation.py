"""Simulated searches on a cluster, against what can be reckoned by hand."""

import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load
from pytest import approx

from evonas.errors import InputError

LOGNORMAL = np.random.default_rng(0).lognormal(4.0, 0.5, 200)


@pytest.fixture(scope="module")
def cluster():
    return load("cluster_simulation")


@pytest.mark.parametrize("batch", [None, 1])
def test_one_worker_waits_for_everything(cluster, batch):
    costs = cluster.Costs([8.0], propose=0.5, overhead=0.25, latency=0.125)
    done = cluster.simulate(costs, 1, 20, mode="asynchronous", batch=batch)
    assert done.makespan == approx(20 * (8 + 0.5 + 0.25 + 2 * 0.125))
    assert done.efficiency == approx(8 / 9)
    assert done.steady == approx(19 * 8 / (19 * 9 - 0.125)), "until the last one is submitted"
    assert done.driver_utilisation == approx(0.75 / 9) and done.per_second == approx(1 / 9)


def test_a_generation_that_waits_for_one_worker_pays_once(cluster):
    costs = cluster.Costs([8.0], propose=0.5, overhead=0.25, latency=0.125)
    done = cluster.simulate(costs, 1, 20, mode="synchronous", generation=4)
    assert done.makespan == approx(5 * (4 * 8 + 0.5 + 0.25 + 2 * 0.125)) and done.asks == 5


def test_a_generation_takes_as_long_as_its_longest_trial(cluster):
    costs = cluster.Costs(LOGNORMAL, propose=0.5, latency=0.125)
    done = cluster.simulate(costs, 8, 160, mode="synchronous", generation=None)
    longest = done.seconds.reshape(20, 8).max(axis=1)
    assert done.makespan == approx(longest.sum() + 20 * 0.75)
    first = cluster.simulate(costs, 8, 160, mode="synchronous", generation=8, initial=16)
    assert first.asks == 19


def test_what_costs_nothing_leaves_no_worker_idle(cluster):
    costs = cluster.Costs([3.0])
    for mode in cluster.MODES:
        done = cluster.simulate(costs, 4, 80, mode=mode, generation=4)
        assert done.makespan == 60 and done.efficiency == done.steady == 1
        assert (done.idle == 0).all() and done.driver_utilisation == 0


def test_running_dry_is_told_apart(cluster):
    costs = cluster.Costs([3.0])
    done = cluster.simulate(costs, 4, 9, mode="asynchronous")
    assert done.efficiency == 9 / 12 and done.steady == 1
    assert sorted(done.idle) == [0, *[approx(1 / 3)] * 3]
    assert np.isnan(cluster.simulate(costs, 4, 4, mode="asynchronous").steady)


def test_a_driver_that_never_rests_is_the_limit(cluster):
    costs = cluster.Costs([0.75], overhead=0.03125)
    done = cluster.simulate(costs, 64, 640, mode="asynchronous")
    assert done.makespan == approx(640 * 0.03125) and done.per_second == approx(32)
    assert done.driver_utilisation == approx(1)


def test_one_ask_serves_all_that_are_free(cluster):
    costs = cluster.Costs([0.25], propose=0.5)
    at_once = cluster.simulate(costs, 16, 160, mode="asynchronous")
    assert at_once.asks == 10 and at_once.makespan == approx(10 * 0.75)
    singly = cluster.simulate(costs, 16, 160, mode="asynchronous", batch=1)
    assert singly.asks == 145, "the first ask fills all workers"
    assert singly.makespan == approx(145 * 0.5 + 2 * 0.25)
    assert cluster.simulate(costs, 16, 160, mode="asynchronous", batch=4).asks == 37


@pytest.mark.parametrize("initial", [1, 40])
def test_the_first_ask_fills_all_workers(cluster, initial):
    done = cluster.simulate(cluster.Costs([1.0]), 16, 160, mode="asynchronous", initial=initial)
    assert done.first == max(initial, 16) and (done.started[:16] == 0).all()
    assert done.efficiency == 1


@pytest.mark.parametrize("settings", [
    {"mode": "asynchronous"},
    {"mode": "asynchronous", "batch": 1, "initial": 20},
    {"mode": "synchronous", "generation": None},
    {"mode": "synchronous", "generation": 20},
])  # fmt: skip
def test_workers_and_driver_do_one_thing_at_a_time(cluster, settings):
    costs = cluster.Costs(LOGNORMAL, propose=2.0, overhead=1.0, latency=0.5)
    done = cluster.simulate(costs, 8, 160, seed=3, **settings)
    ended = done.started + done.seconds
    assert (done.started >= done.submitted + 0.5).all() and (done.taken >= ended + 1 - 1e-9).all()
    for number in range(8):
        mine = done.worker == number
        assert (ended[mine][:-1] <= done.started[mine][1:]).all()
    finished = np.sort(np.concatenate([done.submitted, done.taken]))
    assert all(later - earlier >= 0.5 - 1e-9 for earlier, later in pairwise([0, *finished]))
    assert done.driver == approx(2 * done.asks + 160) and done.driver < done.makespan
    assert done.idle.mean() + done.efficiency == approx(1)
    assert 0 < done.steady < 1 and (
        done.efficiency < done.steady or settings["mode"] == "synchronous"
    )


def test_a_seed_draws_the_same_trials_for_all(cluster):
    costs = cluster.Costs(LOGNORMAL, propose=0.2, overhead=0.01, latency=0.01)
    one, again, other = (
        cluster.simulate(costs, 8, 80, mode="asynchronous", seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.taken, again.taken)
    assert one.makespan != other.makespan
    synchronous = cluster.simulate(costs, 8, 80, mode="synchronous", seed=1)
    np.testing.assert_array_equal(one.seconds, synchronous.seconds)


def test_what_cannot_be_simulated_is_refused(cluster, tmp_path):
    with pytest.raises(InputError, match="mode 'async'.*asynchronous"):
        cluster.simulate(cluster.Costs([1.0]), 1, 1, mode="async")
    with pytest.raises(InputError, match="batch is 0"):
        cluster.simulate(cluster.Costs([1.0]), 1, 1, mode="asynchronous", batch=0)
    for wrong in ({"trial": []}, {"trial": [0.0]}, {"trial": [1.0], "propose": -1.0}):
        with pytest.raises(InputError, match="give"):
            cluster.Costs(**wrong)
    times = tmp_path / "times.csv"
    times.write_text("kind,seconds\ntrial,1\npropose,1\nlatency,0\n")
    with pytest.raises(InputError, match="no row of kind overhead"):
        cluster.Costs.load(times)
    times.write_text("kind,seconds\ntrail,1\n")
    with pytest.raises(InputError, match="did you mean trial"):
        cluster.Costs.load(times)


def test_a_table_and_a_figure_are_made_of_measured_times(cluster, tmp_path, monkeypatch, capsys):
    times, table, figure = (tmp_path / name for name in ("times.csv", "table.csv", "figure.png"))
    rows = [("trial", 4), ("propose", 1), ("trial", 12), ("propose", 3), ("overhead", 0.5)]
    pd.DataFrame([*rows, ("latency", 0)], columns=["kind", "seconds"]).to_csv(times, index=False)
    costs = cluster.Costs.load(times)
    assert list(costs.trial) == [4, 12]
    assert (costs.propose, costs.overhead, costs.latency) == (2, 0.5, 0)
    words = [str(times), "--table", str(table), "--figure", str(figure), "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", ["cluster_simulation.py", *words, "--workers", "1", "4"])
    assert cluster.main() == 0
    frame = pd.read_csv(table)
    assert list(frame["workers"]) == [1, 4] * 3 and list(frame["trials"]) == [20, 80] * 3
    assert set(frame["arm"]) == set(cluster.ARMS)
    done = [cluster.simulate(costs, 4, 80, mode="asynchronous", seed=seed) for seed in (0, 1)]
    mean = np.mean([one.efficiency for one in done])
    assert frame["efficiency"][1] == approx(mean, rel=1e-3)
    assert figure.stat().st_size > 5000
    times.unlink()
    assert cluster.main() == 2 and "there is no file" in capsys.readouterr().err


def test_trials_as_they_were_measured(cluster):
    measured = np.array([3.0, 1.0, 1.0, 1.0, 2.0])
    done = cluster.simulate(
        cluster.Costs(measured), 2, 5, mode="synchronous", generation=5, seed=None
    )
    assert done.seconds.tolist() == measured.tolist() and done.makespan == 5.0
    with pytest.raises(InputError, match="5 trials were measured, not 6"):
        cluster.simulate(cluster.Costs(measured), 2, 6, mode="synchronous", seed=None)
