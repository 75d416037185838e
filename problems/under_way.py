"""Trainings under way, and networks that wait for theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from evonas.errors import EvaluationStopped, InputError

if TYPE_CHECKING:
    from evonas.training import Trained, TrainingDiverged
    from evonas.training.trials import Trial, TrialFailed, Trials


class TrainingsUnderWay:
    """Hands trainings in, and keeps what comes of them.

    What diverged or failed is held back until one training has gone well: where none ever does, it
    is not the networks that are to blame.

    Args:
        trials: who does them.
        keep: told of each that has ended, with what came of it.
        any_fine: whether one has gone well before.
    """

    def __init__(
        self,
        trials: Trials,
        keep: Callable[[Trial, Trained | TrainingDiverged | TrialFailed], None],
        *,
        any_fine: bool,
    ) -> None:
        """Nothing is under way."""
        self._trials, self._keep, self._fine = trials, keep, any_fine
        self._held: list[tuple[Trial, TrainingDiverged | TrialFailed]] = []

    def __len__(self) -> int:
        """Trainings that were submitted and are not kept."""
        return len(self._trials) + len(self._held)

    @property
    def free(self) -> int:
        """Trainings that could begin at once."""
        return max(0, self._trials.slots - len(self._trials))

    def submit(self, trial: Trial) -> None:
        """Hand one in."""
        self._trials.submit(trial)

    def take(self) -> list[Trial]:
        """Wait for the next one that ends, and keep it; there must be some under way.

        Returns:
            What is kept now: none while it is held back, or several.

        Raises:
            EvaluationStopped: it was asked to stop. What ended by then is kept.
            TrainingDiverged: all have diverged or failed, and there are no others.
            InputError: likewise.
        """
        from evonas.training.trainer import TrainingDiverged
        from evonas.training.trials import TrialFailed

        if not len(self._trials):
            trial, lost = self._held[0]
            if isinstance(lost, TrialFailed):
                raise InputError(f"{trial.network} cannot be trained: {lost.error}")
            raise TrainingDiverged(f"{trial.network}: {lost}")
        trial, done = self._trials.ended()
        if done is None:
            self._drain()
            raise EvaluationStopped
        return self._take(trial, done)

    def _take(self, trial: Trial, done: Trained | TrainingDiverged | TrialFailed) -> list[Trial]:
        from evonas.training.trainer import TrainingDiverged
        from evonas.training.trials import TrialFailed

        if isinstance(done, TrainingDiverged | TrialFailed) and not self._fine:
            self._held.append((trial, done))
            return []
        self._keep(trial, done)
        kept = [trial]
        if not isinstance(done, TrainingDiverged | TrialFailed):
            self._fine = True
            while self._held:
                self._keep(*self._held[0])
                kept.append(self._held.pop(0)[0])
        return kept

    def _drain(self) -> None:
        """Keep what ends all the same when all were asked to stop."""
        while len(self._trials):
            trial, done = self._trials.ended()
            if done is not None:
                self._take(trial, done)
