"""The one tree of settings: the command line, a run's ``config.json`` and the Python argument.

A setting that is ``None`` is decided by the problem and the class of device (``evonas problems``
lists the numbers); a resolved configuration has no such setting left except those that mean "off".
"""

import dataclasses
import json
import math
import numbers
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from evonas.errors import InputError, unknown

C = TypeVar("C")

RECIPE = "fast"  # of trainings from scratch, where none is named
FINE_TUNE = "fine-tune"  # the recipe that goes on from weights of a supernet

PRECISIONS = ("float32", "bfloat16")

MOST_THREADS = 1024  # far more crash the libraries that compute


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How shared weights are trained: SGD with Nesterov momentum, warm-up and a cosine to zero."""

    steps: int | None = None
    """Optimiser steps in all."""
    batch_size: int | None = None
    """Images per step; where it trains several networks, each sees a part of its own."""
    lr: float | None = None
    """Peak learning rate."""
    momentum: float = 0.9
    """Nesterov momentum."""
    weight_decay: float | None = None
    """L2 penalty on all weights."""
    warmup: float = 0.05
    """Share of the steps during which the learning rate rises linearly from zero."""
    label_smoothing: float | None = None
    """Share of the target spread evenly over all classes."""
    clip_norm: float = 5.0
    """Largest norm of a step's gradient; 0 switches clipping off."""
    half_resolution: float | None = None
    """Share of the steps, from the first on, that see images of half the side: far cheaper."""
    paths: str | None = None
    """Networks of a step: "uniform" (one at random), "fair" (every choice equally often), "spread"
    (fair ones in turn with some of all sizes that are likely near the front), or "dropout"
    (mixtures of all operations, dropped at a rising rate: path dropout)."""
    precision: str | None = None
    """Arithmetic of a step: "float32" or "bfloat16" (mixed with it). By default bfloat16 on CUDA,
    float32 on a CPU; but where a CPU has instructions for both, a run (and `SupernetProblem.train`)
    times a few steps in each; `config.json` says which it was."""

    def __post_init__(self) -> None:
        """Refuse numbers that no training can be run with."""
        _settle_types(self, "training.")
        if self.precision not in (None, *PRECISIONS):
            raise unknown("precision", str(self.precision), PRECISIONS)
        for name, least, strict in (
            ("steps", 1, False),
            ("batch_size", 2, False),
            ("lr", 0.0, True),
            ("weight_decay", 0.0, False),
            ("clip_norm", 0.0, False),
        ):
            _at_least(self, name, least, strict=strict, prefix="training.")
        _shares(self, "momentum", "warmup", "label_smoothing", prefix="training.")
        if self.half_resolution is not None and not 0 <= self.half_resolution <= 1:
            raise InputError(
                f"training.half_resolution is {self.half_resolution}; give a share from 0 to 1"
            )


@dataclass(frozen=True, kw_only=True)
class ScratchConfig:
    """How one network is trained from scratch, or fine-tuned from the weights of a supernet."""

    recipe: str | None = None
    """"fast" (the default: one-cycle, few epochs), "trg" (the 600 epochs of TRG-NAS's published
    log), or, to retrain, "fine-tune" (a short one on from the weights of a supernet of width 1);
    the following are put over it."""
    epochs: int | None = None
    """Epochs of each training."""
    seeds: int | None = None
    """Trainings of each network, from different first weights, whose errors are averaged; by
    default 1, of "true-rank" on a CPU 2."""
    promotion: tuple[int, ...] = ()
    """Epochs of short trainings, such as 2 5: only networks that nothing known after them
    dominates are trained longer."""
    batch_size: int | None = None
    """Images per step."""
    lr: float | None = None
    """Peak learning rate."""
    momentum: float | None = None
    """Momentum; of "fast" Nesterov's."""
    weight_decay: float | None = None
    """L2 penalty on all weights."""
    warmup: float | None = None
    """Share of the steps during which the learning rate rises linearly from zero."""
    label_smoothing: float | None = None
    """Share of the target spread evenly over all classes."""
    clip_norm: float | None = None
    """Largest norm of a step's gradient; 0 switches clipping off."""
    cutout: int | None = None
    """Side in pixels of a square that is hidden in each training image; 0 is none."""
    half_resolution: float | None = None
    """Share of the steps, from the first on, that see images of half the side."""
    ema: float | None = None
    """Decay, per step, of an average of the weights that is what remains in the end; 0 is none."""
    compile: bool | None = None
    """Compile each network with torch.compile, which takes half a minute or more; networks are
    then trained one at a time. On CUDA steps are recorded and replayed with and without."""
    at_once: int | None = None
    """Networks trained at the same time; by default as many as there are CPU threads, one on
    CUDA. On a CPU each has its share of the threads, which changes the last bits of what comes of
    it."""

    def __post_init__(self) -> None:
        """Refuse numbers that no training can be run with."""
        prefix = "scratch."
        _settle_types(self, prefix)
        for name, least, strict in (
            ("epochs", 1, False),
            ("seeds", 1, False),
            ("batch_size", 2, False),
            ("lr", 0.0, True),
            ("weight_decay", 0.0, False),
            ("clip_norm", 0.0, False),
            ("cutout", 0, False),
            ("at_once", 1, False),
        ):
            _at_least(self, name, least, strict=strict, prefix=prefix)
        for epochs in self.promotion:
            if not isinstance(epochs, int) or isinstance(epochs, bool):
                raise InputError(f"scratch.promotion holds {epochs!r}; give numbers of epochs")
        _shares(self, "momentum", "warmup", "label_smoothing", "ema", prefix=prefix)
        if self.half_resolution is not None and not 0 <= self.half_resolution <= 1:
            raise InputError(
                f"scratch.half_resolution is {self.half_resolution}; give a share from 0 to 1"
            )


def put_over(config: ScratchConfig, said: ScratchConfig) -> ScratchConfig:
    """Settings of trainings with what is said put over them.

    Args:
        config: those of before, settled or not.
        said: what is None or empty leaves them as they are; a recipe that is named begins anew.
    """
    if said.recipe is not None:
        return said
    given = {f.name: getattr(said, f.name) for f in fields(said)}
    return replace(config, **{k: v for k, v in given.items() if v is not None and v != ()})


@dataclass(frozen=True, kw_only=True)
class TrueRankConfig:
    """By what "true-rank" decides; thresholds are points of accuracy, and by default the rules'."""

    rules: str = "log"
    """"log" (of the published search log) or "published" (of the published script)."""
    depth_gain: float | None = None
    """What a deeper network has to be better by, at least, to be kept."""
    depth_loss: float | None = None
    """What it may be worse by, at most, for the search to go on deeper."""
    target: float | None = None
    """Accuracy in percent of the network kept that ends the depth phase."""
    width_loss: float | None = None
    """What a narrower network may be worse by, at most, than the depth kept."""
    gain: float | None = None
    """What an operation or kernel has to be better by, to be kept; more than this."""
    layers: float | None = None
    """Share of the layers, from the first on, whose operations and kernels are searched."""

    def __post_init__(self) -> None:
        """Refuse what is of another type; the search knows which numbers mean something."""
        _settle_types(self, "true_rank.")


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """What trainings and scores on a Ray cluster take."""

    workers: int | None = None
    """Trainings, or parts of a population, at the same time; more than fit wait for machines. By
    default as many as fit, also on machines that come later."""
    cpus: int | None = None
    """CPUs, and threads, of each; by default those that each has without a cluster, mostly 1."""
    gpus: float | None = None
    """GPUs of each, such as 0.5; by default 1 with --device cuda, else none. Where there are some,
    networks are trained by the recipe of GPUs."""
    training_workers: int | None = None
    """Workers that train the shared weights together, each on its share of the images of a step
    (and normalising by that); by default they are trained without the cluster."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        prefix = "cluster."
        _settle_types(self, prefix)
        _at_least(self, "workers", 1, prefix=prefix)
        _at_least(self, "training_workers", 1, prefix=prefix)
        _at_least(self, "cpus", 1, prefix=prefix)
        _at_least(self, "gpus", 0.0, prefix=prefix)
        if self.gpus and self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError(f"cluster.gpus is {self.gpus}; give a share below 1, or whole ones")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Search networks for the best trade-off between accuracy and cost.

    Trains a weight-sharing supernet once, searches it with a pymoo algorithm, and leaves a Pareto
    front of networks in a run folder that survives a crash.
    """

    problem: str = "digits-params"
    """What to search, "<data>-<cost>"; `evonas problems` lists them."""
    data_dir: str | None = None
    """Folder that holds the data set; else EVONAS_DATA names it, else it is downloaded."""
    space: str | None = None
    """Search space; the problem has a default."""
    space_settings: tuple[str, ...] = ()
    """What else a space can be told, such as "depth=4,8" "width=8,24,4" of "plain": least, most
    and step."""
    from_scratch: bool = False
    """Train every network from scratch instead of scoring it by shared weights; "plain" has no
    others."""
    algorithm: str = "screened"
    """Search algorithm: screened, nsga2, nsga3, sms-emoa, moead, age-moea, multi-distribution,
    saliency (only what a saliency table thinks best), true-rank (of the space "plain") or
    random."""
    evaluations: int | None = None
    """Networks to evaluate."""
    pop_size: int = 20
    """Population of the algorithm; of "screened" a third of the parents, of "multi-distribution"
    the samples of all distributions, two of each at least."""
    mutation: str = "uniform"
    """"uniform", or "saliency": moves what a table of saliency, computed once from the trained
    supernet, promises most for; "screened" then also starts at what the table thinks best."""
    saliency: str | None = None
    """Variant of that table: rank-effect (the default), main-effect, removal, exact, fisher,
    second-order or taylor."""
    saliency_half_resolution: bool = False
    """Compute that table on images of half the side, as the first steps of a training see them: for
    a supernet that has hardly seen larger ones."""
    prune: str | None = None
    """Strike choices out of the space while the supernet is trained: "global", "shallow-first",
    "deep-first", "round-robin" or "random"; "global" was measured as best. The training is then
    one with path dropout, unless --training.paths says otherwise."""
    prune_to: float | None = None
    """With --prune: genomes that are left at most, such as 1e3."""
    prune_keep: float | None = None
    """With --prune: share of all choices that stays; by default 0.7."""
    prune_by: str | None = None
    """With --prune: what choices are scored by: main-effect (the default), rank-effect (better
    where some networks do not work at all), error, removal, exact, fisher, second-order or
    taylor."""
    prune_epochs: float | None = None
    """With --prune: epochs between two levels; by default levels are spread over the training."""
    racing: str | None = None
    """Whether a network may be scored on fewer validation images once it cannot matter any more:
    "off" (the default), "exact" (only where the images left cannot change that) or "confident"
    (where, by the images so far, it is likely worse than a cheaper one)."""
    distributions: int | None = None
    """Distributions of "multi-distribution", each for an architecture of its own; by default 8."""
    joint: bool = False
    """With "multi-distribution": distributions learn while the weights are trained, in turn."""
    weight_steps: int | None = None
    """With --joint: training steps to one of the distributions, in the last 40 % of the training;
    by default 16."""
    constraint: tuple[str, ...] = ()
    """Limits on costs, such as "params<=500000" or "macs<=2e7"."""
    cost: tuple[str, ...] = ()
    """Costs of your own, NAME=FILE with a CSV of a number for each gene and choice, such as
    "latency=my_device.csv"; then --problem cifar10-latency and --constraint "latency<=3.5"."""
    fidelity: int | None = None
    """Networks, spread over the costs, whose errors by shared weights are compared in the end with
    true ones: how well the supernet ranks. By default 0; 100 where the data folder holds a
    published table of the space and data set, or what a twentieth of --budget scores."""
    fidelity_by: str | None = None
    """With --fidelity: "table" (the published one; the default where it is there) or "scratch":
    the networks are trained as --fidelity-scratch says, and else as --scratch does."""
    fidelity_scratch: ScratchConfig = field(default_factory=ScratchConfig)
    """With --fidelity: how networks are trained, where it is not as --scratch says."""
    budget: str | None = None
    """Time for everything, such as "90s", "10m" or "2h"; becomes fixed numbers before the start."""
    seed: int = 1
    """Seed of everything random; the same seed gives the same front, on the same machine (what was
    measured on it is repeated with the --config of a run)."""
    device: str = "auto"
    """"auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1"."""
    threads: int | None = None
    """CPU threads; by default all cores."""
    ray: str | None = None
    """A Ray cluster for trainings from scratch and for the scores of populations: "local" (or --ray
    alone) starts one on this machine, "auto" is the one that this machine belongs to, else the
    address of its head, such as 10.0.0.1:6379. "off" is none, where a resumed run has one."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """What each worker takes."""
    asynchronous: bool = False
    """Of networks trained from scratch: propose the next one as soon as a training has ended,
    while the others go on, instead of when a whole generation has."""
    width: float | None = None
    """Width of the shared weights: scales every channel count; costs stay those of full width."""
    train_images: int | None = None
    """Training images used; by default all that are not validation images."""
    validation_images: int | None = None
    """Validation images that score a network."""
    image_size: int | None = None
    """Side of the images of a "folder" problem, in pixels."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the shared weights are trained."""
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    """How single networks are trained."""
    true_rank: TrueRankConfig = field(default_factory=TrueRankConfig)
    """By what "true-rank" decides."""
    supernet: str | None = None
    """A run whose trained supernet is searched again, without training."""
    start: str | None = None
    """A front.csv whose networks start the search."""
    retrain: int | None = None
    """Members of the front to train from scratch in the end, spread over it; each is then measured
    once on the test images."""
    runs: str = "runs"
    """Folder in which run folders are made."""

    def __post_init__(self) -> None:
        """Refuse numbers that no run can be made with."""
        _settle_types(self)
        _at_least(self, "evaluations", 1)
        _at_least(self, "pop_size", 2)
        _at_least(self, "distributions", 1)
        _at_least(self, "weight_steps", 1)
        _at_least(self, "prune_to", 1)
        _at_least(self, "prune_keep", 0.0, strict=True)
        _at_least(self, "prune_epochs", 0.0)
        _at_least(self, "fidelity", 0)
        _at_least(self, "seed", 0)
        _at_least(self, "width", 0.0, strict=True)
        _at_least(self, "train_images", 2)
        _at_least(self, "validation_images", 2)
        _at_least(self, "image_size", 4)
        _at_least(self, "retrain", 1)
        _check_threads(self)
        if self.seed >= 2**63:
            raise InputError(f"seed is {self.seed}; give a number below 2**63")
        _refuse_empty(self, "data_dir", "space", "supernet", "start", "runs", "ray")
        for constraint in self.constraint:
            if not isinstance(constraint, str):
                raise InputError(f"'constraint' holds {constraint!r}; give texts like params<=5e5")
        cost_files(self.cost)
        space_settings(self.space_settings)
        if self.budget is not None:
            seconds(self.budget)


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """Train members of a run's front alone, and measure each once on the test images."""

    members: int = 5
    """Members of the front: both ends, the knee, and others spread evenly between them."""
    network: tuple[str, ...] = ()
    """Networks by their texts instead, such as "macro:22212220"."""
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    """How they are trained; by default as the run says."""
    data_dir: str | None = None
    """Folder that holds the data set; by default that of the run."""
    device: str = "auto"
    """"auto" (the run's), "cpu", "cuda" or "cuda:1"."""
    threads: int | None = None
    """CPU threads; by default those of the run."""
    ray: str | None = None
    """A Ray cluster: "local" (or --ray alone) starts one on this machine, "auto" is the one that
    this machine belongs to, else the address of its head, such as 10.0.0.1:6379."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """What each worker takes."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _settle_types(self)
        _at_least(self, "members", 1)
        _check_threads(self)
        _refuse_empty(self, "data_dir", "ray")
        if self.scratch.promotion:
            raise InputError("members are all retrained in full; leave --scratch.promotion out")


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """Measure a table of the latency of every choice on the device at hand.

    Whole networks are timed, a table is fitted to their times, and other whole networks say how
    well it adds up. A search takes the table as --cost latency=FILE.
    """

    space: str | None = None
    """Search space; that of --problem if left out."""
    problem: str | None = None
    """A problem whose space, classes and images are measured, such as cifar10-params."""
    data_dir: str | None = None
    """Folder that holds the problem's data; else EVONAS_DATA names it."""
    num_classes: int | None = None
    """Classes to tell apart; 10 where no problem is named."""
    input_shape: tuple[int, int, int] | None = None
    """Channels, height and width of an image; 3 32 32 where no problem is named."""
    output: str = "latency.csv"
    """The table to write; an existing file is never written over."""
    batch_size: int = 1
    """Images of a batch; the table has the milliseconds of a whole one."""
    threads: int = 1
    """CPU threads. Times on all cores are also those of whatever else the machine does."""
    device: str = "auto"
    """"auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1"."""
    networks: int = 20
    """Whole networks that the table is checked with; those that it is fitted to come beside."""
    rounds: int = 20
    """Visits of every network; more of them help against a machine that does other things too."""
    seed: int = 1
    """Seed of the choice of networks and of the order of visits."""

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be measured with."""
        _settle_types(self)
        for name in ("num_classes", "batch_size"):
            _at_least(self, name, 1)
        _at_least(self, "networks", 3)
        _at_least(self, "rounds", 2)
        _at_least(self, "seed", 0)
        _check_threads(self)
        _refuse_empty(self, "space", "problem", "data_dir", "output")


def _settle_types(config: Any, prefix: str = "") -> None:
    """Make what Python gave the types of the settings: numpy's numbers, paths, lists, one text."""
    hints = typing.get_type_hints(type(config))
    for f in fields(config):
        value, hint = getattr(config, f.name), hints[f.name]
        if is_dataclass(hint):
            if not isinstance(value, typing.cast(type, hint)):
                raise InputError(
                    f"{prefix}{f.name} is {value!r}; give a {typing.cast(type, hint).__name__}"
                )
            continue
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        elif typing.get_origin(hint) is tuple and isinstance(value, str):
            value = (value,)
        elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
            value = int(value)
        elif isinstance(value, numbers.Real) and not isinstance(value, bool):
            value = float(value)
        object.__setattr__(config, f.name, _typed(hint, prefix + f.name, value, "the settings"))


def _at_least(
    config: Any, name: str, least: float, *, strict: bool = False, prefix: str = ""
) -> None:
    value = getattr(config, name)
    if value is not None and not (least < value < math.inf or (not strict and value == least)):
        bound = f"above {least:g}" if strict else f"of at least {least:g}"
        raise InputError(f"{prefix}{name} is {value}; give a number {bound}")


def _shares(config: Any, *names: str, prefix: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value < 1:
            raise InputError(f"{prefix}{name} is {value}; give a number from 0 to below 1")


def _check_threads(config: Any) -> None:
    _at_least(config, "threads", 1)
    if config.threads is not None and config.threads > MOST_THREADS:
        raise InputError(f"threads is {config.threads}; give at most {MOST_THREADS}")


def _refuse_empty(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) == "":
            raise InputError(f"{name} is empty; give it a value or leave it out")


def seconds(budget: str | float) -> float:
    """A length of time in seconds.

    Args:
        budget: a number of seconds, or text such as "90s", "10m", "1.5h" or "1h30m".

    Raises:
        InputError: the text is no length of time, or is not positive.
    """
    text = str(budget).strip().lower()
    parts = re.findall(r"([0-9]*\.?[0-9]+)([smh]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise InputError(f"'{budget}' is no length of time; write it like 90s, 10m or 2h")
    total = sum(float(n) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit] for n, unit in parts)
    if total <= 0:
        raise InputError(f"a budget of '{budget}' leaves no time; write it like 90s, 10m or 2h")
    return total


def cost_files(costs: Sequence[str]) -> dict[str, str]:
    """Files of costs of one's own by name.

    Args:
        costs: texts NAME=FILE.

    Raises:
        InputError: a text has another form, or two have one name.
    """
    files: dict[str, str] = {}
    for text in costs:
        name, _, file = str(text).partition("=")
        if not name or not file:
            raise InputError(f"'{text}' is no cost; write it like latency=my_device.csv")
        if name in files:
            raise InputError(f"the cost '{name}' is given twice; keep one")
        files[name] = file
    return files


def space_settings(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Settings of a space by name.

    Args:
        texts: each NAME=NUMBER,NUMBER,...

    Raises:
        InputError: a text has another form, or two have one name.
    """
    settings: dict[str, tuple[int, ...]] = {}
    for text in texts:
        match = re.fullmatch(r"(\w+)=(\d{1,9}(?:,\d{1,9})*)", str(text).replace(" ", ""))
        if match is None:
            raise InputError(f"'{text}' is no setting of a space; write it like depth=4,8")
        if match[1] in settings:
            raise InputError(f"the setting '{match[1]}' of the space is given twice; keep one")
        settings[match[1]] = tuple(int(number) for number in match[2].split(","))
    return settings


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain nested values that JSON can hold."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(kind: type[C], values: dict[str, Any], where: str = "the configuration") -> C:
    """A configuration from nested plain values; settings that are left out keep their default.

    Raises:
        InputError: a setting is unknown or has a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{where}: {unknown('setting', name, known)}")
        hint = hints[name]
        if is_dataclass(hint):
            if not isinstance(value, dict):
                raise InputError(f"{where}: '{name}' must be a group of settings, not {value!r}")
            given[name] = from_dict(typing.cast(type, hint), value, where)
        else:
            given[name] = _typed(hint, name, value, where)
    return kind(**given)


def _typed(hint: Any, name: str, value: Any, where: str) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    if typing.get_origin(options[0]) is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if float in options and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kinds = tuple(o for o in options if isinstance(o, type))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(getattr(o, "__name__", str(o)) for o in options)
        raise InputError(f"{where}: '{name}' is {value!r}; it must be of type {wanted}")
    return value


def load(path: str | Path) -> RunConfig:
    """The settings stored in a ``config.json``.

    Raises:
        InputError: the file is missing, is no JSON, or has unknown settings.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}; name the config.json of a run") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); name the config.json of a run"
        ) from None
    if not isinstance(values, dict) or not isinstance(values.get("settings", values), dict):
        raise InputError(f"{path} holds no settings; name the config.json of a run")
    return from_dict(RunConfig, values.get("settings", values), str(path))


# What decides which weights a supernet has and which images it has not seen.
INHERITED = (
    "space",
    "space_settings",
    "width",
    "train_images",
    "validation_images",
    "image_size",
    "data_dir",
)


def inherit(given: Mapping[str, Any], other: RunConfig) -> dict[str, Any]:
    """Settings of a run whose supernet is used again, where nothing else was said.

    Args:
        given: values of settings in ``INHERITED``, ``None`` where the user said nothing.
        other: the run that trained the supernet.

    Raises:
        InputError: a width was given that is not the supernet's.
    """
    width = given.get("width")
    if width is not None and width != other.width:
        raise InputError(
            f"the supernet has width {other.width:g}, not {width:g}; leave the width out"
        )
    return {k: getattr(other, k) if v in (None, ()) else v for k, v in given.items()}


def differences(old: Any, new: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Settings that differ between two configurations: dotted name -> (old, new)."""
    found: dict[str, tuple[Any, Any]] = {}
    for f in fields(old):
        before, after = getattr(old, f.name), getattr(new, f.name)
        if is_dataclass(before):
            found |= differences(before, after, f"{prefix}{f.name}.")
        elif before != after:
            found[prefix + f.name] = (before, after)
    return found
