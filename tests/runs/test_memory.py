"""A remembering problem evaluates each genome once and is otherwise the problem it wraps."""

import numpy as np

from evonas.runs.memory import RememberingProblem


def test_values_are_those_of_the_wrapped_problem(blocks, random_state):
    X = random_state.integers(0, 4, (30, 5))
    X = np.vstack([X, X[::-1]])
    problem = blocks(limit=9000)
    memory = RememberingProblem(problem)
    F, G = blocks(limit=9000).evaluate(X)
    for _ in range(2):
        mine = memory.evaluate(X)
        assert np.array_equal(mine[0], F) and np.array_equal(mine[1], G)
    assert len(problem.evaluated) == len(set(problem.evaluated)) == len(np.unique(X, axis=0))
    assert memory.has_constraints() and memory.objectives == problem.objectives
    assert memory.hypervolume(F) == problem.hypervolume(F)
    assert not hasattr(memory, "cheap_values")


def test_remembered_values_are_served(blocks):
    problem = blocks()
    memory = RememberingProblem(problem)
    X = np.array([[0, 1, 2, 3, 0], [1, 1, 1, 1, 1]])
    memory.remember(X[:1], np.array([[5.0, 7.0]]))
    F = memory.evaluate(X)
    assert F[0].tolist() == [5.0, 7.0]
    assert problem.evaluated == [(1, 1, 1, 1, 1)]
