import json

import numpy as np
import pytest

from evonas.config import RunConfig, TrainingConfig, differences, from_dict, load, seconds, to_dict
from evonas.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("45", 45),
        (30, 30),
    ],
)
def test_lengths_of_time(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "ten", "10x", "m", "-5m", "0s", "5m later"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(InputError, match="write it like 90s, 10m or 2h"):
        seconds(text)


def test_round_trip_through_json(tmp_path):
    config = RunConfig(
        problem="cifar10-params",
        constraint=("params<=5e5", "macs<=1e7"),
        training=TrainingConfig(steps=7, lr=0.25),
        width=1,
    )
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"settings": to_dict(config), "versions": {}}))
    assert load(path) == config
    path.write_text(json.dumps(to_dict(config)))
    assert load(path) == config


def test_left_out_settings_keep_their_default():
    assert from_dict(RunConfig, {"seed": 3}) == RunConfig(seed=3)


def test_differences_have_dotted_names():
    old = RunConfig(seed=1, training=TrainingConfig(lr=0.1))
    new = RunConfig(seed=2, training=TrainingConfig(lr=0.2))
    assert differences(old, new) == {"seed": (1, 2), "training.lr": (0.1, 0.2)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "unknown setting 'sed'; did you mean seed"),
        ({"seed": "one"}, "'seed' is 'one'; it must be of type int"),
        ({"training": 3}, "must be a group of settings"),
        ({"training": {"lr": "big"}}, "'lr' is 'big'"),
        ({"seed": True}, "'seed' is True"),
        ({"evaluations": 0}, "evaluations is 0; give a number of at least 1"),
        ({"constraint": "params<=5"}, "'constraint' is 'params<=5'"),
        ({"training": {"momentum": 1.0}}, "training.momentum is 1.0"),
        ({"training": {"lr": 0}}, "training.lr is 0"),
        ({"budget": "soon"}, "'soon' is no length of time"),
        ({"width": -1}, "width is -1"),
    ],
)
def test_wrong_settings_are_one_line(values, message):
    with pytest.raises(InputError, match=message) as error:
        from_dict(RunConfig, values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 3}'])
def test_a_broken_file(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match="name the config.json of a run"):
        load(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        load(tmp_path / "config.json")


def test_python_may_give_numpys_numbers_and_paths(tmp_path):
    config = RunConfig(
        evaluations=np.int64(40), width=np.float32(0.5), runs=tmp_path, constraint="params<=3"
    )
    assert type(config.evaluations) is int and type(config.width) is float
    assert config.runs == str(tmp_path) and config.constraint == ("params<=3",)
    assert from_dict(RunConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"evaluations": 40.5}, "'evaluations' is 40.5; it must be of type int"),
        ({"evaluations": "40"}, "'evaluations' is '40'"),
        ({"seed": "a"}, "'seed' is 'a'"),
        ({"seed": None}, "'seed' is None"),
        ({"training": {"steps": 3}}, "training is .*; give a TrainingConfig"),
        ({"threads": 100_000}, "threads is 100000; give at most 1024"),
    ],
)
def test_wrong_types_are_refused_at_once(arguments, message):
    with pytest.raises(InputError, match=message):
        RunConfig(**arguments)
    with pytest.raises(InputError, match="'training.steps' is 5.5"):
        TrainingConfig(steps=5.5)
