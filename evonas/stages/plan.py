"""From what the user said to fixed numbers: defaults, a time budget, and what a run will cost."""

import math
import os
import time
from dataclasses import dataclass, fields, replace

from evonas.config import (
    FINE_TUNE,
    INHERITED,
    RunConfig,
    ScratchConfig,
    TrainingConfig,
    TrueRankConfig,
    cost_files,
    inherit,
    load,
    seconds,
    space_settings,
)
from evonas.data.locate import named_folder
from evonas.device import resolve_device
from evonas.errors import InputError, unknown
from evonas.problems import ScratchProblem, SupernetProblem
from evonas.problems.defaults import (
    JOINT_EVALUATIONS,
    SALIENCY,
    SALIENCY_BATCHES,
    SCRATCH_EVALUATIONS,
    TABLE_EVALUATIONS,
    default_settings,
    defaults_for,
    evaluations_of,
)
from evonas.problems.published import TABLES
from evonas.problems.registry import data_of
from evonas.runs import RunFolder
from evonas.search import list_algorithms
from evonas.search.joint import WARM_UP, WEIGHT_STEPS, check_turns
from evonas.search.mutations import NAMES as MUTATIONS
from evonas.search.registry import DISTRIBUTIONS, MULTI_DISTRIBUTION, TRUE_RANK
from evonas.search.registry import SALIENCY as SALIENCY_SEARCH
from evonas.search.true_rank import most_candidates
from evonas.spaces import PlainSpace, SearchSpace, get_space
from evonas.stages.start import read_networks
from evonas.stages.workspace import Workspace
from evonas.supernet.paths import get_paths, get_single_paths, passes_of_step
from evonas.supernet.struck import BATCHES, CHILDREN_PER_CHOICE, END, LOOKS, check_pruning, rounds
from evonas.supernet.struck import CRITERION as PRUNE_BY
from evonas.supernet.struck import KEEP as PRUNE_KEEP
from evonas.supernet.struck import PATHS as PRUNE_PATHS
from evonas.supernet.variants import OF_CHILDREN, VARIANTS, passes_of
from evonas.training.recipes import settle
from evonas.training.schedule import HALF_STEP, LEAST_STEPS, check_batch

# Share of a budget that the search may take; what it does not need goes to the training.
SEARCH_SHARE = 0.3
# Share and seconds kept back for reading data, figures, and a machine that slows down.
RESERVE_SHARE, RESERVE_SECONDS = 0.04, 5.0
# Fewer validation images than this tell networks apart badly.
LEAST_IMAGES = 500
# Their number is a multiple of this.
IMAGE_STEP = 250


@dataclass(frozen=True)
class Timing:
    """What was measured on the device at hand.

    Attributes:
        step: seconds of one training step, with what distributions score meanwhile.
        image: seconds to score one network on one validation image.
    """

    step: float
    image: float


@dataclass(frozen=True)
class Plan:
    """A settled run.

    Attributes:
        config: every number decided.
        workspace: its problem, with the data that was loaded on the way.
        timing: what a budget or a dry run measured; None where nothing was.
    """

    config: RunConfig
    workspace: Workspace
    timing: Timing | None = None

    @property
    def expected(self) -> dict[str, float]:
        """Seconds that each stage should take; empty where nothing was measured."""
        config, timing = self.config, self.timing
        if timing is None:
            return {}
        assert config.training.steps and config.evaluations
        images = len(self.workspace.supernet_problem().data.validation)
        train = 0.0 if config.supernet else config.training.steps * timing.step
        name = "joint" if config.joint else "pruning" if config.prune else "supernet"
        saliency = timing.image * _images_of_saliency(self.workspace)
        return {
            name: train + timing.image * _images_of_pruning(self.workspace),
            **({"saliency": saliency} if config.saliency else {}),
            "search": config.evaluations * images * timing.image,
        }


def plan(config: RunConfig, *, started: float | None = None, measure: bool = False) -> Plan:
    """Settle a configuration.

    Args:
        config: what the user said; ``None`` where the problem decides.
        started: `time.perf_counter()` at the start of the run, from which a budget counts.
        measure: time a step and an evaluation even where no budget needs it.

    Raises:
        InputError: a name is unknown, data is missing, no network keeps a constraint, or the
            budget is too small.
    """
    started = time.perf_counter() if started is None else started
    if config.data_dir is not None or data_of(config.problem) != "digits":
        # Also where no data is read from it; and blames the variable where that named the folder.
        named_folder(config.data_dir)
    filled = fill(config)
    workspace = Workspace(filled)
    problem = workspace.problem  # settles names and constraints before anything is measured
    if isinstance(problem, SupernetProblem) and filled.supernet:
        supernet = workspace.load_supernet(filled.supernet)
        workspace.narrow(supernet.space)
        problem = workspace.supernet_problem()
        problem.supernet = supernet
    # Refuses what the algorithm or the start cannot do before minutes of training, not after.
    algorithm = workspace.algorithm()
    least = getattr(algorithm, "least_evaluations", 1)
    if filled.evaluations is not None and filled.evaluations < least:
        raise InputError(
            f"{filled.evaluations} evaluations are too few for {filled.distributions} "
            f"distributions; give --evaluations {least} or more, or fewer --distributions"
        )
    if filled.start:
        for network in read_networks(filled.start):
            problem.space.base.encode(network)
    if isinstance(problem, ScratchProblem):
        # Its recipe has decided the rest, by the images that there are.
        workspace.config = settled = replace(filled, scratch=problem.config)
        return Plan(settled, workspace)
    if not isinstance(problem, SupernetProblem):
        return Plan(filled, workspace)
    if not filled.supernet:
        _check_batch(filled, problem)
    if filled.retrain is not None:
        filled = _with_recipe(filled, problem)
        workspace.config = filled
    free = _left_open(config)
    undecided = bool(free - {"validation_images"})
    if "steps" not in free:
        _check_joint(filled)
        _check_pruning(filled, problem)
    if not undecided and not measure:
        return Plan(filled, workspace)
    use_threads(filled)
    # Networks that are scored together share layers.
    timing = _measure(workspace, getattr(algorithm, "n_offsprings", filled.pop_size))
    if not undecided:
        return Plan(filled, workspace, timing)
    numbers = divide(
        seconds(config.budget or 0) - (time.perf_counter() - started),
        timing,
        filled,
        images=len(problem.data.validation),
        free=free,
        least=max(least, filled.pop_size),
        beside=timing.image * (_images_of_pruning(workspace) + _images_of_saliency(workspace)),
    )
    _check_joint(numbers)
    _check_pruning(numbers, problem)
    if numbers.validation_images != filled.validation_images:
        workspace = Workspace(numbers)
    workspace.config = numbers
    return Plan(numbers, workspace, timing)


def _with_recipe(config: RunConfig, problem: SupernetProblem) -> RunConfig:
    """All numbers by which members of the front are trained alone."""
    if config.scratch.recipe == FINE_TUNE and config.width != 1:
        raise InputError(
            f"the shared weights have width {config.width:g} and fit no network of the space; "
            "leave --scratch.recipe fine-tune out, or give --width 1"
        )
    scratch = settle(
        config.scratch,
        side=min(problem.space.input_shape[1:]),
        images=len(problem.data.train),
        device=problem.data.train.device.type,
        threads=config.threads or _cores(),
    )
    return replace(config, scratch=scratch)


def _left_open(config: RunConfig) -> frozenset[str]:
    """Which numbers a budget decides; none without one."""
    if config.budget is None:
        return frozenset()
    numbers = {
        "evaluations": config.evaluations,
        "validation_images": config.validation_images,
        "steps": config.supernet or config.training.steps,
    }
    return frozenset(name for name, value in numbers.items() if value is None)


def _check_joint(config: RunConfig) -> None:
    if config.joint:
        get_single_paths(config.training.paths or "uniform")
        assert config.training.steps and config.weight_steps
        check_turns(config.training.steps, config.weight_steps)


def _check_batch(config: RunConfig, problem: SupernetProblem) -> None:
    """Refuse a batch that is larger than the data, or too small for the networks of a step."""
    size = config.training.batch_size
    assert size
    problem.data.train.steps(size)
    paths = get_paths(config.training.paths or "uniform")
    check_batch(size, passes_of_step(paths, problem.space))


def fill(config: RunConfig) -> RunConfig:
    """Every number that the user left open, from the problem's defaults.

    A table of measured networks trains nothing: what is about training stays open there. A run
    that takes the supernet of another takes its space, width and data settings as well.

    Raises:
        InputError: the problem, algorithm, device or other run is unknown.
    """
    data = data_of(config.problem)
    if config.algorithm not in list_algorithms():
        raise unknown("algorithm", config.algorithm, list_algorithms())
    config = _fill_distributions(config)
    config = _fill_saliency(config)
    config = _fill_pruning(config)
    if config.true_rank != TrueRankConfig() and config.algorithm != TRUE_RANK:
        raise InputError(
            f"the settings of --true-rank are of another algorithm than '{config.algorithm}'; give "
            f"--algorithm {TRUE_RANK}, or leave them out"
        )
    if data in TABLES:
        return _fill_table(config, data)
    device = resolve_device(config.device)
    if _from_scratch(config, data, device):
        return _fill_scratch(config, data, device)
    if config.algorithm == TRUE_RANK:
        raise InputError(
            f"'{TRUE_RANK}' goes through the space 'plain'; give --space plain, or another "
            "--algorithm"
        )
    if config.scratch != ScratchConfig() and config.retrain is None:
        raise InputError(
            "nothing in this run trains networks from scratch; leave the settings of --scratch "
            "out, or give --retrain or --from-scratch"
        )
    if config.supernet:
        other = load(RunFolder.open(config.supernet).config)
        trained_on = data_of(other.problem)
        if data != trained_on:
            raise InputError(
                f"the supernet of {config.supernet} was trained on '{trained_on}', not on the data "
                f"of '{config.problem}'; give --problem {other.problem}"
            )
        if config.training not in (TrainingConfig(), other.training):
            raise InputError(
                f"the supernet of {config.supernet} is trained already; leave the settings of "
                "--training out, or train another one without --supernet"
            )
        given = {name: getattr(config, name) for name in INHERITED}
        config = replace(config, **inherit(given, other), training=other.training)
    config = _with_absolute_paths(config, data)
    if config.training.paths is not None:
        get_paths(config.training.paths)
    defaults = defaults_for(data, device.partition(":")[0])
    training = {
        f.name: getattr(defaults.training, f.name)
        for f in fields(config.training)
        if getattr(config.training, f.name) is None
    }
    if config.prune is not None and "paths" in training and not config.supernet:
        training["paths"] = PRUNE_PATHS
    return replace(
        config,
        device=device,
        threads=config.threads or _cores(),
        space=config.space or defaults.space,
        space_settings=_settings(config, config.space or defaults.space, data, device),
        width=config.width or defaults.width,
        evaluations=config.evaluations or evaluations_of(config.algorithm, defaults.evaluations),
        train_images=config.train_images or defaults.train_images,
        validation_images=config.validation_images or defaults.validation_images,
        training=replace(config.training, **training),
    )


def _from_scratch(config: RunConfig, data: str, device: str) -> bool:
    """Whether networks are trained one by one."""
    name = config.space or defaults_for(data, device.partition(":")[0]).space
    settings = _settings(config, name, data, device)
    return config.from_scratch or not _space(name, settings).has_supernet


def _space(name: str, settings: tuple[str, ...]) -> SearchSpace:
    """A space for any images: what does not depend on them."""
    return get_space(name, 10, (3, 32, 32), **space_settings(settings))


def _settings(config: RunConfig, space: str, data: str, device: str) -> tuple[str, ...]:
    """Settings of the space, with the defaults of the data set."""
    given = space_settings(config.space_settings)
    default = default_settings(space, data, device.partition(":")[0])
    return tuple(f"{k}={','.join(map(str, v))}" for k, v in {**default, **given}.items())


def _fill_scratch(config: RunConfig, data: str, device: str) -> RunConfig:
    defaults = defaults_for(data, device.partition(":")[0])
    space = config.space or defaults.space
    settings = _settings(config, space, data, device)
    shared = _space(space, settings).has_supernet
    refused = {
        "joint": config.joint,
        "prune": config.prune is not None,
        "width": config.width is not None,
        "supernet": config.supernet is not None and not shared,
        "mutation saliency": config.mutation != "uniform",
        "algorithm saliency": config.algorithm == SALIENCY_SEARCH,
        "training": config.training != TrainingConfig(),
    }
    for setting, given in refused.items():
        if given:
            why = (
                "networks are trained from scratch here, without shared weights"
                if shared
                else f"the space '{space}' has no supernet: its networks are trained one by one"
            )
            more = " (how they are trained is said by --scratch)" if setting == "training" else ""
            raise InputError(f"{why}; leave --{setting} out{more}")
    if config.budget is not None:
        raise InputError(
            "--budget divides time between a supernet and its search; where networks are trained "
            "from scratch give --scratch.epochs and --evaluations"
        )
    if config.algorithm == TRUE_RANK and config.start is not None:
        raise InputError(f"'{TRUE_RANK}' begins at the shallowest network; leave --start out")
    config = _with_absolute_paths(config, data)
    evaluations = config.evaluations or SCRATCH_EVALUATIONS
    threads, scratch = config.threads or _cores(), config.scratch
    if config.algorithm == TRUE_RANK:
        whole = _space(space, settings)
        if not isinstance(whole, PlainSpace):
            raise InputError(
                f"'{TRUE_RANK}' goes through the space 'plain'; give --space plain, or another "
                "--algorithm"
            )
        evaluations = config.evaluations or most_candidates(whole)
        if scratch.at_once is None and data != "digits":  # whose images are too small to share
            # Candidates come one by one, so that each may have all threads.
            scratch = replace(scratch, at_once=min(threads, scratch.seeds))
    return replace(
        config,
        from_scratch=True,
        device=device,
        threads=threads,
        scratch=scratch,
        space=space,
        space_settings=settings,
        evaluations=evaluations,
        train_images=config.train_images or defaults.train_images,
        validation_images=config.validation_images or defaults.validation_images,
    )


def _with_absolute_paths(config: RunConfig, data: str) -> RunConfig:
    """A run is resumed from anywhere, and where the variable is not set."""
    folder = config.data_dir or (os.environ.get("EVONAS_DATA") if data != "digits" else None)
    return replace(
        config,
        data_dir=_absolute(folder),
        supernet=_absolute(config.supernet),
        start=_absolute(config.start),
        cost=_absolute_costs(config.cost),
    )


def _fill_distributions(config: RunConfig) -> RunConfig:
    if config.weight_steps is not None and not config.joint:
        raise InputError("--weight-steps is of a joint search; give --joint, or leave it out")
    if config.algorithm == MULTI_DISTRIBUTION:
        M = config.distributions or DISTRIBUTIONS
        if not config.joint:
            return replace(config, distributions=M)
        if config.supernet:
            raise InputError("--joint trains weights of its own; leave --supernet out, or --joint")
        return replace(
            config,
            distributions=M,
            weight_steps=config.weight_steps or WEIGHT_STEPS,
            evaluations=config.evaluations or JOINT_EVALUATIONS * M,
        )
    if config.joint:
        raise InputError(
            f"'{config.algorithm}' has nothing to learn jointly with the weights; give --algorithm "
            f"{MULTI_DISTRIBUTION}, or leave --joint out"
        )
    if config.distributions is not None:
        raise InputError(
            f"'{config.algorithm}' has no distributions; give --algorithm {MULTI_DISTRIBUTION}, or "
            "leave --distributions out"
        )
    return config


def _fill_saliency(config: RunConfig) -> RunConfig:
    if config.mutation not in MUTATIONS:
        raise unknown("mutation", config.mutation, MUTATIONS)
    if config.algorithm == SALIENCY_SEARCH and config.start is not None:
        raise InputError(
            f"'{SALIENCY_SEARCH}' evaluates only what its table thinks best; leave --start out"
        )
    if config.saliency == "magnitude":
        raise InputError(
            "the magnitude of an operation is 1 in every path, and says nothing of it; give "
            "another --saliency"
        )
    if config.saliency is not None and config.saliency not in VARIANTS:
        raise unknown("saliency", config.saliency, VARIANTS)
    if config.mutation == "saliency" or config.algorithm == SALIENCY_SEARCH:
        return replace(config, saliency=config.saliency or SALIENCY)
    needless = None
    if config.saliency is not None:
        needless = "it, or leave --saliency out (--saliency None, where --config has one)"
    elif config.saliency_half_resolution:
        needless = "--saliency-half-resolution, or leave it out"
    if needless:
        raise InputError(
            "nothing in this run uses a saliency table; give --mutation saliency or --algorithm "
            f"{SALIENCY_SEARCH} with {needless}"
        )
    return config


def _fill_pruning(config: RunConfig) -> RunConfig:
    if config.prune is None:
        for name in ("prune_to", "prune_keep", "prune_by", "prune_epochs"):
            if getattr(config, name) is not None:
                flag = "--" + name.replace("_", "-")
                raise InputError(
                    f"{flag} is of a pruning; give --prune global with it, or leave it out ({flag} "
                    "None, where --config has it)"
                )
        return config
    if config.joint:
        raise InputError(
            "distributions of a joint search narrow the space themselves; leave --prune or "
            "--joint out"
        )
    if config.supernet and RunFolder.open(config.supernet).pruning.is_file():
        raise InputError(
            f"the space of {config.supernet} has been pruned already; leave --prune out (--prune "
            "None, where --config has it)"
        )
    if config.supernet and config.prune_epochs is not None:
        raise InputError(
            f"the supernet of {config.supernet} is trained already, so that levels have no epochs "
            "between them; leave --prune-epochs out"
        )
    if config.prune_to is not None and config.prune_keep is not None:
        raise InputError("--prune-to and --prune-keep both say how much stays; give one of them")
    keep = (
        PRUNE_KEEP if config.prune_to is None and config.prune_keep is None else config.prune_keep
    )
    return replace(config, prune_keep=keep, prune_by=config.prune_by or PRUNE_BY)


def _check_pruning(config: RunConfig, problem: SupernetProblem) -> None:
    """Refuse what a pruning cannot do, before anything is trained."""
    if config.prune is None:
        return
    check_pruning(
        problem.space,
        order=config.prune,
        criterion=config.prune_by or PRUNE_BY,
        keep=config.prune_keep,
        size=config.prune_to,
        epochs=config.prune_epochs,
    )
    if not config.supernet and config.training.steps:
        rounds(problem.space, config.training, problem.data.train, config.prune_epochs)


def _fill_table(config: RunConfig, name: str) -> RunConfig:
    if config.prune is not None:
        raise InputError(
            f"'{config.problem}' is a table of measured networks, with no supernet to prune; leave "
            "--prune out"
        )
    if config.saliency is not None:
        raise InputError(
            f"'{config.problem}' is a table of measured networks, with no supernet that says what "
            "a choice is worth; leave --mutation and --algorithm saliency out"
        )
    if config.joint:
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave --joint out"
        )
    # What else means nothing to a table is refused where the problem is made.
    for setting in ("budget", "supernet"):
        if getattr(config, setting) is not None:
            raise InputError(
                f"'{config.problem}' is a table of measured networks, in which a search takes "
                f"seconds; leave --{setting} out"
            )
    if config.from_scratch or config.scratch != ScratchConfig():
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave "
            "--from-scratch and the settings of --scratch out"
        )
    if config.retrain is not None:
        raise InputError(
            f"'{config.problem}' is a table of measured networks, whose true errors are known; "
            "leave --retrain out"
        )
    if config.training != TrainingConfig():
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave the "
            "settings of --training out"
        )
    return replace(
        config,
        data_dir=_absolute(config.data_dir or os.environ.get("EVONAS_DATA")),
        start=_absolute(config.start),
        cost=_absolute_costs(config.cost),
        device="cpu",
        threads=config.threads or _cores(),
        space=config.space or TABLES[name].space,
        evaluations=config.evaluations or evaluations_of(config.algorithm, TABLE_EVALUATIONS),
    )


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(os.path.expanduser(path)) if path else None


def _absolute_costs(costs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}={_absolute(file)}" for name, file in cost_files(costs).items())


def divide(
    left: float,
    timing: Timing,
    config: RunConfig,
    *,
    images: int,
    free: frozenset[str],
    least: int | None = None,
    beside: float = 0.0,
) -> RunConfig:
    """Divide the time that is left between training and search.

    Args:
        left: seconds.
        timing: what was measured.
        config: filled settings: the numbers where nothing is short.
        images: validation images there are by these settings.
        free: which of "evaluations", "validation_images" and "steps" may be changed.
        least: evaluations that the search needs; a population, if None.
        beside: seconds that neither of the two has, for scores of choices.

    Returns:
        The settings with numbers that fit into the time.

    Raises:
        InputError: the time is too short to train and search anything.
    """
    assert config.evaluations and config.training.steps
    usable = left * (1 - RESERVE_SHARE) - RESERVE_SECONDS - beside
    may_train = "steps" in free and not config.supernet
    fixed = 0.0 if config.supernet or may_train else config.training.steps * timing.step
    share = usable * SEARCH_SHARE if may_train else usable - fixed
    least = least or config.pop_size
    evaluations = max(config.evaluations, least)
    if "evaluations" in free:
        if "validation_images" in free:
            affordable = int(share / (evaluations * timing.image)) // IMAGE_STEP * IMAGE_STEP
            images = min(images, max(LEAST_IMAGES, images // 4, affordable))
        networks = int(share / (images * timing.image)) // config.pop_size * config.pop_size
        # Where nothing is trained the search takes all the time there is.
        evaluations = min(evaluations, networks) if may_train else networks
        if evaluations < least:
            search = least * images * timing.image
            train = LEAST_STEPS * timing.step
            needed = max(search / SEARCH_SHARE, search + train) if may_train else search + fixed
            raise _too_small(config, left, needed + beside)
    steps = config.training.steps
    if may_train:
        steps = int((usable - evaluations * images * timing.image) / timing.step)
        if steps < LEAST_STEPS:
            needed = (LEAST_STEPS + 1) * timing.step + evaluations * images * timing.image
            raise _too_small(config, left, needed + beside)
    return replace(
        config,
        evaluations=evaluations,
        validation_images=images,
        training=replace(config.training, steps=steps),
    )


def _too_small(config: RunConfig, left: float, needed: float) -> InputError:
    # Reading the data and measuring took this long, and will again, or a little longer.
    spent = 1.2 * (seconds(config.budget or 0) - left)
    least = spent + (needed + RESERVE_SECONDS) / (1 - RESERVE_SHARE)
    return InputError(
        f"a budget of {config.budget} is too small to train and search anything on this device; "
        f"give at least {math.ceil(least)}s"
    )


def _measure(workspace: Workspace, networks: int) -> Timing:
    from evonas.supernet.calibration import time_evaluation, time_step

    supernet = workspace.supernet_problem().supernet
    step = 0.0
    if supernet is None:
        supernet = workspace.new_supernet()
        step = time_step(supernet, workspace.config.training)
    image = time_evaluation(supernet, networks=networks)
    if workspace.config.joint:
        step += networks * image * images_of_a_turn(workspace)
    return Timing(step, image)


def images_of_a_turn(workspace: Workspace) -> float:
    """Full-size validation images to a training step on which distributions score a sample."""
    from evonas.supernet.supernet import EVALUATION_BATCH

    config = workspace.config
    assert config.weight_steps
    batch = min(EVALUATION_BATCH, len(workspace.supernet_problem().data.validation))
    # Distributions begin at WARM_UP, and score images of half the side until these end.
    half = max(config.training.half_resolution or 0.0, WARM_UP)
    share = (half - WARM_UP) * HALF_STEP + 1.0 - half
    return batch * share / config.weight_steps


def _images_of_saliency(workspace: Workspace) -> float:
    """Images of full size that a saliency table is worth, each counted for each network."""
    config, problem = workspace.config, workspace.supernet_problem()
    if config.saliency is None:
        return 0.0
    space = problem.space
    passes = passes_of(config.saliency, space.n_var, int(space.n_choices.sum()))
    size = HALF_STEP if config.saliency_half_resolution else 1.0
    return passes * size * _scored_images(problem, SALIENCY_BATCHES)


def _images_of_pruning(workspace: Workspace) -> float:
    """The same for a pruning, in images of full size."""
    config, problem = workspace.config, workspace.supernet_problem()
    if config.prune is None or config.prune_by is None:
        return 0.0
    space, choices = problem.space, int(problem.space.n_choices.sum())
    children = CHILDREN_PER_CHOICE * choices
    if config.prune_by not in ("error", *OF_CHILDREN):
        children = round(passes_of(config.prune_by, space.n_var, choices))
    half = not config.supernet and (config.training.half_resolution or 0.0) >= END
    size = HALF_STEP if half else 1.0
    return (LOOKS + len(space.levels)) * children * size * _scored_images(problem, BATCHES)


def _scored_images(problem: SupernetProblem, batches: int) -> int:
    from evonas.supernet.supernet import EVALUATION_BATCH

    return min(batches * EVALUATION_BATCH, len(problem.data.validation))


def use_threads(config: RunConfig) -> None:
    """Give torch the run's number of CPU threads.

    It is part of the settings: sums over threads differ in their last bits with their number.
    """
    import torch

    torch.set_num_threads(config.threads or _cores())


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
