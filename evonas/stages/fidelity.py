"""The stage that compares what the supernet says of some networks with what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.analysis import RankFidelity, save_fidelity
from evonas.analysis.quantities import plural
from evonas.analysis.ranks import FEWEST
from evonas.atomic import write_json_atomic
from evonas.config import RunConfig, ScratchConfig, put_over
from evonas.errors import EvaluationStopped, InputError
from evonas.operators import StratifiedSampling
from evonas.problems import ArchitectureProblem, ScratchProblem, SupernetProblem
from evonas.problems.published import TABLES, table_of
from evonas.problems.registry import data_of, published_problem
from evonas.retrain import method_of
from evonas.runs import Context, RunFolder
from evonas.runs.stage import read_states
from evonas.stages.report import WriteReport
from evonas.stages.workspace import Workspace

if TYPE_CHECKING:
    from evonas.training import Training

# What true errors are: those of a published table, or of trainings of one's own.
TABLE, SCRATCH = "table", "scratch"
# Networks scored between two looks at the stop flag; together, since they share layers.
SCORED_AT_ONCE = 50


class NotMeasured(InputError):
    """A measurement came to nothing."""


@dataclass(frozen=True)
class MeasureFidelity:
    """Scores a sample by the trained supernet, and looks its true errors up or trains it.

    Each training is kept as it ends; scores are made anew after a crash. The sample is that of
    `compared_networks`: as many as the run's ``fidelity``, or all that there are.
    """

    workspace: Workspace
    name: str = "fidelity"

    def done(self, run: RunFolder) -> bool:
        """Whether the table, with all networks in it, and its figure are there."""
        return (run.figures / "fidelity.png").is_file() and self._measured(run)

    def _measured(self, run: RunFolder) -> bool:
        if not run.fidelity.is_file():
            return False
        try:
            networks = RankFidelity.load(run.path).networks
        except InputError:
            return False
        if len(networks) == self.workspace.config.fidelity:
            return True
        self.workspace.narrow_as(run)  # of a small space there may be no more
        X = self._networks()
        return len(networks) == len(X) or len(networks) == len(X[self._trained(run, X)])

    def _trained(self, run: RunFolder, X: np.ndarray) -> np.ndarray:
        """Which of the networks could be trained, bool (k,): the error of another is a guess."""
        config = self.workspace.config
        if config.fidelity_by != SCRATCH:
            return np.ones(len(X), dtype=bool)
        scratch = self.workspace.scratch_problem(run, compared_scratch(config))
        names = [scratch.space.decode(x) for x in X]
        lost = [any(scratch.is_lost(name, seed) for seed in scratch.seeds) for name in names]
        return ~np.array(lost, dtype=bool)

    def _networks(self) -> np.ndarray:
        config, problem = self.workspace.config, self.workspace.problem
        assert config.fidelity
        return compared_networks(problem, config.fidelity, seed=config.seed)

    def run(self, context: Context) -> None:
        """Measure and draw; what is measured already is only drawn.

        Raises:
            NotMeasured: it came to nothing.
        """
        folder = context.folder
        if not self._measured(folder):
            try:
                record = self._measure(context)
            except InputError as error:
                raise NotMeasured(str(error)) from error
            if record is None:
                return
            record.write(folder.fidelity)
            folder.fidelity_before.unlink(missing_ok=True)
            context.progress.say(f"rank fidelity: {record.summary()}")
        save_fidelity(folder)

    def _measure(self, context: Context) -> RankFidelity | None:
        """The comparison; None where it was asked to stop."""
        folder, config = context.folder, self.workspace.config
        self.workspace.ready_problem(folder)
        problem, X = self.workspace.supernet_problem(), self._networks()
        estimated = scored(problem, X, context)
        if estimated is None:
            return None
        if config.fidelity_by == TABLE:
            true, source = published_errors(config, problem, X)
        else:
            scratch = self.workspace.scratch_problem(folder, compared_scratch(config))
            trained = trained_errors(scratch, X, context)
            if trained is None:
                return None
            true, source = trained, source_of(scratch)
            kept = self._trained(folder, X)
            if not kept.all():
                context.progress.say(
                    f"{plural(int((~kept).sum()), 'network')} could not be trained, and are left "
                    "out"
                )
                X, estimated, true = X[kept], estimated[kept], true[kept]
                if len(X) < FEWEST:
                    raise InputError(
                        f"{plural(len(X), 'network')} could be trained, and the order of so few "
                        "says nothing; train them otherwise, such as with a smaller lr"
                    )
        names, costs = problem.cost_columns(X)
        return RankFidelity(
            tuple(problem.space.decode(x) for x in X),
            estimated,
            true,
            source,
            names,
            costs,
            folder.name,
        )


def set_aside(folder: RunFolder, *, keep: bool) -> None:
    """Make room for another measurement.

    Args:
        folder: of the run.
        keep: whether the table is kept until the other one is there.
    """
    if keep and folder.fidelity.is_file():
        folder.fidelity.replace(folder.fidelity_before)
    elif not keep:
        folder.fidelity.unlink(missing_ok=True)
        folder.fidelity_before.unlink(missing_ok=True)
    (folder.figures / "fidelity.png").unlink(missing_ok=True)
    states = read_states(folder)
    if states.pop(MeasureFidelity.name, None):  # its seconds are of what is aside
        write_json_atomic(folder.stages, states)


def put_back(folder: RunFolder, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Have what was set aside again.

    Args:
        folder: of the run.
        states: what `stages.json` said then: a table that was aside already when it did is of
            other settings, and stays there.
    """
    measured = states.get(MeasureFidelity.name, {}).get("state") == "done"
    if measured and folder.fidelity_before.is_file():
        folder.fidelity_before.replace(folder.fidelity)
        save_fidelity(folder)
    now: dict[str, Any] = {**read_states(folder)}
    for name in (MeasureFidelity.name, WriteReport.name):
        now.pop(name, None)
        if name in states:
            now[name] = states[name]
    write_json_atomic(folder.stages, now)


def compared_scratch(config: RunConfig) -> ScratchConfig:
    """How the networks are trained that rank fidelity compares."""
    return put_over(config.scratch, config.fidelity_scratch)


def compared_networks(problem: ArchitectureProblem, k: int, *, seed: int = 1) -> np.ndarray:
    """Networks spread evenly over the costs, canonical, distinct, and within all limits.

    Args:
        problem: gives space, costs and limits.
        k: how many.
        seed: of the draw.

    Returns:
        int (k, n_var); fewer rows where there are no more such networks.
    """
    drawn = StratifiedSampling()(problem, k, random_state=np.random.default_rng(seed)).get("X")
    X = problem.canonical(np.asarray(drawn, dtype=np.int64))
    return X[np.sort(np.unique(X, axis=0, return_index=True)[1])]


def scored(problem: SupernetProblem, X: np.ndarray, context: Context) -> np.ndarray | None:
    """Errors by shared weights on all images, percent, (k,); None where it was asked to stop.

    What a search without a race has scored is known already.
    """
    if problem.racing != "off":  # there are estimates among what is known
        whole = SupernetProblem(
            problem.space, problem.data, supernet=problem.supernet, memory=problem.memory
        )
        whole.scoring = problem.scoring
        problem = whole
    column = problem.objectives.index("error")
    errors: list[np.ndarray] = []
    with context.progress.stage("estimates", len(X), "networks") as progress:
        for start in range(0, len(X), SCORED_AT_ONCE):
            if context.stop():
                return None
            part = X[start:][:SCORED_AT_ONCE]
            errors.append(problem.evaluate(part, return_values_of=["F"])[:, column])
            progress.advance(len(errors[-1]))
    return np.concatenate(errors)


def published_errors(
    config: RunConfig, problem: ArchitectureProblem, X: np.ndarray
) -> tuple[np.ndarray, str]:
    """Published test errors, percent, (k,), and what they are, in words.

    Raises:
        InputError: there is no such table, its file is missing or damaged, or lacks a network.
    """
    name = table_of(data_of(config.problem), problem.space.base.name)
    if name is None:
        raise no_table(config)
    table = published_problem(f"{name}-params", data_dir=config.data_dir)
    genomes = problem.space.lift(X)
    known = table.feasible(genomes)
    if not known.all():
        lacks = problem.space.decode(X[int(np.argmin(known))])
        raise InputError(
            f"{TABLES[name].file} lacks {lacks}; replace it by a fresh copy from "
            f"{TABLES[name].source}"
        )
    return table.evaluate(genomes)[:, 0], f"{TABLES[name].title}, published test error"


def no_table(config: RunConfig) -> InputError:
    """That nobody has published what is looked for."""
    known = ", ".join(f"{t.space} on {t.data}" for t in TABLES.values())
    return InputError(
        f"there is no published table of the space '{config.space}' on '{data_of(config.problem)}' "
        f"(there are {known}); compare with trainings, by scratch"
    )


def trained_errors(scratch: ScratchProblem, X: np.ndarray, context: Context) -> np.ndarray | None:
    """Validation errors of trained networks, percent, (k,); None where it was asked to stop."""
    done = sum(len(scratch.records(scratch.space.decode(x))) for x in X)
    total = len(X) * scratch.trainings
    with context.progress.stage("fidelity", total, "trainings", done=done) as progress:

        def tell(training: Training) -> None:
            progress.advance(1, error=training.error, **scratch.load)

        scratch.stop, scratch.on_training = context.stop, tell
        try:
            F = scratch.evaluate(X, return_values_of=["F"])
            return np.asarray(F[:, scratch.objectives.index("error")])
        except EvaluationStopped:
            return None


def source_of(scratch: ScratchProblem) -> str:
    """What the errors of trained networks are, in words."""
    seeds = plural(scratch.trainings, "seed")
    return f"{method_of(scratch)}, {seeds}, validation error"
