"""What the stages of one run share: its settings, and the problem made of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.config import RunConfig
from evonas.problems import SupernetProblem, get_problem
from evonas.runs import RunFolder

if TYPE_CHECKING:
    from evonas.supernet import Supernet


class Workspace:
    """A run's problem and supernet, made when they are first needed.

    Args:
        config: settled settings.
    """

    def __init__(self, config: RunConfig) -> None:
        """Nothing is loaded yet."""
        self.config = config

    @cached_property
    def problem(self) -> SupernetProblem:
        """The problem, its supernet not loaded yet."""
        config = self.config
        return get_problem(
            config.problem,
            config.space,
            config.data_dir,
            config.device,
            constraints=config.constraint,
            width=config.width,
            train_images=config.train_images,
            validation_images=config.validation_images,
            image_size=config.image_size,
        )

    def new_supernet(self) -> Supernet:
        """Untrained shared weights."""
        from evonas.supernet import Supernet

        assert self.config.width
        problem = self.problem
        return Supernet(problem.space, problem.data, self.config.width, seed=self.config.seed)

    def load_supernet(self, path: str | Path) -> Supernet:
        """The trained supernet of a run folder, checked against this run's data and space."""
        from evonas.supernet import Supernet

        return Supernet.load(path, self.problem.data, space=self.problem.space)

    def ready_problem(self, folder: RunFolder) -> SupernetProblem:
        """The problem with the run's own trained supernet."""
        if self.problem.supernet is None:
            self.problem.supernet = self.load_supernet(folder.path)
        return self.problem
