"""Rank fidelity as a stage and a command: looked up, trained, stopped, killed, asked for again."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evonas.analysis import RankFidelity
from evonas.cli import main
from evonas.config import ClusterConfig, RunConfig, ScratchConfig, TrainingConfig, load, to_dict
from evonas.errors import InputError
from evonas.fidelity import measure_fidelity
from evonas.problems import get_problem
from evonas.problems.published import TABLES, table_of
from evonas.run import Run, run
from evonas.runs import Context, RunFolder, locked, open_progress, read_status
from evonas.runs.stage import read_states
from evonas.spaces import get_space
from evonas.stages import MeasureFidelity, Workspace, fidelity, plan
from evonas.stages.fidelity import compared_networks, published_errors
from evonas.stages.fidelity_plan import (
    LEAST_NETWORKS,
    SCRATCH_NETWORKS,
    TABLE_NETWORKS,
    asked,
    fidelity_seconds,
    resumed_fidelity,
    settle_fidelity,
    within_budget,
)
from evonas.stages.plan import fill

pytestmark = pytest.mark.usefixtures("empty_figures")

TINY = {
    "space": "nb201",
    "device": "cpu",
    "threads": 1,
    "training": TrainingConfig(steps=20, batch_size=8, paths="uniform"),
    "evaluations": 20,
    "train_images": 64,
    "validation_images": 50,
}
DIGITS = TINY | {"problem": "digits-params"}
ONE_EPOCH = ScratchConfig(epochs=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that measured nothing."""
    return run(RunConfig(**DIGITS, runs=str(tmp_path_factory.mktemp("runs"))), quiet=True)


@pytest.fixture
def copy_of(finished, tmp_path):
    return Run.load(shutil.copytree(finished.folder.path, tmp_path / "run"))


class Killed(Exception):
    """As if the process had ended there."""


@pytest.fixture
def trainings(monkeypatch):
    """Counts trainings from scratch; the next ones fail where `left` says so."""
    from evonas.training import scratch

    counted = SimpleNamespace(n=0, left=None)
    true = scratch.train_network

    def train(*args, **kwargs):
        if counted.left == 0:
            raise Killed
        counted.left = None if counted.left is None else counted.left - 1
        counted.n += 1
        return true(*args, **kwargs)

    monkeypatch.setattr(scratch, "train_network", train)
    return counted


def context(done, stop=lambda: False):
    return Context(done.folder, done.config, open_progress(done.folder.log, quiet=True), stop)


# -- what is compared -----------------------------------------------------------------------


def test_networks_are_spread_distinct_canonical_and_within_limits():
    problem = get_problem("digits-params", "nb201", device="cpu", constraints=["params<=5e5"])
    X = compared_networks(problem, 12, seed=3)
    params = np.sort(problem.space.params(X))
    assert X.shape == (12, 6) and len(np.unique(X, axis=0)) == 12
    assert (problem.canonical(X) == X).all() and problem.feasible(X).all()
    assert params[0] == problem.ideal[1] and 4.5e5 < params[-1] <= 5e5
    assert np.diff(params).max() < 2e5
    assert (compared_networks(problem, 12, seed=3) == X).all()
    assert (compared_networks(problem, 12, seed=4) != X).any()


def test_a_small_space_has_no_more_than_it_has():
    base = get_space("nb201", 10, (1, 8, 8))
    allowed = np.zeros_like(base.allowed)
    allowed[:, 3], allowed[:2, 1] = True, True
    problem = get_problem("digits-params", base.restrict(allowed), device="cpu")
    X = compared_networks(problem, 50)
    assert problem.space.size == 4 and len(X) == 4


# -- by a table -----------------------------------------------------------------------------


def test_tables_by_data_set_and_space():
    assert table_of("cifar10", "macro") == "nasbench-macro"
    assert table_of("cifar10", "nb201") == "nasbench201-cifar10"
    assert table_of("cifar100", "nb201") == "nasbench201-cifar100"
    assert table_of("cifar100", "macro") is None and table_of("digits", "nb201") is None


def test_a_table_at_hand_is_looked_at_unless_one_says_otherwise(data_dir, tmp_path):
    named = {"problem": "cifar10-params", "device": "cpu", "data_dir": str(data_dir)}
    for space in ("macro", "nb201"):
        filled = fill(RunConfig(**named, space=space))
        assert (filled.fidelity, filled.fidelity_by) == (TABLE_NETWORKS, "table")
        assert fill(filled) == filled
    assert fill(RunConfig(**named, fidelity=0)).fidelity == 0
    trained = fill(RunConfig(**named, fidelity=9, scratch=ONE_EPOCH))
    assert (trained.fidelity, trained.fidelity_by) == (9, "scratch")
    for other in ({"space": "mobile-cifar"}, {"data_dir": str(tmp_path)}):
        filled = fill(RunConfig(**named | other))
        assert (filled.fidelity, filled.fidelity_by) == (0, None)


def test_looked_up_in_a_run(data_dir, tmp_path, trainings):
    given = TINY | {"problem": "cifar10-macs", "width": 0.1, "data_dir": str(data_dir)}
    done = run(RunConfig(**given, fidelity=6, runs=str(tmp_path)), quiet=True)
    record = done.fidelity
    assert len(record) == 6 and record.source == "NAS-Bench-201, published test error"
    assert record.columns == ("macs", "params") and trainings.n == 0
    table = get_problem("nasbench201-cifar10-params", data_dir=data_dir)
    X = np.stack([table.space.encode(network) for network in record.networks])
    assert (record.true_error == table.evaluate(X)[:, 0]).all()
    assert (record.estimated_error == done.problem().evaluate(X)[:, 0]).all()
    assert (record.costs == np.column_stack([table.space.macs(X), table.space.params(X)])).all()
    assert (done.folder.figures / "fidelity.png").is_file()
    assert f"rank fidelity: {record.summary()}" in done.folder.log.read_text()
    assert "rank fidelity of 6 by table" in done.folder.log.read_text()


def test_rows_of_a_restricted_space(data_dir):
    base = TABLES["nasbench-macro"].get_space()
    allowed = base.allowed.copy()
    allowed[:, 0] = False
    space = base.restrict(allowed)
    X = space.sample(20, np.random.default_rng(0))
    config = RunConfig(problem="cifar10-params", space="macro", data_dir=str(data_dir))
    errors, source = published_errors(config, SimpleNamespace(space=space), X)
    published = json.loads((data_dir / TABLES["nasbench-macro"].file).read_text())
    names = ["".join(map(str, x)) for x in space.lift(X)]
    assert source == "NAS-Bench-Macro, published test error"
    np.testing.assert_allclose(errors, [100 - published[name]["mean_acc"] for name in names])


def test_a_table_that_lacks_a_network_is_no_whole_one(data_dir, tmp_path):
    file = TABLES["nasbench-macro"].file
    published = json.loads((data_dir / file).read_text())
    del published["11111111"]
    (tmp_path / file).write_text(json.dumps(published))
    space = TABLES["nasbench-macro"].get_space()
    config = RunConfig(problem="cifar10-params", space="macro", data_dir=str(tmp_path))
    with pytest.raises(InputError, match="lacks macro:11111111; replace it by a fresh copy"):
        published_errors(config, SimpleNamespace(space=space), np.ones((1, 8), dtype=int))


def test_a_table_asked_for_must_be_there(tmp_path):
    config = RunConfig(
        problem="cifar10-params", space="macro", device="cpu", data_dir=str(tmp_path),
        fidelity=5, fidelity_by="table",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"there is no .*nas-bench-macro_cifar10.json"):
        settle_fidelity(Workspace(fill(config)))
    (tmp_path / TABLES["nasbench-macro"].file).write_text("{")
    with pytest.raises(InputError, match="is damaged or incomplete"):
        settle_fidelity(Workspace(fill(replace(config, fidelity_by=None))))


# -- by trainings ---------------------------------------------------------------------------


def test_trained_in_a_run(tmp_path, trainings, capsys):
    scratch = ScratchConfig(epochs=1, seeds=2)
    given = RunConfig(**DIGITS, fidelity=3, scratch=scratch, runs=str(tmp_path))
    done = run(given, quiet=True)
    stored = done.config
    assert (stored.fidelity, stored.fidelity_by) == (3, "scratch")
    assert None not in to_dict(stored.scratch).values()
    assert (stored.scratch.epochs, stored.scratch.seeds) == (1, 2)
    record = done.fidelity
    assert record.source == "trained from scratch for 1 epoch, 2 seeds, validation error"
    assert record.columns == ("params", "macs") and trainings.n == 6
    assert len(list(done.folder.trainings.iterdir())) == 6
    again = Workspace(stored).scratch_problem(done.folder, stored.scratch)
    X = np.stack([again.space.encode(network) for network in record.networks])
    assert (again.evaluate(X)[:, 0] == record.true_error).all() and trainings.n == 6
    assert [s.name for s in read_status(done.folder.path).stages][-2:] == ["fidelity", "report"]

    # The figure is drawn again with the members of a longer search's front.
    figure = done.folder.figures / "fidelity.png"
    before, table = figure.stat().st_mtime_ns, done.folder.fidelity.read_bytes()
    resume = ["run", "--resume", str(done.folder.path), "--quiet"]
    assert main([*resume, "--evaluations", "30"]) == 0
    said = capsys.readouterr().out
    assert "fidelity.png" in said and record.summary() in said
    assert figure.stat().st_mtime_ns > before and trainings.n == 6
    assert done.folder.fidelity.read_bytes() == table

    # Another one, and none.
    assert main([*resume, "--fidelity", "4", "--scratch.seeds", "1"]) == 0
    more = Run.load(done.folder.path)
    assert len(more.fidelity) == 4 and "1 seed," in more.fidelity.source
    assert more.config.evaluations == 30
    assert main([*resume, "--fidelity", "0"]) == 0
    none = Run.load(done.folder.path).config
    assert (none.fidelity, none.fidelity_by, none.scratch) == (0, None, ScratchConfig())
    assert not figure.exists() and not done.folder.fidelity.exists()


def test_a_run_with_a_limit(tmp_path, trainings):
    settings = {"constraint": ("params<=5e5",), "fidelity": 3, "runs": str(tmp_path)}
    done = run(RunConfig(**DIGITS, **settings, scratch=ONE_EPOCH), quiet=True)
    assert len(done.fidelity) == trainings.n == 3
    assert (done.fidelity.costs[:, 0] <= 5e5).all()


def test_killed_between_trainings(copy_of, tmp_path, trainings):
    whole = Run.load(shutil.copytree(copy_of.folder.path, tmp_path / "whole" / "run"))
    measure_fidelity(whole.folder.path, networks=4, scratch=ONE_EPOCH, quiet=True)
    assert trainings.n == 4
    trainings.left = 2
    with pytest.raises(Killed):
        measure_fidelity(copy_of.folder.path, networks=4, scratch=ONE_EPOCH, quiet=True)
    assert trainings.n == 6 and not copy_of.folder.fidelity.exists()
    assert not read_status(copy_of.folder.path).finished
    trainings.left = None
    done = run(resume=copy_of.folder.path, quiet=True)
    assert trainings.n == 8 and len(done.fidelity) == 4
    assert done.folder.fidelity.read_bytes() == whole.folder.fidelity.read_bytes()
    assert read_status(done.folder.path).finished
    assert "fidelity: 2/4 trainings already done" in done.folder.log.read_text()


def test_stopped_after_a_training(copy_of, trainings):
    config = settle_fidelity(Workspace(asked(copy_of.config, networks=4, scratch=ONE_EPOCH)))
    stage = MeasureFidelity(Workspace(config))
    stage.run(context(copy_of, stop=lambda: trainings.n >= 1))
    assert not stage.done(copy_of.folder) and not copy_of.folder.fidelity.exists()
    stage.run(context(copy_of, stop=lambda: True))  # before the first estimate
    assert not copy_of.folder.fidelity.exists()
    stage.run(context(copy_of))
    assert stage.done(copy_of.folder) and len(copy_of.fidelity) == 4


def test_estimates_are_those_of_the_supernet_after_a_race_too(tmp_path, trainings):
    racing = {"racing": "confident", "validation_images": 350, "evaluations": 30}
    config = RunConfig(
        **DIGITS | racing, fidelity=6, fidelity_by="scratch", scratch=ONE_EPOCH, runs=str(tmp_path)
    )
    done = run(config, quiet=True)
    problem, record = done.problem(), done.fidelity
    X = np.stack([problem.space.encode(network) for network in record.networks])
    assert record.estimated_error.tolist() == problem.supernet.evaluate(X).error.tolist()
    journal = [json.loads(line) for line in done.folder.journal.read_text().splitlines()]
    assert sum(line.get("images_saved", 0) for line in journal) > 0  # a race there was


def diverging(monkeypatch, lost):
    """Trainings of which some diverge, by their number from 1."""
    from evonas.training import TrainingDiverged, scratch

    true, made = scratch.train_network, []

    def train(*args, **kwargs):
        made.append(1)
        if len(made) in lost:
            raise TrainingDiverged("no number")
        return true(*args, **kwargs)

    monkeypatch.setattr(scratch, "train_network", train)


def test_the_guess_of_a_training_that_diverged_is_no_true_error(copy_of, monkeypatch, capsys):
    diverging(monkeypatch, {2, 5})
    more = {"networks": 6, "scratch": ScratchConfig(epochs=1, at_once=1)}
    done = measure_fidelity(copy_of.folder.path, **more)
    assert len(done.fidelity.networks) == 4
    assert "2 networks could not be trained, and are left out" in capsys.readouterr().err
    before = done.folder.fidelity.stat().st_mtime_ns
    measure_fidelity(done.folder.path, quiet=True, **more)  # with these it is done
    assert done.folder.fidelity.stat().st_mtime_ns == before


def test_a_measurement_that_comes_to_nothing_leaves_what_there_was(copy_of, monkeypatch):
    done = measure_fidelity(copy_of.folder.path, networks=4, scratch=ONE_EPOCH, quiet=True)
    kept = [done.folder.fidelity, done.folder.figures / "fidelity.png", done.folder.config]
    before = [file.read_bytes() for file in kept]
    for lost in ({2, 3, 4}, {2, 4}):  # one is left, then two
        diverging(monkeypatch, lost)
        other = ScratchConfig(epochs=2 + len(lost), at_once=1)
        with pytest.raises(InputError, match="says nothing; train them otherwise"):
            measure_fidelity(done.folder.path, networks=4, scratch=other, quiet=True)
        assert [file.read_bytes() for file in kept] == before
        assert read_status(done.folder.path).finished
    monkeypatch.undo()
    # Killed in between, it goes on with what was asked for, and nothing is lost until then.
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(fidelity, "trained_errors", killed)
        other = ScratchConfig(epochs=2)
        measure_fidelity(done.folder.path, networks=4, scratch=other, quiet=True)
    assert done.folder.fidelity_before.read_bytes() == before[0]
    # What fails then is not told by the first table, but by none.
    with monkeypatch.context() as patched, pytest.raises(InputError, match="train them otherwise"):
        diverging(patched, {2, 3})
        other = ScratchConfig(epochs=3, at_once=1)
        measure_fidelity(done.folder.path, networks=4, scratch=other, quiet=True)
    assert load(done.folder.config).scratch.epochs == 2
    assert not done.folder.fidelity.exists() and not read_status(done.folder.path).finished
    assert done.folder.fidelity_before.read_bytes() == before[0]
    again = measure_fidelity(done.folder.path, quiet=True).fidelity
    assert "for 2 epochs" in again.source and len(again.networks) == 4
    assert not done.folder.fidelity_before.exists()


def killed(*args):
    raise Killed


def test_what_fails_before_a_measurement_changes_no_settings_but_those_asked_for(
    copy_of, monkeypatch
):
    """A search that breaks off goes on with what was asked for, and loses no stage's seconds."""
    folder = copy_of.folder
    more = replace(copy_of.config, evaluations=40, fidelity=4, fidelity_by="scratch")
    more = replace(more, scratch=ONE_EPOCH)

    def full(*args):
        raise InputError("the disk is full")

    with monkeypatch.context() as patched, pytest.raises(InputError, match="the disk is full"):
        patched.setattr("evonas.runs.loop.Loop._evaluate", full)
        run(more, resume=folder.path, quiet=True)
    assert load(folder.config).evaluations == 40 and load(folder.config).fidelity == 4
    assert not read_status(folder.path).finished
    diverging(monkeypatch, {2, 3})
    with pytest.raises(InputError, match="train them otherwise"):
        run(resume=folder.path, quiet=True)
    seconds = read_states(folder)["search"]["seconds"]
    monkeypatch.undo()
    # Of other networks than asked for before, and those that diverged are left out of none.
    with pytest.raises(InputError, match="train them otherwise"):
        run(resume=folder.path, quiet=True)
    other = replace(load(folder.config), fidelity=3, scratch=ScratchConfig(epochs=2))
    done = run(other, resume=folder.path, quiet=True)
    assert len(done.fidelity.networks) == 3 and done.config.evaluations == 40
    assert read_states(folder)["search"]["seconds"] == seconds
    assert read_status(folder.path).finished


def test_no_measurement_any_more_takes_the_table_away(copy_of):
    done = measure_fidelity(copy_of.folder.path, networks=3, scratch=ONE_EPOCH, quiet=True)
    spent = replace(done.config, fidelity=0)
    with pytest.raises(InputError, match="has spent its budget"):
        run(spent, resume=done.folder.path, restart_search=True, quiet=True)
    assert len(done.fidelity.networks) == 3 and load(done.folder.config).fidelity == 3
    run(spent, resume=done.folder.path, quiet=True)
    assert not done.folder.fidelity.exists() and load(done.folder.config).fidelity == 0


def test_a_space_with_fewer_networks_is_done_with_those(copy_of, trainings, monkeypatch):
    true = compared_networks
    monkeypatch.setattr(
        fidelity, "compared_networks", lambda problem, k, seed=1: true(problem, 9, seed=seed)[:3]
    )
    done = measure_fidelity(copy_of.folder.path, networks=9, scratch=ONE_EPOCH, quiet=True)
    assert len(done.fidelity) == 3 and read_status(done.folder.path).finished
    done.folder.fidelity.write_text("network\n")  # broken: measured again, nothing is trained
    again = measure_fidelity(done.folder.path, quiet=True)
    assert len(again.fidelity) == 3 and trainings.n == 3


def test_what_a_pruning_has_left(copy_of, trainings):
    config = settle_fidelity(Workspace(asked(copy_of.config, networks=3, scratch=ONE_EPOCH)))
    workspace = Workspace(config)
    base = workspace.problem.space
    allowed = base.allowed.copy()
    allowed[:, 0] = allowed[1, 3] = False
    workspace.narrow(base.restrict(allowed))
    MeasureFidelity(workspace).run(context(copy_of))
    X = np.stack([base.encode(network) for network in copy_of.fidelity.networks])
    assert workspace.problem.space.size < base.size and workspace.problem.space.holds(X).all()
    # the same networks, in its numbering
    of_all = Workspace(config).scratch_problem(copy_of.folder, config.scratch)
    assert (of_all.evaluate(X)[:, 0] == copy_of.fidelity.true_error).all() and trainings.n == 3


# -- the command ----------------------------------------------------------------------------


def test_the_command_keeps_what_was_asked_for(copy_of, trainings, capsys):
    folder = str(copy_of.folder.path)
    ask = ["fidelity", folder, "--quiet"]
    assert main([*ask, "--networks", "3", "--scratch.epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("3 networks, trained from scratch for 1 epoch, 1 seed, validation")
    assert f"{copy_of.folder.fidelity}\n" in said and "fidelity.png" in said
    settings = load(copy_of.folder.config)
    assert (settings.fidelity, settings.fidelity_by) == (3, "scratch")
    assert settings.scratch.epochs == 1 and settings.scratch.batch_size == 64
    written = copy_of.folder.fidelity.stat().st_mtime_ns
    for same in ([], ["--networks", "3"], ["--by", "scratch"], ["--scratch.epochs", "1"]):
        assert main([*ask, *same]) == 0
        assert copy_of.folder.fidelity.stat().st_mtime_ns == written and trainings.n == 3
        assert capsys.readouterr().out == said
    assert main([*ask, "--scratch.epochs", "2"]) == 0
    assert capsys.readouterr().out.startswith("3 networks, trained from scratch for 2 epochs")
    assert trainings.n == 6
    status = read_status(folder)
    stages = ["supernet", "search", "results", "fidelity", "report"]
    assert [stage.name for stage in status.stages] == stages
    assert status.finished


def test_ctrl_c_says_how_to_go_on(copy_of, trainings, monkeypatch, capsys):
    from evonas.runs.interrupt import Interrupt

    monkeypatch.setattr(Interrupt, "__call__", lambda self: trainings.n >= 1)
    folder = str(copy_of.folder.path)
    assert main(["fidelity", folder, "--networks", "3", "--scratch.epochs", "1", "--quiet"]) == 130
    assert f"stopped in stage 'fidelity'; go on with: python -m evonas.run --resume {folder}" in (
        capsys.readouterr().err
    )
    monkeypatch.undo()
    assert main(["fidelity", folder, "--quiet"]) == 0
    assert len(RankFidelity.load(folder)) == 3


def test_what_is_asked_and_what_is_as_it_was(finished):
    stored = finished.config
    by_hand = asked(stored)
    assert (by_hand.fidelity, by_hand.fidelity_by) == (SCRATCH_NETWORKS, "scratch")
    before = replace(
        stored, fidelity=7, fidelity_by="scratch", scratch=ScratchConfig(epochs=3, lr=0.1)
    )
    assert asked(before) == before and asked(before, networks=9).scratch == before.scratch
    # What is said is put over what was; a recipe begins anew.
    other = ScratchConfig(epochs=1, lr=0.1)
    assert asked(before, scratch=ONE_EPOCH).scratch == other
    assert resumed_fidelity(before, asked(before, scratch=ONE_EPOCH)).scratch == other
    named = ScratchConfig(recipe="fast", epochs=2)
    assert asked(before, scratch=named).scratch == named
    assert resumed_fidelity(stored, RunConfig(**DIGITS)) == stored
    assert resumed_fidelity(before, RunConfig(**DIGITS, fidelity=8)) == replace(before, fidelity=8)


def test_a_table_instead_of_trainings(data_dir):
    named = {"problem": "cifar10-params", "space": "macro", "data_dir": str(data_dir)}
    trained = RunConfig(**named, fidelity=7, fidelity_by="scratch", scratch=ONE_EPOCH)
    looked_up = asked(trained, by="table")
    assert looked_up.fidelity == TABLE_NETWORKS and looked_up.scratch == ScratchConfig()
    assert resumed_fidelity(trained, looked_up) == looked_up
    back = asked(looked_up, scratch=ONE_EPOCH)
    assert (back.fidelity, back.fidelity_by) == (SCRATCH_NETWORKS, "scratch")
    assert asked(RunConfig(**named)).fidelity_by == "table"


def test_beside_a_retraining(data_dir):
    """Both are trained as --scratch says; a table needs no word of it."""
    named = {"problem": "cifar10-params", "space": "macro", "data_dir": str(data_dir)}
    both = fill(RunConfig(**named, device="cpu", retrain=3, scratch=ONE_EPOCH))
    assert (both.fidelity, both.fidelity_by) == (TABLE_NETWORKS, "table")
    without = fill(replace(both, fidelity=0, fidelity_by=None))
    assert without.fidelity == 0 and without.scratch == ONE_EPOCH
    trained = asked(both, by="scratch")
    assert trained.fidelity == SCRATCH_NETWORKS and trained.scratch == ONE_EPOCH
    assert resumed_fidelity(both, trained) == trained
    assert resumed_fidelity(trained, replace(trained, fidelity=0)) == without
    other = resumed_fidelity(both, asked(both, scratch=ScratchConfig(epochs=2)))
    assert other.scratch == ONE_EPOCH  # and the difference is refused, as of any other setting
    with pytest.raises(InputError, match="what begins with the weights of a supernet is no check"):
        fill(replace(trained, scratch=ScratchConfig(recipe="fine-tune")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--networks", "2"], "the order of 2 networks says nothing of a supernet; compare 3 or"),
        (["--networks", "0"], "compare 3 or more"),
        (["--networks", "some"], "--networks"),
        (["--by", "tabel"], "unknown truth 'tabel'; did you mean table"),
        (["--by", "table"], "no published table of the space 'nb201' on 'digits'"),
        (["--scratch.epochs", "0"], "scratch.epochs is 0"),
        (["--scratch.promotion", "2"], "networks that are compared are trained equally long"),
        (["--scratch.recipe", "fats"], "unknown recipe 'fats'; did you mean fast"),
        (["--scratch.batch-size", "999"], "a batch of 999 images is more than the 64"),
        (["--data-dir", "nowhere"], "the data folder nowhere (from --data-dir) does not exist"),
    ],
)
def test_wrong_requests(copy_of, options, message, capsys):
    before = copy_of.folder.config.read_bytes()
    refused(["fidelity", copy_of.folder.path, *options], message, capsys)
    assert copy_of.folder.config.read_bytes() == before and not copy_of.folder.trainings.exists()


def refused(arguments, message, capsys):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and said.startswith("evonas: ") and "\n" not in said, said


def test_runs_that_have_nothing_to_measure(copy_of, tmp_path, capsys):
    refused(["fidelity", tmp_path / "no"], f"there is no run folder {tmp_path / 'no'}", capsys)
    refused(["fidelity"], "run", capsys)
    scratch = RunConfig(problem="digits-params", from_scratch=True, space="plain")
    table = RunConfig(problem="nasbench-macro-params", space="macro", evaluations=9)
    for config, message in ((scratch, "of whole trainings"), (table, "measured ones, of a table")):
        folder = RunFolder.create(tmp_path, "run")
        folder.config.write_text(json.dumps({"settings": to_dict(config)}))
        refused(["fidelity", folder.path], message, capsys)
    with locked(copy_of.folder):
        refused(["fidelity", copy_of.folder.path], "is in use", capsys)
    states = json.loads(copy_of.folder.stages.read_text())
    copy_of.folder.stages.write_text(json.dumps(states | {"supernet": {"state": "stopped"}}))
    refused(["fidelity", copy_of.folder.path], "is not finished; go on with it first", capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fidelity", "2"], "the order of 2 networks says nothing"),
        (["--fidelity", "-1"], "fidelity is -1"),
        (["--fidelity-by", "table"], "give --fidelity with how many"),
        (["--fidelity-scratch.epochs", "3"], "--fidelity-scratch says with what networks are"),
        (["--fidelity", "5", "--fidelity-by", "tabel"], "did you mean table"),
        (["--fidelity", "5", "--fidelity-by", "table"], "no published table of the space 'tiny'"),
        (["--fidelity", "5", "--scratch.promotion", "2"], "are trained equally long"),
        (["--fidelity", "5", "--scratch.batch-size", "9999"], "a batch of 9999 images is more"),
        (["--scratch.epochs", "3"], "nothing in this run trains networks from scratch"),
        (["--fidelity", "0", "--scratch.epochs", "3"], "nothing in this run trains networks"),
        (
            ["--fidelity", "5", "--retrain", "1", "--scratch.recipe", "fine-tune"],
            "give --fidelity-scratch.recipe fast",
        ),
        (["--fidelity", "5", "--from-scratch"], "those of whole trainings"),
        (["--from-scratch", "--fidelity-scratch.epochs", "3"], "those of whole trainings"),
        (["--fidelity", "5", "--space", "plain"], "those of whole trainings"),
        (["--fidelity", "5", "--problem", "nasbench-macro-params"], "measured ones, of a table"),
    ],
)
def test_runs_that_are_refused(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused(["run", *arguments], message, capsys)
    assert not (tmp_path / "runs").exists()


def test_a_retrained_run_is_measured_as_it_was_trained(tmp_path, trainings, capsys):
    given = RunConfig(**DIGITS, retrain=1, scratch=ONE_EPOCH, runs=str(tmp_path))
    done = run(given, quiet=True)
    ask = ["fidelity", done.folder.path, "--networks", "3"]
    assert main([*map(str, ask), "--quiet"]) == 0
    assert "for 1 epoch, 1 seed" in capsys.readouterr().out
    assert Run.load(done.folder.path).config.fidelity_scratch == ScratchConfig()
    # Or otherwise, on top of that; the members of the front stay as they are.
    made = trainings.n
    assert main([*map(str, ask), "--scratch.epochs", "2", "--quiet"]) == 0
    assert "for 2 epochs, 1 seed" in capsys.readouterr().out and trainings.n == made + 3
    config = Run.load(done.folder.path).config
    assert config.scratch == done.config.scratch
    assert config.fidelity_scratch == replace(config.scratch, epochs=2)
    assert run(resume=done.folder.path, quiet=True).config == config and trainings.n == made + 3
    names = [stage.name for stage in read_status(done.folder.path).stages]
    assert names == ["supernet", "search", "results", "retrain", "fidelity", "report"]


def test_the_cluster_of_a_measurement_is_not_that_of_the_run(copy_of, monkeypatch):
    """A run that is resumed later is not to look for one that it was never searched on."""
    folder, connected = copy_of.folder.path, []

    @contextmanager
    def on_cluster(ray, settings):
        connected.append((ray, settings.cpus))
        yield None

    monkeypatch.setattr("evonas.run.on_cluster", on_cluster)
    measure_fidelity(folder, networks=3, scratch=ONE_EPOCH, ray="10.0.0.1:6379", quiet=True)
    config = Run.load(folder).config
    assert connected == [("10.0.0.1:6379", 1)] and config.ray is None and config.fidelity == 3
    assert config.cluster == ClusterConfig()


def test_repeated_without(finished, tmp_path, capsys):
    """What a stored run said of trainings is of no use to a repetition without."""
    config = replace(
        finished.config, fidelity=3, fidelity_by="scratch", scratch=ONE_EPOCH, runs=str(tmp_path)
    )
    stored = tmp_path / "config.json"
    stored.write_text(json.dumps({"settings": to_dict(config)}))
    repeat = ["run", "--config", str(stored), "--dry-run"]
    assert main(repeat) == 0
    said = capsys.readouterr().out
    assert "rank fidelity of 3 by scratch" in said and "fidelity: about" in said
    assert main([*repeat, "--fidelity", "0"]) == 0
    assert "fidelity" not in capsys.readouterr().out


# -- time -----------------------------------------------------------------------------------


def test_a_budget_counts_trainings():
    given = DIGITS | {"training": replace(TINY["training"], steps=None), "evaluations": None}
    planned = plan(RunConfig(**given, budget="60s", fidelity=6, scratch=ONE_EPOCH))
    assert planned.timing.training > 0 and planned.config.scratch.at_once == 1
    assert list(planned.expected) == ["supernet", "search", "fidelity"]
    assert 0 < planned.expected["fidelity"] and sum(planned.expected.values()) < 60
    assert planned.expected["fidelity"] > 6 * planned.timing.training
    with pytest.raises(InputError, match=r"a budget of 60s is too small .* at least \d\d+s"):
        plan(RunConfig(**given, budget="60s", fidelity=10_000, scratch=ScratchConfig(epochs=999)))


def test_seconds():
    config = RunConfig(fidelity=5, fidelity_by="scratch", scratch=ScratchConfig(seeds=3, at_once=4))
    # 15 trainings in 4 rounds of 4
    assert fidelity_seconds(config, 0.5, 10.0) == 2.5 + 160.0
    assert fidelity_seconds(replace(config, fidelity_by="table"), 0.5, 10.0) == 2.5
    assert fidelity_seconds(replace(config, fidelity=0), 0.5, 10.0) == 0.0


def test_what_nobody_asked_for_takes_a_twentieth_of_a_budget():
    config = RunConfig(fidelity=TABLE_NETWORKS, fidelity_by="table")
    assert within_budget(config, 0.1, 600).fidelity == TABLE_NETWORKS
    assert within_budget(config, 1.0, 600).fidelity == 30
    few = within_budget(config, 1.0, 20 * (LEAST_NETWORKS - 0.5))
    assert (few.fidelity, few.fidelity_by) == (0, None)
