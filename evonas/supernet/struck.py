"""What a pruning may be told, and what it struck out; see `evonas.supernet.pruning`. No torch."""

import math
import numbers
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evonas.config import TrainingConfig
from evonas.errors import InputError, unknown
from evonas.spaces import SearchSpace
from evonas.supernet.variants import VARIANTS

CRITERIA = ("error", *(variant for variant in VARIANTS if variant != "magnitude"))
CRITERION = "main-effect"

# Shares of the training before choices are first scored, and before the first and the last level,
# where no epochs are said; and how often choices are scored before the first level.
LOOK, BEGIN, END = 0.4, 0.5, 0.85
LOOKS = 4

# Sampled children for each choice that is left, and validation batches that they are scored on.
CHILDREN_PER_CHOICE, BATCHES = 8, 4

ORDERS = ("shallow-first", "deep-first", "round-robin", "random", "global")

# How a run trains that is pruned. On NAS-Bench-Macro (global, 396 genomes) what is left was ranked
# better than by the unpruned supernet with path dropout: Kendall's tau 0.811, 0.830 and 0.841
# against 0.799, 0.808 and 0.826 (three seeds), with its best networks 0.04 points from the true
# front; with spread paths 0.805 against 0.823, and 0.14 points (one seed).
PATHS = "dropout"

# Measured as the best order, and the share of choices that stays where nothing is said.
ORDER, KEEP = "global", 0.7


@dataclass(frozen=True)
class Struck:
    """One choice that was struck out.

    Attributes:
        gene: of the base space.
        choice: in the numbering of the base space.
        label: what the base space calls it.
        level: of the space, from 0, the shallowest.
        step: training steps done before.
        score: how the choice stood in its gene (`evonas.operators.saliency.standing`), in units of
            the criterion; the least of all that could go.
        log10_before: decimal logarithm of the number of genomes before.
        log10_after: and of those that were left.
    """

    gene: int
    choice: int
    label: str
    level: int
    step: int
    score: float
    log10_before: float
    log10_after: float

    @property
    def reason(self) -> str:
        """The score in words."""
        if self.score < 0:
            return f"best at no price of cost; lacks {-self.score:.3g} or more"
        return f"its gene loses {self.score:.3g} without it, on average over prices of cost"


class HasSteps(Protocol):
    """What is asked of training data."""

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        ...


def rounds(
    space: SearchSpace, training: TrainingConfig, data: HasSteps, epochs: float | None
) -> tuple[list[int], list[int]]:
    """Training steps after which choices are scored only, and those after which a level is visited.

    Args:
        space: gives the levels.
        training: steps and size of a batch are resolved.
        data: what is trained on.
        epochs: between two levels; None spreads them over the training.

    Raises:
        InputError: the levels do not fit into the training, or its steps are not known.
    """
    if not training.steps or not training.batch_size:
        missing = "batch_size" if training.steps else "steps"
        raise InputError(f"training.{missing} is not set; give it a number")
    steps, count = training.steps, len(space.levels)
    first, last = BEGIN * steps, END * steps
    if epochs is not None:
        gap = epochs * data.steps(training.batch_size)
        last = first + gap * (count - 1)
        if last >= steps:
            most = (steps - 1 - first) / (count - 1) / data.steps(training.batch_size)
            raise InputError(
                f"{epochs:g} epochs between {count} levels do not fit into the second half of "
                f"{steps} steps; give at most {math.floor(100 * max(most, 0)) / 100:g}"
            )
    looks = np.linspace(LOOK * steps, BEGIN * steps, LOOKS, endpoint=False)
    levels = np.linspace(first, last, count)
    return _whole(looks), _whole(levels)


def _whole(steps: np.ndarray) -> list[int]:
    return [max(1, round(step)) for step in steps.tolist()]


def check_pruning(
    space: SearchSpace,
    *,
    order: str = ORDER,
    criterion: str = CRITERION,
    keep: float | None = None,
    size: float | None = None,
    epochs: float | None = None,
) -> None:
    """Refuse what a pruning cannot be told, before anything is trained; arguments as of `prune`.

    Raises:
        InputError: one is out of range.
    """
    if order not in ORDERS:
        raise unknown("order of pruning", order, ORDERS)
    if criterion not in CRITERIA:
        raise unknown("criterion of pruning", criterion, CRITERIA)
    for name, value in (("keep", keep), ("size", size), ("epochs", epochs)):
        if value is not None and not isinstance(value, numbers.Real):
            raise InputError(f"{name} is {value!r}; give a number")
    if keep is not None and size is not None:
        raise InputError("keep and size both say how much stays; give one of them")
    if keep is not None and not 0 < keep <= 1:
        raise InputError(f"keep is {keep:g}; give a share of the choices above 0 and at most 1")
    if size is not None and not 1 <= size <= space.size:
        raise InputError(
            f"a size of {size:g} genomes cannot be left of the {space.size:g} of space "
            f"'{space.name}'; give a number from 1 to that"
        )
    if epochs is not None and not 0 <= epochs < math.inf:
        raise InputError(f"epochs between levels are {epochs:g}; give a number of at least 0")
