"""The stage that trains members of the front alone, and measures them on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evonas.analysis import Front
from evonas.analysis.quantities import plural
from evonas.config import ScratchConfig
from evonas.errors import EvaluationStopped, InputError
from evonas.retrain import Retrained, files_of, pick, retrain
from evonas.runs import Context, RunFolder
from evonas.stages.results import write_retrained
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
        if not run.front.is_file():
            return False
        problem = self.workspace.scratch_problem(run, self.scratch)
        chosen = pick(Front.load(run.path), self.members, self.networks, problem.space)
        files = files_of(problem, chosen, run.networks)
        return all(f.is_file() or problem.is_lost(*pair) for pair, f in files.items())

    def run(self, context: Context) -> None:
        """Train, measure, write and draw.

        Raises:
            InputError: no network could be trained.
        """
        folder = context.folder
        problem = self.workspace.scratch_problem(folder, self.scratch)
        chosen = pick(Front.load(folder.path), self.members, self.networks, problem.space)
        total = len(chosen) * problem.trainings
        problem.stop = context.stop
        with context.progress.stage(self.name, total, "networks") as progress:

            def tell(done: Retrained) -> None:
                progress.advance(1, error=done.error, test_error=done.test_error, **problem.load)

            try:
                retrain(
                    problem,
                    chosen,
                    folder.networks,
                    data_dir=self.workspace.config.data_dir,
                    on_network=tell,
                )
            except EvaluationStopped:
                write_retrained(folder, problem)  # what is finished
                return
            progress.finish()
        for network, seed in files_of(problem, chosen, folder.networks):
            failed = problem.failure(network, seed)
            if failed:
                context.progress.say(f"{network} is left out (seed {seed}): {failed}")
            elif problem.is_lost(network, seed):
                context.progress.say(
                    f"the training of {network} diverged (seed {seed}), and it is left out; "
                    "retrain it with a smaller --scratch.lr"
                )
        if not write_retrained(folder, problem):
            raise InputError(
                f"none of {plural(total, 'training')} came to a good end; train them otherwise, "
                "such as with a smaller --scratch.lr"
            )
