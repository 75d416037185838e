"""Pruning as a stage of a run, on real digits."""

import numpy as np
import pytest

from evonas.analysis import PruningAccount, SaliencyTable
from evonas.cli import main
from evonas.config import RunConfig, TrainingConfig
from evonas.errors import InputError
from evonas.run import Run, run
from evonas.stages.plan import fill, plan
from evonas.supernet.struck import CRITERION, KEEP

DIGITS = {"problem": "digits-params", "device": "cpu", "threads": 1}
SHORT = DIGITS | {"training": TrainingConfig(steps=60), "evaluations": 60}


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
    assert fill(filled) == filled
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
    table = SaliencyTable.load(done.folder.path)
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


def test_with_path_dropout(tmp_path):
    config = RunConfig(
        **DIGITS | {"training": TrainingConfig(steps=60, paths="dropout"), "evaluations": 60},
        prune="shallow-first", prune_by="removal", prune_epochs=1.0, runs=str(tmp_path),
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
        ({"prune": "global", "prune_epochs": 1e6}, "do not fit into the last 60 %"),
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
