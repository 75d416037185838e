import time
from dataclasses import replace

import pytest

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet import Supernet, calibration
from evonas.supernet.calibration import (
    bfloat16_ratio,
    settle_precision,
    steps_within,
    time_evaluation,
    time_step,
)

CONFIG = TrainingConfig(batch_size=16, lr=0.1, weight_decay=0.0, label_smoothing=0.0)


@pytest.fixture(scope="module")
def supernet(random_images):
    return Supernet(get_space("tiny", num_classes=10, input_shape=(3, 32, 32)), random_images)


def shape_of(supernet):
    return supernet.space, supernet.data, supernet.width


@pytest.mark.parametrize(("share", "expected"), [(None, 4.0), (0.75, 0.75 * 1 + 0.25 * 4), (1, 1)])
def test_a_step_is_timed_at_both_sizes_of_image(supernet, monkeypatch, share, expected):
    def timed(trainer, batches, device):
        return 1, 1.0 if trainer.half_steps else 4.0

    monkeypatch.setattr(calibration, "_timed", timed)
    config = TrainingConfig(**{**vars(CONFIG), "half_resolution": share})
    assert time_step(supernet, config) == pytest.approx(expected)


def test_timing_leaves_the_supernet_alone(supernet):
    before = {k: v.clone() for k, v in supernet.network.state_dict().items()}
    assert time_step(supernet, CONFIG, steps=2) > 0
    assert 0 < time_evaluation(supernet, networks=3) < 1
    assert bfloat16_ratio(*shape_of(supernet), CONFIG, pairs=1) > 0
    assert not supernet.trained
    assert all((before[k] == v).all() for k, v in supernet.network.state_dict().items())


def test_a_search_that_keeps_activations_takes_less(supernet, monkeypatch):
    blocks = []  # that ran
    ops = [op for layer in supernet.network.layers for op in layer]
    hooks = [op.register_forward_hook(lambda *args: blocks.append(1)) for op in ops]
    monkeypatch.setattr(
        calibration,
        "_validating",
        lambda given, batches: given,  # hooks and all
    )
    taken = {}
    for memory in (1.0, 2e9):
        blocks.clear()
        assert 0 < time_evaluation(supernet, networks=8, memory=memory) < 1
        taken[memory] = len(blocks)
    for hook in hooks:
        hook.remove()
    assert taken[2e9] < 0.8 * taken[1.0]


def test_steps_that_fit(supernet, monkeypatch):
    monkeypatch.setattr(calibration, "time_step", lambda supernet, config: 0.01)
    assert 990 <= steps_within("10s", supernet, CONFIG) <= 1000
    begun = time.perf_counter() - 4
    assert 590 <= steps_within("10s", supernet, CONFIG, started=begun) <= 600
    with pytest.raises(InputError, match="too small to train anything"):
        steps_within("0.1s", supernet, CONFIG)


@pytest.mark.parametrize(
    ("there", "ratio", "steps", "chosen"),
    [
        (True, 0.7, None, "bfloat16"),
        (True, 0.7, 200, "bfloat16"),
        (True, 0.7, 199, "float32"),  # over before it is worth measuring
        (True, 0.9, None, "float32"),  # too little for what it costs
        (False, 0.7, None, "float32"),
    ],
)
def test_bfloat16_is_chosen_where_it_pays(supernet, monkeypatch, there, ratio, steps, chosen):
    monkeypatch.setattr(calibration, "computes_in_bfloat16", lambda: there)
    monkeypatch.setattr(calibration, "bfloat16_ratio", lambda *args: ratio)
    config = replace(CONFIG, steps=steps)
    assert settle_precision(*shape_of(supernet), config) == replace(config, precision=chosen)


def test_a_precision_that_was_said_is_not_measured(supernet, monkeypatch):
    monkeypatch.setattr(calibration, "bfloat16_ratio", None)
    for precision in ("float32", "bfloat16"):
        config = replace(CONFIG, precision=precision)
        assert settle_precision(*shape_of(supernet), config) == config


@pytest.mark.parametrize(("half", "ratio"), [(0.0, 2.0), (1.0, 0.5), (0.75, 5 / 7)])
def test_both_precisions_train_the_same_networks(supernet, monkeypatch, half, ratio):
    """Or the cheaper ones would decide; at both sizes of image, and all along a training."""
    seen = {}

    def timed(trainer, batches, device, *, begin):
        for _ in batches:
            trainer.passes(trainer.random_state)
        key = trainer.config.precision, trainer.half_steps > 0
        seen.setdefault(key, []).append((begin, trainer.random_state.random()))
        slow = (trainer.config.precision == "bfloat16") != bool(trainer.half_steps)
        return 1, 2.0 if slow else 1.0

    monkeypatch.setattr(calibration, "_timed", timed)
    config = replace(CONFIG, paths="fair", half_resolution=half)
    # Of full-size images bfloat16 takes 2 and float32 1, of half-size ones it is the other way.
    full = 1 - half
    assert (
        bfloat16_ratio(*shape_of(supernet), config, pairs=1)
        == pytest.approx((2 * full + half) / (full + 2 * half))
        == pytest.approx(ratio)
    )
    for size in {half > 0, half == 1}:
        assert seen["float32", size] == seen["bfloat16", size]
        assert [number for number, _ in seen["float32", size]] == [0, 1, 2]
