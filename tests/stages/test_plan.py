import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from evonas.config import ClusterConfig, RunConfig, ScratchConfig, TrainingConfig, to_dict
from evonas.errors import InputError
from evonas.problems.defaults import defaults_for
from evonas.stages.plan import LEAST_STEPS, RACED, Timing, divide, fill, images_of_a_turn, plan
from evonas.stages.trainings import epochs_within, retrain_seconds
from evonas.training.schedule import HALF_STEP

ALL = frozenset({"steps", "evaluations", "validation_images"})
TIMING = Timing(step=0.1, image=1e-4)


@pytest.fixture
def config() -> RunConfig:
    return fill(RunConfig(problem="cifar10-params", device="cpu"))


def cost(config: RunConfig, timing: Timing = TIMING) -> float:
    train = 0 if config.supernet else config.training.steps * timing.step
    return train + config.evaluations * config.validation_images * timing.image


def test_open_settings_come_from_the_problem(config):
    defaults = defaults_for("cifar10", "cpu")
    assert config.space == defaults.space and config.evaluations == defaults.evaluations
    assert config.training == defaults.training and config.threads >= 1
    assert fill(config) == config


def test_what_the_user_says_is_kept():
    said = RunConfig(
        problem="cifar10-params",
        device="cpu",
        width=0.5,
        evaluations=77,
        training=TrainingConfig(lr=0.3, paths="uniform"),
    )
    filled = fill(said)
    assert (filled.width, filled.evaluations) == (0.5, 77)
    assert (filled.training.lr, filled.training.paths) == (0.3, "uniform")
    assert filled.training.steps == defaults_for("cifar10", "cpu").training.steps


@pytest.mark.parametrize("left", [60, 200, 600, 7200])
def test_a_budget_is_used_and_kept(config, left):
    planned = divide(left, TIMING, config, images=2000, free=ALL)
    assert 0.8 * left - 10 < cost(planned) < left
    assert planned.evaluations % planned.pop_size == 0
    assert planned.evaluations <= config.evaluations


def test_a_confident_race_counts_as_less(monkeypatch):
    from evonas.supernet import calibration

    monkeypatch.setattr(calibration, "time_step", lambda *args, **settings: 0.01)
    monkeypatch.setattr(calibration, "time_evaluation", lambda *args, **settings: 1e-4)
    images = []
    for racing in ("off", "exact", "confident"):
        config = RunConfig(problem="digits-params", device="cpu", racing=racing)
        timing = plan(config, measure=True).timing
        assert timing is not None
        images.append(timing.image)
    assert images == pytest.approx([1e-4, 1e-4, RACED * 1e-4])


@pytest.mark.parametrize("said", [None, "float32"])
def test_a_precision_is_measured_once_and_kept(monkeypatch, said):
    from evonas.supernet import calibration

    asked = []

    def measured(space, data, width, training):
        asked.append((space.name, training.steps))
        return 0.5

    monkeypatch.setattr(calibration, "computes_in_bfloat16", lambda: True)
    monkeypatch.setattr(calibration, "bfloat16_ratio", measured)
    training = TrainingConfig(steps=300, precision=said)
    settled = plan(RunConfig(problem="digits-params", device="cpu", training=training))
    assert settled.config.training.precision == (said or "bfloat16")
    assert settled.workspace.config == settled.config
    assert plan(settled.config).config == settled.config
    assert asked == ([] if said else [(settled.config.space, 300)])


def test_workers_with_gpus_train_by_their_own_recipe(data_dir):
    """Whatever the machine has that drives them."""
    given = RunConfig(
        problem="cifar10-params", data_dir=str(data_dir), ray="local", device="cpu",
        from_scratch=True,
    )  # fmt: skip
    alone, shared = (
        plan(replace(given, cluster=ClusterConfig(gpus=gpus))).config for gpus in (0, 0.5)
    )
    assert (alone.scratch.epochs, alone.scratch.batch_size) == (8, 128)
    assert (shared.scratch.epochs, shared.scratch.batch_size, shared.device) == (60, 512, "cpu")
    assert (alone.validation_images, shared.validation_images) == (4000, 5000)
    plain = plan(replace(given, space="plain", cluster=ClusterConfig(gpus=1)))
    assert plain.config.space_settings == ("depth=10,20", "width=16,72,4")
    assert plain.workspace.problem.space.depths == tuple(range(10, 21))
    assert len(plain.workspace.problem.data.validation) == 5000
    assert shared.cluster.cpus == alone.cluster.cpus
    assert plan(shared).config == shared
    together = ClusterConfig(gpus=1, training_workers=2)
    weights = plan(replace(given, from_scratch=False, cluster=together), measure=True)
    assert weights.config.width == 1 and weights.config.training.precision == "bfloat16"
    assert not weights.expected  # the machine that drives them cannot tell
    scored = fill(replace(given, from_scratch=False, cluster=ClusterConfig(gpus=1)))
    assert scored.width == 0.25  # trained here
    retrained = RunConfig(
        problem="digits-params", ray="local", device="cpu", cluster=ClusterConfig(gpus=1),
        budget="60s", retrain=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="--budget measures this machine, and workers"):
        plan(retrained)


def test_another_device_goes_on_in_its_own_precision(tmp_path, config):
    from evonas.run import _resumed

    training = replace(config.training, precision="bfloat16")
    folder = SimpleNamespace(config=tmp_path / "config.json", path=tmp_path)
    for device, expected in (("cuda:1", None), ("cpu", "bfloat16")):
        stored = replace(config, device=device, training=training)
        folder.config.write_text(json.dumps(to_dict(stored)))
        resumed = _resumed(folder, RunConfig(problem=config.problem, device="cpu"))
        assert (resumed.device, resumed.training.precision) == ("cpu", expected)


def test_a_short_search_leaves_its_time_to_the_training(config):
    few = divide(600, TIMING, replace(config, evaluations=20), images=2000, free={"steps"})
    many = divide(600, TIMING, config, images=2000, free=ALL)
    assert few.evaluations == 20 and few.training.steps > many.training.steps


def test_what_is_fixed_stays(config):
    given = replace(config, training=replace(config.training, steps=1000))
    planned = divide(600, TIMING, given, images=2000, free=ALL - {"steps"})
    assert planned.training.steps == 1000 and cost(planned) < 600


def test_a_search_of_a_trained_supernet_takes_all_the_time(config):
    planned = divide(
        600,
        TIMING,
        replace(config, supernet="other"),
        images=2000,
        free=ALL - {"validation_images"},
    )
    assert planned.evaluations > config.evaluations
    assert 500 < planned.evaluations * 2000 * TIMING.image < 600


@pytest.mark.parametrize("left", [-5, 0, 5, 8])
def test_too_small_a_budget_says_what_is_enough(config, left):
    config = replace(config, budget="8s")
    with pytest.raises(InputError, match=r"a budget of 8s is too small .* at least (\d+)s"):
        divide(left, TIMING, config, images=2000, free=ALL)


def test_the_budget_named_as_enough_is_enough(config):
    config = replace(config, budget="1s")
    with pytest.raises(InputError) as error:
        divide(1, TIMING, config, images=2000, free=ALL)
    enough = float(str(error.value).rsplit(" ", 1)[1].rstrip("s"))
    planned = divide(enough, TIMING, config, images=2000, free=ALL)
    assert planned.training.steps >= LEAST_STEPS


def test_distributions_are_settled_or_refused(data_dir):
    def table(**settings):
        return RunConfig(problem="nasbench-macro-params", data_dir=str(data_dir), **settings)

    many = plan(table(algorithm="multi-distribution"))
    assert many.config.distributions == 8 and many.config.evaluations == 500
    assert plan(table()).config.distributions is None
    with pytest.raises(InputError, match="'nsga2' has no distributions"):
        plan(table(algorithm="nsga2", distributions=4))
    with pytest.raises(InputError, match="--evaluations 24 or more"):
        plan(table(algorithm="multi-distribution", evaluations=23))
    plan(table(algorithm="multi-distribution", evaluations=24))


JOINT = {
    "problem": "digits-params",
    "algorithm": "multi-distribution",
    "joint": True,
    "threads": 1,
}


def test_a_joint_search_is_settled():
    few = plan(RunConfig(**JOINT, distributions=4)).config
    assert (few.distributions, few.weight_steps, few.evaluations) == (4, 16, 64)
    assert fill(few) == few
    more = plan(RunConfig(**JOINT, weight_steps=2, evaluations=50)).config
    assert (more.distributions, more.weight_steps, more.evaluations) == (8, 2, 50)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"joint": True, "algorithm": "nsga2"}, "'nsga2' has nothing to learn jointly"),
        ({"joint": True, "algorithm": "screened"}, "give --algorithm multi-distribution"),
        ({"joint": False}, "--weight-steps is of a joint search"),
        ({"supernet": "somewhere"}, "--joint trains weights of its own"),
        ({"weight_steps": 900}, "leave distributions 0 of their own with 900 to each"),
        ({"evaluations": 7}, "7 evaluations are too few for 8 distributions; give --evaluations 8"),
        ({"problem": "nasbench-macro-params"}, "trains none; leave --joint out"),
    ],
)
def test_what_no_joint_search_can_be_is_refused(settings, told, data_dir):
    with pytest.raises(InputError, match=told):
        plan(RunConfig(**JOINT | {"weight_steps": 16, "data_dir": str(data_dir)} | settings))


def test_a_budget_counts_what_distributions_score():
    jointly = plan(RunConfig(**JOINT, weight_steps=1, budget="60s"))
    assert jointly.config.evaluations >= 8 and set(jointly.expected) == {"joint", "search"}
    # a batch of 125 images after each step of the last 40 % of the training
    assert images_of_a_turn(jointly.workspace) == pytest.approx(0.4 * 117, rel=0.1)
    training = replace(jointly.config.training, half_resolution=0.8)
    jointly.workspace.config = replace(jointly.config, training=training, weight_steps=4)
    batch = images_of_a_turn(jointly.workspace) * 4 / (0.2 * HALF_STEP + 0.2)
    assert 100 < batch <= 125
    with pytest.raises(InputError, match="leave distributions 0|too small"):
        plan(RunConfig(**JOINT, weight_steps=10**6, budget="60s"))


def test_scores_of_choices_take_time_beside_training_and_search(config):
    plain = divide(600, TIMING, config, images=2000, free=ALL)
    beside = divide(600, TIMING, config, images=2000, free=ALL, beside=100)
    shorter = divide(500, TIMING, config, images=2000, free=ALL)
    assert beside.training.steps < plain.training.steps
    assert abs(cost(beside) - cost(shorter)) < 0.03 * cost(shorter)


def test_a_dry_run_tells_of_all_stages():
    said = RunConfig(
        problem="digits-params", device="cpu", prune="global", mutation="saliency",
        saliency="exact",
    )  # fmt: skip
    expected = plan(said, measure=True).expected
    assert list(expected) == ["pruning", "saliency", "search"]
    assert min(expected.values()) > 0


def test_a_resolution_of_no_table_is_refused():
    with pytest.raises(InputError, match="with --saliency-half-resolution, or leave it out"):
        plan(RunConfig(problem="digits-params", saliency_half_resolution=True))


RETRAINED = {"problem": "digits-params", "retrain": 10, "threads": 1}


def test_a_budget_counts_what_is_retrained():
    planned = plan(RunConfig(**RETRAINED, budget="20s"))
    recipe = plan(RunConfig(**RETRAINED)).config.scratch
    assert 1 <= planned.config.scratch.epochs < recipe.epochs
    assert planned.config.scratch == replace(recipe, epochs=planned.config.scratch.epochs)
    assert list(planned.expected) == ["supernet", "search", "retrain"]
    assert 0 < planned.expected["retrain"] < 0.4 * 20
    assert sum(planned.expected.values()) < 20
    long = plan(RunConfig(**RETRAINED, budget="1h")).config
    assert long.scratch == recipe
    # what was said stays, and takes its time from the others
    said = plan(RunConfig(**RETRAINED, budget="60s", scratch=ScratchConfig(epochs=20)))
    assert said.config.scratch.epochs == 20 and sum(said.expected.values()) < 60
    too_small = r"a budget of 20s is too small .*, and to retrain 10 members .* at least \d\d+s"
    with pytest.raises(InputError, match=too_small):
        plan(RunConfig(**RETRAINED, budget="20s", scratch=ScratchConfig(epochs=999)))


def test_a_budget_decides_epochs_where_all_else_is_said():
    training = TrainingConfig(steps=20)
    given = {"evaluations": 20, "validation_images": 100, "training": training}
    planned = plan(RunConfig(**RETRAINED, **given, budget="20s")).config
    assert (planned.evaluations, planned.training.steps) == (20, 20)
    assert 1 <= planned.scratch.epochs < 15


def test_seconds_of_what_is_retrained():
    config = RunConfig(retrain=5, scratch=ScratchConfig(epochs=2, seeds=3, at_once=4))
    # 15 trainings in 4 rounds of 4, each with a look at the test images
    assert retrain_seconds(config, 10.0) == pytest.approx(160.0 * (1 + 1 / 30))
    assert retrain_seconds(replace(config, retrain=None), 10.0) == 0.0
    fewer, training = epochs_within(config, 10.0, left=300.0)
    assert (fewer.scratch.epochs, training) == (1, 5.0)
    assert epochs_within(config, 10.0, left=3000.0) == (config, 10.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"racing": "exat"}, "did you mean exact"),
        ({"racing": "exact", "problem": "nasbench-macro-params"}, "leave --racing out"),
        ({"racing": "confident", "from_scratch": True}, "leave --racing out"),
        ({"racing": "confident", "space": "plain"}, "leave --racing out"),
    ],
)
def test_races_of_what_is_not_scored_by_shared_weights_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        fill(RunConfig(**settings))


def test_no_races_where_nothing_is_said():
    assert fill(RunConfig()).racing == "off"
