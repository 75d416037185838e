"""Trainings under way, and networks that wait for theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import EvaluationStopped, InputError

if TYPE_CHECKING:
    from evonas.problems.scratch import ScratchProblem
    from evonas.training import Trained, TrainingDiverged
    from evonas.training.trials import Trial, TrialFailed, Trials


# Trainings that may come to nothing before one has gone well by those who do them now: perhaps they
# are all that was left of a search. More are no fault of networks.
UNPROVEN = 2


class TrainingsUnderWay:
    """Hands trainings in, and keeps what comes of them.

    What diverged or failed is held back until one training has gone well: where none does, it is
    not the networks that are to blame. One or two that are all that is under way are kept where
    others went well before.

    Args:
        trials: who does them.
        keep: told of each that has ended, with what came of it.
        any_fine: whether one has gone well before, wherever.
        went_well: whether one has by those who do them now.
    """

    def __init__(
        self,
        trials: Trials,
        keep: Callable[[Trial, Trained | TrainingDiverged | TrialFailed], None],
        *,
        any_fine: bool,
        went_well: bool,
    ) -> None:
        """Nothing is under way."""
        self._trials, self._keep = trials, keep
        self._fine, self._went_well = any_fine, went_well
        self._held: list[tuple[Trial, TrainingDiverged | TrialFailed]] = []
        self._stopped = False
        self._unproven = 0  # of those held, how many were kept all the same

    def __deepcopy__(self, memo: dict[int, Any]) -> TrainingsUnderWay:
        """The object itself: pymoo copies problems, and there is one of each training."""
        return self

    def __len__(self) -> int:
        """Trainings that were submitted and are not kept."""
        return len(self._trials) + len(self._held)

    @property
    def load(self) -> dict[str, int]:
        """As of `Trials`."""
        return self._trials.load

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
            TrainingDiverged: all have diverged or failed, and none ever went well.
            InputError: likewise; or no training can be done in this way.
        """
        from evonas.training.trainer import TrainingDiverged
        from evonas.training.trials import TrialFailed

        if self._stopped:
            raise EvaluationStopped
        if not len(self._trials):
            self._unproven += len(self._held)
            if self._fine and self._unproven <= UNPROVEN:
                return self._keep_held()
            trial, lost = self._held[0]
            if isinstance(lost, TrialFailed):
                raise InputError(f"{trial.network} cannot be trained: {lost.error}")
            raise TrainingDiverged(f"{trial.network}: {lost}")
        trial, done = self._trials.ended()
        if done is None:
            self._drain()
            raise EvaluationStopped
        return self._take(trial, done)

    def take_ended(self) -> list[Trial]:
        """Keep those that have ended by now; the trials. Raises InputError as of `take`."""
        kept: list[Trial] = []
        while not self._stopped and len(self._trials):
            ended = self._trials.ended_by_now()
            if ended is None:
                break
            trial, done = ended
            if done is None:
                self._drain()
            else:
                kept += self._take(trial, done)
        return kept

    def _take(self, trial: Trial, done: Trained | TrainingDiverged | TrialFailed) -> list[Trial]:
        from evonas.training.trainer import TrainingDiverged
        from evonas.training.trials import TrialFailed

        well = self._went_well if isinstance(done, TrialFailed) else self._fine
        if isinstance(done, TrainingDiverged | TrialFailed) and not well:
            self._held.append((trial, done))
            return []
        self._keep(trial, done)
        if isinstance(done, TrainingDiverged | TrialFailed):
            return [trial]
        self._fine = self._went_well = True
        return [trial, *self._keep_held()]

    def _keep_held(self) -> list[Trial]:
        kept = []
        while self._held:
            self._keep(*self._held[0])
            kept.append(self._held.pop(0)[0])
        return kept

    def _drain(self) -> None:
        """Keep what ends all the same when all were asked to stop."""
        self._stopped = True
        while len(self._trials):
            trial, done = self._trials.ended()
            if done is not None:
                self._take(trial, done)


class NetworksUnderWay:
    """Networks whose trainings are under way, for a search that proposes meanwhile.

    Args:
        problem: whose networks they are.
        trainings: those under way.
    """

    def __init__(self, problem: ScratchProblem, trainings: TrainingsUnderWay) -> None:
        """Nothing is under way."""
        self._problem, self._trainings = problem, trainings
        self._genomes: dict[str, list[np.ndarray]] = {}  # as they were asked for, by network
        self._left: dict[str, int] = {}  # trainings of each network
        self._ready: list[str] = []

    @property
    def free(self) -> int:
        """Networks that could begin at once."""
        return -(-self._trainings.free // self._problem.trainings)

    def begin(self, X: np.ndarray) -> None:
        """Begin to train networks with all seeds; what is known already has ended at once.

        Args:
            X: int (n, n_var).
        """
        problem = self._problem
        for x, canonical in zip(X, problem.canonical(problem.space.check(X)), strict=True):
            name = problem.space.decode(canonical)
            self._genomes.setdefault(name, []).append(np.asarray(x))
            if name in self._left:
                continue
            missing = problem.missing(canonical) if problem.feasible(canonical[None])[0] else []
            if not missing:
                self._ready.append(name)
                continue
            self._left[name] = len(missing)
            for trial in missing:
                self._trainings.submit(trial)

    def ended(self) -> tuple[np.ndarray, list[float]]:
        """Wait for networks: one, and all others that have ended by then.

        Returns:
            Their genomes (k, n_var), and the seconds that their trainings took.

        Raises:
            EvaluationStopped: it was asked to stop.
        """
        while not self._ready:
            self._see(self._trainings.take())
        self._see(self._trainings.take_ended())
        rows, seconds = [], []
        for name in dict.fromkeys(self._ready):
            took = sum(record.seconds for record in self._problem.records(name))
            for x in self._genomes.pop(name):
                rows.append(x)
                seconds.append(took)
        self._ready.clear()
        return np.stack(rows), seconds

    def keep_ended(self) -> None:
        """Keep trainings that have ended by now, and wait for none."""
        self._see(self._trainings.take_ended())

    def _see(self, ended: list[Trial]) -> None:
        """Know of trainings that have ended."""
        for trial in ended:
            self._left[trial.network] -= 1
            if not self._left[trial.network]:
                del self._left[trial.network]
                self._ready.append(trial.network)
