"""The table of our own that benchmarks search, and the benchmark that compares searches."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load
from moocore import is_nondominated

from evonas.problems import TabularProblem, get_problem
from evonas.supernet import Supernet


@pytest.fixture(scope="module")
def search_quality():
    return load("search_quality")


def test_the_table_is_what_its_script_trains():
    digits_table = load("digits_table")
    drawn = digits_table.networks()
    table = pd.read_csv(digits_table.PATH)
    genes = [tuple(row) for row in table[list(digits_table.GENES)].itertuples(index=False)]
    assert genes == drawn
    for i in (0, 1500, 3050):
        error, params, macs = digits_table.measure(drawn[i])
        row = table.iloc[i]
        assert (params, macs) == (row["params"], row["training_macs"])
        assert error == pytest.approx(row["error"], abs=3)  # another processor rounds otherwise


def test_the_table_is_a_partial_grid_with_three_objectives(search_quality):
    problem = search_quality.digits_mlps()
    assert isinstance(problem, TabularProblem) and problem.n_obj == 3
    assert 0 < len(problem.genes) < problem.space.size
    assert problem.cheap == ("params", "training_macs")


@pytest.mark.parametrize("search", ["evonas screened", "evonas nsga2", "pymoo NSGA-II"])
def test_a_search_is_measured(search_quality, search):
    curves = [search_quality.measure(("digits-mlps", search, seed, 100)) for seed in (1, 2)]
    for curve in curves:
        assert curve.hypervolume.shape == (100,)
        assert (np.diff(curve.hypervolume) >= 0).all() and 0.5 < curve.hypervolume[-1] <= 1
        assert set(curve.recall) == {100} and curve.overhead > 0
    row = search_quality.summary(curves)
    assert row["seeds"] == 2 and row["to_99.9%"] == ">100"
    assert row["hypervolume_100_worst"] <= row["hypervolume_100"]


def test_networks_are_counted_once(search_quality):
    watch = search_quality.Watch("digits-mlps", 60)
    search_quality.pymoo_nsga2(watch, 1)
    asked = np.array(watch.asked)
    assert len(np.unique(asked, axis=0)) == len(asked) >= 60
    assert watch.problem.feasible(asked).all()
    assert len(watch.objectives()) == 60
    # another search of the same table knows nothing of it
    assert search_quality.Watch("digits-mlps", 60).problem.evaluated == 0


def test_optuna_is_told_what_the_table_does_not_hold(search_quality):
    pytest.importorskip("optuna")
    curve = search_quality.measure(("digits-mlps", "Optuna TPE", 1, 40))
    assert curve.hypervolume[-1] > 0.5


def test_the_figure_is_drawn(search_quality, tmp_path):
    curves = {
        ("digits-mlps", search): [
            search_quality.measure(("digits-mlps", search, seed, 40)) for seed in (1, 2)
        ]
        for search in ("evonas nsga2", "evonas random")
    }
    search_quality.draw(curves, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_three_arms_of_multi_distribution_are_measured(search_quality, data_dir, tmp_path):
    load("joint_search")
    benchmark = load("multi_distribution")
    curves = {arm: [benchmark.measure((arm, seed)) for seed in (1, 2)] for arm in benchmark.ARMS}
    for arm, (curve, _) in curves.items():
        assert (np.diff(curve.hypervolume) >= 0).all() and 0.9 < curve.hypervolume[-1] <= 1
        assert 4 <= curve.architectures <= 8 and 0.7 < curve.volume <= 1
        assert (len(curve.effective) == 0) == (arm == "separate")
    assert curves["pooled"][0].effective[0, 1] == pytest.approx(16)
    assert (curves["own samples"][0].effective[:, 1] == 2).all()
    row = benchmark.summary(curves["pooled"])
    assert row["seeds"] == 2 and 0.9 < row["hypervolume_300"] <= 1
    benchmark.draw(curves, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_fronts_of_joint_searches_are_looked_up(data_dir):
    benchmark = load("joint_search")
    truth = get_problem(benchmark.TRUTH)
    errors = truth.evaluate(truth.genes, return_values_of="F")
    best = truth.genes[is_nondominated(errors)]
    estimates = truth.evaluate(best, return_values_of="F") + [5.0, 0.0]
    job = benchmark.Job("pooled", 16, 100, 1)
    one = benchmark.Joint(job, 8.0, 2.0, 300, 200, np.ones(8), best[:8], best, estimates)
    assert one.seconds == 10
    assert benchmark.excess([one], truth) == (0.0, 0.0, len(best))
    # a front whose estimates are worse adds nothing that a user could choose, but is looked up
    half = replace(one, genomes=best[::2], estimates=estimates[::2])
    other = replace(one, genomes=best[1::2], estimates=estimates[1::2] + [50.0, 1e6])
    generous, estimated, members = benchmark.excess([half, other], truth)
    assert generous == 0.0 < estimated and members == len(best[::2])
    row = benchmark.row("pooled", 1, [half, other], truth)
    assert row["training_steps"] == 200 and row["forwards"] == 600 and row["architectures"] == 8


def test_what_guides_a_search_is_measured(search_quality, monkeypatch):
    """On the digits table, with a made-up table of saliency in place of a supernet's."""
    saliency = load("saliency")
    problem = saliency.untouched("digits-mlps")
    monkeypatch.setitem(
        saliency.CASES, "toy", saliency.Case("digits-mlps", 1.0, {}, evaluations=60)
    )
    table = np.random.default_rng(0).random((problem.n_var, int(problem.space.n_choices.max())))
    table[np.arange(table.shape[1]) >= problem.space.n_choices[:, None]] = np.nan
    rows = []
    for search in saliency.SEARCHES:
        for arm in ("uniform", "main-effect"):
            if (search, arm) == ("saliency", "uniform"):
                continue
            given = table if arm != "uniform" else None
            curves = [saliency.measure(("toy", search, arm, given, seed)) for seed in (1000, 1001)]
            assert all(len(curve.hypervolume) == 60 for curve in curves)
            rows.append(saliency.summary("toy", search, arm, curves))
    assert [row["seeds"] for row in rows] == [2] * 5
    assert rows[-1]["evaluated"] < 60, "the selection ends by itself"


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_tables_are_of_the_weights_at_hand(search_quality, data_dir, tmp_path, monkeypatch):
    """On images of half the side; computed anew where the weights or the variants are others."""
    saliency = load("saliency")
    problem = get_problem("cifar10-params", "macro", data_dir=data_dir, validation_images=4000)
    monkeypatch.setattr(saliency, "SCORED", ("exact", "rank-effect"))
    monkeypatch.setattr(saliency, "SALIENCY_BATCHES", 1)
    monkeypatch.setattr(saliency, "CONTEXTS", 3)
    case = replace(saliency.CASES["macro"], half_side=True)
    monkeypatch.setitem(saliency.CASES, "macro", case)
    weights = tmp_path / "macro-1.safetensors"
    Supernet(problem.space, problem.data, 0.25, seed=1).save(weights)
    first = saliency.tables("macro", 1, tmp_path)
    again = saliency.tables("macro", 1, tmp_path)
    assert set(first) == set(again) == {"exact", "rank-effect"}
    np.testing.assert_array_equal(first["exact"], again["exact"])
    monkeypatch.setattr(saliency, "SCORED", ("exact",))
    assert set(saliency.tables("macro", 1, tmp_path)) == {"exact"}
    Supernet(problem.space, problem.data, 0.25, seed=2).save(weights)
    other = saliency.tables("macro", 1, tmp_path)
    assert not np.array_equal(first["exact"], other["exact"], equal_nan=True)
    rows = saliency.describe("macro", 1, tmp_path)
    assert [row["saliency"] for row in rows] == list(saliency.VARIANTS)
    assert all(set(saliency.arms_of(search)) <= {"uniform", *saliency.VARIANTS}
               for search in saliency.SEARCHES)  # fmt: skip


def test_a_trained_supernet_is_pruned_at_once(search_quality, data_dir, tmp_path, monkeypatch):
    """The orders compared on one supernet; here an untrained one, with a made-up table."""
    load("saliency")
    pruning = load("pruning")
    case = pruning.CASES["nb201"]
    problem = get_problem("cifar10-params", "nb201", data_dir=data_dir, validation_images=64)
    published = get_problem(case.table, data_dir=data_dir)
    monkeypatch.setattr(pruning, "get_problem", lambda name: published)
    monkeypatch.setattr(pruning, "RANKED", 3)
    table = np.random.default_rng(0).random(problem.space.allowed.shape)
    monkeypatch.setattr(pruning, "tables", lambda *_: {pruning.CRITERION: table})

    def untrained(*_):
        supernet = Supernet(problem.space, problem.data, 0.25)
        supernet.trained_steps = 1
        return supernet

    monkeypatch.setattr(pruning, "trained", untrained)
    row = pruning.at_once("nb201", 1, pruning.CRITERION, "deep-first", (tmp_path, tmp_path))
    assert row["order"] == "deep-first" and row["networks"] < row["of"] == 15625
    assert -1 <= row["tau_unpruned"] <= 1 and "tau" not in row
    monkeypatch.setattr(pruning, "trained", None)
    assert (
        pruning.at_once("nb201", 1, pruning.CRITERION, "deep-first", (tmp_path, tmp_path)) == row
    ), "kept"
    monkeypatch.setattr(pruning, "at_once", lambda *_: row)
    monkeypatch.setattr(pruning, "trained", lambda *_: None)
    monkeypatch.setattr(pruning, "RANDOM", 2)
    folders = {f"--{name}": str(tmp_path) for name in ("work", "saliency-work", "output")}
    words = ["--spaces", "nb201", *(word for pair in folders.items() for word in pair)]
    monkeypatch.setattr(sys, "argv", ["pruning.py", *words, "--threads", "1"])
    assert pruning.main() == 0
    assert (tmp_path / "pruning.png").is_file()
    assert set(pd.read_csv(tmp_path / "pruning.csv")["space"]) == {"nb201"}


def test_what_pruning_keeps_is_measured(search_quality, data_dir, tmp_path, monkeypatch):
    """The table and the figure, from accounts that are made up."""
    load("saliency")
    pruning = load("pruning")
    monkeypatch.setattr(pruning, "RANDOM", 3)
    table = get_problem("nasbench-macro-params", data_dir=data_dir)
    monkeypatch.setattr(pruning, "get_problem", lambda name: table)
    random = pruning.at_random("macro")
    assert random["networks"] <= 396 and 0 <= random["best_twentieth"] <= random["excess"]
    allowed = table.space.allowed.copy()
    allowed[6:, 1:] = False
    space = table.space.restrict(allowed)
    X = pruning.genomes_of(space)
    assert allowed[np.arange(8), X].all() and len(np.unique(X, axis=0)) == len(X) < space.size
    truth = pruning.kept_truth(space, table)
    assert truth["networks"] == len(X) and truth["of"] == 3969 and truth["excess"] < 0.01
    rows = pd.DataFrame(
        {
            "space": "macro",
            "seed": seed,
            "criterion": "error",
            "order": order,
            "tau": 0.8,
            "tau_unpruned": 0.7,
        }
        | truth
        for order in pruning.ORDERS
        for seed in (1, 2)
    )
    summary = pruning.summary(rows)
    assert list(summary["seeds"]) == [2] * 5 and set(summary["order"]) == set(pruning.ORDERS)
    pruning.draw(rows, tmp_path / "pruning.png")
    assert (tmp_path / "pruning.png").stat().st_size > 5000


def test_the_published_network_is_measured(data_dir, tmp_path, monkeypatch, capsys):
    benchmark = load("published_network")
    given = ["--network", "10x16:0000000000:3333333333", "--epochs", "1", "--seeds", "1",
             "--train-images", "256", "--validation", "100", "--work", str(tmp_path)]  # fmt: skip

    def lines(*more):
        monkeypatch.setattr(sys, "argv", ["published_network.py", *given, *more])
        benchmark.main()
        return capsys.readouterr().out.splitlines()[1:]

    first = lines()
    assert [line[:7] for line in first] == ["seed 1:", "1 of 1 "]
    assert "% of the test images" in first[0] and "images/s" in first[0]
    assert "1 of 1 seed, 1 epoch: mean test accuracy" in first[-1]
    monkeypatch.setattr("evonas.training.scratch.train_network", None)  # nothing is trained again
    assert lines() == first
    monkeypatch.setattr("evonas.data.sealed.open_test", None)
    sealed = lines("--no-test")
    assert "mean validation accuracy" in sealed[-1] and "test" not in "".join(sealed)
    with pytest.raises(SystemExit, match="is no genome of space 'plain'"):
        lines("--network", "10x1")
