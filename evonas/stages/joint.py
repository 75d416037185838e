"""The stage that trains weights and distributions in turn, and what it leaves for the search."""

from dataclasses import dataclass

import numpy as np

from evonas.analysis.tables import write_table
from evonas.runs import Context, JointDistributions, RunFolder
from evonas.search.joint import JointLearning
from evonas.stages.supernet import TrainSupernet
from evonas.training.schedule import half_steps


@dataclass(frozen=True)
class TrainJointly(TrainSupernet):
    """Trains the supernet on networks of distributions, which learn from it meanwhile."""

    name: str = "joint"

    def done(self, run: RunFolder) -> bool:
        """Whether final weights and distributions are there."""
        return super().done(run) and run.distributions.is_file()

    def run(self, context: Context) -> None:
        """Train both, or the rest of it."""
        config, training = self.workspace.config, self.workspace.config.training
        assert training.steps and config.weight_steps
        supernet = self.workspace.new_supernet()
        joint = JointLearning(
            self.workspace.supernet_problem(),
            supernet,
            steps=training.steps,
            paths=training.paths or "uniform",
            weight_steps=config.weight_steps,
            half_steps=half_steps(training.steps, training.half_resolution),
            seed=config.seed,
            settings=self.workspace.distribution_settings(),
        )
        if self._train(context, supernet, paths=joint, companion=joint):
            write_joint(context.folder, joint)


def write_joint(folder: RunFolder, joint: JointLearning) -> None:
    """Write what was learnt, and how, as a table."""
    if not joint.history:
        return
    columns = list(joint.history[0])
    rows = [[row[name] for name in columns] for row in joint.history]
    write_table(folder.joint, columns, np.array(rows))
    JointDistributions(joint.probabilities, joint.coefficients, joint.moments).write(folder)
