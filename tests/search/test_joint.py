"""`JointLearning`: whose turn it is, what is trained, what is learnt, and going on exactly."""

from dataclasses import replace

import numpy as np
import pytest

from evonas.data import get_data
from evonas.errors import InputError
from evonas.problems import SupernetProblem
from evonas.problems.defaults import defaults_for
from evonas.search import JointLearning, MultiDistributionSearch
from evonas.search.joint import check_turns
from evonas.spaces import get_space
from evonas.supernet import Supernet

STEPS = 60
CONFIG = replace(defaults_for("digits", "cpu").training, steps=STEPS, batch_size=64)


@pytest.fixture(scope="module")
def data():
    return get_data("digits")


@pytest.fixture
def parts(data):
    """A problem and untrained weights of its own."""
    space = get_space("tiny", num_classes=data.num_classes, input_shape=data.input_shape)

    def make(**settings):
        problem = SupernetProblem(space, data, **settings)
        return problem, Supernet(space, data, seed=1)

    return make


def joint_of(problem, supernet, config=CONFIG, **settings):
    return JointLearning(problem, supernet, config, **{"weight_steps": 4} | settings)


def trained(joint, config=CONFIG, **settings):
    joint.supernet.train(config, seed=1, paths=joint, companion=joint, **settings)
    return joint


def test_weights_and_distributions_move_in_turn(parts):
    joint = trained(joint_of(*parts()))
    assert [row["training_step"] for row in joint.history] == list(range(40, 61, 4))
    # 16 samples each time, and both ends of the cost the first time; equal ones count once
    networks = [row["networks"] for row in joint.history]
    assert 14 <= networks[0] <= 18 and all(8 <= more <= 16 for more in np.diff(networks))
    assert joint.networks == networks[-1] and all(row["loss"] > 0 for row in joint.history)
    entropies = [joint.history[-1][f"entropy_{m}"] for m in range(1, 9)]
    np.testing.assert_allclose(entropies, joint.distributions.entropy(), atol=1e-6)
    assert joint.moments[0][0] == 0 and joint.moments[-1][0] == 60
    assert joint.coefficients.shape == (8,) and (np.diff(joint.coefficients) > 0).all()


def test_uniform_paths_first_then_the_mixture_of_all(parts):
    """In the textbook's share of steps: all."""
    problem, supernet = parts()
    first, second = [0] * 6, [1, 3, 2, 1, 2, 3]
    P = np.zeros((2, 6, 4))
    for m, genome in enumerate((first, second)):
        P[m, np.arange(6), genome] = 1.0
    joint = joint_of(problem, supernet, distributions=2, probabilities=P, mixture=1.0)
    random_state = np.random.default_rng(0)
    drawn = {tuple(x) for _ in range(20) for x in joint.sample(supernet.space, random_state)}
    assert len(drawn) > 20
    joint._trained = 36
    drawn = [tuple(x) for _ in range(50) for x in joint.sample(supernet.space, random_state)]
    assert len(drawn) == 200 and set(drawn) == {tuple(first), tuple(second)}
    assert 60 < drawn.count(tuple(first)) < 140


@pytest.mark.parametrize(
    ("mixture", "expected"),
    [(0.0, [False] * 8), (0.25, [False, False, False, True] * 2), (0.5, [False, True] * 4)],
)
def test_a_share_of_the_steps_trains_the_mixture(parts, mixture, expected):
    problem, supernet = parts()
    P = np.zeros((1, 6, 4))
    P[:, :, 0] = 1.0
    joint = joint_of(problem, supernet, distributions=1, probabilities=P, mixture=mixture)
    random_state = np.random.default_rng(0)
    of_mixture = []
    for joint._trained in range(36, 44):
        of_mixture.append(not joint.sample(supernet.space, random_state).any())
    assert of_mixture == expected


def test_what_is_learnt_is_the_mean_over_the_last_half(parts):
    joint = trained(joint_of(*parts()))
    late = [p for step, p in joint.moments if step >= 52]
    assert len(late) == 3
    np.testing.assert_allclose(joint.probabilities, np.mean(late, axis=0), atol=1e-6)
    np.testing.assert_allclose(joint.probabilities.sum(axis=2), 1)


def test_samples_are_scored_at_the_size_of_the_training_images(parts, monkeypatch):
    problem, supernet = parts()
    asked = []
    score = supernet.evaluate

    def evaluate(X, **settings):
        asked.append((settings["batches"], settings["half_resolution"], len(X)))
        return score(X, **settings)

    monkeypatch.setattr(supernet, "evaluate", evaluate)
    config = replace(CONFIG, half_resolution=50 / 60)
    trained(joint_of(problem, supernet, config), config)
    assert [half for _, half, _ in asked] == [True, True, True, False, False, False]
    # the range of the loss is measured at the beginning, and at the new size
    assert [size for _, _, size in asked] == [18, 16, 16, 18, 16, 16]
    assert [batch for batch, _, _ in asked] == [[i % supernet.validation_batches] for i in range(6)]


def test_limits_hold_for_what_is_trained_and_scored(parts, monkeypatch):
    problem, supernet = parts(constraints=["params<=1500"])
    seen = []
    score = supernet.evaluate

    def evaluate(X, **settings):
        seen.append(X)
        return score(X, **settings)

    monkeypatch.setattr(supernet, "evaluate", evaluate)
    joint = joint_of(problem, supernet, mixture=1.0)
    trained(joint)
    assert problem.feasible(np.concatenate(seen)).all()
    for _ in range(20):
        assert problem.feasible(joint.sample(problem.space, np.random.default_rng(1))).all()


def test_a_resumed_training_ends_as_an_unbroken_one(parts, tmp_path):
    whole = trained(joint_of(*parts()))
    path = tmp_path / "training.safetensors"
    problem, supernet = parts()
    broken = joint_of(problem, supernet)
    trainer = supernet.trainer(CONFIG, seed=1, paths=broken, companion=broken, checkpoint=path)
    trainer.train(stop=lambda: trainer.step >= 47)  # within an epoch: goes on from its start
    again = trained(joint_of(*parts()), checkpoint=path)
    assert again.history == whole.history
    np.testing.assert_array_equal(again.probabilities, whole.probabilities)
    for name, value in whole.supernet.network.state_dict().items():
        assert (again.supernet.network.state_dict()[name] == value).all()


def test_what_was_learnt_is_evaluated_without_learning_more(parts):
    joint = trained(joint_of(*parts()))
    problem, problem.supernet = joint.problem, joint.supernet
    algorithm = MultiDistributionSearch(probabilities=joint.probabilities, learning=False)
    algorithm.setup(problem, termination=("n_eval", 40), seed=1)
    algorithm.next()
    likeliest = problem.canonical(joint.probabilities.argmax(axis=2))
    first = problem.canonical(np.asarray(algorithm.pop.get("X"), int))
    assert {tuple(x) for x in first} >= {tuple(x) for x in likeliest}
    np.testing.assert_array_equal(problem.canonical(algorithm.architectures), likeliest)
    while algorithm.has_next():
        algorithm.next()
        assert not algorithm.search_details()
    np.testing.assert_allclose(algorithm.distributions.probabilities, joint.probabilities)
    assert algorithm.evaluator.n_eval == 40


def test_a_checkpoint_of_other_distributions_is_refused(parts, tmp_path):
    path = tmp_path / "training.safetensors"
    trained(joint_of(*parts()), checkpoint=path)
    with pytest.raises(InputError, match="learning with weight_steps = 4, not 2"):
        trained(joint_of(*parts(), weight_steps=2), checkpoint=path)
    with pytest.raises(InputError, match="learning with distributions = 8, not 3"):
        trained(joint_of(*parts(), distributions=3), checkpoint=path)


def test_three_objectives_and_a_loss(parts):
    joint = trained(joint_of(*parts(objectives=("loss", "params", "macs"))))
    assert joint.coefficients.shape == (8, 3)


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"weight_steps": 0}, "weight_steps is 0"),
        ({"weight_steps": 20}, "60 training steps leave distributions 1 of their own with 20"),
        ({"warm_up": 1.0}, "warm_up is 1.0"),
        ({"mixture": 1.5}, "mixture is 1.5"),
        ({"distributions": 2, "probabilities": np.ones((2, 3, 4))}, "this problem's"),
        ({"samples_per_distribution": 1}, "samples_per_distribution=1"),
        ({"coefficients": [2.0, 1.0]}, "not sorted"),
        ({"sample": 1}, "give settings of MultiDistributionSearch"),
        ({"config": replace(CONFIG, steps=None)}, "training.steps is not set"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(settings, told, parts):
    with pytest.raises(InputError, match=told):
        joint_of(*parts(), **settings)
    assert check_turns(60, 4) == 6
