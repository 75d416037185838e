"""The stage that writes what a run found: front.csv, history.csv and the figures."""

from dataclasses import dataclass

from evonas.analysis import Front, History, save_fidelity, save_figures, save_retrained
from evonas.errors import InputError
from evonas.problems import ArchitectureProblem
from evonas.retrain import all_retrained, summarised
from evonas.runs import Context, RunFolder, distinct_results, searches_of
from evonas.stages.workspace import Workspace


@dataclass(frozen=True)
class WriteResults:
    """Everything evaluated becomes the front; written again after the search went on."""

    workspace: Workspace
    name: str = "results"

    def done(self, run: RunFolder) -> bool:
        """Whether the files hold what the journal holds."""
        if not (run.front.is_file() and run.history.is_file()):
            return False
        if not all((run.figures / f"{name}.png").is_file() for name in ("front", "hypervolume")):
            return False
        try:
            written = History.load(run.path)
        except InputError:
            return False
        return len(written) == len(History.from_searches(searches_of(run)))

    def run(self, context: Context) -> None:
        """Write and draw."""
        write_results(context.folder, self.workspace)


def write_results(folder: RunFolder, workspace: Workspace) -> Front:
    """Write the front and history of everything evaluated so far, and draw them."""
    searches = searches_of(folder)
    workspace.narrow_as(folder)
    problem = workspace.problem
    front = Front.from_results(
        distinct_results(searches), problem.objectives, problem=problem, name=folder.name
    )
    front.write(folder.front)
    History.from_searches(searches, name=folder.name).write(folder.history)
    save_figures(folder)
    if folder.fidelity.is_file():
        save_fidelity(folder)  # it marks the members of the front
    if folder.retrained.is_file():
        write_retrained(folder, problem)  # which stands beside the front
    return front


def write_retrained(folder: RunFolder, problem: ArchitectureProblem) -> bool:
    """Write and draw everything that was retrained in a run, beside what the search thought.

    Returns:
        Whether that is anything; else nothing is written.
    """
    records = list(all_retrained(folder.networks).values())
    if not records:
        return False
    searches = searches_of(folder)
    column = searches[0].objectives.index("error") if "error" in searches[0].objectives else None
    known = {
        result.key: result.objectives[column]
        for result in distinct_results(searches)
        if column is not None and not result.images_saved  # what a race extrapolates is no score
    }
    summarised(records, known, problem, folder.name).write(folder.retrained)
    save_retrained(folder)
    return True
