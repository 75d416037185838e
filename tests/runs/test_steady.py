"""An asynchronous search comes to the same state by the order of arrival that its journal holds."""

from contextlib import contextmanager

import numpy as np
import pytest

from evonas.errors import EvaluationStopped, InputError
from evonas.runs import Journal, distinct_results, drive, read_lines, read_searches
from evonas.search import get_algorithm

BUDGET = 20


class Slots:
    """Evaluates so many at once; dear ones take longest, whoever began first."""

    def __init__(self, slots, stop_after=None):
        self.slots, self.stop_after, self.under_way, self.begun = slots, stop_after, [], []
        self.kept = False

    @property
    def free(self):
        return max(0, self.slots - len(self.under_way))

    def begin(self, X):
        self.begun += [tuple(x) for x in X.tolist()]
        self.under_way += [tuple(x) for x in X.tolist()]

    def ended(self):
        if self.stop_after is not None:
            self.stop_after -= 1
            if self.stop_after < 0:
                raise EvaluationStopped
        working = sorted(self.under_way[: self.slots], key=lambda x: (sum(x), x))
        # Now and then two end together.
        ended = working[: 2 if sum(working[0]) % 3 == 0 else 1]
        for x in ended:
            self.under_way.remove(x)
        return np.array(ended), [float(sum(x)) for x in ended]

    def keep_ended(self):
        self.kept = True


@pytest.fixture
def make(blocks):
    def made(slots=3, stop_after=None):
        problem = blocks()
        problem.slots = Slots(slots, stop_after)

        @contextmanager
        def under_way():
            yield problem.slots

        problem.under_way = under_way
        return problem

    return made


def search(path, problem, *, evaluations=BUDGET, seed=3, **settings):
    algorithm = get_algorithm("screened", problem)
    with Journal(path) as journal:
        return drive(
            problem,
            algorithm,
            evaluations=evaluations,
            seed=seed,
            journal=journal,
            **{"asynchronous": True, **settings},
        )


def substance(path):
    lines, _ = read_lines(path)
    kept = [line for line in lines if line["kind"] in ("ask", "result", "generation")]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in kept]


@pytest.mark.parametrize("slots", [1, 3, 12])
def test_every_network_once_and_never_more_than_there_is_room_for(tmp_path, make, slots):
    problem = make(slots)
    outcome = search(tmp_path / "journal.jsonl", problem)
    genomes = [result.genome for result in outcome.results]
    assert len(genomes) == len(set(genomes)) == outcome.evaluations == BUDGET
    assert sorted(genomes) == sorted(problem.slots.begun) and not problem.slots.under_way
    assert [r.seconds for r in outcome.results] == [float(sum(g)) for g in genomes]
    (recorded,) = read_searches(read_lines(tmp_path / "journal.jsonl")[0], "journal")
    assert recorded.finished and recorded.asynchronous and not recorded.waiting
    assert len(recorded.asks[0].genomes) == max(8, slots)
    # Each was proposed when the one before had ended, but for the first ones.
    assert slots == 12 or max(len(ask.genomes) for ask in recorded.asks[1:]) <= 2


def test_resume_after_every_line_equals_unbroken(tmp_path, make):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    unbroken = search(whole, make())
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut in range(0, len(lines) + 1, 2):
        path.write_bytes(b"".join(lines[:cut]))
        known = distinct_results(read_searches(read_lines(path)[0], path))
        problem = make()
        resumed = search(path, problem)
        torn = [b'"kind": "result"' in line for line in lines[cut - 1 : cut + 1]] == [True, True]
        if not torn or not cut:  # what was written in one go was torn between two networks
            assert substance(path) == substance(whole), cut
        assert len({result.genome for result in resumed.results}) == BUDGET
        assert resumed.evaluations == unbroken.evaluations
        assert not {result.genome for result in known} & set(problem.slots.begun), cut


def test_stopped_and_gone_on_with(tmp_path, make):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    search(whole, make())
    assert search(path, make(stop_after=6)).stopped
    asked = make()
    assert search(path, asked, stop=lambda: True).stopped and asked.slots.kept
    assert not search(path, make()).stopped
    assert substance(path) == substance(whole)


def test_another_number_of_workers_goes_on(tmp_path, make):
    path = tmp_path / "journal.jsonl"
    search(path, make(2, stop_after=7))
    outcome = search(path, make(5))
    assert len({result.genome for result in outcome.results}) == outcome.evaluations == BUDGET
    more = search(path, make(3), evaluations=BUDGET + 6)
    assert more.evaluations == BUDGET + 6
    assert [r.genome for r in more.results][:BUDGET] == [r.genome for r in outcome.results]


def test_what_is_under_way_is_not_proposed_again_and_counts_as_its_mean(make):
    problem = make()
    algorithm = get_algorithm("screened", problem)
    algorithm.setup(problem, termination=("n_eval", 50), seed=1)
    first = algorithm.ask_for(2)
    assert len(first) == 8  # as many as it begins with
    algorithm.evaluator.eval(problem, first, algorithm=algorithm)
    algorithm.tell(infills=first[:5])
    seen = {tuple(x) for x in first.get("X").tolist()}
    for _ in range(6):
        infills = algorithm.ask_for(1)
        assert len(infills) == 1
        (x,) = infills.get("X").tolist()
        assert tuple(x) not in seen
        seen.add(tuple(x))
    assert len(algorithm.pending) == 9
    algorithm.tell(infills=first[5:])
    assert len(algorithm.pending) == 6


def test_history_has_a_row_for_each_arrival(tmp_path, make):
    (tmp_path / "run").mkdir()
    search(tmp_path / "run" / "journal.jsonl", make())
    lines, _ = read_lines(tmp_path / "run" / "journal.jsonl")
    told = [line["evaluations"] for line in lines if line["kind"] == "generation"]
    assert told == sorted(told) and told[-1] == BUDGET and len(told) > BUDGET / 2


def test_what_cannot_be_asynchronous_is_one_line(tmp_path, make, blocks):
    with pytest.raises(InputError, match="leave asynchronous out"):
        search(tmp_path / "a.jsonl", blocks())
    search(tmp_path / "b.jsonl", make(), evaluations=10)
    with pytest.raises(InputError, match="does not wait for whole generations; resume it as"):
        search(tmp_path / "b.jsonl", make(), evaluations=12, asynchronous=False)
    search(tmp_path / "c.jsonl", make(), evaluations=10, asynchronous=False)
    with pytest.raises(InputError, match="waits for whole generations; resume it without"):
        search(tmp_path / "c.jsonl", make(), evaluations=12)


@pytest.mark.parametrize("line", [
    {"kind": "ask", "generation": 7, "genomes": [], "random_state": {}},
    {"kind": "result", "generation": 1, "genome": [9, 9, 9, 9, 9], "seconds": 0.0,
     "objectives": {"error": 1.0, "params": 1.0}, "feasible": True},
])  # fmt: skip
def test_lines_out_of_order_are_named(tmp_path, make, line):
    path = tmp_path / "journal.jsonl"
    search(path, make(stop_after=0))
    with Journal(path) as journal:
        journal.append([line])
    with pytest.raises(InputError, match="line 3 of"):
        search(path, make())
