"""Pruning as a stage of a run, on real digits."""

from dataclasses import replace

import numpy as np
import pytest

from evonas.analysis import PruningAccount, Saliency
from evonas.cli import main
from evonas.config import RunConfig, TrainingConfig
from evonas.errors import InputError
from evonas.problems import AdditiveCost, get_problem, register_cost
from evonas.run import Run, run
from evonas.stages.plan import fill, plan
from evonas.supernet.struck import CRITERION, KEEP

pytestmark = pytest.mark.usefixtures("empty_figures")

DIGITS = {
    "problem": "digits-params", "device": "cpu", "threads": 1,
    "train_images": 400, "validation_images": 100,
}  # fmt: skip
TRAINING = TrainingConfig(steps=60, batch_size=64)
SHORT = DIGITS | {"training": TRAINING, "evaluations": 60}


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    runs = str(tmp_path_factory.mktemp("runs"))
    return run(RunConfig(**SHORT, prune="global", runs=runs), quiet=True)


def kept(done, networks):
    """Whether all these networks are of what the pruning left."""
    space = done.problem().space
    return all(space.allowed[np.arange(space.n_var), space.base.encode(n)].all() for n in networks)


def test_open_settings():
    filled = fill(RunConfig(**DIGITS, prune="random"))
    assert (filled.prune_by, filled.prune_keep, filled.prune_to) == (CRITERION, KEEP, None)
    assert fill(filled) == filled and filled.training.paths == "dropout"
    said = fill(RunConfig(**DIGITS, prune="random", training=TrainingConfig(paths="fair")))
    assert said.training.paths == "fair"
    sized = fill(RunConfig(**DIGITS, prune="global", prune_to=1e3))
    assert (sized.prune_keep, sized.prune_to) == (None, 1e3)


def test_the_search_is_of_what_is_left(pruned):
    account = PruningAccount.load(pruned.folder.path)
    problem = pruned.problem()
    assert account.struck and (problem.space.allowed == account.allowed).all()
    assert problem.space.size < problem.space.base.size
    assert kept(pruned, pruned.front.networks)
    assert (pruned.folder.figures / "pruning.png").is_file()
    assert "pruning" in pruned.folder.stages.read_text()
    said = f"{len(account.struck)} choices struck out, 2,304 to {problem.space.size} genomes"
    assert said in pruned.folder.log.read_text()


def test_its_supernet_holds_all_weights(pruned):
    supernet = pruned.supernet()
    X = supernet.space.base.sample(5, np.random.default_rng(0))
    supernet.space = supernet.space.base
    assert np.isfinite(supernet.evaluate(X).loss).all()


def test_resumed_with_more(pruned, capsys):
    folder = str(pruned.folder.path)
    assert main(["run", "--resume", folder, "--evaluations", "75", "--quiet"]) == 0
    assert "pruning.png" in capsys.readouterr().out
    again = Run.load(folder)
    assert kept(again, again.front.networks)


def test_a_run_with_its_supernet_searches_what_is_left(pruned, tmp_path):
    taken = RunConfig(
        **DIGITS, evaluations=60, supernet=str(pruned.folder.path), runs=str(tmp_path),
        mutation="saliency",
    )  # fmt: skip
    done = run(taken, quiet=True)
    assert (done.problem().space.allowed == pruned.problem().space.allowed).all()
    assert kept(done, done.front.networks)
    table = Saliency.load(done.folder.path)
    assert (np.isfinite(table.values) == done.problem().space.allowed).all()
    with pytest.raises(InputError, match="pruned already"):
        fill(RunConfig(**DIGITS, supernet=str(pruned.folder.path), prune="global"))


def test_a_trained_supernet_is_pruned_at_once(tmp_path):
    whole = run(RunConfig(**SHORT, runs=str(tmp_path / "whole")), quiet=True)
    given = DIGITS | {"evaluations": 60, "supernet": str(whole.folder.path)}
    done = run(
        RunConfig(**given, prune="deep-first", prune_to=50, runs=str(tmp_path / "pruned")),
        quiet=True,
    )
    assert 1 <= done.problem().space.size <= 50
    account = PruningAccount.load(done.folder.path)
    assert {struck.step for struck in account.struck} == {60}
    assert not PruningAccount.load(done.folder.pruning).name
    with pytest.raises(InputError, match="leave --prune-epochs out"):
        fill(RunConfig(**given, prune="global", prune_epochs=1.0))


def test_a_limit_can_still_be_kept(tmp_path):
    """Whatever scores say, something that keeps the limit stays."""
    config = RunConfig(
        **SHORT, prune="global", prune_to=1, constraint=("params<=900",), runs=str(tmp_path)
    )
    done = run(config, quiet=True)
    assert done.problem().space.size <= 2 and len(done.front)


def test_in_python_what_is_left_is_the_problem(pruned):
    folder = pruned.folder.path
    kept = PruningAccount.load(folder).allowed
    assert (get_problem("digits-params", supernet=folder).space.allowed == kept).all()
    assert (pruned.supernet().space.allowed == kept).all()


def test_a_start_leaves_out_what_was_struck_out(pruned, tmp_path):
    """All networks of the smallest front there is, and one that is left."""
    space = get_problem("digits-params").space
    account = PruningAccount.load(pruned.folder.path)
    gone = account.struck[0]
    X = np.array([[row[0] for row in map(np.flatnonzero, account.allowed)]] * 2)
    X[1, gone.gene] = gone.choice
    start = tmp_path / "front.csv"
    start.write_text("network\n" + "\n".join(map(space.decode, X)) + "\n")
    runs = str(tmp_path / "runs")
    for given in (SHORT | {"prune": "global"}, SHORT | {"supernet": str(pruned.folder.path)}):
        given = {k: v for k, v in given.items() if k != "training" or "prune" in given}
        done = run(RunConfig(**given, start=str(start), runs=runs), quiet=True)
        assert "1 of 2 networks of the start were struck out" in done.folder.log.read_text()
        assert kept(done, done.front.networks)


def test_a_registered_cost_is_asked_in_the_numbering_of_the_base(pruned, monkeypatch, tmp_path):
    """However genes are renumbered: the cost of a network depends on where its choices stand."""
    monkeypatch.setattr("evonas.problems.own_costs._FACTORIES", {})
    register_cost("places", lambda space: lambda X: 1.0 + X @ np.arange(1, space.n_var + 1))
    register_cost(
        "table", lambda space: AdditiveCost(space, np.arange(24.0).reshape(space.allowed.shape))
    )
    problem = get_problem("digits-places-table", supernet=pruned.folder.path)
    X = problem.space.sample(30, np.random.default_rng(0))
    base = problem.space.lift(problem.canonical(X))
    assert (problem.cheap_values(X)[:, 0] == 1.0 + base @ np.arange(1, 7)).all()
    expected = np.arange(24.0).reshape(6, 4)[np.arange(6), base].sum(axis=1)
    np.testing.assert_allclose(problem.cheap_values(X)[:, 1], expected)


def test_two_costs(tmp_path):
    config = RunConfig(
        **DIGITS | {"problem": "digits-params-macs"}, evaluations=60, prune="global",
        training=TRAINING, runs=str(tmp_path),
    )  # fmt: skip
    assert len(run(config, quiet=True).front)


def test_repeated_with_another_target(pruned, capsys):
    config = str(pruned.folder.path / "config.json")
    repeat = ["run", "--config", config, "--dry-run"]
    assert main([*repeat, "--prune-to", "300"]) == 0
    assert "pruning: about" in capsys.readouterr().out
    assert main([*repeat, "--prune", "None"]) == 0
    assert "pruning" not in capsys.readouterr().out
    assert main([*repeat, "--prune", "None", "--supernet", str(pruned.folder.path)]) == 0
    assert "2304" not in capsys.readouterr().out  # planned with what is left


def test_limits_that_nothing_left_keeps_are_told_at_once(pruned, monkeypatch, tmp_path):
    first = PruningAccount.load(pruned.folder.path).struck[0]
    monkeypatch.setattr("evonas.problems.own_costs._FACTORIES", {})
    register_cost("gone", lambda space: lambda X: 1.0 * (X[:, first.gene] == first.choice))
    given = DIGITS | {"supernet": str(pruned.folder.path), "runs": str(tmp_path)}
    with pytest.raises(InputError, match="no network keeps gone>=1"):
        run(RunConfig(**given, constraint=("gone>=1",)))
    assert not list(tmp_path.iterdir())


def test_with_fair_paths(tmp_path):
    config = RunConfig(
        **DIGITS | {"training": replace(TRAINING, paths="fair"), "evaluations": 60},
        prune="shallow-first", prune_by="removal", prune_epochs=0.9, runs=str(tmp_path),
    )  # fmt: skip
    assert len(run(config, quiet=True).front)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prune": "gobal"}, "did you mean global"),
        ({"prune": "global", "prune_by": "magnitude"}, "unknown criterion"),
        ({"prune": "global", "prune_to": 1e9}, "of the 2304 of space 'tiny'"),
        ({"prune": "global", "prune_to": 10, "prune_keep": 0.5}, "give one of them"),
        ({"prune": "global", "prune_keep": 1.5}, "keep is 1.5"),
        ({"prune": "global", "prune_epochs": 1e6}, "do not fit into the second half"),
        ({"prune": "global", "joint": True, "algorithm": "multi-distribution"}, "leave --prune or"),
        ({"prune_by": "error"}, "--prune-by is of a pruning"),
        ({"prune_to": 3}, "--prune-to is of a pruning"),
        ({"prune": "global", "problem": "nasbench-macro-params"}, "no supernet to prune"),
    ],
)
def test_refused_before_anything_is_trained(given, message):
    with pytest.raises(InputError, match=message):
        plan(RunConfig(**DIGITS | given))


def test_joint_search_trains_no_mixtures():
    config = RunConfig(
        **DIGITS, joint=True, algorithm="multi-distribution",
        training=TrainingConfig(paths="dropout"),
    )  # fmt: skip
    with pytest.raises(InputError, match="give --training.paths spread"):
        plan(config)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prune_to": 0}, "prune_to is 0"),
        ({"prune_keep": 0}, "prune_keep is 0"),
        ({"prune_epochs": -1}, "prune_epochs is -1"),
    ],
)
def test_numbers_out_of_range(given, message):
    with pytest.raises(InputError, match=message):
        RunConfig(**DIGITS, **given)
