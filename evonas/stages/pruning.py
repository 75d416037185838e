"""The stage that trains the shared weights and prunes their space meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis import PruningAccount, save_pruning
from evonas.runs import Context, RunFolder
from evonas.stages.supernet import TrainSupernet

if TYPE_CHECKING:
    from evonas.supernet.pruning import Pruned


@dataclass(frozen=True)
class PruneSupernet(TrainSupernet):
    """Trains the supernet and strikes choices out; of a trained one, without training it."""

    name: str = "pruning"

    def done(self, run: RunFolder) -> bool:
        """Whether final weights, account and figure are there."""
        drawn = (run.figures / "pruning.png").is_file()
        return super().done(run) and run.pruning.is_file() and drawn

    def run(self, context: Context) -> None:
        """Train and prune, or the rest of it."""
        from evonas.supernet.pruning import Pruner

        folder, config = context.folder, self.workspace.config
        if config.supernet and not self.weights(folder).is_file():
            super().run(context)
        if folder.pruning.is_file() and self.weights(folder).is_file():
            save_pruning(folder)
            return
        problem = self.workspace.supernet_problem()
        trained = self.workspace.load_supernet(folder.path) if config.supernet else None
        supernet = trained or self.workspace.new_supernet()
        pruner = Pruner(
            supernet,
            None if trained else config.training,
            order=config.prune or "",
            criterion=config.prune_by or "",
            keep=config.prune_keep,
            size=config.prune_to,
            epochs=config.prune_epochs,
            cost=np.stack([problem.space.lift_table(problem.cost_table(c)) for c in problem.cheap]),
            # A search has to find something that keeps the limits.
            reserve=problem.feasible_genomes if problem.has_constraints() else None,
            seed=config.seed,
        )
        if trained:
            pruner.strike_all()
        elif not self._train(context, supernet, companion=pruner):
            return
        self._write(context, pruner.result(finished=True))
        if trained:
            trained.save(self.weights(folder))  # with what is left

    def _write(self, context: Context, pruned: Pruned) -> None:
        folder = context.folder
        account = PruningAccount.of(pruned.before, pruned.struck)
        account.write(folder.pruning)
        save_pruning(folder)
        text = f"pruning: {len(pruned.struck)} choices struck out, {account.sizes}"
        problem = self.workspace.supernet_problem()
        if problem.has_constraints():
            known = problem.feasible_genomes
            left = pruned.space.holds(known).sum()
            text += f"; of {len(known)} that are known to keep the limits, {left} are left"
        context.progress.say(text)
