"""Networks scored by a weight-sharing supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.problems.architecture import ArchitectureProblem
from evonas.problems.constraints import Constraint
from evonas.problems.costs import Cost
from evonas.problems.defaults import SALIENCY, SALIENCY_BATCHES, defaults_for
from evonas.spaces import SearchSpace

if TYPE_CHECKING:
    from evonas.data import SearchData
    from evonas.supernet import Supernet


def check_supernet(supernet: Supernet, space: SearchSpace) -> None:
    """Refuse a supernet for networks that it has no weights of.

    Raises:
        InputError: it is one of another space, or was pruned to less than this one.
    """
    trained = supernet.space
    if trained.base.name != space.base.name:
        raise InputError(
            f"the supernet is one of the space '{trained.base.name}', not of '{space.base.name}'; "
            "give the space it was trained for"
        )
    if trained.allowed.shape == space.allowed.shape and (space.allowed & ~trained.allowed).any():
        raise InputError(
            "the supernet was pruned, and the problem is of more than is left; make it with "
            "get_problem(..., supernet=), which takes what is left"
        )


class SupernetProblem(ArchitectureProblem):
    """Accuracy by shared weights against exact costs.

    Args:
        space: a space that has shared weights.
        data: training and validation images.
        objectives: as for `ArchitectureProblem`; dear ones are "error" and "loss" on the
            validation images.
        supernet: a trained `Supernet` of this space and data; `train` makes one.
        training: the settings that `train` starts from, all numbers resolved; by default those of
            the data set.
        width: width of the supernet that `train` makes.
        constraints: limits on costs.
        costs: more costs by name: vectorised functions X (n, n_var) -> (n,).
        name: for messages.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: SearchData,
        objectives: Sequence[str] = ("error", "params"),
        *,
        supernet: Supernet | None = None,
        training: TrainingConfig | None = None,
        width: float = 1.0,
        constraints: Sequence[str | Constraint] = (),
        costs: Mapping[str, Cost] | None = None,
        name: str | None = None,
    ) -> None:
        """Nothing is trained yet."""
        if not space.has_supernet:
            raise InputError(
                f"the space '{space.name}' has no supernet; its networks are trained one by one"
            )
        super().__init__(space, objectives, constraints=constraints, costs=costs, name=name)
        self.data = data
        self.training = training or defaults_for(data.name, data.train.device.type).training
        self.width = width
        self.supernet = supernet

    @property
    def supernet(self) -> Supernet | None:
        """What scores networks; with another one all that was evaluated is forgotten."""
        return self._supernet

    @supernet.setter
    def supernet(self, supernet: Supernet | None) -> None:
        if supernet is not None:
            check_supernet(supernet, self.space)
        self._supernet = supernet
        self._saliency: dict[tuple[str, bool], np.ndarray] = {}
        self._cache.clear()

    def train(
        self, budget: str | float | None = None, *, seed: int = 1, **settings: float
    ) -> Supernet:
        """Train a supernet and use it from now on; what was evaluated before is forgotten.

        Args:
            budget: time, such as "2m" or seconds: the steps that fit are measured first and then
                fixed. None trains the number of steps that is the problem's default.
            seed: seed of weights, paths and order of images.
            settings: fields of `TrainingConfig`, such as ``steps=200``, put over the defaults.

        Returns:
            The trained supernet.

        Raises:
            InputError: the budget is too small to train anything, or a setting is wrong.
        """
        from dataclasses import replace

        from evonas.supernet import Supernet
        from evonas.supernet.calibration import steps_within

        try:
            config = replace(self.training, **settings)  # type: ignore[arg-type]
        except TypeError as error:
            raise InputError(f"{error}; give fields of TrainingConfig") from None
        supernet = Supernet(self.space, self.data, self.width, seed=seed)
        if budget is not None:
            config = replace(config, steps=steps_within(budget, supernet, config))
        supernet.train(config, seed=seed)
        self.supernet = supernet
        return supernet

    def saliency(self, variant: str = SALIENCY, *, half_resolution: bool = False) -> np.ndarray:
        """What each choice of each gene is worth to the trained supernet; computed once.

        Args:
            variant: of `evonas.supernet.saliency_table`.
            half_resolution: whether images are scored at half their side, which suits a supernet
                that has hardly seen larger ones.

        Returns:
            float64 (n_var, max choices) in the numbering of the problem's space; higher is worth
            more; NaN where a gene has no such choice.

        Raises:
            InputError: no supernet is trained yet, or there is no such variant.
        """
        from evonas.supernet import saliency_table

        supernet = self._trained("saliency")
        made = variant, half_resolution
        if made not in self._saliency:
            batches = min(SALIENCY_BATCHES, supernet.validation_batches)
            self._saliency[made] = saliency_table(
                supernet, batches, variant, half_resolution=half_resolution
            )
        return self.space.lower_table(self._saliency[made])

    def _trained(self, what: str = "evaluating") -> Supernet:
        if self.supernet is None or not self.supernet.trained:
            raise InputError(
                f"{what} needs a trained supernet: call problem.train('2m'), or give "
                "get_problem(..., supernet=) a trained Supernet or a run folder"
            )
        return self.supernet

    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        supernet = self._trained()
        # It may be one of the base space, or of another restriction of it.
        scores = supernet.evaluate(supernet.space.lower(self.space.lift(X)))
        return {"error": scores.error, "loss": scores.loss}
