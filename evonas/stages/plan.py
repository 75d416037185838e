"""From what the user said to fixed numbers: what a run will cost, and a time budget divided."""

import math
import time
from dataclasses import dataclass, replace

from evonas.analysis.quantities import plural
from evonas.config import RunConfig, seconds
from evonas.data.locate import named_folder
from evonas.device import kind_of
from evonas.errors import InputError
from evonas.problems import ScratchProblem, SupernetProblem
from evonas.problems.defaults import SALIENCY_BATCHES
from evonas.problems.registry import data_of
from evonas.search.joint import WARM_UP, check_turns
from evonas.stages.fidelity import SCRATCH, compared_scratch
from evonas.stages.fidelity_plan import fidelity_seconds, settle_fidelity, within_budget
from evonas.stages.filling import fill, use_threads
from evonas.stages.start import read_networks
from evonas.stages.trainings import (
    epochs_within,
    likewise,
    retrain_seconds,
    settle_retraining,
    training_seconds,
)
from evonas.stages.workers import networks_trained_on, weights_trained_on
from evonas.stages.workspace import Workspace
from evonas.supernet.paths import get_paths, get_single_paths, passes_of_step
from evonas.supernet.struck import BATCHES, CHILDREN_PER_CHOICE, END, LOOKS, check_pruning, rounds
from evonas.supernet.struck import CRITERION as PRUNE_BY
from evonas.supernet.variants import OF_CHILDREN, passes_of
from evonas.training.schedule import HALF_STEP, LEAST_STEPS, check_batch

# Share of a budget that the search may take; what it does not need goes to the training.
SEARCH_SHARE = 0.3
# Share and seconds kept back for reading data, figures, and a machine that slows down.
RESERVE_SHARE, RESERVE_SECONDS = 0.04, 5.0
# Share of the images that a confident race needs, and some to spare: default searches of CIFAR-10
# took 0.33 to 0.48, and the dearest networks see the most.
RACED = 0.55
# Fewer validation images than this tell networks apart badly.
LEAST_IMAGES = 500
# Their number is a multiple of this.
IMAGE_STEP = 250


@dataclass(frozen=True)
class Timing:
    """What was measured on the device at hand.

    Attributes:
        step: seconds of one training step, with what distributions score meanwhile.
        image: seconds to score one network on one validation image, in the course of a search.
        training: seconds that one training of a network adds that is compared, where there are any.
        retraining: the same of a retrained member of the front.
        apart: as `image`, of networks that are scored together once, with no others at hand; by
            default the same.
    """

    step: float
    image: float
    training: float = 0.0
    retraining: float = 0.0
    apart: float | None = None

    @property
    def once(self) -> float:
        """`apart`, whether it was measured or not."""
        return self.image if self.apart is None else self.apart


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
        saliency = timing.once * _images_of_saliency(self.workspace)
        fidelity = fidelity_seconds(config, images * timing.once, timing.training)
        return {
            name: train + timing.once * _images_of_pruning(self.workspace),
            **({"saliency": saliency} if config.saliency else {}),
            "search": config.evaluations * images * timing.image,
            **({"retrain": retrain_seconds(config, timing.retraining)} if config.retrain else {}),
            **({"fidelity": fidelity} if config.fidelity else {}),
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
    if filled.from_scratch:
        use_threads(filled)  # as many networks are trained at once
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
        settle_retraining(workspace)
    filled = settle_fidelity(workspace)
    free = _left_open(config)
    undecided = bool(free - {"validation_images"})
    if "steps" not in free:
        _check_joint(filled)
        _check_pruning(filled, problem)
    # What is trained on workers of another kind this machine cannot time.
    trained = {weights_trained_on(filled)}
    if filled.retrain or filled.fidelity_by == SCRATCH:
        trained.add(networks_trained_on(filled))
    elsewhere = trained != {kind_of(filled.device)}
    if elsewhere and undecided:
        raise InputError(
            "--budget measures this machine, and workers with other devices train; leave it out "
            "(--training.steps, --evaluations and --scratch.epochs say it, too)"
        )
    use_threads(filled)
    if not filled.supernet:
        filled = _settle_precision(workspace, problem)
    if not undecided and (elsewhere or not measure):
        return Plan(filled, workspace)
    # Networks that are scored together share layers.
    timing = _measure(workspace, getattr(algorithm, "n_offsprings", filled.pop_size))
    if not undecided:
        return Plan(filled, workspace, timing)
    left = seconds(config.budget or 0) - (time.perf_counter() - started)
    images = len(problem.data.validation)
    if config.fidelity is None and filled.fidelity:
        filled = within_budget(filled, images * timing.once, left)
    if filled.retrain and config.scratch.epochs is None:
        shared = likewise(filled)
        filled, each = epochs_within(filled, timing.retraining, left)
        timing = replace(timing, retraining=each, training=each if shared else timing.training)
    beside = timing.once * (_images_of_pruning(workspace) + _images_of_saliency(workspace))
    beside += retrain_seconds(filled, timing.retraining)
    numbers = divide(
        left,
        timing,
        filled,
        images=images,
        free=free,
        least=max(least, filled.pop_size),
        beside=beside + fidelity_seconds(filled, images * timing.once, timing.training),
    )
    _check_joint(numbers)
    _check_pruning(numbers, problem)
    if numbers.validation_images != filled.validation_images:
        workspace = Workspace(numbers)
    workspace.config = numbers
    return Plan(numbers, workspace, timing)


def _settle_precision(workspace: Workspace, problem: SupernetProblem) -> RunConfig:
    """Find out in which precision to train; the settings are the workspace's from now on."""
    from evonas.supernet.calibration import settle_precision

    config = workspace.config
    given = problem.space, problem.data, problem.width, config.training
    training = settle_precision(*given, trained_on=weights_trained_on(config))
    workspace.config = replace(config, training=training)
    return workspace.config


def _left_open(config: RunConfig) -> frozenset[str]:
    """Which numbers a budget decides; none without one."""
    if config.budget is None:
        return frozenset()
    numbers = {
        "epochs": config.scratch.epochs if config.retrain else 0,
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
        free: which of "evaluations", "validation_images" and "steps" may be changed; others are
            decided elsewhere.
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
    more = f", and to retrain {plural(config.retrain, 'member')}" if config.retrain else ""
    return InputError(
        f"a budget of {config.budget} is too small to train and search anything{more} on this "
        f"device; give at least {math.ceil(least)}s"
    )


def _measure(workspace: Workspace, networks: int) -> Timing:
    from evonas.supernet.calibration import time_evaluation, time_step

    supernet = workspace.supernet_problem().supernet
    step = 0.0
    if supernet is None:
        supernet = workspace.new_supernet()
        step = time_step(supernet, workspace.config.training)
    apart = time_evaluation(supernet, networks=networks)
    memory = workspace.supernet_problem().memory_for_activations
    image = time_evaluation(supernet, networks=networks, memory=memory) if memory else apart
    if workspace.config.racing == "confident":
        image *= RACED
    if workspace.config.joint:
        step += networks * apart * images_of_a_turn(workspace)
    config, training, retraining = workspace.config, 0.0, 0.0
    if config.retrain:
        retraining = training_seconds(workspace, config.scratch)
    if config.fidelity_by == SCRATCH:
        alike = config.retrain and likewise(config)
        training = retraining if alike else training_seconds(workspace, compared_scratch(config))
    return Timing(step, image, training, retraining, apart)


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
