"""Members of a front trained alone, and exported."""

import importlib.util
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from evonas.analysis import RetrainedNetworks
from evonas.cli import main
from evonas.config import RetrainConfig, RunConfig, ScratchConfig, TrainingConfig
from evonas.data import sealed
from evonas.errors import EvaluationStopped, InputError
from evonas.exporting.member import folder_for
from evonas.exporting.record import FROM_SUPERNET
from evonas.problems import get_problem
from evonas.retrain import all_retrained, pick, retrain
from evonas.run import Run, export_member, retrain_members, run
from evonas.runs import read_lines, read_searches
from evonas.training import evaluate_network

pytestmark = pytest.mark.usefixtures("empty_figures")

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
    "train_images": 200,
    "validation_images": 100,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A true-rank run."""
    return run(RunConfig(**PLAIN, runs=str(tmp_path_factory.mktemp("plain"))), quiet=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A run of a supernet of width 1, hardly trained."""
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
def shared_copy(shared, tmp_path):
    return Run.load(shutil.copytree(shared.folder.path, tmp_path / "shared"))


@pytest.fixture
def copy_of_random(tmp_path):
    """A run that can go on, of networks trained from scratch."""
    search = {"algorithm": "random", "evaluations": 3, "pop_size": 3}
    config = RunConfig(**PLAIN | search, runs=str(tmp_path))
    return run(config, quiet=True)


@pytest.fixture
def trainings(monkeypatch):
    """The seeds of trainings that were made."""
    from evonas.training import scratch

    real, made = scratch.train_network, []

    def train(*arguments, **settings):
        made.append(settings["seed"])
        return real(*arguments, **settings)

    monkeypatch.setattr(scratch, "train_network", train)
    return made


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
    assert list(states)[-2:] == ["retrain", "report"] and states["retrain"]["state"] == "done"
    done.folder.retrained.unlink()
    run(resume=done.folder.path, quiet=True)
    assert len(RetrainedNetworks.load(done.folder.path)) == 2


def test_weights_that_the_search_keeps_stay(copy):
    before = {f: f.read_bytes() for f in copy.folder.trainings.iterdir()}
    network = copy.front.networks[0]
    for scratch in (ScratchConfig(epochs=1), ScratchConfig(seeds=2), ScratchConfig(lr=0.1)):
        settings = RetrainConfig(network=(network,), scratch=scratch)
        retrain_members(copy.folder.path, settings, quiet=True)
    for file, content in before.items():
        assert file.read_bytes() == content
    problem = copy.problem("cpu")
    problem.network(problem.space.encode(network))
    more = [f for f in copy.folder.trainings.iterdir() if f not in before]
    assert len(more) == 2 and max(f.stat().st_size for f in more) < 2000  # without weights


def test_a_seed_more_is_one_training_more(copy, trainings):
    network = copy.front.networks[:1]
    for seeds, made in ((1, 1), (2, 2), (3, 3)):
        scratch = ScratchConfig(epochs=2, seeds=seeds)
        settings = RetrainConfig(network=network, scratch=scratch)
        done = retrain_members(copy.folder.path, settings, quiet=True)
        assert len(trainings) == made and done.column("seeds").tolist() == [seeds]
    frame = done.to_frame()
    assert frame["seeds"].tolist() == [3] and frame["epochs"].dtype.kind == "i"
    assert frame["method"].tolist() == ["trained from scratch for 2 epochs"]


def test_what_is_not_said_is_as_the_run_has_it(tmp_path):
    scratch = ScratchConfig(epochs=1, lr=0.1)
    done = run(RunConfig(**PLAIN | {"scratch": scratch}, runs=str(tmp_path)), quiet=True)
    network = done.front.networks[:1]
    ways = (
        (ScratchConfig(epochs=2), "trained from scratch for 2 epochs, lr 0.1"),
        (ScratchConfig(recipe="fast", epochs=2), "trained from scratch for 2 epochs"),
        (
            ScratchConfig(recipe="trg", epochs=1, cutout=0),
            "trained from scratch for 1 epoch by the recipe trg, cutout 0",
        ),
    )
    for scratch, method in ways:
        settings = RetrainConfig(network=network, scratch=scratch)
        assert method in retrain_members(done.folder.path, settings, quiet=True).methods


def test_a_stage_is_done_by_its_own_settings(tmp_path, trainings):
    done = run(RunConfig(**PLAIN, retrain=1, runs=str(tmp_path)), quiet=True)
    shutil.rmtree(done.folder.networks)
    done.folder.retrained.unlink()
    network = done.front.spread(1).networks
    other = RetrainConfig(network=network, scratch=ScratchConfig(epochs=2))
    retrain_members(done.folder.path, other, quiet=True)
    assert Run.load(done.folder.path).retrained.column("epochs").tolist() == [2]
    run(resume=done.folder.path, quiet=True)
    assert sorted(done.retrained.column("epochs")) == [1, 2]


def test_estimates_are_of_all_that_was_searched(shared_copy):
    more = replace(shared_copy.config, evaluations=8)
    done = run(more, resume=shared_copy.folder.path, quiet=True)
    front, journal = done.front, done.folder.journal
    known = {
        result.key: result.objectives[0]
        for search in read_searches(read_lines(journal)[0], journal)
        for generation in search.generations
        for result in generation.results
    }
    (other, *_) = (network for network in known if network not in front.networks)
    settings = RetrainConfig(network=(other,), scratch=ScratchConfig(epochs=1))
    done = retrain_members(shared_copy.folder.path, settings, quiet=True)
    assert done.column("estimated_error").tolist() == [known[other]]


def test_a_longer_search_is_drawn_beside_what_was_retrained(copy_of_random):
    folder = copy_of_random.folder
    retrain_members(folder.path, RetrainConfig(members=1), quiet=True)
    figure = folder.figures / "retrained.png"
    before = figure.stat().st_mtime_ns
    run(replace(copy_of_random.config, evaluations=6), resume=folder.path, quiet=True)
    assert figure.stat().st_mtime_ns > before


def test_a_training_that_diverges_ends_no_run(copy, monkeypatch, capsys):
    from evonas.training import TrainingDiverged, scratch

    real, made = scratch.train_network, []

    def train(network, data, config, **settings):
        made.append(config.lr)
        if len(made) == 2:
            raise TrainingDiverged("no number")
        return real(network, data, config, **settings)

    monkeypatch.setattr(scratch, "train_network", train)
    settings = RetrainConfig(members=3, scratch=ScratchConfig(epochs=2, at_once=1))
    done = retrain_members(copy.folder.path, settings)
    assert len(done) == 2 and len(made) == 3
    assert "diverged (seed 1), and it is left out" in capsys.readouterr().err
    assert len(retrain_members(copy.folder.path, settings, quiet=True)) == 2 and len(made) == 3


def test_a_folder_for_networks_that_cannot_be_written_is_found_first(copy, trainings):
    (copy.folder.path / "file").write_text("")
    settings = replace(copy.config, scratch=ScratchConfig(epochs=9))
    problem = replace(copy, config=settings).problem("cpu")
    with pytest.raises(InputError, match="is a file"):
        retrain(problem, [copy.front.networks[0]], copy.folder.path / "file")
    assert not trainings


def test_trainings_that_all_diverge_are_one_line_and_break_no_run(copy, monkeypatch):
    from evonas.training import TrainingDiverged, scratch

    def train(*arguments, **settings):
        raise TrainingDiverged("no number")

    folder = copy.folder
    with monkeypatch.context() as patched, pytest.raises(InputError, match="none of 2 trainings"):
        patched.setattr(scratch, "train_network", train)
        lost = RetrainConfig(members=2, scratch=ScratchConfig(epochs=2))
        retrain_members(folder.path, lost, quiet=True)
    assert not folder.retrained.exists() and not (folder.figures / "retrained.png").exists()
    # What an older evonas left in such a case.
    folder.retrained.write_text("network,error,test_error,estimated_error,epochs,seeds,method\n")
    assert main(["report", str(folder.path)]) == 0
    assert len(retrain_members(folder.path, RetrainConfig(members=2), quiet=True)) == 2


def test_what_was_finished_before_ctrl_c_is_in_the_table(copy, trainings, monkeypatch):
    from evonas.stages import retrain as stage

    def stopped(*arguments, on_network, **settings):
        def tell(done):
            on_network(done)
            raise EvaluationStopped

        return retrain(*arguments, on_network=tell, **settings)

    monkeypatch.setattr(stage, "retrain", stopped)
    settings = RetrainConfig(members=3, scratch=ScratchConfig(epochs=2, at_once=1))
    assert len(retrain_members(copy.folder.path, settings, quiet=True)) == 1
    assert (copy.folder.figures / "retrained.png").is_file()


def test_how_members_are_retrained_may_change(tmp_path, capsys):
    given = SHARED | {"training": TrainingConfig(steps=2, batch_size=16, paths="uniform")}
    broken = ScratchConfig(epochs=1, lr=1e30, clip_norm=0.0)
    config = RunConfig(**given, width=1.0, retrain=1, scratch=broken, runs=str(tmp_path))
    with pytest.raises(InputError, match="give a smaller --scratch.lr"):
        run(config, quiet=True)
    (folder,) = tmp_path.iterdir()
    assert Run.load(folder).front
    assert main(["run", "--resume", str(folder), "--scratch.lr", "0.01", "--quiet"]) == 0
    done = Run.load(folder)
    assert len(done.retrained) == 1 and done.config.scratch.lr == 0.01
    tuned = ["--scratch.recipe", "fine-tune", "--scratch.epochs", "1", "--quiet"]
    assert main(["run", "--resume", str(folder), *tuned]) == 0
    done = Run.load(folder)
    assert len(done.retrained) == 2 and done.config.scratch.lr != 0.01
    # Members that are fine-tuned are no reason against a check of the supernet.
    capsys.readouterr()
    ask = ["fidelity", str(folder), "--networks", "3", "--scratch.epochs", "1", "--quiet"]
    assert main(ask) == 0
    assert capsys.readouterr().out.startswith("3 networks, trained from scratch for 1 epoch")
    after = Run.load(folder).config
    assert after.scratch == done.config.scratch and after.fidelity_scratch.recipe == "fast"
    assert main(["run", "--resume", str(folder), "--quiet"]) == 0
    assert main(["run", "--resume", str(folder), "--fidelity", "0", "--quiet"]) == 0
    assert Run.load(folder).config == done.config


def test_promotion_is_none_of_retraining(tmp_path, capsys):
    with pytest.raises(InputError, match="leave --scratch.promotion out"):
        RetrainConfig(scratch=ScratchConfig(promotion=(1,)))
    said = ["--retrain", "2", "--scratch.promotion", "1", "--runs", str(tmp_path)]
    assert main(["run", *said]) == 2
    assert "leave --scratch.promotion out" in capsys.readouterr().err


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
    three = Front.from_arrays(
        [str(i) for i in range(6)],
        np.array([[0, 9, 9], [9, 0, 9], [9, 9, 0], [3, 3, 3], [5, 1, 5], [5, 5, 1]]),
        columns=("error", "params", "macs"),
    )
    ends = {three.networks[i] for i in three.F.argmin(axis=0)}
    assert len(ends) == 3 and ends <= set(three.spread(3).networks)
    assert set(three.spread(4).networks) == ends | {three.knee().network}
    assert len(three.spread(5)) == 5 and len(three.spread(1)) == 1
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
    held = (
        f"is there already with {about['genome']}, trained from scratch for 1 epoch by the search"
    )
    with pytest.raises(InputError, match=f"{held}; name a new"):
        export_member(copy.folder.path, member=-1)
    # A torn file of another network is not in the way.
    retrain_members(copy.folder.path, RetrainConfig(members=1), quiet=True)
    (torn,) = copy.folder.networks.iterdir()
    torn.write_bytes(torn.read_bytes()[:100])
    assert copy.front.networks[-1] not in torn.name
    export_member(copy.folder.path, member=-1, output=copy.folder.path / "again")


def test_each_network_has_a_folder_of_its_own(copy):
    begins = (
        "nb201:|nor_conv_1x1~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    )
    ends = ("avg_pool_3x3~2|", "nor_conv_1x1~2|")
    folders = {folder_for(copy.folder, begins + end, "onnx").name for end in ends}
    assert len(folders) == 2 and all(name.startswith("nb201-nor-conv-1x1-0-") for name in folders)
    assert folder_for(copy.folder, "macro:22212220", "onnx").name == "macro-22212220-onnx"


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


def test_data_that_has_moved(data_dir, tmp_path, capsys):
    (tmp_path / "data").symlink_to(data_dir)
    config = RunConfig(
        problem="cifar10-params", space="plain", space_settings=("depth=3,3", "width=2,4,2"),
        algorithm="random", evaluations=1, pop_size=2, scratch=ScratchConfig(epochs=1), threads=1,
        train_images=64, validation_images=50, data_dir=str(tmp_path / "data"),
        runs=str(tmp_path / "runs"),
    )  # fmt: skip
    done = run(config, quiet=True)
    (tmp_path / "data").unlink()
    ask = ["export", str(done.folder.path)]
    assert main(ask) == 2
    assert "--data-dir" in capsys.readouterr().err
    assert main([*ask, "--data-dir", str(data_dir)]) == 0
    assert Run.load(done.folder.path, data_dir=data_dir).problem().data.num_classes == 10
    with pytest.raises(InputError, match="nowhere"):
        Run.load(done.folder.path, data_dir="nowhere")


def test_narrow_weights_are_not_exported(tmp_path):
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


@pytest.mark.parametrize("member", ["a", 1.0, True])
def test_a_member_that_is_no_row(copy, member):
    with pytest.raises(InputError, match=f"member is {member!r}; give a row of front.csv"):
        export_member(copy.folder.path, member=member)


def test_other_members_of_a_run_than_before(copy, capsys):
    """They are not of the run's own plan: the line says how to get them."""
    folder = copy.folder.path
    retrain_members(folder, RetrainConfig(members=2), quiet=True)
    before = (folder / "config.json").read_text()
    assert main(["run", "--resume", str(folder), "--retrain", "3", "--quiet"]) == 2
    told = capsys.readouterr().err
    assert f"evonas retrain {folder} --members 3" in told and told.count("\n") == 1
    assert (folder / "config.json").read_text() == before
    assert main(["retrain", str(folder), "--members", "3", "--quiet"]) == 0


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
