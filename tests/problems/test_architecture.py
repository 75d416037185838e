import copy

import numpy as np
import pytest
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.problems import ArchitectureProblem
from evonas.search import get_algorithm
from evonas.spaces import get_space


def test_objectives_are_error_and_exact_costs_of_the_canonical_network(problem, macro):
    X = macro.sample(20, np.random.default_rng(0))
    F = problem.evaluate(X)
    assert problem.objectives == ("error", "params") and F.shape == (20, 2)
    assert np.array_equal(F[:, 1], macro.params(macro.canonical(X)))
    assert problem.cheap == ("params",)
    assert np.array_equal(problem.cheap_values(X), F[:, 1:])


def test_no_network_is_scored_twice(problem):
    # The middle two are one network: an identity inside a stage moves freely.
    X = np.array([[1, 1, 1, 0, 1, 0, 0, 2], [1, 1, 1, 1, 0, 2, 0, 0], [1, 1, 1, 0, 1, 2, 0, 0]])
    first = problem.evaluate(X)
    again = problem.evaluate(X[::-1])
    assert len(problem.asked) == problem.evaluated == 2
    assert np.array_equal(first, again[::-1]) and np.array_equal(first[1], first[2])


def test_what_is_remembered_is_not_scored(problem, macro):
    X = macro.sample(5, np.random.default_rng(0))
    F = np.column_stack([np.arange(5.0), np.zeros(5)])
    problem.remember(X, F)
    assert np.array_equal(problem.evaluate(X)[:, 0], np.arange(5.0))
    assert problem.evaluated == 0


@pytest.mark.parametrize(
    "objectives",
    [
        ("error", "macs"),
        ("loss", "params"),
        ("error", "params", "macs"),
        ("params", "macs"),
        ("error", "loss"),
    ],
)
def test_objectives_by_name(problem, macro, objectives):
    chosen = type(problem)(macro, objectives)
    X = macro.sample(3, np.random.default_rng(0))
    F = chosen.evaluate(X)
    canonical = macro.canonical(X)
    for j, name in enumerate(objectives):
        if name in ("params", "macs"):
            assert np.array_equal(F[:, j], getattr(macro, name)(canonical))
    assert bool(chosen.asked) == bool({"error", "loss"} & set(objectives))


def test_costs_of_ones_own(problem, macro):
    slow = type(problem)(macro, ("error", "latency"), costs={"latency": lambda X: X.sum(1) * 1.5})
    X = macro.canonical(macro.sample(4, np.random.default_rng(0)))
    assert np.array_equal(slow.evaluate(X)[:, 1], X.sum(1) * 1.5)
    assert slow.cheap == ("latency",)


def test_constraints_are_settled_before_anything_is_scored(problem, macro):
    limited = type(problem)(macro, constraints=["params<=1.5M", "macs >= 30e6"])
    X = macro.sample(200, np.random.default_rng(0))
    feasible = limited.feasible(X)
    assert 0 < feasible.sum() < 200 and not limited.asked
    out = limited.evaluate(X, return_as_dictionary=True)
    assert np.array_equal((out["G"] <= 0).all(axis=1), feasible)
    canonical = macro.canonical(X)
    truth = (macro.params(canonical) <= 1.5e6) & (macro.macs(canonical) >= 30e6)
    assert np.array_equal(feasible, truth)
    assert (out["F"][~feasible, 0] == 100).all() and np.isfinite(out["F"]).all()
    assert len(limited.asked) == len(np.unique(canonical[feasible], axis=0))


def test_a_limit_that_every_network_keeps_is_dropped(problem, macro):
    free = type(problem)(macro, constraints=["params<=1e9"])
    assert free.n_ieq_constr == 0 and free.constraints == ()
    assert free.feasible(macro.sample(5, np.random.default_rng(0))).all()


def test_hypervolume_is_a_share_of_the_box_and_grows(problem, macro):
    ideal, nadir = problem.ideal, problem.nadir
    assert nadir[0] == 90 and ideal[0] == 0
    everything = np.indices([3] * 8).reshape(8, -1).T
    assert ideal[1] == macro.params(everything).min() and nadir[1] == macro.params(everything).max()
    assert problem.hypervolume(ideal[None]) == pytest.approx(1)
    assert problem.hypervolume(nadir[None]) == pytest.approx((0.1 / 1.1) ** 2)
    assert problem.hypervolume(np.empty((0, 2))) == 0
    assert problem.hypervolume(np.array([[100.0, nadir[1]]])) == 0
    F = problem.evaluate(macro.sample(30, np.random.default_rng(0)))
    assert 0 < problem.hypervolume(F[:10]) <= problem.hypervolume(F) < 1


def test_works_with_pymoo_and_history_free_copies(problem):
    algorithm = get_algorithm("nsga2", problem)
    result = minimize(problem, algorithm, ("n_eval", 60), seed=1)
    assert len(problem.asked) == len(set(problem.asked)) == 60
    assert result.X.dtype.kind == "i" or np.array_equal(result.X, np.round(result.X))
    assert copy.deepcopy(problem).space is problem.space


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(objectives=("error",)), "give two or three"),
        (dict(objectives=("error", "error")), "give two or three"),
        (dict(objectives=("error", "parms")), "did you mean params"),
        (dict(constraints=["params<500"]), "write it like params<=500000"),
        (dict(constraints=["parms<=500"]), "did you mean params"),
        (dict(constraints=["error<=5"]), "unknown cost in a constraint 'error'"),
        (dict(constraints=["params<=10"]), r"the space 'macro' has params from \d+ to \d+"),
        (
            dict(constraints=["macs>=1e12"]),
            r"no network keeps macs>=1000000000000; the space 'macro' has macs",
        ),
    ],
)
def test_bad_input_is_one_line(macro, problem, arguments, message):
    with pytest.raises(InputError, match=message) as error:
        type(problem)(macro, **arguments)
    assert "\n" not in str(error.value)


def test_genomes_out_of_range_are_refused(problem):
    with pytest.raises(InputError, match="gene 0 of genome 0 is 3"):
        problem.evaluate(np.array([[3, 0, 0, 0, 0, 0, 0, 0]]))


def test_a_score_that_is_no_number_is_refused(macro):
    class Broken(ArchitectureProblem):
        def _score(self, X):
            return {"error": np.full(len(X), np.nan)}

    with pytest.raises(InputError, match="macro:00000000 has an objective that is no finite"):
        Broken(macro).evaluate(np.zeros((1, 8), dtype=int))


@pytest.mark.parametrize("name", ["mobile-cifar", "mobile-imagenet"])
@pytest.mark.parametrize("window", [(0.0, 0.02), (0.98, 1.0), (0.4, 0.4001)])
def test_narrow_limits_in_a_large_space_are_met_and_searched(problem, name, window):
    space = get_space(name)
    low, high = type(problem)(space)._range("params")
    least, most = (low + share * (high - low) for share in window)
    limited = type(problem)(space, constraints=[f"params>={least}", f"params<={most}"])
    assert limited.feasible(limited.feasible_genomes).all()
    for algorithm in ("nsga2", "random"):
        result = minimize(limited, get_algorithm(algorithm, limited), ("n_eval", 40), seed=1)
        assert least - 1 <= result.F[:, 1].min() and result.F[:, 1].max() <= most + 1


def test_what_no_network_is_built_for_counts_as_no_evaluation(problem, macro):
    for name in ("nsga2", "sms-emoa", "random"):
        limited = type(problem)(macro, constraints=["params<=600k"])
        result = minimize(limited, get_algorithm(name, limited), ("n_eval", 60), seed=1)
        assert 60 <= limited.evaluated == result.algorithm.evaluator.n_eval < 80


def test_one_limit_may_be_a_text(problem, macro):
    assert len(type(problem)(macro, constraints="params<=600k").constraints) == 1


@pytest.mark.parametrize("F", [np.zeros((4, 3)), np.full((1, 2), np.nan), np.zeros(3), 1.0])
def test_hypervolume_takes_objectives_only(problem, F):
    with pytest.raises(InputError, match=r"are no objectives error, params; give numbers \(n, 2\)"):
        problem.hypervolume(F)
