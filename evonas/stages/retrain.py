"""The stage that trains members of the front alone, and measures them on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evonas.analysis import Front, RetrainedNetworks, save_retrained
from evonas.config import ScratchConfig
from evonas.errors import EvaluationStopped
from evonas.problems import ScratchProblem
from evonas.retrain import Retrained, all_retrained, pick, retrain, summarised
from evonas.runs import Context, RunFolder
from evonas.stages.workspace import Workspace


@dataclass(frozen=True)
class RetrainMembers:
    """Trains members of the front, or named networks; goes on with what is missing.

    Attributes:
        workspace: of the run.
        members: how many of the front, where no network is named.
        scratch: how they are trained.
        networks: named ones.
    """

    workspace: Workspace
    members: int
    scratch: ScratchConfig
    networks: Sequence[str] = ()
    name: str = "retrain"

    def done(self, run: RunFolder) -> bool:
        """Whether table and figure are there, and all that is to be in them."""
        if not (run.retrained.is_file() and (run.figures / "retrained.png").is_file()):
            return False
        if not run.front.is_file() or self.networks:
            return False  # named networks: what is done is found out by looking at each
        wanted = set(Front.load(run.path).spread(self.members).networks)
        return wanted <= set(RetrainedNetworks.load(run.path).networks)

    def run(self, context: Context) -> None:
        """Train, measure, write and draw."""
        folder = context.folder
        problem = self.workspace.scratch_problem(folder, self.scratch)
        front = Front.load(folder.path)
        chosen = pick(front, self.members, self.networks, problem.space)
        total = len(chosen) * problem.config.seeds
        problem.stop = context.stop
        with context.progress.stage(self.name, total, "networks") as progress:

            def tell(done: Retrained) -> None:
                progress.advance(1, error=done.error, test_error=done.test_error)

            try:
                retrain(
                    problem,
                    chosen,
                    folder.networks,
                    data_dir=self.workspace.config.data_dir,
                    on_network=tell,
                )
            except EvaluationStopped:
                return
            progress.finish()
        if problem is not self.workspace.problem:
            problem.forget(chosen)  # their weights lie in networks/
        write_retrained(folder, front, problem)


def write_retrained(folder: RunFolder, front: Front, problem: ScratchProblem) -> None:
    """Write and draw everything that was retrained in a run."""
    records = list(all_retrained(folder.networks).values())
    summarised(records, front, problem, folder.name).write(folder.retrained)
    save_retrained(folder)
