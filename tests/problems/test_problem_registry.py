import numpy as np
import pytest
from pymoo.optimize import minimize

from evonas.data import from_tensors, list_data
from evonas.errors import InputError
from evonas.problems import SupernetProblem, get_problem, list_problems
from evonas.problems.defaults import defaults_for
from evonas.problems.published import TABLES
from evonas.problems.registry import split_name
from evonas.search import get_algorithm
from evonas.spaces import get_space, list_spaces


def test_names_are_data_and_cost():
    assert {"cifar10-params", "cifar10-macs", "cifar10-params-macs"} <= set(list_problems())
    assert len(list_problems()) == 3 * (len(list_data()) + len(TABLES))
    assert split_name("fashion-mnist-params-macs") == ("fashion-mnist", ("error", "params", "macs"))


@pytest.mark.parametrize("data", list_data())
@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_defaults_are_complete(data, kind):
    defaults = defaults_for(data, kind)
    assert defaults.space in list_spaces() and defaults.evaluations and defaults.width
    # Which precision is faster depends on the processor.
    left_open = [name for name, value in vars(defaults.training).items() if value is None]
    assert left_open == ["precision"]


@pytest.mark.parametrize("name", ["cifar-params", "cifar10", "cifar10-parms", ""])
def test_unknown_names_give_the_nearest(name):
    with pytest.raises(InputError, match="unknown problem '.*'; (did you mean|choose one of)"):
        get_problem(name)


def test_evaluating_before_training_names_both_ways():
    problem = get_problem("digits-params")
    with pytest.raises(InputError, match=r"problem.train\('2m'\).*supernet="):
        problem.evaluate(problem.space.sample(1, np.random.default_rng(0)))


def test_train_then_search_and_reuse_the_supernet(tmp_path):
    problem = get_problem("digits-params")
    supernet = problem.train(steps=60, seed=1)
    assert supernet.trained_steps == 60
    result = minimize(problem, get_algorithm("nsga2", problem), ("n_eval", 40), seed=1)
    assert result.F.shape[1] == 2 and problem.evaluated == 40
    supernet.save(tmp_path / "supernet" / "weights.safetensors")
    for given in (supernet, tmp_path):
        other = get_problem("digits-macs", supernet=given, constraints=["params<=9000"])
        X = problem.space.sample(3, np.random.default_rng(0))
        kept = other.feasible(X)
        error = [p.evaluate(X, return_values_of=["F"])[kept, 0] for p in (other, problem)]
        assert np.array_equal(*error)


def test_a_budget_becomes_a_number_of_steps():
    problem = get_problem("digits-params")
    # In batches of which even a busy machine makes twenty.
    assert problem.train("4s", batch_size=32).trained_steps >= 20
    with pytest.raises(InputError, match="too small to train anything"):
        problem.train(0.01)


def test_training_settings_are_checked():
    problem = get_problem("digits-params")
    with pytest.raises(InputError, match="fields of TrainingConfig"):
        problem.train(stepps=3)


@pytest.mark.parametrize("scratch", ["trg", {"epochs": 1}, 5])
def test_settings_of_trainings_are_no_other_type(scratch):
    with pytest.raises(InputError, match="give a ScratchConfig"):
        get_problem("digits-params", "plain", scratch=scratch)


def test_settings_of_a_space_have_its_names():
    with pytest.raises(InputError, match="no setting 'input_shape'; it has depth, width"):
        get_problem("digits-params", "plain", settings={"input_shape": (1, 8, 8)})


def test_a_supernet_of_another_space_is_refused(tmp_path):
    problem = get_problem("digits-params")
    supernet = problem.train(steps=1)
    with pytest.raises(InputError, match="one of the space 'tiny'.*not of 'macro'"):
        get_problem("digits-params", "macro", supernet=supernet)


def test_another_supernet_forgets_what_was_evaluated():
    problem = get_problem("digits-params")
    problem.train(steps=20, seed=1)
    X = problem.space.sample(4, np.random.default_rng(0))
    first = problem.evaluate(X)
    other = get_problem("digits-params").train(steps=40, seed=2)
    problem.supernet = other
    assert problem.evaluate(X)[:, 0].tolist() == other.evaluate(X).error.tolist()
    assert (problem.evaluate(X)[:, 0] != first[:, 0]).any()


def test_a_restricted_space_is_scored_by_the_supernet_of_its_base():
    whole = get_problem("digits-params")
    supernet = whole.train(steps=20)
    allowed = whole.space.allowed.copy()
    allowed[:, 0] = False
    part = get_problem("digits-params", whole.space.restrict(allowed), supernet=supernet)
    X = part.space.sample(6, np.random.default_rng(0))
    lifted = part.space.lift(X)
    assert part.evaluate(X).tolist() == whole.evaluate(lifted).tolist()
    assert (lifted != X).any()


def test_a_users_own_tensors_have_training_defaults():
    rng = np.random.default_rng(0)
    data = from_tensors(rng.integers(0, 256, (600, 1, 8, 8), dtype=np.uint8), np.arange(600) % 3)
    space = get_space("tiny", num_classes=3, input_shape=(1, 8, 8))
    problem = SupernetProblem(space, data)
    problem.train(steps=3)
    assert problem.evaluate(space.sample(2, rng)).shape == (2, 2)


def test_a_folder_is_validated_on_the_share_that_it_sets_aside(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for i in range(50):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    problem = get_problem("folder-params", data_dir=tmp_path)
    assert (len(problem.data.train), len(problem.data.validation)) == (72, 13)
