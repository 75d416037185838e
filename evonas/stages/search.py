"""The stage that searches the trained supernet."""

from dataclasses import dataclass
from typing import Any

from evonas.runs import (
    Context,
    GenerationReport,
    Journal,
    RunFolder,
    drive,
    read_lines,
    read_searches,
)
from evonas.stages.start import read_networks, start_file, with_start
from evonas.stages.workspace import Workspace


@dataclass(frozen=True)
class SearchFront:
    """Runs the algorithm; the journal is its checkpoint."""

    workspace: Workspace
    restart: bool = False
    name: str = "search"

    def done(self, run: RunFolder) -> bool:
        """Whether the journal holds a finished search of at least this many evaluations."""
        lines, _ = read_lines(run.journal)
        searches = read_searches(lines, run.journal)
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
            settings["sampling"] = with_start(problem, read_networks(start), config)
        algorithm = self.workspace.algorithm(**settings)
        assert config.evaluations
        with context.progress.stage("search", config.evaluations, "networks") as progress:
            seen = 0

            def tell(report: GenerationReport) -> None:
                nonlocal seen
                numbers = {} if report.hypervolume is None else {"hypervolume": report.hypervolume}
                progress.advance(report.evaluations - seen, **numbers)
                seen = report.evaluations

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
                )
        if not outcome.stopped and outcome.evaluations < config.evaluations:
            context.progress.say(
                f"the search ended at {outcome.evaluations} of {config.evaluations} networks: it "
                "found no more that are new and keep the limits"
            )
