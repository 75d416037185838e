"""Activations of early layers that are kept from one population to the next."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest
import torch

from evonas.data import from_tensors, get_data
from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet import Activations, Supernet


@pytest.fixture(scope="module")
def supernet():
    data = get_data("digits", validation=200)
    return Supernet(get_space("tiny", 10, (1, 8, 8)), data)


@pytest.mark.parametrize("limit", [0, 10_000, 200_000, 10**9])
def test_what_is_kept_changes_no_number(supernet, limit):
    space, rng = supernet.space, np.random.default_rng(0)
    activations = Activations(limit)
    for _ in range(4):
        X = space.sample(25, rng)
        alone, kept = supernet.evaluate(X), supernet.evaluate(X, activations=activations)
        np.testing.assert_array_equal(alone.loss, kept.loss)
        np.testing.assert_array_equal(alone.error, kept.error)
        half = supernet.evaluate(X, batches=[1], half_resolution=True)
        again = supernet.evaluate(X, batches=[1], half_resolution=True, activations=activations)
        np.testing.assert_array_equal(half.loss, again.loss)
        assert activations.nbytes <= limit
    assert bool(activations.nbytes) == (limit > 0)


def test_a_population_that_starts_as_the_one_before_runs_late_layers_only(supernet):
    runs = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: runs.append(name))
        for name, module in [
            ("stem", supernet.network.stem),
            *(
                (gene, layer[choice])
                for gene, layer in enumerate(supernet.network.layers)
                for choice in range(len(layer))
            ),
        ]
    ]
    activations = Activations(10**9)
    try:
        supernet.outcomes([(0, 1, 0, 0, 1, 0)], [0], activations=activations)
        assert runs == ["stem", 0, 1, 2, 3, 4, 5]
        runs.clear()
        supernet.outcomes([(0, 1, 0, 0, 1, 1), (0, 1, 1, 0, 0, 0)], [0], activations=activations)
        assert runs == [5, 2, 3, 4, 5]
        runs.clear()
        supernet.outcomes([(0, 1, 0, 0, 1, 1)], [1], activations=activations)  # another batch
        assert runs == ["stem", 0, 1, 2, 3, 4, 5]
    finally:
        for hook in hooks:
            hook.remove()


def test_what_saves_least_or_was_used_longest_ago_goes_first():
    kept = Activations(limit=3 * 40)
    tensors = {name: torch.zeros(10) for name in "abcd"}
    for name, cost in (("a", 40.0), ("b", 400.0), ("c", 40.0)):
        kept.put((0, (ord(name),)), tensors[name], cost)
    assert len(kept) == 3 and kept.nbytes == 120
    assert kept.get((0, (ord("a"),))) is tensors["a"]
    kept.put((0, (ord("d"),)), tensors["d"], 80.0)  # "c" is worth less
    assert kept.get((0, (ord("b"),))) is tensors["b"] and kept.get((0, (ord("d"),))) is not None
    assert len(kept) == 3 and kept.nbytes == 120
    kept.put((0, (1,)), torch.zeros(100), 1e9)  # never fits
    assert len(kept) == 3
    kept.clear()
    assert (len(kept), kept.nbytes) == (0, 0)


def test_what_was_once_dear_goes_in_the_end():
    kept = Activations(limit=40)
    kept.put((0, (0,)), torch.zeros(10), 400.0)
    kept.put((0, (1,)), torch.zeros(10), 40.0)
    assert kept.get((0, (1,))) is None
    for i in range(2, 30):
        kept.put((0, (i,)), torch.zeros(10), 40.0)
    assert len(kept) == 1 and kept.get((0, (0,))) is None


def test_copies_and_pickles_are_light():
    kept = Activations(limit=1000)
    kept.put((0, (0,)), torch.zeros(10), 1.0)
    assert copy.deepcopy(kept) is kept
    empty = pickle.loads(pickle.dumps(kept))
    assert (empty.limit, len(empty), empty.nbytes) == (1000, 0, 0)


@pytest.mark.parametrize("space", ["macro", "mobile-cifar", "nb201", "darts"])
@pytest.mark.parametrize("networks", [1, 3])
def test_batches_that_are_scored_at_once_have_the_same_numbers(two_threads, space, networks):
    """Sums over 32,000 pixels are shared among threads, and depend on how many there are."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (500, 3, 32, 32), dtype=np.uint8)
    data = from_tensors(images, np.arange(500) % 10, num_classes=10, validation=375)
    supernet = Supernet(get_space(space), data, 0.25)
    X = supernet.space.sample(networks, rng)
    alone = supernet.evaluate(X)
    workers = []
    hook = supernet.network.head.register_forward_hook(
        lambda *_: workers.append((threading.get_ident(), torch.get_num_threads()))
    )
    together = supernet.evaluate(X, activations=Activations(10**9))
    hook.remove()
    np.testing.assert_array_equal(alone.loss, together.loss)
    # Two of three batches at once; the networks of the last one too, but one has all threads.
    assert len(workers) == 3 * networks
    ours = [(worker, threads) for worker, threads in workers if threads > 1]
    assert ours == ([(threading.get_ident(), 2)] if networks == 1 else [])
    assert all(threads == 1 for worker, threads in workers if worker != threading.get_ident())
    told = []
    later = threading.Thread(target=lambda: told.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert told == [2] and torch.get_num_threads() == 2


def test_without_memory_for_activations_batches_are_scored_one_by_one(two_threads, supernet):
    callers = set()
    hook = supernet.network.head.register_forward_hook(
        lambda *_: callers.add(threading.get_ident())
    )
    X = supernet.space.sample(3, np.random.default_rng(0))
    supernet.evaluate(X, activations=Activations(0))
    supernet.evaluate(X)
    hook.remove()
    assert callers == {threading.get_ident()}


def test_an_interrupted_caller_does_not_wait_for_all_networks(two_threads, supernet):
    """Control and C, while members are at their first networks."""
    ended, begun = threading.Event(), threading.Barrier(3)
    forwards = []

    def hook(*_):
        forwards.append(threading.get_ident())
        if forwards.count(threading.get_ident()) == 1:
            begun.wait()
            ended.wait()

    handle = supernet.network.head.register_forward_hook(hook)
    X = supernet.space.sample(40, np.random.default_rng(0))
    outcomes = supernet._outcomes(
        [tuple(x) for x in np.unique(supernet.space.canonical(X), axis=0).tolist()],
        supernet.batches(),
        [Activations(10**6).of(0), Activations(10**6).of(1)],
    )
    failed = threading.Timer(0.0, lambda: (begun.wait(), time.sleep(0.2), ended.set()))
    failed.start()

    class Interrupted(Exception):
        pass

    def interrupted(self, job, each):
        for one in each:
            self._pool.submit(job, one)
        while len(forwards) < 2:
            time.sleep(0.01)
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr("evonas.training.team.Team.map", interrupted)
        next(outcomes)
    handle.remove()
    assert len(forwards) == 2


def test_an_error_of_one_of_several_batches_is_told(two_threads, supernet, monkeypatch):
    def fails(*_):
        raise InputError("no such thing")

    monkeypatch.setattr(supernet, "_outcomes_of", fails)
    with pytest.raises(InputError, match="no such thing"):
        supernet.evaluate(
            supernet.space.sample(3, np.random.default_rng(0)), activations=Activations(10**6)
        )
    assert torch.get_num_threads() == 2
