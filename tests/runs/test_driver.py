"""A search resumed from any point of its journal is the search that was never broken."""

import json

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.runs import Journal, distinct_results, drive, read_lines, read_searches

NAMES = ["nsga2", "nsga3", "sms-emoa", "age-moea", "parallel-moead", "moead", "random"]
OURS = [
    "nsga2",
    "nsga3",
    "sms-emoa",
    "moead",
    "age-moea",
    "screened",
    "multi-distribution",
    "random",
]
BUDGET = 28


def search(path, problem, algorithm, *, evaluations=BUDGET, seed=3, **settings):
    with Journal(path) as journal:
        return drive(
            problem, algorithm, evaluations=evaluations, seed=seed, journal=journal, **settings
        )


def substance(path):
    """All but the seconds, and the lines that say how often the search was begun or extended."""
    lines, _ = read_lines(path)
    kept = [line for line in lines if line["kind"] in ("ask", "result", "generation")]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in kept]


@pytest.mark.parametrize("name", NAMES)
def test_same_search_as_pymoos_minimize(tmp_path, blocks, make, name):
    outcome = search(tmp_path / "journal.jsonl", blocks(), make(name))
    plain = minimize(blocks(), make(name), ("n_eval", BUDGET), seed=3)
    assert outcome.algorithm.pop.get("X").tolist() == plain.pop.get("X").tolist()
    assert outcome.evaluations == plain.algorithm.evaluator.n_eval
    assert not outcome.stopped


@pytest.mark.parametrize("name", NAMES)
def test_resume_after_every_line_equals_unbroken(tmp_path, blocks, make, name):
    whole = tmp_path / "whole.jsonl"
    unbroken = search(whole, blocks(), make(name))
    lines = whole.read_bytes().splitlines(keepends=True)
    # An algorithm that asks for one at a time has many more lines; every sixth will do.
    for cut in range(0, len(lines) + 1, 6 if name == "moead" else 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(b"".join(lines[:cut]))
        known = distinct_results(read_searches(read_lines(path)[0], path))
        problem = blocks()
        resumed = search(path, problem, make(name))
        assert substance(path) == substance(whole), cut
        assert resumed.algorithm.pop.get("F").tolist() == unbroken.algorithm.pop.get("F").tolist()
        assert resumed.evaluations == unbroken.evaluations
        assert not {result.genome for result in known} & set(problem.evaluated), cut


@pytest.mark.parametrize("name", ["nsga2", "sms-emoa"])
def test_resume_with_constraint_and_three_objectives(tmp_path, blocks, make, name):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    search(whole, blocks(n_obj=3, limit=8000), make(name))
    results = distinct_results(read_searches(read_lines(whole)[0], whole))
    assert {result.feasible for result in results} == {True, False}
    assert all((result.constraints[0] <= 0) == result.feasible for result in results)
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut in range(0, len(lines), 5):
        path.write_bytes(b"".join(lines[:cut]))
        search(path, blocks(n_obj=3, limit=8000), make(name))
        assert substance(path) == substance(whole)


@pytest.mark.parametrize("name", OURS)
def test_evonas_algorithms_resume_extend_and_restart(tmp_path, blocks, make, name):
    def go(path, **settings):
        problem = blocks(limit=None if name == "moead" else 14000)
        outcome = search(path, problem, make(f"evonas:{name}", problem), **settings)
        return outcome, problem

    whole, path = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    unbroken, problem = go(whole, evaluations=60)
    assert unbroken.evaluations == len(problem.evaluated) == len(set(problem.evaluated)) >= 60
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut in range(0, len(lines) + 1, 11):
        path.write_bytes(b"".join(lines[:cut]))
        assert go(path, evaluations=60)[0].evaluations == unbroken.evaluations
        assert substance(path) == substance(whole), cut
    path.unlink()
    short, _ = go(path, evaluations=20)
    extended, _ = go(path, evaluations=60)
    if name == "multi-distribution":  # the last evaluations of a budget are kept for another use
        assert extended.evaluations >= 60
        assert extended.results[: len(short.results)] == short.results
        path.write_bytes(whole.read_bytes())
    assert substance(path) == substance(whole)
    outcome, problem = go(path, evaluations=80, restart=True)
    known = {result.genome for result in unbroken.results}
    assert len(problem.evaluated) == outcome.evaluations - unbroken.evaluations
    assert not known & set(problem.evaluated)
    assert substance(path)[: len(substance(whole))] == substance(whole)
    again, _ = go(path, evaluations=80)
    assert again.results == outcome.results


def test_torn_line_is_evaluated_again(tmp_path, blocks, make):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    search(whole, blocks(), make("nsga2"))
    data = whole.read_bytes()
    for cut in range(1, len(data), 1201):
        path.write_bytes(data[:cut])
        search(path, blocks(), make("nsga2"))
        assert substance(path) == substance(whole)


def test_a_problem_with_remember_is_not_wrapped_and_is_asked_only_for_what_is_new(
    tmp_path, blocks, make
):
    class Remembers(blocks):
        def __init__(self):
            super().__init__(limit=8000)
            self.cache, self.handed = {}, 0

        def remember(self, X, F):
            self.handed += len(X)
            assert (F[:, 1] <= 8000).all()
            self.cache |= {tuple(x): f for x, f in zip(X.tolist(), F, strict=True)}

        def _evaluate(self, X, out, *args, **kwargs):
            super()._evaluate(X, out)
            for x, f in zip(X.tolist(), out["F"], strict=True):
                assert f.tolist() == list(self.cache.setdefault(tuple(x), f))

    path = tmp_path / "journal.jsonl"
    first = Remembers()
    search(path, first, make("nsga2"))
    again = Remembers()
    outcome = search(path, again, make("nsga2"))
    assert outcome.algorithm.problem is again
    assert first.handed == 0
    assert again.handed == sum(r.feasible for r in outcome.results)


@pytest.mark.parametrize("name", ["nsga2", "parallel-moead", "random"])
def test_extending_equals_the_larger_budget(tmp_path, blocks, make, name):
    long, short = tmp_path / "long.jsonl", tmp_path / "short.jsonl"
    search(long, blocks(), make(name), evaluations=60)
    search(short, blocks(), make(name), evaluations=20)
    search(short, blocks(), make(name), evaluations=60)
    assert substance(short) == substance(long)
    searches = read_searches(*[read_lines(short)[0]], short)
    assert searches[-1].finished and searches[-1].evaluations == 60


def test_a_finished_search_writes_nothing_more(tmp_path, blocks, make):
    path = tmp_path / "journal.jsonl"
    search(path, blocks(), make("nsga2"))
    data = path.read_bytes()
    problem = blocks()
    reports = []
    outcome = search(path, problem, make("nsga2"), on_generation=reports.append)
    assert path.read_bytes() == data
    assert problem.evaluated == []
    assert outcome.generations == len(reports) > 0 and all(r.replayed for r in reports)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_batches_change_nothing_but_how_often_is_written(tmp_path, blocks, make, batch):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "batch.jsonl"
    search(whole, blocks(), make("nsga2"))
    search(path, blocks(), make("nsga2"), batch=batch)
    assert substance(path) == substance(whole)


def test_stop_ends_between_generations_and_batches_and_resumes(tmp_path, blocks, make):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    search(whole, blocks(), make("nsga2"))
    asked = iter([False, True])
    outcome = search(path, blocks(), make("nsga2"), stop=lambda: next(asked))
    assert outcome.stopped and outcome.evaluations == 8 and len(outcome.results) == 8
    asked = iter([False, False, False, True])
    outcome = search(path, blocks(), make("nsga2"), stop=lambda: next(asked), batch=2)
    assert outcome.stopped and outcome.generations == 1 and len(outcome.results) == 12
    assert not search(path, blocks(), make("nsga2")).stopped
    assert substance(path) == substance(whole)


def test_seconds_of_a_generation_are_those_of_all_processes(tmp_path, blocks, make):
    path = tmp_path / "journal.jsonl"
    asked = iter([False, False, True])
    outcome = search(path, blocks(), make("nsga2"), stop=lambda: next(asked), batch=2)
    assert outcome.stopped and outcome.generations == 0 and len(outcome.results) == 4
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = [line | {"seconds": 100.0} if line["kind"] == "result" else line for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    reports = []
    search(path, blocks(), make("nsga2"), on_generation=reports.append)
    assert all(400 < report.seconds < 450 for report in reports)
    # What is replayed has its seconds from its own line.
    replayed = []
    search(path, blocks(), make("nsga2"), on_generation=replayed.append)
    assert [report.seconds for report in replayed] == [report.seconds for report in reports]


def test_reports_hold_the_hypervolume_of_everything_feasible(tmp_path, blocks, make):
    reports = []
    problem = blocks(limit=8000)
    path = tmp_path / "journal.jsonl"
    outcome = search(path, problem, make("nsga2"), on_generation=reports.append)
    assert [report.number for report in reports] == list(range(1, len(reports) + 1))
    assert [report.evaluations for report in reports] == [8, 16, 24, 32]
    F = np.array([result.objectives for result in outcome.results if result.feasible])
    assert reports[-1].hypervolume == pytest.approx(problem.hypervolume(F), rel=1e-12)
    assert all(a.seconds <= b.seconds for a, b in zip(reports, reports[1:], strict=False))


def test_no_network_is_evaluated_twice_although_moead_asks_again(tmp_path, blocks, make):
    problem = blocks()
    search(tmp_path / "journal.jsonl", problem, make("parallel-moead"), evaluations=80)
    assert len(problem.evaluated) == len(set(problem.evaluated)) < 80


def test_one_algorithm_object_drives_two_equal_searches(tmp_path, blocks, make):
    algorithm = make("nsga2")
    search(tmp_path / "a.jsonl", blocks(), algorithm)
    search(tmp_path / "b.jsonl", blocks(), algorithm)
    assert substance(tmp_path / "a.jsonl") == substance(tmp_path / "b.jsonl")
    assert algorithm.problem is None


def test_an_exhausted_space_ends_the_search(tmp_path, blocks, make):
    class Counting(Evaluator):
        """Counts distinct genomes, as evonas's own evaluator does."""

        def eval(self, problem, pop, **kwargs):
            super().eval(problem, pop, **kwargs)
            self.seen = getattr(self, "seen", set()) | {tuple(x) for x in pop.get("X").tolist()}
            self.n_eval = len(self.seen)
            return pop

    class Few(blocks):
        def __init__(self):
            super().__init__()
            self.xu = np.array([1, 1, 0, 0, 0])

    path = tmp_path / "journal.jsonl"
    algorithm = make("random")
    algorithm.evaluator = Counting()
    outcome = search(path, Few(), algorithm)
    assert outcome.evaluations == 4 and not outcome.stopped
    assert read_searches(read_lines(path)[0], path)[0].finished
    lines = len(read_lines(path)[0])
    search(path, Few(), algorithm, evaluations=BUDGET + 1)
    assert len(read_lines(path)[0]) == lines + 2

    # pymoo's genetic algorithms find no offspring and say so.
    outcome = search(tmp_path / "nsga2.jsonl", Few(), make("nsga2"))
    assert len(outcome.results) == 4 and not outcome.stopped


@pytest.mark.parametrize("name", NAMES)
def test_restart_keeps_all_results_and_resumes(tmp_path, blocks, make, name):
    path, cut_path = tmp_path / "journal.jsonl", tmp_path / "cut.jsonl"
    search(path, blocks(), make(name), evaluations=16)
    before, _ = read_lines(path)
    known = {tuple(line["genome"]) for line in before if line["kind"] == "result"}
    problem = blocks()
    outcome = search(path, problem, make(name), evaluations=BUDGET, restart=True)
    lines, _ = read_lines(path)
    assert lines[: len(before)] == before
    assert lines[len(before)]["kind"] == "restart" and lines[len(before)]["seed"] == 4
    assert not set(problem.evaluated) & known
    assert outcome.evaluations >= BUDGET
    assert known <= {result.genome for result in outcome.results}
    if name not in ("random", "moead"):
        first = next(line for line in lines[len(before) :] if line["kind"] == "ask")
        assert len(first["genomes"]) == 8 and {tuple(g) for g in first["genomes"]} <= known
    raw = path.read_bytes().splitlines(keepends=True)
    for cut in range(len(before) + 1, len(raw), 11):
        cut_path.write_bytes(b"".join(raw[:cut]))
        search(cut_path, blocks(), make(name))
        assert substance(cut_path) == substance(path)


def test_restart_with_fewer_results_than_a_population_fills_it_up(tmp_path, blocks, make):
    path = tmp_path / "journal.jsonl"
    search(path, blocks(), make("parallel-moead"))
    raw = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(raw[:5]))
    known = {tuple(json.loads(line)["genome"]) for line in raw[2:5]}
    outcome = search(path, blocks(), make("parallel-moead"), restart=True)
    assert outcome.evaluations >= BUDGET
    first = read_searches(read_lines(path)[0], path)[1].generations[0]
    assert len(first.genomes) == 8 and known <= {tuple(g) for g in first.genomes}


def test_a_restart_that_knows_enough_already_is_at_its_end(tmp_path, blocks, make):
    path = tmp_path / "journal.jsonl"
    search(path, blocks(), make("nsga2"))
    problem = blocks()
    outcome = search(path, problem, make("nsga2"), restart=True)
    assert problem.evaluated == [] and outcome.generations == 0
    assert read_searches(read_lines(path)[0], path)[1].finished


def test_a_replay_that_diverges_names_the_generation_and_the_way_out(tmp_path, blocks, make):
    path = tmp_path / "journal.jsonl"
    search(path, blocks(), make("nsga2"))
    other = NSGA2(pop_size=8, sampling=make("nsga2").initialization.sampling)
    with pytest.raises(InputError, match="generation 2 .*other networks.*--restart-search"):
        search(path, blocks(), other)
    text = path.read_text()
    path.write_text(text.replace('"inc": ', '"inc": 1', 1))
    with pytest.raises(InputError, match="generation 1 .*random generator"):
        search(path, blocks(), make("nsga2"))
    path.write_text(text)

    class Stubborn(blocks):
        def remember(self, X, F):
            pass

        def _evaluate(self, X, out, *args, **kwargs):
            super()._evaluate(X, out)
            out["F"] = out["F"] + 1

    with pytest.raises(InputError, match="generation 1 .*other values"):
        search(path, Stubborn(), make("nsga2"))
    assert path.read_text() == text
    assert not search(path, blocks(), other, restart=True, evaluations=60).stopped


def test_changed_settings_are_refused(tmp_path, blocks, make):
    path = tmp_path / "journal.jsonl"
    search(path, blocks(), make("nsga2"))
    data = path.read_bytes()
    with pytest.raises(InputError, match="seed 3, not 4"):
        search(path, blocks(), make("nsga2"), seed=4)
    with pytest.raises(InputError, match="budget of 28"):
        search(path, blocks(), make("nsga2"), evaluations=20)
    with pytest.raises(InputError, match="error, params, not error, params, macs"):
        search(path, blocks(n_obj=3), make("nsga2"))
    with pytest.raises(InputError, match="at least 1"):
        search(path, blocks(), make("nsga2"), batch=0)
    assert path.read_bytes() == data


def test_a_value_that_is_no_number_never_reaches_the_journal(tmp_path, blocks, make):
    class Broken(blocks):
        def _evaluate(self, X, out, *args, **kwargs):
            super()._evaluate(X, out)
            out["F"][2, 0] = np.nan

    path = tmp_path / "journal.jsonl"
    with pytest.raises(InputError, match="generation 1 .*error nan"):
        search(path, Broken(), make("nsga2"))
    assert [line["kind"] for line in read_lines(path)[0]] == ["search", "ask"]
    search(path, blocks(), make("nsga2"))


def test_genomes_are_written_in_the_numbering_of_the_base_space(tmp_path, blocks, make):
    class Space:
        """Every choice renumbered: the journal's gene is ten more."""

        def lift(self, X):
            return X + 10

        def lower(self, X):
            return X - 10

        def decode(self, x):
            return "blocks:" + "".join(map(str, x))

    class Restricted(blocks):
        space = Space()

        def canonical(self, X):
            return np.sort(X, axis=1)

    path = tmp_path / "journal.jsonl"
    search(path, Restricted(), make("nsga2"), evaluations=8)
    line = next(line for line in read_lines(path)[0] if line["kind"] == "result")
    assert min(line["genome"]) >= 10
    assert line["network"] == "blocks:" + "".join(str(g - 10) for g in sorted(line["genome"]))
    outcome = search(path, Restricted(), make("nsga2"), restart=True)
    assert outcome.evaluations >= BUDGET
