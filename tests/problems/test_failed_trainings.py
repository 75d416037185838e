"""Networks whose training comes to no end, and networks that are trained while others are proposed.

That a training fails however often it is tried is what other trainers than threads can tell; here
a fake of theirs does.
"""

import copy
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize

from evonas.config import ScratchConfig
from evonas.errors import InputError
from evonas.problems import ScratchProblem
from evonas.runs import Journal, drive
from evonas.search import get_algorithm
from evonas.spaces import get_space
from evonas.training import TrainingDiverged
from evonas.training import trials as module
from evonas.training.scratch import Trained
from evonas.training.trials import TrialFailed

CONFIG = ScratchConfig(epochs=4, batch_size=50, at_once=1)


@pytest.fixture
def doing(monkeypatch):
    """Trainings by formula; some fail, or diverge. Which were made, as (network, epochs, seed)."""
    made, lost = [], {"failed": set(), "diverged": set()}

    def do(trial, space, data, *, checkpoint=None, stop=lambda: False):
        if stop():
            return None
        made.append((trial.network, trial.config.epochs, trial.seed))
        if trial.network in lost["failed"]:
            return TrialFailed("it failed 3 times")
        if trial.network in lost["diverged"]:
            return TrainingDiverged("no number")
        error = 60.0 - 4.0 * trial.genome.sum() - trial.config.epochs + trial.seed / 10
        return Trained(error, error / 30, 50.0, 1.0, {})

    monkeypatch.setattr(module, "do_trial", do)
    return made, lost


@pytest.fixture
def make(few_digits):
    space = get_space("tiny", 10, few_digits.input_shape)

    def made(config=CONFIG, **settings):
        return ScratchProblem(space, few_digits, config=config, **settings)

    return made


def networks(problem, *texts):
    return problem.canonical(np.stack([problem.space.encode(f"tiny:{text}") for text in texts]))


def test_one_of_its_seeds_is_enough(make, doing):
    made, lost = doing
    problem = make(replace(CONFIG, seeds=2))
    X = networks(problem, "222222", "111111", "000000")
    bad = problem.space.decode(X[1])
    lost["failed"].add(bad)
    F = problem.evaluate(X)
    assert F[1, 0] == 100 and (F[[0, 2], 0] < 100).all() and len(made) == 6
    assert problem.failures(X) == ["", "it failed 3 times", ""]
    assert np.array_equal(F[:, 1], problem.cheap_values(X)[:, 0])  # costs are as they are


def test_one_that_fails_stands_in_nobodys_way(make, doing):
    """It was promoted, and others were stopped by it, before it failed."""
    made, lost = doing
    problem = make(replace(CONFIG, promotion=(2,)))
    X = networks(problem, "022222", "222222", "000000")
    good, better = (problem.space.decode(x) for x in X[:2])
    cheap = problem.cheap_values(X)[:, 0]
    assert cheap[0] < cheap[1]
    first = problem.evaluate(X[[2]])
    real = module.do_trial

    def fails_later(trial, *given, **settings):
        done = real(trial, *given, **settings)
        return TrialFailed("late") if trial.network == good and trial.config.epochs == 4 else done

    module.do_trial = fails_later
    try:
        F = problem.evaluate(X)
    finally:
        module.do_trial = real
    assert F[0, 0] == 100 and problem.failures(X) == ["late", "", ""]
    assert F[1, 0] < 100 and F[2].tolist() == first[0].tolist()
    # Nothing known there dominates it any more.
    other = networks(problem, "122222")
    made.clear()
    assert problem.evaluate(other)[0, 0] < 100
    assert (problem.space.decode(other[0]), 4, 1) in made


def test_what_failed_is_tried_again_for_its_weights_alone(make, doing, tmp_path):
    made, lost = doing
    X = networks(make(), "222222", "111111")
    bad = make().space.decode(X[1])
    lost["failed"].add(bad)
    make(folder=tmp_path).evaluate(X)
    lost["failed"].clear()
    made.clear()
    again = make(folder=tmp_path)
    assert again.evaluate(X)[1, 0] == 100 and not made
    again.train(X[[1]])
    assert made == [(bad, 4, 1)] and not again.is_lost(bad, 1)


def test_where_none_ever_does_well_networks_are_not_to_blame(make, doing):
    _, lost = doing
    X = networks(make(), "222222", "111111", "000000")
    lost["failed"] |= {make().space.decode(x) for x in X}
    problem = make()
    with pytest.raises(InputError, match="cannot be trained: it failed 3 times"):
        problem.evaluate(X)
    assert problem.store.empty


def test_what_is_left_of_a_generation_may_fail(make, doing, tmp_path):
    """The driver died when all others had ended; whoever goes on has nothing else to train."""
    _, lost = doing
    X = networks(make(), "222222", "111111", "000000")
    make(folder=tmp_path).evaluate(X[:1])
    lost["failed"] |= {make().space.decode(x) for x in X[1:]}
    again = make(folder=tmp_path)
    assert (again.evaluate(X)[:, 0] == 100).tolist() == [False, True, True]
    assert again.failures(X) == ["", "it failed 3 times", "it failed 3 times"]


def test_where_none_of_these_trainers_does_well_networks_are_not_to_blame(make, doing, tmp_path):
    """Also where others did well before: a run that is gone on with, and now a broken cluster."""
    _, lost = doing
    X = networks(make(), "222222", "111111", "000000", "210000")
    make(folder=tmp_path).evaluate(X[:1])
    lost["failed"] |= {make().space.decode(x) for x in X[1:]}
    again = make(folder=tmp_path)
    with pytest.raises(InputError, match="cannot be trained: it failed 3 times"):
        again.evaluate(X)
    assert not any(again.records(again.space.decode(x)) for x in X[1:])
    # One by one two are kept, as if they were all that is left; the third is not.
    with pytest.raises(InputError, match="cannot be trained: it failed 3 times"):
        with again.under_way() as under_way:
            for x in X[1:]:
                under_way.begin(x[None])
                assert under_way.ended()[0].tolist() == [x.tolist()]
    assert [bool(again.records(again.space.decode(x))) for x in X[1:]] == [True, True, False]


class Fake:
    """Trials of which all that were begun end together."""

    slots, load = 8, {}

    def __init__(self):
        self.begun = []

    def __len__(self):
        return len(self.begun)

    @contextmanager
    def open(self, *given, **settings):
        yield self

    def submit(self, trial):
        self.begun.append(trial)

    def ended(self):
        return self.begun.pop(0), Trained(50.0, 1.0, 50.0, 1.0, {})

    def ended_by_now(self):
        return self.ended() if self.begun else None


def test_what_has_ended_together_is_told_together(make, tmp_path):
    """So one ask of an asynchronous search is for all of them."""
    problem = make()
    problem.trainers = Fake()
    X = networks(problem, "222222", "111111", "000000")
    with problem.under_way() as under_way:
        under_way.begin(X)
        assert under_way.free == 5
        rows, _ = under_way.ended()
    assert rows.tolist() == X.tolist()
    with problem.under_way() as under_way:  # a search that ends keeps what has ended
        more = networks(problem, "210000", "120000")
        under_way.begin(more)
        under_way.keep_ended()
    assert all(problem.records(problem.space.decode(x)) for x in more)


def test_a_failed_network_is_in_the_journal_and_on_no_front(make, doing, tmp_path):
    made, lost = doing
    problem = make()
    # The smallest: nothing could dominate it.
    smallest = networks(problem, "000000")[0]
    lost["failed"].add(problem.space.decode(smallest))

    def search():
        searched = make(folder=tmp_path / "trainings")
        algorithm = get_algorithm("screened", searched, sampling=start)
        with Journal(tmp_path / "journal.jsonl") as journal:
            return drive(searched, algorithm, evaluations=14, seed=1, journal=journal), searched

    start = np.concatenate(
        [smallest[None], networks(problem, *"222222 111111 210000 120000 200000 220000".split())]
    )
    done, searched = search()
    (failed,) = [result for result in done.results if result.failed]
    assert failed.network == problem.space.decode(smallest) and not failed.feasible
    assert failed.failed == "it failed 3 times" and failed.objectives[0] == 100
    valued = done.algorithm._valued().get("X")
    assert len(valued) == len(done.results) - 1 and not (valued == smallest).all(axis=1).any()
    # Gone on with, it is neither trained again nor counted twice.
    made.clear()
    again, _ = search()
    assert not made and [r.key for r in again.results] == [r.key for r in done.results]


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("at_once", [1, 3])
def test_networks_under_way(make, doing, tmp_path, seeds, at_once):
    made, lost = doing
    problem = make(replace(CONFIG, seeds=seeds, at_once=at_once), folder=tmp_path)
    X = problem.space.sample(12, np.random.default_rng(0))
    names = [problem.space.decode(x) for x in problem.canonical(X)]
    lost["failed"].add(names[0])
    lost["diverged"].add(names[1])  # both are held back until one goes well
    seen = []
    with problem.under_way() as under_way:
        assert under_way.free == -(-at_once // seeds)
        under_way.begin(X)
        assert under_way.free == 0
        while len(seen) < len(X):
            rows, seconds = under_way.ended()
            assert len(rows) == len(seconds)
            trained = len(made)
            problem.evaluate(rows)
            assert len(made) == trained or at_once > 1  # the values are there
            seen += [tuple(row) for row in rows.tolist()]
        copy.deepcopy(problem)  # as pymoo's save_history does
    assert sorted(seen) == sorted(map(tuple, X.tolist()))
    assert len(made) == len(set(made)) == seeds * len(set(names))


def test_an_asynchronous_search_killed_and_gone_on_with(make, doing, tmp_path):
    made, _ = doing

    def search(name, stop=lambda: False, **settings):
        problem = make(replace(CONFIG, seeds=2), folder=tmp_path / f"{name}-trainings")
        problem.stop = stop
        with Journal(tmp_path / f"{name}.jsonl") as journal:
            return drive(
                problem,
                get_algorithm("screened", problem),
                evaluations=14,
                seed=1,
                journal=journal,
                asynchronous=True,
            )

    whole = search("whole")
    made.clear()
    assert search("broken", stop=lambda: len(made) >= 11).stopped
    assert not search("broken").stopped
    lines = [
        [line.split('"seconds"')[0] for line in (tmp_path / name).read_text().splitlines()]
        for name in ("whole.jsonl", "broken.jsonl")
    ]
    assert lines[0] == lines[1] and whole.evaluations == 14
    assert len(made) == len(set(made)) == 28


def test_promotion_waits_for_generations(make):
    with pytest.raises(InputError, match="leave promotion and supernet out"):
        with make(replace(CONFIG, promotion=(1,))).under_way():
            pass


def test_to_pymoo_it_is_feasible_with_the_worst_error(make, doing):
    _, lost = doing
    problem = make()
    lost["failed"].add(problem.space.decode(networks(problem, "000000")[0]))
    X = networks(problem, *"000000 222222 111111 210000 120000 200000 220000 202020".split())
    found = minimize(problem, NSGA2(pop_size=8, sampling=X), ("n_gen", 1), seed=1)
    assert 100.0 in found.pop.get("F")[:, 0] and found.pop.get("feas").all()
