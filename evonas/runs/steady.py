"""The loop of an asynchronous search: proposes while networks are evaluated.

As soon as one has been evaluated the algorithm is told of it, and asked for another; a slow network
holds nobody up. The order of arrival is chance, and is written: a resumed search asks and tells in
that order, and so comes to the same state. What was under way is evaluated again.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.individual import Individual
from pymoo.core.population import Population

from evonas.errors import EvaluationStopped
from evonas.runs.genomes import from_record, generator_state, to_record
from evonas.runs.loop import GenerationReport, Loop
from evonas.runs.memory import hand_over
from evonas.runs.records import Ask, Generation


class UnderWay(Protocol):
    """Networks that are being evaluated."""

    @property
    def free(self) -> int:
        """How many more could begin at once."""

    def begin(self, X: np.ndarray) -> None:
        """Begin to evaluate genomes (n, n_var)."""

    def ended(self) -> tuple[np.ndarray, list[float]]:
        """Wait; genomes (k, n_var), one or more, whose values `evaluate` now has at once.

        And the seconds that each took.

        Raises:
            EvaluationStopped: it was asked to stop.
        """

    def keep_ended(self) -> None:
        """Keep what has ended by now, for whoever goes on later; the rest is to be stopped."""


class Asynchronous(Protocol):
    """A problem that evaluates networks while others are proposed."""

    def under_way(self) -> AbstractContextManager[UnderWay]:
        """Begin; leaving the context stops what is under way."""


def can_be_asynchronous(problem: Any, algorithm: Algorithm) -> bool:
    """Whether a problem evaluates while an algorithm proposes."""
    return hasattr(problem, "under_way") and hasattr(algorithm, "ask_for")


class SteadyLoop(Loop):
    """As `Loop`, of a problem and an algorithm that do not wait for whole generations."""

    def run(self, on_generation: Callable[[GenerationReport], None]) -> bool:
        """All of the search; whether `stop` ended it early."""
        self.asked = 0  # asks so far
        self.waiting: dict[bytes, list[Individual]] = {}
        self.begun = False  # whether what is waited for is under way; not in a replay
        with self.problem.under_way() as under_way:
            while self.algorithm.has_next():
                if self._stopped(under_way):
                    return True
                self._ask_for_more(under_way)
                if not self.waiting:
                    break  # nothing new is left
                if self._stopped(under_way):  # an ask may take a while
                    return True
                try:
                    report = self._next_generation(under_way)
                except EvaluationStopped:
                    return True
                on_generation(report)
        self._end()
        return False

    def _stopped(self, under_way: UnderWay) -> bool:
        """Whether `stop` says so; then what has ended is kept."""
        stopped = self.stop()
        if stopped:
            under_way.keep_ended()
        return stopped

    def _ask_for_more(self, under_way: UnderWay) -> None:
        """Ask for what was asked for at this point before; then for as many as can begin."""
        asks = self.search.asks
        while self.asked < len(asks) and asks[self.asked].after == self.finished:
            self._wait_for(self._asked_again(asks[self.asked]))
        if self.finished < len(self.search.generations):
            return  # the replay goes on
        if not self.begun and self.waiting:
            under_way.begin(np.array([each.X for some in self.waiting.values() for each in some]))
        self.begun = True
        left = self.search.evaluations - self.algorithm.evaluator.n_eval
        left -= sum(map(len, self.waiting.values()))
        n = min(under_way.free, left)
        infills = self.algorithm.ask_for(n) if n > 0 else None
        if infills is None or not len(infills):
            return
        ask = Ask(
            self.finished,
            to_record(self.problem, infills.get("X")),
            generator_state(self.algorithm.random_state),
            self.algorithm.search_state(),
        )
        self.journal.append([ask.to_line()])
        self.search.ask(ask)
        self._wait_for(infills)
        under_way.begin(infills.get("X"))

    def _wait_for(self, infills: Population) -> None:
        self.asked += 1
        for individual in infills:
            self.waiting.setdefault(_key(individual.X), []).append(individual)

    def _next_generation(self, under_way: UnderWay) -> GenerationReport:
        """Wait for what comes next, write it, and tell the algorithm."""
        number, generations = self.finished + 1, self.search.generations
        if number <= len(generations):
            recorded = generations[self.finished]
            X = from_record(self.problem, recorded.genomes)
            hand_over(self.problem, X, recorded.results)
        else:
            X, seconds = under_way.ended()
            results = self._evaluate(number, X, seconds)
            recorded = Generation(number, [], {})
            for result in results:
                self.search.answer(recorded, result)
            generations.append(recorded)
        members = Population.create(*[self._taken(x) for x in X])
        report = self._report(number, members, recorded.results, recorded)
        self.algorithm.tell(infills=members)
        self._close(report)
        recorded.evaluations = report.evaluations
        return report

    def _taken(self, x: np.ndarray) -> Individual:
        """What was asked for as this genome, and is waited for no longer."""
        several = self.waiting[_key(x)]
        individual = several.pop(0)
        if not several:
            del self.waiting[_key(x)]
        return individual


def _key(x: np.ndarray) -> bytes:
    return np.asarray(x, dtype=np.int64).tobytes()
