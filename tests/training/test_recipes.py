import dataclasses

import pytest

from evonas.config import ScratchConfig
from evonas.data.policy import Augmentation
from evonas.errors import InputError
from evonas.training.recipes import augmentation_of, settle, training_of


def settled(*, side=32, images=45_000, device="cpu", threads=2, **given) -> ScratchConfig:
    return settle(ScratchConfig(**given), side=side, images=images, device=device, threads=threads)


@pytest.mark.parametrize("recipe", ["fast", "trg"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(("side", "images"), [(8, 1100), (28, 50_000), (32, 45_000), (64, 9000)])
def test_all_numbers_are_settled_and_stay(recipe, device, side, images):
    config = settled(recipe=recipe, device=device, side=side, images=images)
    assert None not in dataclasses.asdict(config).values()
    assert settle(config, side=side, images=images, device=device, threads=2) == config


def test_the_defaults_follow_the_device():
    cpu, cuda = settled(), settled(device="cuda")
    assert cuda.epochs > cpu.epochs and cuda.batch_size > cpu.batch_size and cuda.lr > cpu.lr
    assert (cpu.at_once, cuda.at_once) == (2, 1)
    assert settled(threads=7).at_once == 7


def test_the_defaults_follow_the_images():
    few = settled(images=1100, side=8)
    assert few.batch_size == 64 and few.epochs > settled().epochs
    assert settled(images=40).batch_size == 40
    assert settled(side=32, recipe="trg").cutout == 16
    assert settled(side=64, recipe="trg").cutout == 32
    assert settled(side=8, recipe="trg").cutout == 4
    # Nothing would be left of halved digits.
    assert settled(side=8).half_resolution == 0 < settled(side=16).half_resolution


def test_what_is_given_wins():
    given = dict(
        epochs=3, batch_size=50, lr=0.01, momentum=0.0, weight_decay=0.0, warmup=0.5,
        label_smoothing=0.2, clip_norm=0.0, cutout=3, half_resolution=0.5, ema=0.9, at_once=5,
        compile=False, seeds=4, promotion=(1, 2),
    )  # fmt: skip
    for recipe in ("fast", "trg"):
        config = settled(recipe=recipe, side=8, **given)
        assert {name: getattr(config, name) for name in given} == given


def test_trg_is_the_recipe_of_the_published_log():
    config = settled(recipe="trg")
    assert (config.epochs, config.batch_size, config.cutout) == (600, 64, 16)
    assert (config.half_resolution, config.label_smoothing, config.ema) == (0, 0, 0)
    training = training_of(config, steps_per_epoch=703)
    assert training.steps == 600 * 703
    assert (training.lr, training.momentum, training.weight_decay) == (0.025, 0.9, 3e-4)
    assert (training.clip_norm, training.warmup, training.batch_size) == (5, 0, 64)
    own = Augmentation(flip=True).for_shape((3, 32, 32))
    assert augmentation_of(config, own) == Augmentation(
        padding=4, mode="zero", flip=True, cutout=16
    )
    assert not augmentation_of(config, Augmentation()).flip


def test_fast_leaves_the_padding_to_the_data_set():
    own = Augmentation(padding=1, mode="reflect", cutout=2)
    assert augmentation_of(settled(), own) == Augmentation(padding=1, mode="reflect", cutout=0)


def test_compiling_is_asked_for_and_for_one_at_a_time():
    assert not settled(epochs=600, device="cuda").compile
    assert settled(compile=True).at_once == 1
    with pytest.raises(InputError, match="one at a time; give --scratch.at-once 1"):
        settled(compile=True, at_once=2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"recipe": "fats"}, "unknown recipe 'fats'; did you mean fast"),
        ({"images": 10, "batch_size": 11}, "a batch of 11 images is more than the 10 training"),
        ({"images": 1}, "a batch of 2 images is more than the 1 training"),
        ({"promotion": (2, 1)}, "--scratch.promotion is 2 1; give ascending numbers"),
        ({"promotion": (2, 2)}, "ascending"),
        ({"promotion": (0,)}, "ascending"),
        ({"promotion": (3,), "epochs": 3}, "below the 3 of a whole training"),
    ],
)
def test_what_cannot_be_trained_is_one_line(given, told):
    with pytest.raises(InputError, match=told) as error:
        settled(**given)
    assert "\n" not in str(error.value)
