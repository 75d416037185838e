"""Hierarchical pruning: choices are struck out level by level while the weights are trained.

Source: "One-Shot Neural Architecture Search by Dynamically Pruning Supernet in Hierarchical Order",
International Journal of Neural Systems, 2021. What it leaves open is a switch here: the order, the
criterion, and how much goes at a time.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.operators.saliency import fitted_tables, main_effects, standing
from evonas.spaces import SearchSpace
from evonas.spaces.space import BoolArray, FloatArray
from evonas.supernet.paths import Strategy
from evonas.supernet.saliency import saliency_table, sample_contexts
from evonas.supernet.struck import (
    BATCHES,
    CHILDREN_PER_CHOICE,
    CRITERION,
    KEEP,
    ORDER,
    Struck,
    check_pruning,
    rounds,
)
from evonas.supernet.supernet import Supernet
from evonas.training.schedule import half_steps


@dataclass(frozen=True)
class Pruned:
    """What a pruning left, and its account.

    Attributes:
        space: what is left.
        before: the space before.
        struck: what went, in order.
        finished: False where ``stop`` ended the training before its last step.
    """

    space: SearchSpace
    before: SearchSpace
    struck: tuple[Struck, ...]
    finished: bool = True

    @property
    def log10_sizes(self) -> tuple[float, float]:
        """Decimal logarithms of the numbers of genomes before and after."""
        return _log10_size(self.before.allowed), _log10_size(self.space.allowed)


def prune(
    supernet: Supernet,
    training: TrainingConfig | None = None,
    *,
    order: str = ORDER,
    criterion: str | npt.ArrayLike = CRITERION,
    keep: float | None = None,
    size: float | None = None,
    epochs: float | None = None,
    cost: npt.ArrayLike | None = None,
    reserve: npt.ArrayLike | None = None,
    seed: int = 0,
    paths: Strategy | None = None,
    checkpoint: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, float], None] | None = None,
) -> Pruned:
    """Strike choices out of a supernet's space, level by level, while its weights are trained.

    There are as many rounds as the space has levels (`SearchSpace.levels`). Before each of them the
    choices that are left are scored; then the worst one is struck out, and the next worst, until
    the space has shrunk by this round's share of what is to go. From then on only what is left is
    trained. ``order`` says which choices a round may take: those of the first level, then of the
    next one ("shallow-first"), or from the last one on ("deep-first"), or of a random level at a
    time ("random"); one of each level in turn ("round-robin"); or of any level ("global"). A level
    that has not enough to give leaves the rest to the levels after it.

    Worst is what stands worst in its gene at all prices of cost (`standing` in
    `evonas.operators.saliency`), so that what is cheap stays beside what is good.

    No weight is deleted: ``supernet.space`` becomes the space that is left, and assigning
    ``supernet.space.base`` undoes it.

    Args:
        supernet: trained or not; its space may be restricted already.
        training: how the weights are trained, all numbers resolved. Levels are visited in the
            course of it. None strikes out at once, from a supernet that is trained.
        order: one of the above.
        criterion: what choices are scored by, "error" (mean validation error of sampled children
            that contain them), a variant of `saliency_table`, such as "main-effect" (the same of
            the loss), or a table of one's own (n_var, max choices) in the numbering of the base
            space, higher worth more.
        keep: share of all choices that stays, in (0, 1]; at least one of each gene does.
        size: number of genomes that are left at most. By default ``keep`` is 0.7.
        epochs: of training between two levels, after a first 40 % of the steps; by default levels
            are spread up to 80 %.
        cost: what each choice costs, (n_var, max choices) in the numbering of the base space; by
            default its params.
        reserve: genomes (n, n_var) of the base space of which one has to stay, such as those that
            keep a limit.
        seed: of everything random.
        paths: a sampling strategy of your own.
        checkpoint: file for the state after each epoch, from which a later call goes on.
        stop: True ends the training after the batch.
        on_step: told steps done and loss.

    Returns:
        The space that is left, and the account.

    Raises:
        InputError: an argument is none of these, or does not fit the others.
    """
    pruner = Pruner(
        supernet,
        training,
        order=order,
        criterion=criterion,
        keep=keep,
        size=size,
        epochs=epochs,
        cost=cost,
        reserve=reserve,
        seed=seed,
    )
    if training is None:
        pruner.strike_all()
        return pruner.result(finished=True)
    done = supernet.train(
        training,
        seed=seed,
        paths=paths,
        checkpoint=checkpoint,
        companion=pruner,
        stop=stop,
        on_step=on_step,
    )
    return pruner.result(finished=done)


class Pruner:
    """Strikes choices out as the companion of a training; arguments as of `prune`."""

    def __init__(
        self,
        supernet: Supernet,
        training: TrainingConfig | None,
        *,
        order: str = ORDER,
        criterion: str | npt.ArrayLike = CRITERION,
        keep: float | None = None,
        size: float | None = None,
        epochs: float | None = None,
        cost: npt.ArrayLike | None = None,
        reserve: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        """Settle what will be done; nothing is struck out yet."""
        named = criterion if isinstance(criterion, str) else CRITERION
        check_pruning(
            supernet.space, order=order, criterion=named, keep=keep, size=size, epochs=epochs
        )
        if training is None and not supernet.trained:
            raise InputError(
                "the supernet is not trained, so that nothing is known of any choice; give prune a "
                "TrainingConfig, or train it first"
            )
        self.supernet, self.before, self.order, self.seed = supernet, supernet.space, order, seed
        self._base = base = supernet.space.base
        self._criterion, self._table = _checked_criterion(criterion, base)
        given = base.param_table() if cost is None else cost
        try:
            self._cost = fitted_tables(np.zeros_like(base.param_table()), given, base.n_choices)[1]
        except ValueError as error:
            raise InputError(str(error)) from None
        self._reserve = None if reserve is None else base.check(reserve)
        if self._reserve is not None and not self._held_in(self.before.allowed).any():
            raise InputError("none of the networks in reserve is in the space; give some of it")
        self._keep, self._size = (KEEP if keep is None and size is None else keep), size
        self._levels = list(range(len(base.levels)))
        if order == "deep-first":
            self._levels.reverse()
        elif order == "random":
            self._levels = np.random.default_rng([seed, 2]).permutation(self._levels).tolist()
        self._allowed = self.before.allowed.copy()
        self._round = self._turn = 0
        self._struck: list[Struck] = []
        self._steps, self._half_steps = [0] * len(self._levels), 0
        if training is not None:
            self._steps = rounds(base, training, self.supernet.data.train, epochs)
            self._half_steps = half_steps(training.steps or 0, training.half_resolution)

    # -- what is known -------------------------------------------------------------------------

    def result(self, *, finished: bool) -> Pruned:
        """What is left so far."""
        return Pruned(self.supernet.space, self.before, tuple(self._struck), finished)

    def _scores(self, step: int) -> FloatArray:
        """What each choice that is left is worth, in the numbering of the base space."""
        if self._table is not None:
            return self._table
        supernet, half = self.supernet, step < self._half_steps
        images = range(min(BATCHES, supernet.validation_batches))
        seed = 1000 * self.seed + self._round
        children = CHILDREN_PER_CHOICE * int(supernet.space.n_choices.sum())
        if self._criterion != "error":
            contexts = children if self._criterion == "main-effect" else None
            return saliency_table(
                supernet, images, self._criterion, contexts=contexts, half_resolution=half,
                seed=seed,
            )  # fmt: skip
        space = supernet.space
        X = space.lower(sample_contexts(supernet, children, seed))
        errors = supernet.evaluate(X, batches=images, half_resolution=half).error
        return space.lift_table(-main_effects(X, errors, space.n_choices))

    # -- striking out --------------------------------------------------------------------------

    def after_step(self, step: int) -> None:
        """Do the rounds that are due after so many steps."""
        while self._round < len(self._steps) and step >= self._steps[self._round]:
            self._strike(step)

    def strike_all(self) -> None:
        """Do all rounds that are left, one after the other."""
        while self._round < len(self._steps):
            self._strike(self.supernet.trained_steps)

    def _strike(self, step: int) -> None:
        """One round."""
        self._round += 1
        worth: FloatArray | None = None
        while self._exceeds(self._round / len(self._steps)):
            may_go = self._candidates()
            if not may_go.any():
                break
            worth = self._scores(step) if worth is None else worth
            score = standing(np.where(self._allowed, worth, np.nan), self._cost)
            place = int(np.where(may_go, score, np.inf).argmin())
            gene, choice = divmod(place, self._allowed.shape[1])
            self._strike_out(gene, choice, step, float(score[gene, choice]))
        self.supernet.space = self._base.restrict(self._allowed)

    def _exceeds(self, share: float) -> bool:
        """Whether more is left than should be when this share of the rounds is done."""
        before = self.before.allowed
        if self._size is None:
            assert self._keep
            least = max(len(before), math.ceil(self._keep * before.sum() - 1e-9))
            return bool(self._allowed.sum() > before.sum() - share * (before.sum() - least) + 1e-9)
        first, last = _log10_size(before), math.log10(self._size)
        return _log10_size(self._allowed) > first + share * min(0.0, last - first) + 1e-9

    def _candidates(self) -> BoolArray:
        """Which choices may go next, bool (n_var, max choices)."""
        free = self._free()
        if self.order == "global":
            return free
        if self.order == "round-robin":
            for _ in self._levels:
                level = self._levels[self._turn % len(self._levels)]
                self._turn += 1
                if (of_level := free & self._of(level)).any():
                    return of_level
            return free
        levels = [self._levels[self._round - 1]]
        if self._round == len(self._levels):  # the last round fetches what others could not give
            levels += self._levels
        found = [of_level for level in levels if (of_level := free & self._of(level)).any()]
        return found[0] if found else np.zeros_like(free)

    def _free(self) -> BoolArray:
        """Which choices can go at all."""
        free = self._allowed & (self._allowed.sum(axis=1) > 1)[:, None]
        if self._reserve is None:
            return free
        held = self._reserve[self._held_in(self._allowed)]
        counts = (held[:, :, None] == np.arange(free.shape[1])).sum(axis=0)
        return free & (counts < len(held))

    def _of(self, level: int) -> BoolArray:
        genes = np.zeros(len(self._allowed), dtype=np.bool_)
        genes[list(self._base.levels[level])] = True
        return genes[:, None]

    def _held_in(self, allowed: BoolArray) -> BoolArray:
        """Which genomes in reserve use allowed choices only, bool (n,)."""
        assert self._reserve is not None
        return np.asarray(allowed[np.arange(len(allowed)), self._reserve].all(axis=1))

    def _strike_out(self, gene: int, choice: int, step: int, score: float) -> None:
        before = _log10_size(self._allowed)
        self._allowed[gene, choice] = False
        self._struck.append(
            Struck(
                gene=gene,
                choice=choice,
                label=self._base.labels[gene][choice],
                level=next(at for at, genes in enumerate(self._base.levels) if gene in genes),
                step=step,
                score=score,
                log10_before=before,
                log10_after=_log10_size(self._allowed),
            )
        )

    # -- checkpoints ---------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the further course depends on."""
        return {
            "round": self._round,
            "turn": self._turn,
            "struck": [asdict(struck) for struck in self._struck],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._round, self._turn = int(state["round"]), int(state["turn"])
        self._struck = [Struck(**struck) for struck in state["struck"]]
        self._allowed = self.before.allowed.copy()
        for struck in self._struck:
            self._allowed[struck.gene, struck.choice] = False
        self.supernet.space = self._base.restrict(self._allowed)


def _checked_criterion(
    criterion: str | npt.ArrayLike, base: SearchSpace
) -> tuple[str, FloatArray | None]:
    """A criterion by its name, or the table that is one."""
    if isinstance(criterion, str):
        return criterion, None
    try:
        return "table", fitted_tables(criterion, None, base.n_choices)[0]
    except ValueError as error:
        raise InputError(str(error)) from None


def _log10_size(allowed: BoolArray) -> float:
    return float(np.log10(allowed.sum(axis=1)).sum())
