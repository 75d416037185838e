"""Drive a pymoo algorithm with its journal: ask, write, evaluate, write, tell; resume by replay.

pymoo's algorithms are deterministic given seed and objective values, so the journal is the
checkpoint: a resumed search asks again, is checked to ask for the same genomes with the same
generator state, and is told the recorded values. No algorithm object is ever stored.

An algorithm whose steps are dear, or differ in their last bits between machines, has two methods
more: `search_state()`, a dict that JSON can hold, and `replay(X, state)`, which makes the next
`ask` give X and lets the algorithm go on from that state. Its steps are then not computed again.
One with `search_details()` has numbers for the history after each generation: name -> number.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

from pymoo.core.algorithm import Algorithm
from pymoo.core.problem import Problem

from evonas.errors import InputError
from evonas.problems.scale import Scale
from evonas.runs.genomes import (
    objective_names,
)
from evonas.runs.journal import Journal
from evonas.runs.loop import GenerationReport, Loop
from evonas.runs.memory import RememberingProblem
from evonas.runs.records import Result, Search, distinct_results, read_searches
from evonas.runs.restart import begin_with
from evonas.runs.steady import SteadyLoop, can_be_asynchronous


@dataclass(frozen=True)
class Outcome:
    """How a search ended.

    Attributes:
        evaluations: networks evaluated, as the algorithm's evaluator counts.
        generations: finished ones of the last search.
        stopped: whether `stop` ended it before its budget was spent.
        results: every network evaluated, once each, in order.
        algorithm: the pymoo algorithm as it stands; `.result()` gives pymoo's own result.
    """

    evaluations: int
    generations: int
    stopped: bool
    results: tuple[Result, ...]
    algorithm: Algorithm


def drive(
    problem: Problem,
    algorithm: Algorithm,
    *,
    evaluations: int,
    seed: int,
    journal: Journal,
    stop: Callable[[], bool] | None = None,
    on_generation: Callable[[GenerationReport], None] | None = None,
    batch: int | None = None,
    restart: bool = False,
    asynchronous: bool = False,
) -> Outcome:
    """Search, or go on searching, until the budget is spent.

    A journal that holds a search is replayed first; with a larger budget than the recorded one the
    search goes on exactly as one that had it from the start (but for `MultiDistributionSearch`,
    which has spent the last evaluations of the smaller one on its architectures). The generation
    in which the budget runs out is finished (pymoo's semantics).

    Args:
        problem: a pymoo problem. If it has `remember(X, F)`, recorded values are handed to that,
            and it is expected to evaluate no network twice; any other is wrapped in a
            `RememberingProblem`.
        algorithm: any pymoo algorithm that asks and tells; a copy is driven.
        evaluations: the budget, as the algorithm's evaluator counts.
        seed: for the algorithm; a restarted search takes the following seeds.
        journal: open for appending.
        stop: asked before every generation and batch; True ends the search there.
        on_generation: called after every generation, replayed ones included.
        batch: networks evaluated between two writes to the journal; None: a generation at once.
            For problems in which one evaluation takes minutes.
        restart: begin a new search that knows all results so far.
        asynchronous: propose while networks are evaluated, instead of by whole generations; for a
            problem with `under_way` (`ScratchProblem`) and an algorithm with `ask_for`
            (`ScreenedSearch`).

    Raises:
        InputError: the recorded search had other settings or cannot be replayed; a value is not
            finite; the disk is full.
    """
    if evaluations < 1 or (batch is not None and batch < 1):
        raise InputError("evaluations and batch must be at least 1; give larger numbers")
    searches = read_searches(journal.lines, journal.path)
    if asynchronous and not can_be_asynchronous(problem, algorithm):
        raise InputError(
            "a search is asynchronous where networks are trained from scratch and the algorithm is "
            "'screened'; leave asynchronous out"
        )
    search = _open_search(searches, journal, problem, evaluations, seed, restart, asynchronous)
    if not hasattr(problem, "remember"):
        problem = RememberingProblem(problem)
    algorithm = copy.deepcopy(algorithm)
    algorithm.setup(problem, termination=("n_eval", evaluations), seed=search.seed)
    if search.restart:
        begin_with(algorithm, problem, distinct_results(searches[: searches.index(search)]))
    kind = SteadyLoop if asynchronous else Loop
    loop = kind(problem, algorithm, journal, search, batch or 2**62, stop or (lambda: False))
    loop.see(distinct_results(searches[: searches.index(search)]))
    stopped = loop.run(on_generation or (lambda report: None))
    return Outcome(
        evaluations=algorithm.evaluator.n_eval,
        generations=loop.finished,
        stopped=stopped,
        results=tuple(distinct_results(read_searches(journal.lines, journal.path))),
        algorithm=algorithm,
    )


def _open_search(
    searches: list[Search],
    journal: Journal,
    problem: Problem,
    evaluations: int,
    seed: int,
    restart: bool,
    asynchronous: bool,
) -> Search:
    """The search to drive, begun or extended in the journal; checks that it is the same one."""
    names = objective_names(problem)
    if searches and searches[0].objectives != names:
        raise InputError(
            f"{journal.path} is of a search for {', '.join(searches[0].objectives)}, not "
            f"{', '.join(names)}; start a new run for other objectives"
        )
    if not searches or restart:
        scale = getattr(problem, "scale", None)
        scale = scale if isinstance(scale, Scale) else None
        search = Search(
            seed + len(searches),
            evaluations,
            names,
            bool(searches),
            scale=scale,
            asynchronous=asynchronous,
        )
        journal.append([search.to_line()])
        searches.append(search)
        return search
    search = searches[-1]
    if search.seed != seed + len(searches) - 1:
        raise InputError(
            f"{journal.path} was searched with seed {search.seed - len(searches) + 1}, not {seed}; "
            "resume with that seed, or start a new run"
        )
    if asynchronous != search.asynchronous:
        does, how = ("waits", "without") if asynchronous else ("does not wait", "as")
        raise InputError(
            f"the search of {journal.path} {does} for whole generations; resume it {how} "
            "asynchronous"
        )
    if evaluations < search.evaluations:
        raise InputError(
            f"the run has a budget of {search.evaluations} evaluations; resume with that many "
            f"or more, not {evaluations}"
        )
    if evaluations > search.evaluations:
        journal.append([{"kind": "budget", "evaluations": evaluations}])
        search.evaluations = evaluations
    return search
