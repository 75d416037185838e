"""Populations scored on a cluster get the numbers of this process, whoever is killed meanwhile."""

import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from workers import processes_of

from evonas.cluster import ClusterScoring
from evonas.cluster import scoring as module
from evonas.cluster.actors import Actors
from evonas.errors import InputError
from evonas.problems import SupernetProblem
from evonas.spaces import get_space
from evonas.supernet import Supernet


@pytest.fixture(scope="module")
def trained(few_digits):
    problem = SupernetProblem(get_space("tiny", 10, few_digits.input_shape), few_digits)
    return problem.train(steps=30, batch_size=24)


@pytest.fixture
def make(few_digits, trained):
    def made(space=None, **settings):
        return SupernetProblem(space or trained.space, few_digits, supernet=trained, **settings)

    return made


@pytest.fixture
def X(trained):
    return trained.space.sample(60, np.random.default_rng(0))


@pytest.fixture(scope="module")
def scoring(cluster):
    """One for all: it sees by itself what each of them has changed."""
    made = ClusterScoring(cluster)
    yield made
    made.release()


def test_scores_are_those_of_this_process(make, X, scoring):
    here, there = make(), make()
    there.scoring = scoring
    assert np.array_equal(there.evaluate(X), here.evaluate(X))
    # The actors stay, and so do the activations of early layers.
    actors = scoring._actors
    more = X[::-1][:20] // 2
    assert np.array_equal(there.evaluate(more), here.evaluate(more))
    assert scoring._actors is actors and len(actors._all) == 2


def test_statistics_are_added_up_as_by_the_threads_of_the_run(make, X, scoring, two_threads):
    here, there = make(), make()
    there.scoring = scoring  # its actors have one thread each
    assert np.array_equal(there.evaluate(X), here.evaluate(X))


@pytest.mark.parametrize("racing", ["exact", "confident"])
def test_races_end_alike(make, X, scoring, racing):
    here, there = make(racing=racing), make(racing=racing)
    there.scoring = scoring
    for part in X[:8], X[8:30], X[30:]:
        assert np.array_equal(there.evaluate(part), here.evaluate(part))
        assert there.images_saved(part).tolist() == here.images_saved(part).tolist()
    assert there.images_scored == here.images_scored


def test_what_a_pruning_left_and_other_weights(make, X, scoring, trained, few_digits):
    allowed = trained.space.allowed.copy()
    allowed[0, 0] = False
    space = trained.space.restrict(allowed)
    here, there = make(space), make(space)
    there.scoring = scoring
    few = space.sample(12, np.random.default_rng(1))
    assert np.array_equal(there.evaluate(few), here.evaluate(few))
    other = Supernet(trained.space, few_digits, seed=7)
    other.trained_steps = 1
    assert scoring.evaluate(other, X).loss.tolist() == other.evaluate(X).loss.tolist()
    assert scoring.evaluate(trained, X).loss.tolist() == trained.evaluate(X).loss.tolist()


def test_an_actor_that_is_killed_is_replaced(make, scoring, trained):
    X = trained.space.sample(800, np.random.default_rng(2))
    here, there = make(), make()
    there.scoring = scoring
    there.evaluate(X[:2])  # both have begun
    killed = []

    def kill():
        end = time.monotonic() + 20
        while not killed and time.monotonic() < end:
            for pid in processes_of("ray::EvonasScorer.score"):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                break

    thread = threading.Thread(target=kill)
    thread.start()
    F = there.evaluate(X)
    thread.join()
    assert killed and np.array_equal(F, here.evaluate(X))


def test_the_only_actor_is_killed(make, cluster, trained):
    """A call to an actor that begins anew fails at once; it is waited for."""
    X = trained.space.sample(800, np.random.default_rng(3))
    here, there = make(), make()
    there.scoring = scoring = ClusterScoring(replace(cluster, asked=1))
    there.evaluate(X[:2])
    for pid in processes_of("ray::EvonasScorer"):  # while it has nothing to do
        os.kill(pid, signal.SIGKILL)
    assert np.array_equal(there.evaluate(X), here.evaluate(X))
    scoring.release()


def test_other_weights_of_the_same_object(make, X, scoring, few_digits):
    supernet = Supernet(get_space("tiny", 10, few_digits.input_shape), few_digits, seed=4)
    supernet.trained_steps = 1
    assert scoring.evaluate(supernet, X).loss.tolist() == supernet.evaluate(X).loss.tolist()
    with torch.no_grad():
        for parameter in supernet.network.parameters():
            parameter.mul_(1.1)
    assert scoring.evaluate(supernet, X).loss.tolist() == supernet.evaluate(X).loss.tolist()
    thin = Supernet(supernet.space, few_digits, 0.5, seed=4)
    thin.trained_steps = 1
    assert scoring.evaluate(thin, X).loss.tolist() == thin.evaluate(X).loss.tolist()
    fewer = replace(few_digits, validation=few_digits.validation.take(40))
    small = Supernet(supernet.space, fewer, 0.5, seed=4)
    small.trained_steps = 1
    assert scoring.evaluate(small, X).loss.tolist() == small.evaluate(X).loss.tolist()


def test_what_can_never_be_scored_is_one_line(make, X, cluster, monkeypatch):
    import ray

    there = make()
    there.scoring = ClusterScoring(cluster)

    class Broken:
        def __init__(self, *given):
            pass

        def open(self):
            return "", ""

        def score(self, *given):
            raise RuntimeError("no room\nat all")

    monkeypatch.setattr(module, "EvonasScorer", Broken)
    ray.cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
    with pytest.raises(InputError, match="could not be scored: it failed 3 times .* no room$"):
        there.evaluate(X)


def test_an_evaluation_that_is_interrupted_leaves_no_actors(make, X, scoring, monkeypatch):
    """As Ctrl-C in a notebook."""
    here, there = make(), make()
    there.scoring = scoring
    real = module._Parts._take

    def interrupted(self, ref):
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Parts, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        there.evaluate(X)
    monkeypatch.setattr(module._Parts, "_take", real)
    assert scoring._actors is None
    assert np.array_equal(there.evaluate(X[:1]), here.evaluate(X[:1]))
    assert len(scoring._actors._all) == 1  # one part needs no more
    assert np.array_equal(there.evaluate(X), here.evaluate(X))


def test_where_some_cannot_begin_the_others_go_on(cluster):
    import ray

    class Fine:
        def open(self):
            return "", ""

    class Lost:
        def __init__(self):
            raise OSError("no room")

        def open(self):
            raise AssertionError

    kinds, said = iter([Fine]), []
    actors = Actors(
        lambda: ray.remote(num_cpus=0)(next(kinds, Lost)).remote(), cluster.leave_out, said.append
    )
    actors.want(2)
    while actors.opening:
        (ref,), _ = ray.wait(list(actors.opening))
        actors.opened(ref)
    assert len(actors.free) == len(actors._all) == 1
    (line,) = said
    assert line.startswith("workers are lost before") and line.endswith("the others go on")
    actors.end()
    actors.want(1)  # now there are no others
    with pytest.raises(InputError, match="lost before they have begun"):
        while True:
            (ref,), _ = ray.wait(list(actors.opening))
            actors.opened(ref)
    actors.end()


def test_diverged_weights_are_one_line_as_here(make, X, scoring, few_digits, trained):
    broken = Supernet(trained.space, few_digits, seed=3)
    broken.trained_steps = 1
    with torch.no_grad():
        for parameter in broken.network.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(InputError, match="the shared weights have diverged"):
        scoring.evaluate(broken, X[:2])
