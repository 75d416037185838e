"""What the stages of one run share: its settings, and the problem made of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymoo.core.algorithm import Algorithm

from evonas.analysis import PruningAccount
from evonas.config import FINE_TUNE, RunConfig, ScratchConfig, cost_files, space_settings, to_dict
from evonas.errors import InputError
from evonas.problems import (
    AdditiveCost,
    ScratchProblem,
    SupernetProblem,
    TabularProblem,
    get_problem,
)
from evonas.runs import RunFolder, distinct_results, searches_of
from evonas.runs.genomes import from_record
from evonas.runs.memory import hand_over
from evonas.search import get_algorithm
from evonas.search.registry import TRUE_RANK
from evonas.spaces import SearchSpace
from evonas.stages.workers import networks_trained_on
from evonas.training.recipes import settle_for

if TYPE_CHECKING:
    from evonas.cluster import Cluster
    from evonas.supernet import Supernet

AnyProblem = SupernetProblem | ScratchProblem | TabularProblem


class Workspace:
    """A run's problem and supernet, made when they are first needed.

    Args:
        config: settled settings.
    """

    def __init__(self, config: RunConfig) -> None:
        """Nothing is loaded yet."""
        self.config = config
        self.cluster: Cluster | None = None  # that does trainings and scores, where there is one

    @cached_property
    def problem(self) -> AnyProblem:
        """The problem, its supernet not loaded yet."""
        return self._problem(self.config.space)

    def narrow(self, space: SearchSpace) -> None:
        """Make the problem one of a restricted space, where it is not one already."""
        if not (self.problem.space.allowed & ~space.allowed).any():
            return
        kept = self.problem.space.restrict(space.allowed)
        del self.problem  # its data with it
        self.problem = self._problem(kept)

    def narrow_as(self, folder: RunFolder) -> None:
        """Make the problem one of what the run's pruning has left, where there was one."""
        if folder.pruning.is_file():
            base = self.problem.space.base
            self.narrow(base.restrict(PruningAccount.load(folder.pruning).mask(base)))

    def _problem(self, space: SearchSpace | str | None) -> AnyProblem:
        config = self.config
        own: dict[str, Any] = {"racing": config.racing or "off"}
        if config.from_scratch:
            own = {"scratch": config.scratch, "supernet": config.supernet}
            own["trained_on"] = networks_trained_on(config)
        return get_problem(
            config.problem,
            space,
            config.data_dir,
            config.device,
            constraints=config.constraint,
            costs=cost_files(config.cost),
            width=config.width,
            train_images=config.train_images,
            validation_images=config.validation_images,
            image_size=config.image_size,
            settings=space_settings(config.space_settings) if isinstance(space, str) else None,
            seed=config.seed,
            **own,
        )

    @property
    def trains(self) -> bool:
        """Whether networks are scored by shared weights, and not looked up in a table."""
        return isinstance(self.problem, SupernetProblem)

    @property
    def computes(self) -> bool:
        """Whether networks are evaluated on images, and not looked up in a table."""
        return not isinstance(self.problem, TabularProblem)

    @property
    def checksum(self) -> str:
        """Of what networks are scored on: images, or a table."""
        problem = self.problem
        return problem.checksum if isinstance(problem, TabularProblem) else problem.data.checksum

    @property
    def cost_checksums(self) -> dict[str, str]:
        """Of the numbers in the tables of costs of one's own, by name."""
        space = self.problem.space
        return {
            name: AdditiveCost.from_csv(file, space, name).checksum
            for name, file in cost_files(self.config.cost).items()
        }

    def scratch_problem(self, folder: RunFolder, config: ScratchConfig) -> ScratchProblem:
        """The run's networks, trained one by one; the run's own problem where that is what it is.

        Args:
            folder: keeps the trainings.
            config: how networks are trained; it may leave numbers open.

        Raises:
            InputError: the problem is a table, or its supernet cannot be fine-tuned.
        """
        problem = self.ready_problem(folder)
        if isinstance(problem, TabularProblem):
            raise InputError(
                f"'{self.config.problem}' is a table of measured networks and trains none; name a "
                "run of another problem"
            )
        if isinstance(problem, ScratchProblem):
            if self._settled(config, problem) == problem.config:
                return problem
        begin = None
        if config.recipe == FINE_TUNE:
            from evonas.retrain import weights_of

            supernet = self.supernet_problem().supernet
            assert supernet is not None
            begin = weights_of(supernet)
        trained = ScratchProblem(
            problem.space,
            problem.data,
            problem.objectives,
            config=config,
            begin=begin,
            folder=folder.trainings,
            costs={c: f for c, f in problem.costs.items() if c not in ("params", "macs")},
            seed=self.config.seed,
            trained_on=networks_trained_on(self.config),
            name=self.config.problem,
        )
        self._use_cluster(trained)
        return trained

    def _use_cluster(self, problem: AnyProblem) -> None:
        """Have a problem evaluated on the cluster, where there is one."""
        if self.cluster is None:
            return
        from evonas.cluster import ClusterScoring, ClusterTrainers

        if isinstance(problem, ScratchProblem):
            problem.trainers = ClusterTrainers(self.cluster)
        if isinstance(problem, SupernetProblem) and problem.scoring is None:
            problem.scoring = ClusterScoring(self.cluster, memory=problem.memory)

    def settled_scratch(self, scratch: ScratchConfig) -> ScratchConfig:
        """All numbers by which single networks are trained on the images of the supernet.

        Args:
            scratch: what was said.

        Raises:
            InputError: a setting means nothing for these images.
        """
        return self._settled(scratch, self.supernet_problem())

    def _settled(
        self, scratch: ScratchConfig, problem: ScratchProblem | SupernetProblem
    ) -> ScratchConfig:
        threads, kind = self.config.threads or 1, networks_trained_on(self.config)
        return settle_for(scratch, problem.data, threads=threads, trained_on=kind)

    def supernet_problem(self) -> SupernetProblem:
        """The problem, where it is one of shared weights.

        Raises:
            InputError: it is a table.
        """
        if isinstance(self.problem, ScratchProblem):
            raise InputError(
                f"the networks of '{self.config.problem}' were trained from scratch, without a "
                "supernet; name a run that has one"
            )
        if not isinstance(self.problem, SupernetProblem):
            raise InputError(
                f"'{self.config.problem}' is a table of measured networks and has no supernet; "
                "name a run of another problem"
            )
        return self.problem

    def new_supernet(self) -> Supernet:
        """Untrained shared weights."""
        from evonas.supernet import Supernet

        assert self.config.width
        problem = self.supernet_problem()
        return Supernet(problem.space, problem.data, self.config.width, seed=self.config.seed)

    def load_supernet(self, path: str | Path) -> Supernet:
        """The trained supernet of a run folder, checked against this run's data and space."""
        from evonas.supernet import Supernet

        problem = self.supernet_problem()
        return Supernet.load(path, problem.data, space=problem.space)

    def algorithm(self, **settings: Any) -> Algorithm:
        """The search algorithm of the run.

        Args:
            settings: more of `get_algorithm`.

        Raises:
            InputError: the algorithm cannot take the problem or a setting.
        """
        config = self.config
        if config.algorithm == TRUE_RANK:
            return get_algorithm(TRUE_RANK, self.problem, **to_dict(config.true_rank))
        if config.distributions is not None:
            settings["distributions"] = config.distributions
        if config.joint:
            settings["learning"] = False
        if config.mutation != "uniform":
            settings["mutation"] = config.mutation
        if config.saliency is not None:
            # Any table tells whether the algorithm takes one; the search has the true one.
            space = self.problem.space
            settings.setdefault("saliency", np.zeros((space.n_var, space.n_choices.max())))
        return get_algorithm(config.algorithm, self.problem, pop_size=config.pop_size, **settings)

    def ready_problem(self, folder: RunFolder, *, read_only: bool = False) -> AnyProblem:
        """The problem, pruned where the run is, with its own trained supernet where it has one.

        Args:
            folder: of the run.
            read_only: leave the run's trainings as they are, and know what its journal holds; a
                search, which adds to both, goes through its journal itself.
        """
        self.narrow_as(folder)
        if isinstance(self.problem, ScratchProblem):
            self.problem.keep_in(folder.trainings, read_only=read_only)
            if read_only:
                self._know(self.problem, folder)
        if isinstance(self.problem, SupernetProblem) and self.problem.supernet is None:
            supernet = self.load_supernet(folder.path)
            self.narrow(supernet.space)
            self.supernet_problem().supernet = supernet
        self._use_cluster(self.problem)
        return self.problem

    @staticmethod
    def _know(problem: ScratchProblem, folder: RunFolder) -> None:
        results = distinct_results(searches_of(folder))
        if results:
            X = from_record(problem, [result.genome for result in results])
            hand_over(problem, X, results)
