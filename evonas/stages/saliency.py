"""The stage that scores what each choice is worth to the trained supernet."""

import time
from dataclasses import dataclass

from evonas.analysis import save_saliency
from evonas.analysis.saliency import Saliency
from evonas.runs import Context, RunFolder
from evonas.stages.workspace import Workspace


@dataclass(frozen=True)
class ScoreSaliency:
    """Computes the table once, for the search and for people."""

    workspace: Workspace
    name: str = "saliency"

    def done(self, run: RunFolder) -> bool:
        """Whether table and figure are there."""
        return run.saliency.is_file() and (run.figures / "saliency.png").is_file()

    def run(self, context: Context) -> None:
        """Compute, write, draw; a table that is there already is only drawn."""
        folder = context.folder
        if not folder.saliency.is_file():
            self.workspace.ready_problem(folder)
            problem, variant = self.workspace.supernet_problem(), context.config.saliency
            half = context.config.saliency_half_resolution
            start = time.perf_counter()
            values = problem.space.lift_table(problem.saliency(variant, half_resolution=half))
            Saliency(values, problem.space.base.labels).write(folder.saliency)
            seconds = time.perf_counter() - start
            choices = int(problem.space.n_choices.sum())
            context.progress.say(f"saliency: {variant} of {choices} choices in {seconds:.0f} s")
        save_saliency(folder)
