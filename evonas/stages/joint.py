"""The stage that trains weights and distributions in turn, and what it leaves for the search."""

from dataclasses import dataclass

import numpy as np

from evonas.analysis.tables import write_table
from evonas.runs import Context, JointDistributions, RunFolder
from evonas.search import JointLearning, MultiDistributionSearch
from evonas.stages.supernet import TrainSupernet


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
        algorithm = self.workspace.algorithm()
        assert isinstance(algorithm, MultiDistributionSearch)
        joint = JointLearning(
            self.workspace.supernet_problem(),
            supernet,
            training,
            algorithm.n_distributions,
            samples_per_distribution=algorithm.samples_per_distribution,
            weight_steps=config.weight_steps,
            seed=config.seed,
        )
        done = self._train(context, supernet, paths=joint, companion=joint)
        if joint.history:
            columns = list(joint.history[0])
            rows = [[row[name] for name in columns] for row in joint.history]
            write_table(context.folder.joint, columns, np.array(rows))
        if done:
            learnt = JointDistributions(joint.probabilities, joint.coefficients, joint.moments)
            learnt.write(context.folder)
