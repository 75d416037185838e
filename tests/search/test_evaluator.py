import copy
from types import SimpleNamespace

import numpy as np
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.core.termination import NoTermination

from evonas.search import DistinctEvaluator


def population(*rows):
    return Population.new(X=np.array(rows))


A, B, C = (0, 0, 0, 0, 0, 0, 0, 0), (1, 1, 1, 1, 0, 1, 1, 1), (2, 1, 1, 1, 0, 1, 1, 1)


def test_a_repeat_is_served_and_not_counted(make_problem):
    problem = make_problem["choices"](budget=4e5)
    evaluator = DistinctEvaluator()
    first = evaluator.eval(problem, population(A, B, A))
    second = evaluator.eval(problem, population(B, C))
    assert evaluator.n_eval == 3
    assert problem.asked == [A, B, C]
    np.testing.assert_array_equal(first.get("F"), problem.values([A, B, A])[:, :2])
    np.testing.assert_array_equal(second.get("F"), problem.values([B, C])[:, :2])
    G = np.ceil((problem.values([B, C])[:, 1] - 4e5) / 5e4)
    np.testing.assert_array_equal(second.get("G")[:, 0], G)
    second[0].F[0] = -1
    assert evaluator.eval(problem, population(B))[0].F[0] != -1, "a served value is a copy"


def test_equal_networks_count_once(make_problem):
    problem = make_problem["merged"]()
    evaluator = DistinctEvaluator(problem.canonical)
    evaluated = evaluator.eval(problem, population(B, C))
    assert evaluator.n_eval == len(problem.asked) == 1
    assert evaluated[0].F.tolist() == evaluated[1].F.tolist()


def test_individuals_that_carry_values_cost_nothing_and_are_known(make_problem):
    problem = make_problem["choices"]()
    carried = DistinctEvaluator().eval(problem, population(A))
    evaluator = DistinctEvaluator()
    evaluator.eval(problem, carried)
    one = evaluator.eval(problem, Individual(X=np.array(A)))
    assert isinstance(one, Individual) and one.F.tolist() == carried[0].F.tolist()
    assert evaluator.n_eval == 0
    evaluator.eval(problem, population(B), count_evals=False)
    assert evaluator.n_eval == 0


def test_ends_the_algorithm_after_iterations_without_anything_new(make_problem):
    problem = make_problem["choices"]()
    evaluator = DistinctEvaluator(patience=50)
    algorithm = SimpleNamespace(n_iter=1, termination=NoTermination())
    evaluator.eval(problem, population(A), algorithm=algorithm)
    for algorithm.n_iter in range(2, 51):
        for _ in range(3):  # a generation may be evaluated in pieces
            evaluator.eval(problem, population(A), algorithm=algorithm)
    assert not algorithm.termination.force_termination
    algorithm.n_iter = 51
    evaluator.eval(problem, population(A), algorithm=algorithm)
    assert algorithm.termination.force_termination and evaluator.exhausted


def test_a_copy_is_independent(make_problem):
    problem = make_problem["choices"]()
    evaluator = DistinctEvaluator()
    evaluator.eval(problem, population(A))
    twin = copy.deepcopy(evaluator)
    twin.eval(problem, population(A, B))
    assert (evaluator.n_eval, twin.n_eval) == (1, 2)
    evaluator.eval(problem, population(B))
    assert evaluator.n_eval == 2 and problem.asked == [A, B, B]
