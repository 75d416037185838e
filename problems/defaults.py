"""What a problem does where nothing is said: fixed numbers per data set and class of device."""

from dataclasses import dataclass, field, replace

from evonas.config import ScratchConfig, TrainingConfig
from evonas.spaces.plain import DEPTH, WIDTH

# Networks to look up in a published table.
TABLE_EVALUATIONS = 200

# What a search needs that evaluates every offspring, in those of one that screens them. On the
# supernets of two ten-minute runs: mean excess error 0.20 and 0.15 points after 100 evaluations by
# `screened`; by `nsga2` 0.37 and 0.40 after 200, and 0.20 and 0.15 after 400.
UNSCREENED = 2.5


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Numbers that a run takes where its configuration has none.

    `evaluations` are those of the default algorithm, `screened`.
    """

    space: str
    evaluations: int
    width: float
    train_images: int | None
    validation_images: int | None
    training: TrainingConfig = field(default_factory=TrainingConfig)


def _training(
    steps: int, batch_size: int, *, paths: str, half_resolution: float = 0.0
) -> TrainingConfig:
    # On CIFAR-10 (macro, one seed, equal numbers of passes) Kendall's tau was 0.74 with fair paths
    # and no label smoothing, 0.72 with smoothing 0.1, and 0.70 with that and uniform paths.
    return TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        lr=0.2,
        weight_decay=5e-4,
        label_smoothing=0.0,
        half_resolution=half_resolution,
        paths=paths,
    )


# Times are for 2 cores of a server CPU of 2022, and one data-centre GPU (not measured there yet).
_DIGITS = Defaults(  # under a minute; too small for a GPU to be any faster
    space="tiny",
    evaluations=160,
    width=1.0,
    train_images=None,
    validation_images=None,
    training=_training(1600, 256, paths="fair"),
)
_CIFAR = {
    "cpu": Defaults(  # about ten minutes
        space="macro",
        evaluations=200,
        width=0.25,
        train_images=None,
        validation_images=4000,
        training=_training(6500, 192, paths="spread", half_resolution=0.85),
    ),
    "cuda": Defaults(
        space="macro",
        evaluations=400,
        width=1.0,
        train_images=None,
        validation_images=5000,
        training=_training(12000, 768, paths="spread", half_resolution=0.85),
    ),
}
# Data sets of any size, a user's own above all: validation is the share that they set aside.
_OTHER = {kind: replace(numbers, validation_images=None) for kind, numbers in _CIFAR.items()}
_DEFAULTS: dict[str, dict[str, Defaults]] = {
    "digits": {"cpu": _DIGITS, "cuda": _DIGITS},
    **dict.fromkeys(("cifar10", "cifar100", "fashion-mnist"), _CIFAR),
}


# Ranges of "plain" that a device goes through in minutes; elsewhere those of the published search.
# On a CPU narrow ones: of wide ones most candidates would be decided by chance in that time.
_PLAIN: dict[str, dict[str, tuple[int, ...]]] = {
    "cpu": {"depth": (4, 6), "width": (12, 16, 4)},
    "cuda": {"depth": DEPTH, "width": WIDTH},
}
_PLAIN_OF_DIGITS = {"depth": (3, 6), "width": (8, 24, 4)}


def default_settings(space: str, data: str, device_kind: str) -> dict[str, tuple[int, ...]]:
    """Settings of a space for a data set on a class of device, where it has some.

    All that the class decides is there: a run keeps it, and goes on by it on another device.
    """
    if space != "plain":
        return {}
    return _PLAIN_OF_DIGITS if data == "digits" else _PLAIN[device_kind]


@dataclass(frozen=True)
class OneByOne:
    """How a candidate is trained of a search that goes one by one.

    Attributes:
        train_images: None is what the data set decides.
        scratch: what is None is left to the recipe.
    """

    train_images: int | None = None
    scratch: ScratchConfig = field(default_factory=ScratchConfig)


# With the ranges above six minutes on two cores, of the nine candidates of one search; a walk
# through all layers of the deepest networks would be some ten. Two trainings side by side, one on
# each core, take about 1.2 times as long as one on both. Errors of single ones differ by 2 % of
# themselves (one standard deviation, 43 pairs); after 4 epochs with small images in 0.6 of the
# steps, which take as long, by 2.8 % (45 pairs), and single decisions are then mostly chance.
_ONE_BY_ONE = OneByOne(
    train_images=20_000, scratch=ScratchConfig(epochs=6, half_resolution=0.85, seeds=2)
)


def one_by_one(data: str, device_kind: str) -> OneByOne:
    """How each candidate is trained of a search that goes one by one.

    Args:
        data: name of a data set.
        device_kind: "cpu" or "cuda".
    """
    if _DEFAULTS.get(data) is not _CIFAR or device_kind != "cpu":
        return OneByOne()
    return _ONE_BY_ONE


# Networks trained from scratch, where an algorithm does not end by itself.
SCRATCH_EVALUATIONS = 40

# What guides a search by saliency: of all variants it finds the front of NAS-Bench-201 soonest, and
# that of NAS-Bench-Macro as soon as the best other one (`benchmarks/saliency.py`).
SALIENCY = "rank-effect"
# Validation batches that it is scored on.
SALIENCY_BATCHES = 4

# Networks that a joint search evaluates in the end, for each of its distributions.
JOINT_EVALUATIONS = 16


def evaluations_of(algorithm: str, screened: int) -> int:
    """Evaluations of an algorithm where `screened` makes so many."""
    return screened if algorithm == "screened" else round(UNSCREENED * screened)


def defaults_for(data: str, device_kind: str) -> Defaults:
    """The numbers for a data set on a class of device ("cpu" or "cuda")."""
    return _DEFAULTS.get(data, _OTHER)[device_kind]
