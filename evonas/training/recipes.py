"""How networks are trained from scratch, in numbers: recipes by name. No torch."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from evonas.config import FINE_TUNE, RECIPE, ScratchConfig, TrainingConfig
from evonas.data.policy import Augmentation
from evonas.errors import InputError, unknown

if TYPE_CHECKING:
    from evonas.data import SearchData

# What does not change what a training leads to, but for the last bits: of `at_once` networks on a
# CPU each has its share of the threads, which add up in another order.
NO_MATTER = ("seeds", "promotion", "at_once", "compile")


@dataclass(frozen=True)
class Recipe:
    """What a recipe says where a `ScratchConfig` says nothing.

    Attributes:
        defaults: for each class of device ("cpu", "cuda") all numbers; sides in pixels are of
            images of 32 pixels.
        nesterov: whether momentum is Nesterov's.
        mode: what fills the padding of a random crop; None leaves it to the data set.
    """

    defaults: dict[str, ScratchConfig]
    nesterov: bool
    mode: str | None = None


_FAST = ScratchConfig(
    recipe=RECIPE,
    epochs=8,
    seeds=1,
    batch_size=128,
    lr=0.15,
    momentum=0.9,
    weight_decay=5e-4,
    warmup=0.2,
    label_smoothing=0.0,
    clip_norm=5.0,
    cutout=0,
    half_resolution=0.6,
    ema=0.0,
)
_TRG = ScratchConfig(
    recipe="trg",
    epochs=600,
    seeds=1,
    batch_size=64,
    lr=0.025,
    momentum=0.9,
    weight_decay=3e-4,
    warmup=0.0,
    label_smoothing=0.0,
    clip_norm=5.0,
    cutout=16,
    half_resolution=0.0,
    ema=0.0,
)

RECIPES = {
    # One cycle: up to the peak, and down by half a cosine.
    RECIPE: Recipe(
        {
            "cpu": _FAST,
            "cuda": replace(
                _FAST,
                epochs=60,
                batch_size=512,
                lr=0.4,
                label_smoothing=0.1,
                # With 8, the log's final network told all training images right after 190 epochs.
                cutout=16,
                half_resolution=0.3,
            ),
        },
        nesterov=True,
    ),
    # Of the published search: best of 600 epochs on test images; here the last one on validation.
    "trg": Recipe({"cpu": _TRG, "cuda": _TRG}, nesterov=False, mode="zero"),
}

RECIPES[FINE_TUNE] = Recipe(
    {
        device: replace(
            config, recipe=FINE_TUNE, epochs=-(-(config.epochs or 1) // 4), lr=(config.lr or 0) / 5
        )
        for device, config in RECIPES[RECIPE].defaults.items()
    },
    nesterov=True,
)

# Images of a smaller side are not halved: nothing would be left of them.
LEAST_HALVED = 16
# Of the small embedded digits a batch is a larger share, and an epoch takes a moment.
_SMALL = replace(_FAST, epochs=15, batch_size=64, lr=0.2)
SMALL_IMAGES = 5000


def settle(
    config: ScratchConfig, *, side: int, images: int, device: str, threads: int = 1
) -> ScratchConfig:
    """All numbers of a training, from its recipe where nothing was said.

    Args:
        config: what was said.
        side: shorter side of the images, in pixels.
        images: training images.
        device: class of device, "cpu" or "cuda".
        threads: CPU threads that may be used.

    Raises:
        InputError: there is no such recipe, a batch holds more images than there are, rungs of a
            promotion do not ascend, or several networks would be compiled at once.
    """
    name = config.recipe or RECIPE
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    recipe = RECIPES[name].defaults[device]
    if name == RECIPE and images < SMALL_IMAGES:
        recipe = _SMALL
    assert recipe.batch_size and recipe.cutout is not None
    recipe = replace(
        recipe,
        batch_size=min(recipe.batch_size, max(2, images)),
        cutout=recipe.cutout * side // 32,
        half_resolution=recipe.half_resolution if side >= LEAST_HALVED else 0.0,
        at_once=threads if device == "cpu" and not config.compile else 1,
        compile=False,
    )
    given = {f.name: getattr(config, f.name) for f in fields(config)}
    settled = replace(recipe, **{name: v for name, v in given.items() if v is not None})
    assert settled.batch_size and settled.epochs
    rungs = settled.promotion
    if list(rungs) != sorted({*rungs}) or (
        rungs and not 1 <= rungs[0] <= rungs[-1] < settled.epochs
    ):
        raise InputError(
            f"--scratch.promotion is {' '.join(map(str, rungs))}; give ascending numbers of epochs "
            f"below the {settled.epochs} of a whole training"
        )
    if settled.cutout and settled.cutout > side:
        raise InputError(
            f"--scratch.cutout {settled.cutout} is a square larger than the images, of {side} "
            "pixels; give fewer"
        )
    if settled.batch_size > images:
        raise InputError(
            f"a batch of {settled.batch_size} images is more than the {images} training images; "
            "give a smaller --scratch.batch-size"
        )
    if settled.compile and settled.at_once != 1:
        raise InputError(
            "networks are compiled one at a time; give --scratch.at-once 1, or leave "
            "--scratch.compile out"
        )
    return settled


def recipe_of(config: ScratchConfig) -> Recipe:
    """The recipe of settled settings."""
    assert config.recipe
    return RECIPES[config.recipe]


def settle_for(
    config: ScratchConfig, data: "SearchData", *, threads: int, trained_on: str | None = None
) -> ScratchConfig:
    """`settle` for the images of a data set; where they lie, unless a class of device is named."""
    return settle(
        config,
        side=min(data.input_shape[1:]),
        images=len(data.train),
        device=trained_on or data.train.device.type,
        threads=threads,
    )


def training_of(config: ScratchConfig, steps_per_epoch: int) -> TrainingConfig:
    """The settings of the training loop, of settled ones."""
    assert config.epochs and config.momentum is not None and config.warmup is not None
    assert config.clip_norm is not None
    return TrainingConfig(
        steps=config.epochs * steps_per_epoch,
        batch_size=config.batch_size,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        warmup=config.warmup,
        label_smoothing=config.label_smoothing,
        clip_norm=config.clip_norm,
        half_resolution=config.half_resolution,
    )


def augmentation_of(config: ScratchConfig, own: Augmentation) -> Augmentation:
    """A data set's policy, with the cutout of settled settings."""
    mode = recipe_of(config).mode
    return replace(own, cutout=config.cutout or 0, mode=mode or own.mode)
