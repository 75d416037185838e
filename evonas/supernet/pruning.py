"""Hierarchical pruning: choices are struck out level by level while the weights are trained.

Source: "One-Shot Neural Architecture Search by Dynamically Pruning Supernet in Hierarchical Order",
International Journal of Neural Systems, 2021. What it leaves open is a switch here: the order, the
criterion, and how much goes at a time.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.operators.saliency import checked_table, fitted_table, main_effects, standing
from evonas.spaces import SearchSpace
from evonas.spaces.space import BoolArray, FloatArray
from evonas.supernet.paths import Strategy
from evonas.supernet.saliency import saliency_table, sample_contexts
from evonas.supernet.struck import (
    BATCHES,
    CHILDREN_PER_CHOICE,
    CRITERION,
    KEEP,
    LOOKS,
    ORDER,
    Struck,
    check_pruning,
    rounds,
)
from evonas.supernet.supernet import Supernet
from evonas.supernet.variants import OF_CHILDREN
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

    There are as many rounds as the space has levels (`SearchSpace.levels`). Before each of them,
    and some times before the first, the choices that are left are scored; a score is the mean of
    all tables so far, since weights in the middle of a training are noisy. Then the worst choice is
    struck out, and the next worst, until the space has shrunk by this round's share of what is to
    go. From then on only what is left is trained.

    ``order`` says which choices a round may take: those of the first level, then of the next one
    ("shallow-first"), or from the last one on ("deep-first"), or of a random level at a time
    ("random"); one of each level in turn ("round-robin"); or of any level ("global"). A level that
    has not enough to give leaves the rest to the levels after it.

    Worst is what stands worst in its gene at all prices of cost (`standing` in
    `evonas.operators.saliency`), so that what is cheap stays beside what is good.

    No weight is deleted: ``supernet.space`` becomes the space that is left, and assigning
    ``supernet.space.base`` undoes it. `Supernet.save` keeps both. Where the training is stopped the
    space is what it was, and a call with the same checkpoint goes on.

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
        epochs: of training between two levels, after the first half of the steps; by default
            levels are spread up to 85 %.
        cost: what each choice costs, (n_var, max choices) in the numbering of the base space, or
            several such tables: a choice then stands as well as by the best of them. By default
            params.
        reserve: genomes (n, n_var) of the base space, such as those that keep a limit: what is left
            holds as large a share of them as of all, as far as possible, and one in any case.
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
    done = False
    try:
        done = supernet.train(
            training,
            seed=seed,
            paths=paths,
            checkpoint=checkpoint,
            companion=pruner,
            stop=stop,
            on_step=on_step,
        )
    finally:
        pruned = pruner.result(finished=done)
        if not done:
            supernet.space = pruner.before
    return pruned


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
        _check_types(supernet, training, seed)
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
        self._table = None if isinstance(criterion, str) else self._fitted(criterion, "criterion")
        self._criterion = criterion if isinstance(criterion, str) else "table"
        given = base.param_table() if cost is None else np.asarray(cost)
        costs = given if given.ndim == 3 else given[None]
        self._costs = [self._fitted(table, "cost table") for table in costs]
        self._reserve = None if reserve is None else base.check(reserve)
        if self._reserve is not None:
            self._reserve = self._reserve[self.before.holds(self._reserve)]
            if not len(self._reserve):
                raise InputError("none of the networks in reserve is in the space; give some of it")
        self._keep, self._size = (KEEP if keep is None and size is None else keep), size
        self._levels, self._level_of = list(range(len(base.levels))), base.level_of
        if order == "deep-first":
            self._levels.reverse()
        elif order == "random":
            self._levels = np.random.default_rng([seed, 2]).permutation(self._levels).tolist()
        self._allowed = self.before.allowed.copy()
        self._round = self._turn = self._looked = 0
        self._struck: list[Struck] = []
        # what all tables so far say, and how many they are
        self._sum, self._tables = np.zeros(self._allowed.shape), 0
        self._looks: list[int] = []
        self._steps, self._half_steps = [0] * len(self._levels), 0
        if training is not None:
            self._looks, self._steps = rounds(base, training, supernet.data.train, epochs)
            self._half_steps = half_steps(training.steps or 0, training.half_resolution)

    def _fitted(self, table: npt.ArrayLike, name: str) -> FloatArray:
        """A table in the numbering of the base space, with a number for each choice there was."""
        allowed = self.before.allowed
        try:
            values = checked_table(table, name)
            if values.shape == allowed.shape:
                values = np.where(allowed, values, 0.0)
            return fitted_table(values, self._base.n_choices, name)
        except ValueError as error:
            raise InputError(str(error)) from None

    # -- what is known -------------------------------------------------------------------------

    def result(self, *, finished: bool) -> Pruned:
        """What is left so far."""
        return Pruned(self.supernet.space, self.before, tuple(self._struck), finished)

    def _look(self, step: int) -> None:
        """Score the choices that are left, and add that to what is known."""
        table = self._scores(step, self._tables)
        self._sum += np.nan_to_num(table)
        self._tables += 1

    def _scores(self, step: int, number: int) -> FloatArray:
        """What each choice that is left is worth, in the numbering of the base space."""
        if self._table is not None:
            return self._table
        # the last step that was made decides which images the weights are used to
        supernet, half = self.supernet, 0 < step <= self._half_steps
        images = range(min(BATCHES, supernet.validation_batches))
        seed = 1000 * self.seed + number
        children = CHILDREN_PER_CHOICE * int(supernet.space.n_choices.sum())
        if self._criterion != "error":
            contexts = children if self._criterion in OF_CHILDREN else None
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
        """Do what is due after so many steps."""
        while self._looked < len(self._looks) and step >= self._looks[self._looked]:
            self._looked += 1
            self._look(step)
        while self._round < len(self._steps) and step >= self._steps[self._round]:
            self._strike(step)

    def strike_all(self) -> None:
        """Do all rounds that are left, one after the other, with weights that stay as they are."""
        for _ in range(LOOKS):
            self._look(0)
        while self._round < len(self._steps):
            self._strike(0)

    def _strike(self, step: int) -> None:
        """One round."""
        self._round += 1
        looked = False
        while self._exceeds(self._round / len(self._steps)):
            may_go = self._candidates()
            if not may_go.any():
                break
            if not looked:
                self._look(step)
                looked = True
            worth = np.where(self._allowed, self._sum / self._tables, np.nan)
            score = np.maximum.reduce([standing(worth, cost) for cost in self._costs])
            place = int(np.where(may_go, score, np.inf).argmin())
            gene, choice = divmod(place, self._allowed.shape[1])
            done = step or self.supernet.trained_steps
            self._strike_out(gene, choice, done, float(score[gene, choice]))
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
                if (of_level := self._at(level, free)).any():
                    return of_level
            return free
        levels = [self._levels[self._round - 1]]
        if self._round == len(self._levels):  # the last round fetches what others could not give
            levels += self._levels
        for level in levels:
            if (of_level := self._at(level, free)).any():
                return of_level
        return np.zeros_like(free)

    def _at(self, level: int, free: BoolArray) -> BoolArray:
        """Of these choices those of one level."""
        return free & (self._level_of == level)[:, None]

    def _free(self) -> BoolArray:
        """Which choices can go at all.

        Networks in reserve keep their share of all, as far as that is possible; one of them stays
        in any case.
        """
        kept = self._allowed.sum(axis=1)
        free = self._allowed & (kept > 1)[:, None]
        if self._reserve is None:
            return free
        held = self._reserve[self._base.restrict(self._allowed).holds(self._reserve)]
        counts = (held[:, :, None] == np.arange(free.shape[1])).sum(axis=0)
        left = len(held) - counts
        fair = len(held) * ((kept - 1) / kept)[:, None]
        some, many = free & (left > 0), free & (left > 0) & (left >= fair - 1e-9)
        return many if many.any() else some

    def _strike_out(self, gene: int, choice: int, step: int, score: float) -> None:
        before = _log10_size(self._allowed)
        self._allowed[gene, choice] = False
        self._struck.append(
            Struck(
                gene=gene,
                choice=choice,
                label=self._base.labels[gene][choice],
                level=int(self._level_of[gene]),
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
            "settings": self._settings(),
            "before": self.before.allowed.tolist(),
            "looked": self._looked,
            "round": self._round,
            "turn": self._turn,
            "sum": self._sum.tolist(),
            "tables": self._tables,
            "struck": [asdict(struck) for struck in self._struck],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            InputError: that was of another pruning.
        """
        before = state.get("settings", {})
        for name, now in self._settings().items():
            if before.get(name) != now:
                raise InputError(
                    f"the checkpoint is of a pruning with another {name} ({before.get(name)}, not "
                    f"{now}); give the same settings, or another checkpoint"
                )
        # the supernet's space may have been narrowed by the training that is gone on with
        self.before = self._base.restrict(np.array(state["before"], dtype=np.bool_))
        self._looked, self._round = int(state["looked"]), int(state["round"])
        self._turn, self._tables = int(state["turn"]), int(state["tables"])
        self._sum = np.array(state["sum"], dtype=np.float64)
        self._struck = [Struck(**struck) for struck in state["struck"]]
        self._allowed = self.before.allowed.copy()
        for struck in self._struck:
            self._allowed[struck.gene, struck.choice] = False
        self.supernet.space = self._base.restrict(self._allowed)

    def _settings(self) -> dict[str, Any]:
        """What has to be the same where a pruning is gone on with, as JSON can hold it."""
        return {
            "order": self.order,
            "criterion": self._criterion if self._table is None else _digest(self._table),
            "keep": self._keep,
            "size": self._size,
            "steps": [self._looks, self._steps],
            "seed": int(self.seed),
            "cost": _digest(*self._costs),
            "reserve": None if self._reserve is None else _digest(self._reserve),
        }


def _check_types(supernet: Any, training: Any, seed: Any) -> None:
    if not isinstance(supernet, Supernet):
        raise InputError(
            f"a {type(supernet).__name__} cannot be pruned; give a Supernet, such as "
            "problem.supernet"
        )
    if training is not None and not isinstance(training, TrainingConfig):
        raise InputError(f"training is {training!r}; give a TrainingConfig, or None")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed is {seed!r}; give an integer of at least 0")
    levels = supernet.space.levels
    if sorted(gene for genes in levels for gene in genes) != list(range(supernet.space.n_var)):
        raise InputError(
            f"the levels of space '{supernet.space.name}' are {levels}; each gene has to be in one "
            "of them"
        )


def _digest(*arrays: np.ndarray) -> str:
    """A short text that is another one for other numbers."""
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(data).hexdigest()[:16]


def _log10_size(allowed: BoolArray) -> float:
    return float(np.log10(allowed.sum(axis=1)).sum())
