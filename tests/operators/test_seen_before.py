import copy
import gc
import pickle
import time
from itertools import count

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.initialization import Initialization
from pymoo.core.population import Population
from pymoo.optimize import minimize

from evonas.operators import ChoiceMutation, ChoiceSampling, SeenBefore, UniformCrossover


def population(*rows):
    return Population.new(X=np.array(rows))


def evaluated(pop):
    for individual in pop:
        individual.F = np.zeros(2)
        individual.evaluated.update(("F", "G", "H"))
    return pop


def rows(pop):
    return [tuple(individual.X) for individual in pop]


def test_repeats_within_the_batch_and_of_other_populations_go():
    seen = SeenBefore()
    off = seen.do(
        population((0, 1), (1, 1), (0, 1), (2, 2)), population((1, 1)), population((3, 3))
    )
    assert rows(off) == [(0, 1), (2, 2)]
    assert len(seen) == 0


def test_what_was_evaluated_is_seen_for_ever_and_what_was_not_is_not():
    seen = SeenBefore()
    batch = seen.do(population((0, 0), (1, 1), (2, 2)))
    kept = evaluated(batch[:2])  # pymoo truncates after elimination
    del batch
    assert rows(seen.do(population((0, 0), (2, 2), (3, 3)))) == [(2, 2), (3, 3)]
    assert len(seen) == 2
    del kept
    gc.collect()
    assert rows(seen.do(population((0, 0), (1, 1), (2, 2)))) == [(2, 2)]


def test_values_set_by_hand_count_as_evaluated():
    seen = SeenBefore()
    batch = seen.do(population((0, 0)))
    batch.set("F", np.zeros((1, 2)))
    assert rows(seen.do(population((0, 0), (1, 1)))) == [(1, 1)]


def test_an_evaluated_population_given_is_seen():
    seen = SeenBefore()
    seen.do(Population.empty(), evaluated(population((0, 0))))
    assert rows(seen.do(population((0, 0), (1, 1)))) == [(1, 1)]


def test_an_individual_with_values_is_not_dropped_for_having_been_seen():
    seen = SeenBefore()
    known = evaluated(population((0, 0), (1, 1)))
    assert rows(Initialization(known, eliminate_duplicates=seen).do(None, 2)) == rows(known)
    assert rows(seen.do(known)) == rows(known)
    assert rows(seen.do(population((0, 0)))) == []


def test_equal_networks_are_duplicates():
    seen = SeenBefore(lambda X: np.where(np.arange(2) == 0, 0, X))
    batch = seen.do(population((0, 1), (5, 1), (5, 2)))
    assert rows(batch) == [(0, 1), (5, 2)]
    evaluated(batch)
    assert rows(seen.do(population((7, 1), (7, 3)))) == [(7, 3)]


def test_floats_and_integers_are_the_same_genome_and_fractions_none():
    seen = SeenBefore()
    seen.do(Population.empty(), evaluated(population((0, 1))))
    assert rows(seen.do(population((0.0, 1.0)))) == []
    with pytest.raises(ValueError, match="whole numbers"):
        seen.do(population((0.5, 1.0)))


def test_indices_and_the_switch_of_pymoos_interface():
    seen = SeenBefore()
    off, kept, dropped = seen.do(
        population((0, 0), (0, 0), (1, 1)), population((1, 1)), return_indices=True
    )
    assert (rows(off), kept, dropped) == ([(0, 0)], [0], [1, 2])
    assert len(seen.do(population((2, 2), (2, 2)), to_itself=False)) == 2
    assert len(seen.do(population((3, 3)), Population.empty())) == 1
    assert len(seen.do(Population.empty())) == 0


def test_copies_are_independent_and_watch_their_own_individuals():
    seen = SeenBefore()
    done = evaluated(seen.do(population((0, 0))))
    waiting = seen.do(population((1, 1)))
    twin, twin_waiting = copy.deepcopy((seen, waiting))
    evaluated(twin_waiting)
    again = population((0, 0), (1, 1))
    assert rows(twin.do(again)) == []
    assert rows(seen.do(again)) == [(1, 1)]
    thawed, thawed_waiting = pickle.loads(pickle.dumps((seen, waiting)))
    evaluated(thawed_waiting)
    assert rows(thawed.do(again)) == []
    assert len(seen) == len(done)


def test_a_copy_does_not_copy_what_canonical_belongs_to(plain):
    problem = plain()
    problem.same = problem.total.__get__(problem)
    assert copy.deepcopy(SeenBefore(problem.same)).canonical.__self__ is problem


def test_a_hundred_thousand_are_no_burden():
    generator = np.random.default_rng(0)
    seen = SeenBefore()
    seen.do(
        Population.empty(), evaluated(Population.new(X=generator.integers(7, size=(100_000, 21))))
    )
    batch = Population.new(X=generator.integers(7, size=(40, 21)))
    start = time.perf_counter()
    for _ in range(20):
        seen.do(batch, batch[:20])
    assert (time.perf_counter() - start) / 20 < 0.1
    start = time.perf_counter()
    copy.deepcopy(seen)
    assert time.perf_counter() - start < 1


def test_forgets_individuals_that_are_gone():
    seen = SeenBefore()
    for i in range(1000):
        seen.do(population((i, i)))
    seen.do(population((0, 0)))
    assert len(seen._offered) <= 2


class Counting(Evaluator):
    """pymoo's evaluator, remembering what it evaluated."""

    asked: list = []

    def _eval(self, problem, pop, *args, **kwargs):
        super()._eval(problem, pop, *args, **kwargs)
        Counting.asked.extend(rows(pop))


def test_a_plain_pymoo_program_evaluates_nothing_twice(plain):
    problem = plain([3] * 6)
    algorithm = NSGA2(
        pop_size=20,
        n_offsprings=7,  # odd, so that pymoo truncates what passed the elimination
        sampling=ChoiceSampling(),
        crossover=UniformCrossover(),
        mutation=ChoiceMutation(),
        eliminate_duplicates=SeenBefore(),
        evaluator=Counting(),
    )
    runs = []
    for _ in range(2):
        Counting.asked = []
        minimize(problem, algorithm, ("n_eval", 600), seed=1)
        runs.append(Counting.asked)
    assert runs[0] == runs[1], "one algorithm minimised twice gives the same result twice"
    assert len(set(runs[0])) == len(runs[0]) >= 600


def test_what_was_truncated_can_come_again(plain):
    """Offered, cut off, offered again: were it taken for seen, the space would never be used up."""
    problem = plain([3] * 4)
    algorithm = NSGA2(
        pop_size=20,
        n_offsprings=3,
        sampling=ChoiceSampling(),
        crossover=UniformCrossover(),
        mutation=ChoiceMutation(prob_var=0.5),
        eliminate_duplicates=SeenBefore(),
        evaluator=Counting(),
    )
    Counting.asked = []
    algorithm.setup(problem, termination=("n_eval", 1000), seed=1)
    for _ in count():
        if not algorithm.has_next():
            break
        algorithm.next()
    assert len(set(Counting.asked)) == len(Counting.asked) == 81
