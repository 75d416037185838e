"""The stage that trains the shared weights, or takes those of another run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.analysis import PruningAccount
from evonas.runs import Context, RunFolder
from evonas.stages.workspace import Workspace

if TYPE_CHECKING:
    from evonas.supernet import Supernet
    from evonas.supernet.paths import Strategy
    from evonas.training.trainer import Companion


@dataclass(frozen=True)
class TrainSupernet:
    """Trains the supernet with a checkpoint each epoch; resumes at the last one."""

    workspace: Workspace
    name: str = "supernet"

    def done(self, run: RunFolder) -> bool:
        """Whether the final weights are there."""
        return self.weights(run).is_file()

    @staticmethod
    def weights(run: RunFolder) -> Path:
        """File of the trained weights."""
        return run.supernet / "weights.safetensors"

    def run(self, context: Context) -> None:
        """Train, or copy and check."""
        config = self.workspace.config
        if config.supernet:
            # A copy: the run stays whole when the other one is deleted.
            supernet = self.workspace.supernet_problem().supernet
            if supernet is None:  # not so where the plan has loaded and checked it already
                supernet = self.workspace.load_supernet(config.supernet)
            pruning = RunFolder.open(config.supernet).pruning
            if pruning.is_file():
                PruningAccount.load(pruning).write(context.folder.pruning)
            supernet.save(self.weights(context.folder))
            context.progress.say(f"supernet taken from {config.supernet}")
            return
        supernet = self.workspace.new_supernet()
        self._train(context, supernet)

    def _train(
        self,
        context: Context,
        supernet: Supernet,
        *,
        paths: Strategy | None = None,
        companion: Companion | None = None,
    ) -> bool:
        """Train and keep the weights; whether the end was reached."""
        config, training = self.workspace.config, self.workspace.config.training
        assert training.steps
        trainer = supernet.trainer(
            training,
            seed=config.seed,
            paths=paths,
            checkpoint=context.folder.supernet / "training.safetensors",
            companion=companion,
        )
        with context.progress.stage(
            self.name, training.steps, "steps", done=trainer.step, work=trainer.work
        ) as progress:
            done = supernet.train(
                training,
                trainer=trainer,
                stop=context.stop,
                on_step=lambda steps, loss: progress.advance(steps, loss=loss),
            )
        if done:
            supernet.save(self.weights(context.folder))
        return done
