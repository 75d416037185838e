import pytest

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet import Supernet, calibration
from evonas.supernet.calibration import steps_within, time_evaluation, time_step

CONFIG = TrainingConfig(batch_size=16, lr=0.1, weight_decay=0.0, label_smoothing=0.0)


@pytest.fixture(scope="module")
def supernet(random_images):
    return Supernet(get_space("tiny", num_classes=10, input_shape=(3, 32, 32)), random_images)


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
    with pytest.raises(InputError, match="too small to train anything"):
        steps_within("0.1s", supernet, CONFIG)
