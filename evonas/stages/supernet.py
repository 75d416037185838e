"""The stage that trains the shared weights, or takes those of another run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.analysis import PruningAccount
from evonas.runs import Context, RunFolder
from evonas.stages.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from evonas.cluster import Cluster
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

    @staticmethod
    def checkpoint(run: RunFolder) -> Path:
        """File of the state of a training under way."""
        return run.supernet / "training.safetensors"

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
            checkpoint=self.checkpoint(context.folder),
            companion=companion,
        )
        with context.progress.stage(
            self.name, training.steps, "steps", done=trainer.step, work=trainer.work
        ) as progress:

            def tell(steps: int, loss: float) -> None:
                progress.advance(steps, loss=loss)

            cluster, workers = self.workspace.cluster, config.cluster.training_workers
            if cluster is not None and workers is not None:
                done = self._train_together(context, supernet, cluster, workers, tell)
            else:
                done = supernet.train(training, trainer=trainer, stop=context.stop, on_step=tell)
        if done:
            supernet.save(self.weights(context.folder))
        return done

    def _train_together(
        self,
        context: Context,
        supernet: Supernet,
        cluster: Cluster,
        workers: int,
        tell: Callable[[int, float], None],
    ) -> bool:
        """Train on a cluster; whether the end was reached."""
        from evonas.cluster import train_supernet

        cluster.let_go()
        return train_supernet(
            supernet,
            self.workspace.config.training,
            workers=workers,
            seed=self.workspace.config.seed,
            checkpoint=self.checkpoint(context.folder),
            cpus=cluster.cpus,
            gpus=cluster.gpus,
            stop=context.stop,
            on_step=tell,
            say=context.progress.say,
        )
