"""`MultiDistributionSearch`: settings, budget, and what pooling is for."""

import itertools

import numpy as np
import pytest
from pymoo.core.evaluator import Evaluator
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.operators import CategoricalDistributions, DistributionSampling
from evonas.problems import TabularProblem, get_problem
from evonas.search import MultiDistributionSearch, get_algorithm
from evonas.search.learner import Learner, cost_by_choice, spaced_weights


def run(problem, budget=150, seed=1, **settings):
    return minimize(
        problem, MultiDistributionSearch(**settings), ("n_eval", budget), seed=seed
    ).algorithm


def keys(X):
    return {tuple(x) for x in np.asarray(X).tolist()}


@pytest.mark.parametrize("kind, n_obj", [("choices", 2), ("choices", 3), ("cheap", 2)])
def test_a_budget_is_spent_to_the_last_evaluation_and_every_architecture_evaluated(
    kind, n_obj, make_problem
):
    for seed in range(4):
        problem = make_problem[kind](n_obj=n_obj)
        algorithm = run(problem, seed=seed)
        assert algorithm.evaluator.n_eval == len(problem.asked) == len(keys(problem.asked)) == 150
        assert keys(algorithm.architectures) <= keys(problem.asked)


def test_the_result_is_the_front_of_everything_evaluated(make_problem):
    problem = make_problem["choices"]()
    result = minimize(problem, MultiDistributionSearch(), ("n_eval", 150), seed=1)
    F = problem.values(problem.asked)[:, :2]
    front = [f for f in F.tolist() if not ((F <= f).all(axis=1) & (F < f).any(axis=1)).any()]
    assert sorted(result.F.tolist()) == sorted(front)


def test_ends_by_other_terminations_too(make_problem):
    problem = make_problem["choices"](n_choices=[5] * 20)
    algorithm = minimize(problem, MultiDistributionSearch(4), ("n_gen", 7), seed=1).algorithm
    assert algorithm.n_iter - 1 == 7 and len(problem.asked) <= 7 * 8


def test_genes_that_do_not_count_from_zero(make_problem):
    one, other = make_problem["choices"](), make_problem["choices"](xl=3)
    a, b = run(one), run(other)
    np.testing.assert_array_equal(np.array(one.asked) + 3, other.asked)
    np.testing.assert_array_equal(a.architectures + 3, b.architectures)


def test_equal_coefficients_stay_identical(make_problem):
    algorithm = run(make_problem["choices"](), coefficients=[1e-5] * 4)
    for p in algorithm.distributions.probabilities:
        np.testing.assert_array_equal(p, algorithm.distributions.probabilities[0])


def test_larger_coefficients_give_cheaper_architectures(make_problem):
    problem = make_problem["choices"]()
    algorithm = run(problem, budget=300, coefficients=[0, 1e-5, 1e-4, 1e-2])
    error, cost = problem.values(algorithm.architectures)[:, :2].T
    assert cost[0] > cost[-1] and error[0] < error[-1]
    np.testing.assert_array_equal(algorithm.coefficients, [0, 1e-5, 1e-4, 1e-2])


@pytest.mark.parametrize("kind", ["choices", "cheap"])
@pytest.mark.parametrize("limit", [3.2e5, 4e5])
def test_what_is_infeasible_is_never_an_architecture(kind, limit, make_problem):
    for seed in range(3):
        problem = make_problem[kind](budget=limit)
        algorithm = run(problem, budget=200, seed=seed)
        for X in (algorithm.architectures, np.asarray(algorithm.opt.get("X"))):
            evaluated = problem.evaluate(X, return_as_dictionary=True)
            assert (evaluated["G"] <= 0).all()
        assert len(keys(algorithm.architectures)) >= 3


def test_a_range_is_told_by_the_first_samples_that_differ():
    learner = Learner(
        CategoricalDistributions([3, 4, 2], 2), spaced_weights(2, 2), np.full(2, np.nan)
    )
    rng = np.random.default_rng(0)
    X, F = rng.integers(0, [3, 4, 2], (4, 3)), rng.random((4, 2))
    one = np.array([0.0, 1, 1, 1])
    learner.learn(X, F, one)
    assert np.isnan(learner.scale).all()
    assert learner.state()["scale"] == [None, None]
    learner.learn(X, np.where([True, False], 5.0, F))
    assert np.isnan(learner.scale[0]) and learner.scale[1] == np.ptp(F[:, 1])
    learner.learn(X, F)
    np.testing.assert_array_equal(learner.scale, np.ptp(F, axis=0))


def test_where_nothing_is_feasible_the_result_is_the_least_wrong(make_problem):
    problem = make_problem["choices"](budget=-1e7)
    result = minimize(problem, MultiDistributionSearch(), ("n_eval", 60), seed=1)
    G = problem.evaluate(np.array(problem.asked), return_as_dictionary=True)["G"]
    assert result.X is None and result.algorithm.opt.get("G").min() == G.min()


def test_a_table_with_gaps_is_searched_among_what_it_holds():
    rng = np.random.default_rng(0)
    genes = np.unique(rng.integers(0, 4, (600, 12)), axis=0)  # of 16 million genomes
    values = np.column_stack([30.0 - genes.sum(1), genes @ np.arange(1, 13)])
    problem = TabularProblem(genes, values, ("error", "latency"))
    algorithm = run(problem, budget=300)
    assert algorithm.evaluator.n_eval == problem.evaluated == 300
    assert problem.hypervolume(algorithm.opt.get("F")) > 0.9


def test_preference_vectors_lead_to_their_objectives(make_problem):
    problem = make_problem["choices"](n_obj=3)
    algorithm = run(problem, budget=400, coefficients=np.eye(3))
    F = problem.values(algorithm.architectures)
    assert (F.argmin(axis=0) == [0, 1, 2]).all()


@pytest.mark.parametrize("n_obj", [2, 3, 4])
@pytest.mark.parametrize("M", [1, 2, 3, 8])
def test_spaced_weights(M, n_obj):
    weights = spaced_weights(M, n_obj)
    assert weights.shape == (M, n_obj) and (weights > 0).all()
    assert len(np.unique(weights.round(12), axis=0)) == M


def test_by_default_coefficients_span_the_range_of_a_known_cost(make_problem):
    problem = make_problem["choices"]()
    algorithm = run(problem, budget=40, cheap={1: lambda X: problem.values(X)[:, 1]})
    cost = problem.values(problem.asked)[:, 1]
    ratio = algorithm.coefficients * algorithm._learner.scale[1] / algorithm._learner.scale[0]
    np.testing.assert_allclose(ratio[[0, -1]], [0.03, 50])
    assert algorithm._learner.scale[1] >= np.ptp(cost)


def test_coefficients_of_more_objectives_are_vectors(make_problem):
    algorithm = run(make_problem["choices"](n_obj=3), budget=60)
    assert algorithm.coefficients.shape == (8, 3)


def test_what_is_said_to_be_cheap_is_checked(make_problem):
    with pytest.raises(InputError, match="correct one of them"):
        run(make_problem["choices"](), cheap={1: lambda X: X.sum(axis=1)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_objective_that_is_no_number_is_an_error(value, make_problem):
    class Failing(make_problem["choices"]):
        def _evaluate(self, X, out, *args, **kwargs):
            super()._evaluate(X, out)
            out["F"][X[:, 0] == 1, 0] = value

    with pytest.raises(InputError, match="finite numbers") as refusal:
        run(Failing())
    assert "\n" not in str(refusal.value)


def test_an_evaluator_of_ones_own_is_used(make_problem):
    evaluator = Evaluator()
    problem = make_problem["choices"]()
    minimize(problem, MultiDistributionSearch(), ("n_eval", 60), seed=1, evaluator=evaluator)
    assert evaluator.n_eval == len(problem.asked) >= 60


def test_variant_b_follows_the_gradient_of_a_known_cost(make_problem):
    plain = make_problem["choices"]()
    cheap = {1: lambda X: plain.values(X)[:, 1]}
    algorithm = run(plain, budget=300, variant="b", cheap=cheap)
    cost = plain.values(algorithm.architectures)[:, 1]
    assert algorithm.evaluator.n_eval == 300 and cost[-1] < cost[0]
    with pytest.raises(InputError, match="variant='b' needs"):
        run(plain, variant="b")


def test_cost_by_choice_is_exact_for_a_sum():
    table = np.array([[1.0, 3.0, 0.0], [2.0, 2.5, 6.0], [4.0, 0.0, 0.0]])
    low, high = np.array([2, 0, 1]), np.array([3, 2, 1])

    def cost(X):
        return table[np.arange(3), X - low].sum(axis=1)

    expected = np.array([[0, 2, 0], [0, 0.5, 4], [0, 0, 0]]) / 4
    found = cost_by_choice(cost, low, high, np.random.default_rng(0))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("settings", [{"step": "fixed"}, {"pooled": False}, {"stretched": False}])
def test_switches_run(settings, make_problem):
    assert run(make_problem["choices"](), **settings).evaluator.n_eval == 150


def test_own_samples_only_are_independent_searches():
    """Without pooling a distribution moves as it would alone, given the same samples."""
    rng = np.random.default_rng(0)
    learners = {
        M: Learner(
            CategoricalDistributions([3, 4, 2], M),
            spaced_weights(3, 2)[:M],
            np.ones(2),
            pooled=False,
        )
        for M in (1, 3)
    }
    for _ in range(20):
        X = rng.integers(0, [3, 4, 2], (6, 3))
        F = rng.random((6, 2))
        learners[3].learn(X, F)
        learners[1].learn(X[:2], F[:2])
    np.testing.assert_allclose(
        learners[3].distributions.probabilities[0], learners[1].distributions.probabilities[0]
    )


def test_starts_from_given_probabilities(make_problem):
    problem = make_problem["choices"](n_choices=[4] * 6)
    learnt = run(problem, budget=300).distributions
    for given in (learnt, learnt.probabilities):
        again = MultiDistributionSearch(probabilities=given)
        again.setup(problem, termination=("n_eval", 50), seed=1)
        np.testing.assert_array_equal(again.architectures, learnt.argmax())
    # and any other algorithm can start from them
    sampling = DistributionSampling(learnt)
    minimize(problem, get_algorithm("nsga2", problem, sampling=sampling), ("n_eval", 60), seed=1)


def test_details_are_those_of_a_learning_generation(make_problem):
    problem = make_problem["choices"]()
    algorithm = MultiDistributionSearch(3)
    algorithm.setup(problem, termination=("n_eval", 40), seed=1)
    assert algorithm.search_details() == {}
    algorithm.next()
    details = algorithm.search_details()
    assert set(details) == {
        f"{name}_{m}" for name in ("effective_samples", "entropy", "step") for m in (1, 2, 3)
    }
    assert all(details[f"effective_samples_{m}"] == pytest.approx(6) for m in (1, 2, 3))
    while algorithm.has_next():
        algorithm.next()
    assert algorithm.search_details() == {}, "the last generation only looks architectures up"


def test_the_pool_is_as_large_as_the_population():
    class Plain:
        n_var, n_obj, xl, xu = 3, 2, np.zeros(3), np.full(3, 2)

    for settings, samples in (
        ({}, 2),
        ({"pop_size": 40}, 5),
        ({"pop_size": 12, "distributions": 3}, 4),
        ({"pop_size": 12, "coefficients": [0, 1]}, 6),
        ({"pop_size": 40, "samples_per_distribution": 3}, 3),
    ):
        algorithm = get_algorithm("multi-distribution", Plain(), **settings)
        assert algorithm.samples_per_distribution == samples


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"coefficients": []}, "coefficients"),
        ({"coefficients": [0.1, -0.5]}, "-0.5"),
        ({"coefficients": [0.1, 0.5, 0.2]}, "not sorted: 0.2 comes after 0.5"),
        ({"coefficients": [0.1, np.nan]}, "nan"),
        ({"coefficients": "all"}, "no numbers"),
        ({"coefficients": [[0.0, 0.0], [1, 1]]}, "vector of zeros"),
        ({"coefficients": [0.1, 0.2], "distributions": 3}, "2 coefficients for 3"),
        ({"samples_per_distribution": 1}, "2 or more"),
        ({"distributions": 0}, "distributions=0"),
        ({"distributions": "many"}, "distributions='many'"),
        ({"variant": "c"}, "variant='c'"),
        ({"step": "adam"}, "step='adam'"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(settings, words, make_problem):
    for make in (
        MultiDistributionSearch,
        lambda **s: get_algorithm("multi-distribution", make_problem["choices"](), **s),
    ):
        with pytest.raises(InputError) as refusal:
            make(**settings)
        assert words in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "problem, settings, words",
    [
        ({"n_obj": 1}, {}, "two or more"),
        ({"n_obj": 3}, {"coefficients": [0.1, 0.2]}, "vector of weights"),
        ({}, {"coefficients": [[1, 1, 1]]}, "3 weights"),
        ({}, {"probabilities": np.ones((8, 2, 2))}, "shape"),
        ({}, {"probabilities": np.ones((3, 8, 5))}, "3 distributions"),
        ({}, {"sampling": np.zeros((2, 3), int)}, "8 genes"),
        ({}, {"cheap": {5: len}}, "objective 5"),
    ],
)
def test_what_does_not_fit_the_problem_is_refused_before_any_work(
    problem, settings, words, make_problem
):
    instance = make_problem["choices"](**problem)
    with pytest.raises(InputError) as refusal:
        run(instance, **settings)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    assert not instance.asked


def test_pooling_saves_half_of_the_evaluations(data_dir):
    """95 % of the best hypervolume of NAS-Bench-Macro, medians of 31 seeds."""
    needed = {True: [], False: []}
    for pooled, numbers in needed.items():
        for seed in range(1, 32):
            problem = get_problem("nasbench-macro-params", data_dir=data_dir)
            algorithm = MultiDistributionSearch(pooled=pooled)
            algorithm.setup(problem, termination=("n_eval", 400), seed=seed)
            algorithm.next()
            while problem.hypervolume(algorithm.opt.get("F")) < 0.95 and algorithm.has_next():
                algorithm.next()
            numbers.append(algorithm.evaluator.n_eval)
    pooled, own = np.median(needed[True]), np.median(needed[False])
    assert pooled <= 110 and pooled <= own / 2


def test_eight_distributions_find_eight_architectures(data_dir):
    """Nearly: NAS-Bench-Macro, 300 evaluations, means of 31 seeds."""
    distinct, volumes = [], []
    for seed in range(1, 32):
        problem = get_problem("nasbench-macro-params", data_dir=data_dir)
        algorithm = run(problem, budget=300, seed=seed)
        assert algorithm.evaluator.n_eval == 300
        X = np.unique(problem.canonical(algorithm.architectures), axis=0)
        distinct.append(len(X))
        before = problem.evaluated
        volumes.append(problem.hypervolume(problem.evaluate(X, return_values_of="F")))
        assert problem.evaluated == before, "an architecture had not been evaluated"
    assert np.mean(distinct) >= 7 and np.mean(volumes) >= 0.9


def test_without_learning_the_likeliest_of_all_are_evaluated_in_turn(make_problem):
    problem = make_problem["choices"]()
    learnt = run(problem, budget=200).distributions.probabilities
    again = make_problem["choices"]()
    algorithm = run(again, budget=60, probabilities=learnt, learning=False)
    assert algorithm.least_evaluations == 8 and algorithm.evaluator.n_eval == 60
    assert keys(again.asked[:8]) >= keys(algorithm.architectures)
    np.testing.assert_allclose(algorithm.distributions.probabilities, learnt)
    assert run(again, budget=8, probabilities=learnt, learning=False).evaluator.n_eval == 8
    assert keys(again.asked) >= keys(algorithm.distributions.likeliest(7).reshape(-1, again.n_var))
    with pytest.raises(InputError, match="learning=False needs probabilities"):
        run(again, learning=False)


def test_each_distribution_has_its_turn_within_the_limits(data_dir):
    """Though one of the two likes networks that break them."""
    problem = get_problem(
        "nasbench-macro-params", data_dir=data_dir, constraints=["params<=1300000"]
    )
    P = np.random.default_rng(1).uniform(0.5, 1.0, (2, 8, 3)) * [0.8, 0.15, 0.05]
    P[1] = P[1, :, ::-1]
    algorithm = run(problem, budget=40, probabilities=P, distributions=2, learning=False)
    evaluated = [genome for genome in algorithm._seen.values() if genome is not None]
    networks = keys(problem.canonical(np.array(evaluated)))
    assert len(networks) == 40
    X = np.array(list(itertools.product(range(3), repeat=8)))
    X = X[problem.feasible(X)]
    for logs in algorithm.distributions.log_probability(X):
        ranked = problem.canonical(X[np.argsort(-logs)])
        _, first = np.unique(ranked, axis=0, return_index=True)
        assert networks >= keys(ranked[np.sort(first)[:18]])
    assert problem.feasible(algorithm.architectures).all()


def test_what_a_distribution_rules_out_is_not_evaluated(data_dir):
    ruled = np.zeros((1, 8, 3))
    ruled[:, :, 0], ruled[:, 0, 1] = 1.0, 1.0
    problem = get_problem("nasbench-macro-params", data_dir=data_dir)
    algorithm = run(problem, budget=40, probabilities=ruled, distributions=1, learning=False)
    assert algorithm.evaluator.n_eval == 2  # all that the distribution leaves


@pytest.mark.parametrize("stretched", [-1, float("nan"), "long"])
def test_a_stretch_is_a_number(stretched):
    with pytest.raises(InputError, match="give True, False, or a number"):
        MultiDistributionSearch(stretched=stretched)
