"""The loop of a search: ask, write, evaluate, write, tell; what was written before is replayed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from moocore import is_nondominated
from pymoo.core.algorithm import Algorithm
from pymoo.core.evaluator import Evaluator
from pymoo.core.individual import Individual
from pymoo.core.population import Population

from evonas.errors import EvaluationStopped, InputError
from evonas.runs.genomes import from_record, generator_state, network_texts, to_record
from evonas.runs.journal import Journal
from evonas.runs.memory import hand_over
from evonas.runs.records import Ask, Generation, Result, Search

IDLE_GENERATIONS = 50
"""A search that finds nothing new to evaluate for so many generations in a row is at its end, where
its evaluator has no `patience` of its own."""


@dataclass(frozen=True)
class GenerationReport:
    """What is known after a generation.

    Attributes:
        number: from 1, in this search.
        evaluations: so far, as the algorithm's evaluator counts.
        budget: evaluations that the search may spend.
        hypervolume: of everything feasible so far; None where the problem has none.
        seconds: spent searching so far, in all processes that drove this search.
        replayed: whether its values came from the journal.
        images_saved: validation images that its new networks were not scored on.
    """

    number: int
    evaluations: int
    budget: int
    hypervolume: float | None
    seconds: float
    replayed: bool
    images_saved: int = 0


class Loop:
    """The state of one drive: where the replay is, the front so far, the clock."""

    def __init__(
        self,
        problem: Any,
        algorithm: Algorithm,
        journal: Journal,
        search: Search,
        batch: int,
        stop: Callable[[], bool],
    ) -> None:
        self.problem, self.algorithm, self.journal = problem, algorithm, journal
        self.search, self.batch, self.stop = search, batch, stop
        self.finished = 0
        self.front = np.empty((0, len(search.objectives)))
        self.counted: set[str] = set()  # networks whose saved images were
        self.seconds = 0.0
        self.mark = time.perf_counter()

    def run(self, on_generation: Callable[[GenerationReport], None]) -> bool:
        """All generations; whether `stop` ended it early."""
        algorithm, budget = self.algorithm, self.search.evaluations
        # A restarted search may know enough already; pymoo looks only after an iteration.
        most = getattr(algorithm.evaluator, "patience", IDLE_GENERATIONS)
        idle = 0 if algorithm.evaluator.n_eval < budget else most
        while algorithm.has_next() and idle < most:
            if self.stop():
                return True
            before = algorithm.evaluator.n_eval
            infills = self._next()
            if infills is None or not np.size(infills):
                # The algorithm found no offspring; telling it so ends pymoo's genetic algorithms.
                algorithm.tell()
                idle += 1
                continue
            members = Population.create(infills) if isinstance(infills, Individual) else infills
            report = self._generation(members)
            if report is None:
                return True
            algorithm.tell(infills=infills)
            self._close(report)
            idle = 0 if algorithm.evaluator.n_eval > before else idle + 1
            on_generation(report)
        self._end()
        return False

    def _end(self) -> None:
        """Write that the search has ended, where it is not written."""
        if self.finished < len(self.search.generations):
            raise self._diverged(self.finished + 1, "the search ends sooner")
        if not self.search.finished:
            self.journal.append([{"kind": "end", "evaluations": self.search.evaluations}])

    def see(self, results: list[Result]) -> None:
        """Take feasible results into the front so far."""
        F = np.array([r.objectives for r in results if r.feasible], dtype=float)
        if len(F):
            F = np.unique(np.vstack([self.front, F]), axis=0)
            self.front = F[is_nondominated(F)]

    def _generation(self, members: Population) -> GenerationReport | None:
        """Evaluate what was asked for, served from the journal as far as it goes."""
        number = self.finished + 1
        recorded = self._ask(number, members)
        results = list(recorded.results)
        X = members.get("X")
        if results:
            hand_over(self.problem, X[: len(results)], results)
            if recorded.evaluations is None:  # its process ended here; what it wrote took its time
                self.seconds += sum(result.seconds for result in results)
        while len(results) < len(members):
            if results and self.stop():
                return None
            try:
                results += self._evaluate(number, X[len(results) :][: self.batch])
            except EvaluationStopped:
                return None
        return self._report(number, members, results, recorded)

    def _report(
        self, number: int, members: Population, results: list[Result], recorded: Generation
    ) -> GenerationReport:
        """Give members their values, and see what is known after them."""
        # All values are in the problem's memory by now. One call for the whole generation, so that
        # an evaluator counts, and ends a search, the same way however the generation was broken up.
        self.algorithm.evaluator.eval(self.problem, members, algorithm=self.algorithm)
        if members.get("F").tolist() != [list(result.objectives) for result in results]:
            raise self._diverged(number, "the problem gives other values")
        self.see(results)
        replayed = recorded.evaluations is not None
        count = self.algorithm.evaluator.n_eval
        if replayed:
            if recorded.evaluations != count:
                raise self._diverged(
                    number,
                    f"evaluations are counted otherwise ({count}, not {recorded.evaluations})",
                )
            hypervolume, self.seconds = recorded.hypervolume, float(recorded.seconds or 0.0)
            self.mark = time.perf_counter()
        else:
            hypervolume = self._hypervolume()
            now = time.perf_counter()
            self.seconds, self.mark = self.seconds + now - self.mark, now
        saved = {r.key: r.images_saved for r in results if r.key not in self.counted}
        self.counted |= saved.keys()
        return GenerationReport(
            number,
            count,
            self.search.evaluations,
            hypervolume,
            self.seconds,
            replayed,
            sum(saved.values()),
        )

    def _close(self, report: GenerationReport) -> None:
        """Write that a generation has ended, with what the algorithm made of it."""
        self.finished = report.number
        if report.replayed:
            return
        line = {
            "kind": "generation",
            "generation": report.number,
            "evaluations": report.evaluations,
            "hypervolume": report.hypervolume,
            "seconds": report.seconds,
        }
        tell = getattr(self.algorithm, "search_details", None)
        details = dict(tell()) if callable(tell) else {}
        if getattr(self.problem, "racing", "off") != "off":
            details["images_saved"] = report.images_saved
        self.journal.append([line | ({"details": details} if details else {})])

    def _next(self) -> Any:
        """What the algorithm asks for; one with a `replay` is told what it asked for before."""
        algorithm = self.algorithm
        if not hasattr(algorithm, "replay") or self.finished >= len(self.search.generations):
            return algorithm.ask()
        return self._asked_again(self.search.generations[self.finished])

    def _asked_again(self, recorded: Generation | Ask) -> Any:
        """What an algorithm with a `replay` asked for before, from whose state it goes on."""
        algorithm = self.algorithm
        algorithm.replay(from_record(self.problem, recorded.genomes), recorded.state or {})
        infills = algorithm.ask()
        algorithm.random_state.bit_generator.state = recorded.random_state
        return infills

    def _ask(self, number: int, members: Population) -> Generation:
        """The recorded ask, checked against this one; or this one, recorded."""
        genomes = to_record(self.problem, members.get("X"))
        state = generator_state(self.algorithm.random_state)
        if number <= len(self.search.generations):
            recorded = self.search.generations[number - 1]
            if recorded.genomes != genomes:
                raise self._diverged(number, "the algorithm asks for other networks")
            if recorded.random_state != state:
                raise self._diverged(number, "the random generator is in another state")
            return recorded
        line = {"kind": "ask", "generation": number, "genomes": genomes, "random_state": state}
        own = self.algorithm.search_state() if hasattr(self.algorithm, "replay") else None
        self.journal.append([line if own is None else line | {"state": own}])
        new = Generation(number, genomes, state, state=own)
        self.search.generations.append(new)
        return new

    def _evaluate(
        self, number: int, X: np.ndarray, seconds: Sequence[float] | None = None
    ) -> list[Result]:
        """Evaluate a batch, which leaves its values in the problem's memory, and write them.

        Args:
            number: of the generation.
            X: genomes.
            seconds: that each took; by default its share of what all take now.
        """
        start = time.perf_counter()
        members = Evaluator().eval(self.problem, Population.new(X=X))
        if seconds is None:
            seconds = [(time.perf_counter() - start) / len(X)] * len(X)
        names = self.search.objectives
        saved, records = _raced(self.problem, X)
        failures = _failed(self.problem, X)
        results = [
            Result(
                number,
                tuple(genome),
                tuple(np.asarray(member.F, dtype=float).tolist()),
                bool(np.all(member.FEAS)) and not failed,
                round(took, 6),
                network,
                tuple(np.asarray(member.G, dtype=float).tolist()),
                tuple(np.asarray(member.H, dtype=float).tolist()),
                images,
                record,
                failed,
            )
            for member, took, genome, network, images, record, failed in zip(
                members,
                seconds,
                to_record(self.problem, X),
                network_texts(self.problem, X),
                saved,
                records,
                failures,
                strict=True,
            )
        ]
        for result in results:
            if not np.isfinite(result.objectives + result.constraints + result.equalities).all():
                values = ", ".join(
                    f"{n} {v}" for n, v in zip(names, result.objectives, strict=True)
                )
                raise InputError(
                    f"network {result.key} of generation {number} has a value that is no number "
                    f"({values}); find out why it cannot be evaluated, then go on with --resume"
                )
        self.journal.append([result.to_line(names) for result in results])
        return results

    def _hypervolume(self) -> float | None:
        measure = getattr(self.problem, "hypervolume", None)
        if measure is None:
            return None
        return float(measure(self.front)) if len(self.front) else 0.0

    def _diverged(self, number: int, what: str) -> InputError:
        return InputError(
            f"generation {number} in {self.journal.path} cannot be replayed: {what} than when it "
            "was written (other settings, or another version of pymoo or numpy); keep its results "
            f"and search anew with --resume {self.journal.path.parent} --restart-search"
        )


def _raced(problem: Any, X: np.ndarray) -> tuple[list[int], list[dict[str, float]]]:
    """Images that evaluated genomes were not scored on, and what else a race knows of them."""
    if not hasattr(problem, "race_records"):
        return [0] * len(X), [{}] * len(X)
    return problem.images_saved(X).tolist(), problem.race_records(X)


def _failed(problem: Any, X: np.ndarray) -> list[str]:
    """For each of some genomes that were evaluated, why it could not be; "" where it could."""
    tell = getattr(problem, "failures", None)
    return list(tell(X)) if callable(tell) else [""] * len(X)
