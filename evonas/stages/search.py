"""The stage that searches the trained supernet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.analysis.saliency import Saliency
from evonas.analysis.tables import write_table
from evonas.errors import InputError
from evonas.problems import ArchitectureProblem, ScratchProblem
from evonas.problems.scratch import never
from evonas.runs import (
    Context,
    GenerationReport,
    JointDistributions,
    Journal,
    Outcome,
    RunFolder,
    drive,
    searches_of,
)
from evonas.search import TrueRankSearch
from evonas.search.registry import TRUE_RANK
from evonas.search.true_rank import numbers_of
from evonas.spaces import PlainSpace
from evonas.stages.start import held_by, read_networks, start_file, with_start
from evonas.stages.workspace import Workspace

if TYPE_CHECKING:
    from evonas.training import Training


@dataclass(frozen=True)
class SearchFront:
    """Runs the algorithm; the journal is its checkpoint."""

    workspace: Workspace
    restart: bool = False
    name: str = "search"

    def done(self, run: RunFolder) -> bool:
        """Whether the budget is spent, and what distributions learnt is written."""
        config = self.workspace.config
        told = config.distributions is None or run.architectures.is_file()
        told &= config.algorithm != TRUE_RANK or run.decisions.is_file()
        return told and self.spent(run)

    def spent(self, run: RunFolder) -> bool:
        """Whether the journal holds a finished search of at least this many evaluations."""
        searches = searches_of(run)
        budget = self.workspace.config.evaluations
        assert budget
        return bool(searches) and searches[-1].finished and searches[-1].evaluations >= budget

    def run(self, context: Context) -> None:
        """Search, or go on searching."""
        config = self.workspace.config
        problem = self.workspace.ready_problem(context.folder)
        settings: dict[str, Any] = {}
        start = start_file(context.folder)
        if start.is_file():
            networks = read_networks(start)
            kept = held_by(problem.space, networks)
            if len(kept) < len(networks):
                context.progress.say(
                    f"{len(networks) - len(kept)} of {len(networks)} networks of the start were "
                    "struck out by the pruning and are left out"
                )
            if kept:
                settings["sampling"] = with_start(problem, kept, config)
        if config.saliency is not None:
            values, allowed = Saliency.load(context.folder.path).values, problem.space.allowed
            if values.shape != allowed.shape or np.isnan(values[allowed]).any():
                raise InputError(
                    f"{context.folder.saliency} lacks choices of the space, or has others; restore "
                    "the file, or delete it to have it computed again"
                )
            settings["saliency"] = problem.space.lower_table(values)
        joint = JointDistributions.load(context.folder) if config.joint else None
        if joint:
            settings["probabilities"] = joint.probabilities
        algorithm = self.workspace.algorithm(**settings)
        for ended in (context.folder.architectures, context.folder.decisions):
            ended.unlink(missing_ok=True)  # until this search has ended
        assert config.evaluations
        with context.progress.stage("search", config.evaluations, "networks") as progress:
            seen = whole = 0

            def tell(report: GenerationReport) -> None:
                nonlocal seen, whole
                numbers = {} if report.hypervolume is None else {"hypervolume": report.hypervolume}
                progress.advance(max(0, report.evaluations - seen), **numbers)
                seen, whole = max(seen, report.evaluations), 0

            def trained(training: Training) -> None:
                nonlocal seen, whole
                if training.diverged:
                    context.progress.say(
                        f"the training of {training.network} diverged (seed {training.seed}); it "
                        "counts as a guess"
                    )
                if training.failed:
                    context.progress.say(
                        f"{training.network} is left out (seed {training.seed}): {training.failed}"
                    )
                whole += training.epochs == problem.config.epochs  # not one of a promotion
                if whole == problem.trainings:
                    seen, whole = seen + 1, 0
                    progress.advance(1, error=training.error, **problem.load)

            if isinstance(problem, ScratchProblem):
                problem.stop, problem.on_training = context.stop, trained
            with Journal(context.folder.journal) as journal:
                outcome = drive(
                    problem,
                    algorithm,
                    evaluations=config.evaluations,
                    seed=config.seed,
                    journal=journal,
                    stop=context.stop,
                    on_generation=tell,
                    restart=self.restart,
                    asynchronous=config.asynchronous,
                )
            if isinstance(problem, ScratchProblem):
                problem.stop, problem.on_training = never, None  # the stage is over
            if isinstance(outcome.algorithm, TrueRankSearch) and not outcome.stopped:
                progress.finish()  # it may have had fewer candidates than it could have had
        if hasattr(outcome.algorithm, "architectures") and not outcome.stopped:
            coefficients = joint.coefficients if joint else outcome.algorithm.coefficients
            write_architectures(context.folder, problem, outcome, coefficients)
        if isinstance(outcome.algorithm, TrueRankSearch):
            if not outcome.stopped:
                write_decisions(context.folder, problem, outcome.algorithm)
        elif not outcome.stopped and outcome.evaluations < config.evaluations:
            context.progress.say(
                f"the search ended at {outcome.evaluations} of {config.evaluations} networks: it "
                "found no more that are new and keep the limits"
            )


def write_decisions(
    folder: RunFolder, problem: ArchitectureProblem, algorithm: TrueRankSearch
) -> None:
    """Write what was made of each candidate, in order; numbers as of `numbers_of`, in images."""
    space, decisions = problem.space.base, algorithm.decisions
    assert isinstance(space, PlainSpace)
    rows = [numbers_of(decision) for decision in decisions]
    write_table(
        folder.decisions,
        list(rows[0]),
        np.array([list(row.values()) for row in rows]),
        texts=("network", [space.decode(space.genome(d.architecture)) for d in decisions]),
        notes=("decision", [f"{d.phase}: {d.outcome}" for d in decisions]),
    )


def write_architectures(
    folder: RunFolder,
    problem: ArchitectureProblem,
    outcome: Outcome,
    coefficients: np.ndarray | None,
) -> None:
    """Write the likeliest architecture of each distribution, with its numbers and coefficient.

    A row for each distribution, in order. What it trades off by is a column of its own, or several:
    of a joint search for the loss in nats, which it learnt from, else for the first objective.
    """
    unit = "loss" if folder.distributions.is_file() else problem.objectives[0]
    X = problem.canonical(outcome.algorithm.architectures)
    networks = [problem.space.decode(genome) for genome in X]
    known = {result.key: result.objectives for result in outcome.results}
    unknown = (np.nan,) * problem.n_obj
    columns = list(problem.objectives)
    values = [np.array([known.get(network, unknown) for network in networks])]
    for name, cost in problem.costs.items():
        if name not in columns:
            columns.append(name)
            values.append(np.asarray(cost(X), dtype=float)[:, None])
    if coefficients is not None and coefficients.ndim == 1:
        columns.append(f"{unit}_per_{problem.objectives[1]}")
        values.append(coefficients[:, None])
    elif coefficients is not None:
        columns += [f"weight_{name}" for name in (unit, *problem.objectives[1:])]
        values.append(coefficients)
    write_table(folder.architectures, columns, np.hstack(values), texts=("network", networks))
