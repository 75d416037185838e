"""Networks trained from scratch as a problem: each once, kept, promoted, and stopped in time."""

import copy
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pymoo.optimize import minimize

from evonas.config import ScratchConfig
from evonas.data import from_tensors
from evonas.errors import EvaluationStopped, InputError
from evonas.problems import ScratchProblem, SupernetProblem, get_problem
from evonas.search import get_algorithm
from evonas.spaces import get_space
from evonas.training import TrainingDiverged, evaluate_network
from evonas.training import scratch as training
from evonas.training.scratch import new_network, train_network

CONFIG = ScratchConfig(epochs=1, batch_size=50, at_once=2)


@pytest.fixture
def make(chains, few_digits):
    def made(space=chains, config=CONFIG, **settings) -> ScratchProblem:
        settings = {"data": few_digits, **settings}
        return ScratchProblem(space, settings.pop("data"), config=config, **settings)

    return made


def test_a_folder_that_cannot_be_written_is_found_before_a_training(make, X, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(training, "train_network", None)
    with pytest.raises(InputError, match="is a file"):
        make(folder=tmp_path / "file").evaluate(X)


@pytest.fixture
def X(chains):
    texts = ("3x2:000:333", "3x4:111:333", "4x3:0100:5333", "3x3:000:777")
    return np.stack([chains.encode(text) for text in texts])


@pytest.fixture
def trained(monkeypatch):
    """The trainings that were made, as (epochs, seed)."""
    made = []
    real = training.train_network

    def noting(network, data, config, **settings):
        done = real(network, data, config, **settings)
        if done is not None:
            made.append((config.epochs, settings["seed"]))
        return done

    monkeypatch.setattr(training, "train_network", noting)
    return made


def files(folder):
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.iterdir()}


# -- values -----------------------------------------------------------------------------------


def test_values_are_those_of_the_training(make, chains, few_digits, X):
    problem = make(objectives=("error", "loss", "params"), seed=3)
    F = problem.evaluate(X)
    for x, f in zip(X, F, strict=True):
        network = new_network(lambda x=x: chains.build(x), torch.device("cpu"), seed=3)
        done = train_network(network, few_digits, problem.config, seed=3)
        assert f.tolist() == [done.error, done.loss, chains.params(x[None])[0]]
        assert problem.training_accuracy(x[None]) == [done.training_accuracy]
    assert problem.evaluated == problem.epochs_trained == 4
    assert problem.evaluation_images == 100 and problem.equal_footing and problem.trainings == 1


def test_how_many_are_trained_at_once_makes_no_difference(make, X):
    values = [
        make(config=replace(CONFIG, at_once=n)).evaluate(X[order])[np.argsort(order)].tolist()
        for n, order in ((1, [0, 1, 2, 3]), (3, [3, 1, 0, 2]), (4, [2, 3, 1, 0]))
    ]
    assert values[0] == values[1] == values[2]


def test_several_seeds_are_averaged(make, X, trained):
    problem = make(config=replace(CONFIG, seeds=2), seed=4)
    F = problem.evaluate(X[:2])
    assert problem.trainings == 2 and sorted(trained) == [(1, 4), (1, 4), (1, 5), (1, 5)]
    one, other = (make(seed=seed).evaluate(X[:2]) for seed in (4, 5))
    assert F[:, 0].tolist() == ((one + other) / 2)[:, 0].tolist()
    assert problem.training_errors(X[:2]).tolist() == np.hstack([one, other])[:, ::2].tolist()
    assert np.isnan(problem.training_errors(X[2:3])).all()
    fitted = [make(seed=seed) for seed in (4, 5)]
    for each in fitted:
        each.evaluate(X[:1])
    mean = np.mean([each.training_accuracy(X[:1]) for each in fitted])
    assert problem.training_accuracy(X[:1]) == [mean]


def test_equal_networks_are_trained_once(make, chains, X, trained):
    same = X[[0, 0]]
    same[1, 5] = 1  # the operation of a fourth layer, which a network of three has not
    assert chains.decode(same[0]) == chains.decode(same[1])
    problem = make()
    F = problem.evaluate(same)
    assert len(trained) == 1 and F[0].tolist() == F[1].tolist()
    problem.evaluate(same[::-1])
    assert len(trained) == 1


def test_a_second_problem_with_the_folder_trains_nothing(make, X, trained, tmp_path):
    first = make(folder=tmp_path / "kept").evaluate(X)
    before = files(tmp_path / "kept")
    assert len(trained) == 4 == len(before)
    for other in (make(folder=tmp_path / "kept"), make(folder=str(tmp_path / "kept"))):
        assert other.evaluate(X).tolist() == first.tolist() and other.epochs_trained == 0
    assert files(tmp_path / "kept") == before
    more_seeds = make(folder=tmp_path / "kept", config=replace(CONFIG, seeds=2))
    more_seeds.evaluate(X)
    assert len(trained) == 8  # one more of each
    assert len(files(tmp_path / "kept")) == 8
    make(folder=tmp_path / "kept", config=replace(CONFIG, lr=0.01)).evaluate(X[:1])
    assert len(trained) == 9


def test_other_augmentation_is_another_training(make, few_digits, X, trained, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 1, 8, 8), dtype=np.uint8)
    data = [
        from_tensors(images, np.arange(300) % 10, augmentation=policy)
        for policy in (few_digits.augmentation, replace(few_digits.augmentation, flip=True))
    ]
    assert data[0].checksum == data[1].checksum
    for each in data:
        make(data=each, folder=tmp_path).evaluate(X[:1])
    assert len(trained) == 2


def test_a_restricted_space_shares_trainings_with_its_base(make, chains, X, trained, tmp_path):
    whole = make(folder=tmp_path)
    F = whole.evaluate(X[1:2])
    allowed = chains.allowed.copy()
    allowed[1, 0] = False  # width 2
    part = chains.restrict(allowed)
    assert make(part, folder=tmp_path).evaluate(part.lower(X[1:2])).tolist() == F.tolist()
    assert len(trained) == 1


def test_infeasible_networks_are_never_trained(make, chains, X, trained):
    problem = make(constraints=["params<=800"])
    feasible = problem.feasible(X)
    assert feasible.any() and not feasible.all()
    out = problem.evaluate(X, return_as_dictionary=True)
    assert (out["F"][~feasible, 0] == 100).all() and len(trained) == feasible.sum()
    assert (out["G"][~feasible] > 0).all()
    assert np.isnan(problem.training_accuracy(X)[~feasible]).all()


def test_what_is_not_trained_has_no_training_accuracy(make, X):
    problem = make(config=replace(CONFIG, seeds=2), seed=1)
    assert np.isnan(problem.training_accuracy(X)).all()
    problem.evaluate(X[:1])
    assert np.isfinite(problem.training_accuracy(X)).tolist() == [True, False, False, False]
    problem.seed = 2  # of whose two trainings one is there
    assert np.isnan(problem.training_accuracy(X)).all()


# -- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", ["folder", "memory"])
def test_weights_are_kept_of_what_nothing_dominates(make, few_digits, tmp_path, kept):
    problem = make(folder=tmp_path if kept == "folder" else None)
    space = problem.space
    X = space.canonical(space.sample(12, np.random.default_rng(1)))
    F = np.concatenate([problem.evaluate(X[:5]), problem.evaluate(X[5:])])
    front = [not ((F <= f).all(axis=1) & (F < f).any(axis=1)).any() for f in F]
    assert 0 < sum(front) < 12
    if kept == "folder":  # a problem that begins with the folder knows them
        problem = make(folder=tmp_path)
    for x, f, best in zip(X, F, front, strict=True):
        if not best:
            with pytest.raises(InputError, match="there are no weights of plain:.*; retrain it"):
                problem.network(x)
            continue
        network = problem.network(x)
        assert not network.training
        assert evaluate_network(network, few_digits.validation)[0] == f[0]


@pytest.mark.parametrize("kept", ["folder", "memory"])
def test_a_true_rank_search_keeps_the_weights_of_the_network_it_ends_on(
    make, tmp_path, monkeypatch, kept
):
    """Also where a network before it is as good and smaller; those of what it turns down go."""
    errors = {"plain:3x4:000:333": 50.0, "plain:4x4:0000:3333": 50.0}
    problem = make(folder=tmp_path if kept == "folder" else None)
    monkeypatch.setattr(problem, "_mean", lambda name, config: (errors.get(name, 60.0), 1.0))

    def with_weights():
        names = {r.network for r in problem.store._records.values()}
        return {name for name in names if problem.has_weights(name, 1)}

    rules = {"depth_gain": 0, "width_loss": 0, "gain": 0, "layers": 0.25}
    search = minimize(problem, get_algorithm("true-rank", problem, **rules)).algorithm
    assert [d.outcome for d in search.decisions] == ["kept", "kept", *["rejected"] * 4]
    ended, smaller = "plain:4x4:0000:3333", "plain:3x4:000:333"
    assert problem.space.decode(search.architecture) == ended
    assert not problem.network(search.architecture).training
    assert with_weights() == {ended, smaller}

    problem.hold(problem.space.encode(smaller)[None])
    assert with_weights() == {smaller}
    problem.evaluate(problem.space.encode("4x4:1111:7777")[None])
    assert "plain:4x4:1111:7777" in with_weights()  # whoever holds may take it
    problem.hold(np.empty((0, problem.n_var), int))
    assert with_weights() == {smaller}


def test_weights_are_of_the_front_by_the_objectives(make):
    """By the loss, where that is searched for; not by the error."""
    problem = make(objectives=("loss", "params"))
    space = problem.space
    X = space.canonical(space.sample(14, np.random.default_rng(1)))
    F = problem.evaluate(X)
    for x, f in zip(X, F, strict=True):
        if not ((F <= f).all(axis=1) & (F < f).any(axis=1)).any():
            problem.network(x)


def test_a_network_that_nobody_trained_has_no_weights(make, X):
    with pytest.raises(InputError, match="there are no weights of plain:3x2:000:333"):
        make().network(X[0])


# -- promotion --------------------------------------------------------------------------------


@dataclass
class FakeSupernet:
    """Errors by number of parameters; remembers how often it was asked."""

    space: object
    slope: float = -0.01
    trained: bool = True
    asked: int = 0

    def evaluate(self, X):
        self.asked += len(X)
        error = 50 + self.slope * self.space.params(X) + 7.0 * (X[:, 2] == 1)
        return SimpleNamespace(error=error, loss=error / 20)


def dominated(points):
    return [((points <= p).all(1) & (points < p).any(1)).any() for p in points]


def test_only_what_nothing_dominates_is_promoted(make, chains, trained):
    problem = make(config=replace(CONFIG, epochs=3, promotion=(1, 2)))
    X = chains.canonical(chains.sample(8, np.random.default_rng(2)))
    F = problem.evaluate(X)
    assert not problem.equal_footing
    alive = np.arange(8)
    error = np.empty(8)
    for epochs in (1, 2):
        short = make(config=replace(CONFIG, epochs=epochs)).evaluate(X[alive])
        error[alive] = short[:, 0]
        alive = alive[~np.array(dominated(short))]
    whole = make(config=replace(CONFIG, epochs=3)).evaluate(X[alive])
    assert F[alive].tolist() == whole.tolist()
    assert 0 < len(alive) < 8
    stopped = np.setdiff1d(np.arange(8), alive)
    params = chains.params(X)
    for i in stopped:
        # At least what the best whole training that costs no more has.
        floor = min(f[0] for f in whole if f[1] <= params[i])
        assert F[i].tolist() == [max(error[i], floor), params[i]]
    assert np.isfinite(problem.training_accuracy(X)).tolist() == [i in alive for i in range(8)]
    for i in stopped:
        with pytest.raises(InputError, match="no weights"):
            problem.network(X[i])


def test_a_supernet_is_the_first_rung(make, chains, trained):
    supernet = FakeSupernet(chains)
    problem = make(supernet=supernet, config=replace(CONFIG, promotion=()))
    X = chains.canonical(chains.sample(9, np.random.default_rng(3)))
    F = problem.evaluate(X)
    error = supernet.evaluate(X).error
    stopped = np.array(dominated(np.column_stack([error, chains.params(X)])))
    assert stopped.any() and not stopped.all() and len(trained) == (~stopped).sum()
    assert not problem.equal_footing
    assert (F[~stopped] == make().evaluate(X[~stopped])).all()
    assert (F[stopped, 0] >= error[stopped]).all()


def test_what_was_stopped_never_beats_what_was_trained(make, chains):
    """A supernet may think better of networks than they deserve."""
    supernet = FakeSupernet(chains, slope=-0.001)
    X = chains.canonical(chains.sample(12, np.random.default_rng(4)))
    supernet_error = supernet.evaluate(X).error
    problem = make(supernet=supernet)
    F = np.concatenate([problem.evaluate(X[:6]), problem.evaluate(X[6:])])
    whole = np.isfinite(problem.training_accuracy(X))
    assert (F[whole, 0] > supernet_error[whole]).all()  # as it does here
    for f in F[~whole]:
        assert (F[whole] <= f).all(axis=1).any()


def test_a_generation_of_which_none_is_promoted(make, chains, trained):
    supernet = FakeSupernet(chains, slope=0.01)
    problem = make(supernet=supernet)
    small = chains.encode("3x2:000:333")[None]
    problem.evaluate(small)
    F = problem.evaluate(chains.canonical(chains.sample(5, np.random.default_rng(0))))
    assert len(trained) == 1 and (F[:, 0] >= problem.evaluate(small)[0, 0]).all()


def test_short_trainings_keep_no_weights(make, chains, tmp_path):
    problem = make(config=replace(CONFIG, epochs=2, promotion=(1,)), folder=tmp_path)
    problem.evaluate(chains.canonical(chains.sample(6, np.random.default_rng(2))))
    short = [p.name.removesuffix(".safetensors") for p in tmp_path.glob("*-e1-*")]
    assert short and not any(problem.store.weights(key) for key in short)


@pytest.mark.parametrize("given", ["promotion", "supernet"])
@pytest.mark.parametrize("cut", [0, 3, 5, 8])
def test_a_problem_that_remembers_decides_as_the_one_that_scored(
    make, chains, tmp_path, given, cut
):
    """After a crash the journal's values are handed over; what follows must not depend on it."""
    rungs = {
        "promotion": {"config": replace(CONFIG, epochs=2, promotion=(1,))},
        "supernet": {"supernet": FakeSupernet(chains)},
    }[given]
    X = chains.canonical(chains.sample(16, np.random.default_rng(5)))
    X = X[np.sort(np.unique([chains.decode(x) for x in X], return_index=True)[1])]
    assert len(X) >= 14
    whole = make(folder=tmp_path / "whole", **rungs)
    F = np.concatenate([whole.evaluate(part) for part in (X[:5], X[5:10], X[10:])])
    before = make(folder=tmp_path / "cut", **rungs)
    done = [before.evaluate(part) for part in (X[:5], X[5:10])][: 1 + (cut >= 5)]
    known = np.concatenate(done)[:cut] if cut else np.empty((0, 2))
    after = make(folder=tmp_path / "cut", **rungs)
    if cut:
        after.remember(X[:cut], known)
    parts = [X[cut:5], X[5:10], X[10:]] if cut < 5 else [X[cut:10], X[10:]]
    rest = [after.evaluate(part) for part in parts if len(part)]
    assert np.concatenate([known, *rest]).tolist() == F.tolist()
    kept = [
        sorted(
            key.stem for key in problem.store.folder.iterdir() if problem.store.weights(key.stem)
        )
        for problem in (whole, after)
    ]
    assert kept[0] == kept[1]


# -- stopping and failing -----------------------------------------------------------------------


def test_a_stop_keeps_what_has_ended(make, X, trained, tmp_path):
    problem = make(folder=tmp_path, config=replace(CONFIG, at_once=1))
    told = []
    problem.on_training = told.append
    problem.stop = lambda: len(told) >= 2
    with pytest.raises(EvaluationStopped):
        problem.evaluate(X)
    assert len(trained) == 2 == len(told) and problem.evaluated == 0
    assert [t.network for t in told] == [problem.space.decode(x) for x in X[:2]]
    before = files(tmp_path)
    assert len(before) == 2
    problem.stop = lambda: False
    F = problem.evaluate(X)
    assert len(trained) == 4 and problem.evaluated == 4
    assert F.tolist() == make().evaluate(X).tolist()
    assert torch.get_num_threads() == 1


def test_a_consumer_that_fails_loses_nothing_that_was_kept(make, X, trained, tmp_path):
    problem = make(folder=tmp_path)

    def interrupted(record):
        raise KeyboardInterrupt

    problem.on_training = interrupted
    with pytest.raises(KeyboardInterrupt):
        problem.evaluate(X)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1 and torch.get_num_threads() == 1


def test_a_diverged_training_names_its_network(make, X):
    problem = make(config=replace(CONFIG, lr=1e30, clip_norm=0.0, at_once=1))
    with pytest.raises(
        TrainingDiverged, match="^plain:3x2:000:333: .* give a smaller --scratch.lr"
    ):
        problem.evaluate(X)


def test_one_that_diverges_counts_as_a_guess(make, X, monkeypatch, tmp_path):
    real = training.train_network

    def train(network, data, config, **settings):
        if sum(p.numel() for p in network.parameters()) == smallest:
            raise TrainingDiverged("no number")
        return real(network, data, config, **settings)

    problem = make(folder=tmp_path)
    smallest = problem.space.params(X).min()
    assert (problem.space.params(X) == smallest).sum() == 1
    monkeypatch.setattr(training, "train_network", train)
    told = []
    problem.on_training = told.append
    F = problem.evaluate(X)
    row = int(F[:, 1].argmin())
    assert F[row, 0] == 90.0 and (np.delete(F[:, 0], row) != 90.0).all()
    assert [t.diverged for t in told].count(True) == 1 and len(told) == 4
    name = problem.space.decode(X[row])
    assert problem.is_lost(name, 1) and not problem.has_weights(name, 1)
    with pytest.raises(InputError, match="no weights of"):
        problem.network(X[row])
    # It is kept as any other, and not tried again.
    again = make(folder=tmp_path)
    again.on_training = told.append
    assert again.evaluate(X).tolist() == F.tolist() and len(told) == 4
    # Where none has ever gone well, the settings are wrong.
    with pytest.raises(TrainingDiverged, match=f"^{name}: no number"):
        make().evaluate(X[[row]])


# -- as pymoo sees it -----------------------------------------------------------------------------


def test_pymoo_minimises_it(make, trained):
    problem = make()
    results = [
        minimize(p, get_algorithm("nsga2", p, pop_size=6), ("n_eval", 18), seed=2)
        for p in (problem, problem, make())
    ]
    assert problem.evaluated == 18 and len(trained) == 36
    assert results[0].F.tolist() == results[1].F.tolist() == results[2].F.tolist()


def test_a_copy_shares_data_and_trainings(make, X, trained):
    problem = make()
    F = problem.evaluate(X[:2])
    other = copy.deepcopy(problem)
    assert other.data is problem.data and other.store is problem.store
    assert other.evaluate(X[:2]).tolist() == F.tolist() and len(trained) == 2
    other.evaluate(X[2:])
    assert problem.evaluated == 2 and other.evaluated == 4
    problem.evaluate(X)
    assert len(trained) == 4


def test_true_rank_search_goes_through_it(make):
    problem = make()
    done = minimize(problem, get_algorithm("true-rank", problem), seed=1).algorithm
    assert len(done.decisions) == problem.evaluated and done.architecture is not None
    correct = 100 - problem.evaluate(done.architecture[None])[0, 0]
    kept = [d for d in done.decisions if d.outcome == "kept"]
    assert kept[-1].correct == round(correct)


@pytest.mark.parametrize("given", ["promotion", "supernet"])
def test_true_rank_compares_equally_trained_networks_only(make, chains, given):
    settings = {
        "promotion": {"config": replace(CONFIG, epochs=2, promotion=(1,))},
        "supernet": {"supernet": FakeSupernet(chains)},
    }[given]
    with pytest.raises(InputError, match="trained equally long; leave --scratch.promotion out"):
        get_algorithm("true-rank", make(**settings))


# -- from the registry ----------------------------------------------------------------------------


def test_a_space_without_supernet_is_trained_from_scratch(tmp_path):
    problem = get_problem("digits-params", space="plain", folder=tmp_path)
    assert isinstance(problem, ScratchProblem) and problem.store.folder == tmp_path
    assert problem.space.depths == (3, 4, 5, 6) and problem.config.recipe == "fast"
    given = ScratchConfig(epochs=3, recipe="trg")
    problem = get_problem(
        "digits-macs", "plain", scratch=given, settings={"width": (2, 4)}, seed=5,
        constraints=["params<=5000"], train_images=300, validation_images=200,
    )  # fmt: skip
    assert problem.space.widths == (2, 3, 4) and problem.objectives == ("error", "macs")
    assert (problem.config.epochs, problem.config.recipe, problem.seed) == (3, "trg", 5)
    assert (len(problem.data.train), problem.evaluation_images) == (300, 200)


def test_any_space_can_be_trained_from_scratch():
    problem = get_problem("digits-params", scratch=True)
    assert isinstance(problem, ScratchProblem) and problem.space.name == "tiny"
    assert isinstance(get_problem("digits-params"), SupernetProblem)
    config = ScratchConfig(epochs=1)
    small = get_problem("digits-params", scratch=config, train_images=200, validation_images=50)
    assert small.evaluate(small.space.sample(1, np.random.default_rng(0))).shape == (1, 2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"space": "plain", "width": 1.0}, "the space 'plain' has no supernet.*leave width out"),
        ({"space": "plain", "supernet": "x"}, "has no supernet.*leave supernet out"),
        ({"scratch": True, "width": 1.0}, "not scored by shared weights here.*leave width out"),
        ({"folder": "x"}, "no trainings that a folder could keep; give scratch=True"),
        ({"space": get_space("plain"), "settings": {"depth": (3, 4)}}, "is made already; give its"),
        ({"space": "plain", "settings": {"hight": (3, 4)}}, "no setting 'hight'; it has"),
        ({"settings": {"depth": (3, 4)}}, "'tiny' has no setting 'depth'; it has none"),
        ({"space": get_space("plain")}, "made for 10 classes and images of shape .3, 32, 32."),
        ({"space": "plain", "scratch": ScratchConfig(batch_size=2000)}, "a batch of 2000 images"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_one_line(given, told):
    with pytest.raises(InputError, match=told) as error:
        get_problem("digits-params", **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [{"scratch": True}, {"folder": "x"}, {"settings": {"a": (1,)}}])
def test_a_table_trains_nothing(given):
    with pytest.raises(InputError, match="a table of measured networks and trains none; leave"):
        get_problem("nasbench-macro-params", **given)


def test_a_supernet_that_does_not_fit_is_refused(make, chains, few_digits):
    with pytest.raises(InputError, match="the supernet is not trained"):
        make(supernet=FakeSupernet(chains, trained=False))
    other = get_space("tiny", 10, (1, 8, 8))
    with pytest.raises(InputError, match="one of the space 'plain', not of 'tiny'"):
        make(other, supernet=FakeSupernet(chains))
    allowed = chains.allowed.copy()
    allowed[1, 0] = False
    with pytest.raises(InputError, match="the supernet was pruned"):
        make(supernet=FakeSupernet(chains.restrict(allowed)))
