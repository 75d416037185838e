"""Members of a front trained alone, and exported."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch

from evonas.analysis import RetrainedNetworks
from evonas.cli import main
from evonas.config import RetrainConfig, RunConfig, ScratchConfig
from evonas.data import sealed
from evonas.errors import EvaluationStopped, InputError
from evonas.exporting.record import FROM_SUPERNET
from evonas.problems import get_problem
from evonas.retrain import all_retrained, pick, retrain
from evonas.run import Run, export_member, retrain_members, run
from evonas.training import evaluate_network

PLAIN = {
    "problem": "digits-params",
    "space": "plain",
    "algorithm": "true-rank",
    "space_settings": ("depth=3,4", "width=2,6,2"),
    "scratch": ScratchConfig(epochs=1),
    "threads": 1,
}
SHARED = {
    "problem": "digits-params",
    "space": "macro",
    "algorithm": "random",
    "pop_size": 4,
    "evaluations": 4,
    "threads": 1,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A true-rank run."""
    return run(RunConfig(**PLAIN, runs=str(tmp_path_factory.mktemp("plain"))), quiet=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A run of a supernet of width 1, hardly trained."""
    from evonas.config import TrainingConfig

    training = TrainingConfig(steps=2, batch_size=16, paths="uniform")
    folder = str(tmp_path_factory.mktemp("shared"))
    return run(RunConfig(**SHARED, training=training, width=1.0, runs=folder), quiet=True)


@pytest.fixture
def copy(searched, tmp_path):
    """A run of one's own to retrain in."""
    folder = tmp_path / searched.folder.name
    shutil.copytree(searched.folder.path, folder)
    return Run.load(folder)


@pytest.fixture
def opened(monkeypatch):
    """How often test images were opened."""
    count = []
    original = sealed.open_test
    monkeypatch.setattr(sealed, "open_test", lambda *a, **k: count.append(1) or original(*a, **k))
    return count


def test_what_a_search_has_trained_is_only_measured(copy, opened):
    done = retrain_members(copy.folder.path, RetrainConfig(members=3), quiet=True)
    front = copy.front
    chosen = front.spread(3)
    assert set(done.networks) == set(chosen.networks) and len(opened) == 1
    estimates = dict(zip(front.networks, front.column("error"), strict=True))
    for network, error, estimated in zip(
        done.networks, done.column("error"), done.column("estimated_error"), strict=True
    ):
        assert error == estimated == estimates[network]
    # The figure is the one of the network whose weights are kept.
    problem = copy.problem("cpu")
    test = sealed.open_test(problem.data)
    for file, record in all_retrained(copy.folder.networks).items():
        network = problem.network(problem.space.encode(record.network))
        assert evaluate_network(network, test)[0] == record.test_error
        assert record.test_images == len(test) and file.suffix == ".safetensors"
    assert (copy.folder.figures / "retrained.png").is_file()


def test_nothing_is_trained_or_opened_twice(copy, opened):
    settings = RetrainConfig(members=2, scratch=ScratchConfig(epochs=2))
    first = retrain_members(copy.folder.path, settings, quiet=True)
    files = {f: f.stat().st_mtime_ns for f in all_retrained(copy.folder.networks)}
    assert len(opened) == 1 and len(files) == 2
    again = retrain_members(copy.folder.path, settings, quiet=True)
    assert len(opened) == 1
    assert {f: f.stat().st_mtime_ns for f in all_retrained(copy.folder.networks)} == files
    np.testing.assert_array_equal(first.values, again.values)
    # One member more is one training more.
    retrain_members(
        copy.folder.path, RetrainConfig(members=3, scratch=settings.scratch), quiet=True
    )
    assert len(opened) == 2 and len(all_retrained(copy.folder.networks)) == 3
    # Other settings are other trainings, and rows of their own.
    both = retrain_members(copy.folder.path, RetrainConfig(members=2), quiet=True)
    assert len(both) == 5 and {m.split()[-2] for m in both.methods} == {"1", "2"}


def test_seeds_are_averaged(copy):
    settings = RetrainConfig(members=1, scratch=ScratchConfig(epochs=1, seeds=2))
    done = retrain_members(copy.folder.path, settings, quiet=True)
    records = list(all_retrained(copy.folder.networks).values())
    assert len(done) == 1 and len(records) == 2 and {r.seed for r in records} == {1, 2}
    assert done.column("test_error")[0] == pytest.approx(np.mean([r.test_error for r in records]))
    assert done.column("seeds")[0] == 2


def test_other_settings_are_no_other_seeds(copy):
    network = copy.front.networks[:1]
    for lr in (0.1, 0.2):
        settings = RetrainConfig(network=network, scratch=ScratchConfig(epochs=1, lr=lr))
        done = retrain_members(copy.folder.path, settings, quiet=True)
    assert len(done) == 2 and done.column("seeds").tolist() == [1, 1]


def test_stopped_and_gone_on_with(tmp_path, opened):
    """What was finished before is kept, and test images are opened at the end only."""
    problem = get_problem(
        "digits-params",
        "plain",
        settings={"depth": (3, 4), "width": (2, 6, 2)},
        scratch=ScratchConfig(epochs=1, at_once=1),
        folder=tmp_path / "trainings",
    )
    networks = [
        problem.space.decode(problem.space.encode(text)) for text in ("3x2:000:333", "3x4:000:333")
    ]
    problem.stop = lambda: len(all_retrained(tmp_path / "networks")) == 1
    (tmp_path / "networks").mkdir()
    with pytest.raises(EvaluationStopped):
        retrain(problem, networks, tmp_path / "networks")
    assert len(all_retrained(tmp_path / "networks")) == 1
    problem.stop = lambda: False
    assert [r.network for r in retrain(problem, networks, tmp_path / "networks")] == networks


def test_a_stage_of_the_run(tmp_path):
    done = run(RunConfig(**PLAIN, retrain=2, runs=str(tmp_path)), quiet=True)
    assert len(done.retrained) == 2
    states = json.loads(done.folder.stages.read_text())
    assert list(states)[-1] == "retrain" and states["retrain"]["state"] == "done"
    done.folder.retrained.unlink()
    run(resume=done.folder.path, quiet=True)
    assert len(RetrainedNetworks.load(done.folder.path)) == 2


def test_from_a_supernet(shared, tmp_path):
    front = shared.front
    scratch = retrain_members(
        shared.folder.path,
        RetrainConfig(network=front.networks[:1], scratch=ScratchConfig(epochs=1)),
        quiet=True,
    )
    assert scratch.methods == ("trained from scratch for 1 epoch",)
    tuned = retrain_members(
        shared.folder.path,
        RetrainConfig(
            network=front.networks[:1], scratch=ScratchConfig(recipe="fine-tune", epochs=1)
        ),
        quiet=True,
    )
    assert set(tuned.methods) == {
        "trained from scratch for 1 epoch",
        "fine-tuned from the supernet for 1 epoch",
    }
    assert set(tuned.column("estimated_error")) == {front.column("error")[0]}
    # Weights lie in networks/ only.
    sizes = [f.stat().st_size for f in shared.folder.trainings.iterdir()]
    assert len(sizes) == 2 and max(sizes) < 2000


def test_picking():
    from evonas.analysis import Front
    from evonas.spaces import get_space

    space = get_space("macro")
    x = np.arange(11.0)
    front = Front.from_arrays(
        [space.decode([0] * 7 + [0]) + str(i) for i in range(11)],
        np.column_stack([10 / (1 + x) ** 2, x]),
        columns=("error", "params"),
    )
    knee = front.knee().index
    assert front.spread(1).networks == (front.networks[knee],)
    assert front.spread(2).networks == (front.networks[0], front.networks[-1])
    five = front.spread(5).networks
    assert front.networks[knee] in five and {front.networks[0], front.networks[-1]} <= set(five)
    assert len(front.spread(50)) == 11
    with pytest.raises(InputError, match="at least 1"):
        front.spread(0)
    assert pick(front, 2, ["00000000", "macro:00000000"], space) == ["macro:00000000"]
    with pytest.raises(InputError, match="empty"):
        pick(front.take([]), 2, [], space)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--members", "0"], "members is 0"),
        (["--network", "plain:9x9"], "is no genome"),
        (["--scratch.recipe", "fine-tune"], "was trained from scratch|were trained from scratch"),
        (["--scratch.recipe", "fats"], "did you mean fast"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--scratch.batch-size", "100000"], "more than the"),
    ],
)
def test_wrong_settings(copy, arguments, message, capsys):
    import re

    assert main(["retrain", str(copy.folder.path), "--quiet", *arguments]) == 2
    told = capsys.readouterr().err
    assert re.search(message, told) and told.count("\n") == 1
    assert not copy.folder.retrained.exists()


def test_runs_that_cannot_be_retrained(tmp_path, capsys, data_dir):
    assert main(["retrain", str(tmp_path)]) == 2
    table = run(
        RunConfig(problem="nasbench-macro-params", evaluations=20, runs=str(tmp_path)), quiet=True
    )
    assert main(["retrain", str(table.folder.path), "--quiet"]) == 2
    assert "table of measured networks" in capsys.readouterr().err
    with pytest.raises(InputError, match="leave --retrain out"):
        run(RunConfig(problem="nasbench-macro-params", retrain=2, runs=str(tmp_path)))


# -- export ----------------------------------------------------------------------------------


def load_exported(folder):
    spec = importlib.util.spec_from_file_location("exported_network", folder / "network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_trained_member_is_exported(copy):
    folder = export_member(copy.folder.path, member=-1)
    about = json.loads((folder / "network.json").read_text())
    assert about["genome"] == copy.front.networks[-1]
    assert about["weights"] == "trained from scratch for 1 epoch by the search"
    assert about["numbers"]["error"] == copy.front.column("error")[-1]
    assert about["numbers"]["params"] == int(copy.front.column("params")[-1])
    # The same classes for the same bytes, without evonas's own normalisation.
    problem, module = copy.problem("cpu"), load_exported(folder)
    images = problem.data.validation.images
    own = problem.network(problem.space.encode(about["genome"]))
    normalised, _ = next(iter(problem.data.validation.batches(len(images))))
    with torch.no_grad():
        logits = module.load()(module.preprocess(images))
        torch.testing.assert_close(logits, own(normalised), atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match="is there already"):
        export_member(copy.folder.path, member=-1)


def test_a_retrained_member_is_preferred(copy):
    network = copy.front.networks[0]
    settings = RetrainConfig(network=(network,), scratch=ScratchConfig(epochs=2))
    done = retrain_members(copy.folder.path, settings, quiet=True)
    folder = export_member(copy.folder.path, network=network)
    about = json.loads((folder / "network.json").read_text())
    assert about["weights"] == "trained from scratch for 2 epochs"
    assert about["numbers"]["test_error"] == done.column("test_error")[0]


def test_weights_of_the_supernet_are_called_so(shared, tmp_path):
    network = shared.front.networks[-1]
    folder = export_member(shared.folder.path, network=network, output=tmp_path / "net")
    about = json.loads((folder / "network.json").read_text())
    assert about["weights"] == FROM_SUPERNET and "error" not in about["numbers"]
    assert FROM_SUPERNET in (folder / "network.py").read_text()


def test_narrow_weights_are_not_exported(tmp_path):
    from evonas.config import TrainingConfig

    training = TrainingConfig(steps=2, batch_size=16, paths="uniform")
    narrow = run(RunConfig(**SHARED, training=training, width=0.25, runs=str(tmp_path)), quiet=True)
    with pytest.raises(InputError, match="evonas retrain .* --network"):
        export_member(narrow.folder.path, member=0)
    with pytest.raises(InputError, match="fine-tune out"):
        retrain_members(
            narrow.folder.path,
            RetrainConfig(members=1, scratch=ScratchConfig(recipe="fine-tune")),
            quiet=True,
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--member", "99"], "give --member 0 to"),
        (["--member", "0", "--network", "3x2:000:333"], "give one of them"),
        (["--format", "onx"], "did you mean onnx"),
        (["--network", "4x6:1111:7777"], "was not trained in this run"),
    ],
)
def test_wrong_exports(copy, arguments, message, capsys):
    assert main(["export", str(copy.folder.path), *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (copy.folder.path / "exports").exists()
