"""What every algorithm must do, run over the registry."""

import copy
import gc
import weakref

import numpy as np
import pytest
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.search import (
    MultiDistributionSearch,
    SaliencySearch,
    ScreenedSearch,
    TrueRankSearch,
    get_algorithm,
    list_algorithms,
)

BUDGET = 200
FEWER = {"screened": 100, "multi-distribution": 120}  # whose models take longer with each network
# "saliency" evaluates what a table thinks best, and nothing else: see test_saliency.py;
# "true-rank" goes through spaces of plain chains only: see test_true_rank.py
SEARCHES = [name for name in list_algorithms() if name not in ("saliency", "true-rank")]


def algorithm_for(name, problem, **settings):
    if name == "moead" and problem.has_constraints():
        pytest.skip("moead takes no constraints")
    if name == "screened":  # larger steps: models are slow, and tests are many
        settings = {"n_offsprings": 10, "n_candidates": 400} | settings
    return get_algorithm(name, problem, **settings)


def budget_for(name):
    return FEWER.get(name, BUDGET)


def networks(problem, genomes):
    X = np.asarray(genomes)
    return [tuple(x) for x in getattr(problem, "canonical", lambda X: X)(X).tolist()]


def drive(algorithm, problem, seed=1, budget=BUDGET, recorded=None):
    """Ask and tell; with `recorded`, a list of generations (X, F, G), nothing is computed."""
    algorithm = copy.deepcopy(algorithm)
    algorithm.setup(problem, termination=("n_eval", budget), seed=seed)
    generations = []
    while algorithm.has_next():
        infills = algorithm.ask()
        if infills is None:
            algorithm.tell()
            continue
        if recorded is not None:
            X, F, G = recorded[len(generations)]
            assert infills.get("X").tolist() == X
            problem.serve(X, F, G)
        algorithm.evaluator.eval(problem, infills, algorithm=algorithm)
        generations.append([infills.get(name).tolist() for name in "XFG"])
        algorithm.tell(infills=infills)
    return generations, algorithm


@pytest.mark.parametrize("name", SEARCHES)
def test_a_run(name, problem):
    algorithm, budget = algorithm_for(name, problem), budget_for(name)
    result = minimize(problem, algorithm, ("n_eval", budget), seed=1)
    asked = problem.asked
    # What a free check rules out is no evaluation; without one every genome is.
    dear = len(asked) if not hasattr(problem, "feasible") else problem.feasible(asked).sum()
    assert budget <= result.algorithm.evaluator.n_eval == dear < budget + 20
    assert len(set(networks(problem, asked))) == len(asked), "a network was evaluated twice"
    X = np.array(asked)
    assert X.dtype.kind == "i"
    assert (X >= problem.xl).all() and (X <= problem.xu).all()
    assert algorithm.problem is None
    assert result.F is not None

    problem.asked = []
    minimize(problem, algorithm, ("n_eval", budget), seed=1)
    assert problem.asked == asked, "the same object minimised twice gives the same genomes"
    problem.asked = []
    minimize(problem, algorithm_for(name, problem), ("n_eval", budget), seed=1)
    assert problem.asked == asked, "the same seed gives the same genomes"
    problem.asked = []
    minimize(problem, algorithm, ("n_eval", 40), seed=2)
    assert problem.asked[:40] != asked[:40]


@pytest.mark.parametrize("name", SEARCHES)
def test_replay_from_recorded_values(name, problem):
    generations, first = drive(algorithm_for(name, problem), problem, budget=budget_for(name))

    class Recorded(type(problem)):
        def serve(self, X, F, G):
            self.table = {tuple(x): (f, g) for x, f, g in zip(X, F, G, strict=True)}

        def _evaluate(self, X, out, *args, **kwargs):
            rows = [self.table[tuple(x)] for x in np.asarray(X).tolist()]
            out["F"] = np.array([f for f, _ in rows])
            if self.has_constraints():
                out["G"] = np.array([g for _, g in rows])

    replayed = copy.copy(problem)
    replayed.__class__ = Recorded
    given = {"budget": budget_for(name), "recorded": generations}
    again, second = drive(algorithm_for(name, problem), replayed, **given)
    assert again == generations
    assert second.random_state.bit_generator.state == first.random_state.bit_generator.state
    assert second.evaluator.n_eval == first.evaluator.n_eval


@pytest.mark.parametrize("name", SEARCHES)
def test_a_copy_in_the_middle_goes_on_alike(name, problem):
    algorithm = algorithm_for(name, problem)
    algorithm.setup(problem, termination=("n_eval", BUDGET), seed=3)
    for _ in range(3):
        algorithm.next()
    twin = copy.deepcopy(algorithm)
    twin.problem = problem
    for _ in range(4):
        problem.asked = []
        algorithm.next()
        asked, problem.asked = problem.asked, []
        twin.next()
        assert problem.asked == asked
    assert twin.evaluator.n_eval == algorithm.evaluator.n_eval


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("n_choices", [[2, 3, 1, 4], [3, 3, 3, 3]])
def test_ends_on_an_exhausted_space(name, n_choices, make_problem):
    problem = make_problem["choices"](n_choices=n_choices)
    size = int(np.prod(n_choices))
    result = minimize(problem, get_algorithm(name, problem), ("n_eval", 10_000), seed=1)
    assert result.algorithm.evaluator.n_eval == len(set(problem.asked)) == len(problem.asked)
    assert len(problem.asked) <= size
    # moead keeps to its neighbourhoods and may end before it has seen everything
    assert len(problem.asked) >= (0.5 if name == "moead" else 0.95) * size
    drive(get_algorithm(name, problem), problem, budget=10_000)


@pytest.mark.parametrize("name", SEARCHES)
def test_ends_where_there_is_one_network(name, make_problem):
    problem = make_problem["choices"](n_choices=[1, 1, 1])
    minimize(problem, get_algorithm(name, problem), ("n_eval", 10), seed=1)
    assert problem.asked == [(0, 0, 0)]


@pytest.mark.parametrize("name", SEARCHES)
def test_keeps_no_reference_to_the_problem(name, make_problem):
    problem = make_problem["merged"]()
    algorithm = get_algorithm(name, problem)
    gone = weakref.ref(problem)
    del problem
    gc.collect()
    assert gone() is None
    assert algorithm.problem is None


@pytest.mark.parametrize("name", SEARCHES)
def test_starts_from_given_genomes(name, make_problem):
    problem = make_problem["choices"](n_obj=3)
    given = np.random.default_rng(0).integers(0, problem.xu.astype(int) + 1, (7, problem.n_var))
    algorithm = get_algorithm(name, problem, sampling=given)
    minimize(problem, algorithm, ("n_eval", 60), seed=1)
    assert problem.asked[:7] == [tuple(x) for x in given.tolist()]
    assert len(set(problem.asked)) == len(problem.asked) >= 60


@pytest.mark.parametrize("name", SEARCHES)
def test_global_generator_is_left_alone(name, make_problem):
    problem = make_problem["choices"]()
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    minimize(problem, get_algorithm(name, problem), ("n_eval", 60), seed=1)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("name", SEARCHES)
def test_finds_better_networks_than_chance(name, make_problem):
    problem = make_problem["choices"]()
    minimize(problem, get_algorithm(name, problem), ("n_eval", BUDGET), seed=1)
    error = problem.values(problem.asked)[:, 0]
    uniform = problem.values(np.random.default_rng(0).integers(0, problem.xu + 1, (10_000, 8)))
    assert error.min() < np.quantile(uniform[:, 0], 0.02)


# one evaluates fewer than its population, the other twice the number of its distributions at least
OTHER_BATCHES = ("screened", "multi-distribution")


@pytest.mark.parametrize("name", [n for n in SEARCHES if n not in OTHER_BATCHES])
def test_population_size_is_the_batch(name, make_problem):
    problem = make_problem["choices"]()
    generations, _ = drive(get_algorithm(name, problem, pop_size=12), problem, budget=48)
    assert all(len(X) <= 12 for X, _, _ in generations)
    assert len(generations[1][0]) == 12


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    "settings, words",
    [
        ({"popsize": 20}, ["'popsize'", "pop_size"]),
        ({"pop_size": 0}, ["pop_size=0"]),
        ({"pop_size": "many"}, ["pop_size='many'"]),
        ({"sampling": "uniform"}, ["sampling"]),
        ({"sampling": np.full((5, 8), 99)}, ["sampling", "bounds"]),
        ({"sampling": np.zeros((5, 3), int)}, ["sampling", "8 genes"]),
    ],
)
def test_refuses_wrong_settings(name, settings, words, make_problem):
    with pytest.raises(InputError) as refusal:
        get_algorithm(name, make_problem["choices"](), **settings)
    message = str(refusal.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "search", [MultiDistributionSearch, SaliencySearch, ScreenedSearch, TrueRankSearch]
)
def test_a_search_of_our_own_refuses_settings_that_nobody_has(search):
    """Pymoo takes any keyword."""
    search(save_history=True)
    for wrong in ("save_histroy", "kwargs"):
        with pytest.raises(InputError, match=f"unknown setting '{wrong}'"):
            search(**{wrong: True})


@pytest.mark.parametrize(
    "name, settings, words",
    [
        ("nsga-2", {}, ["nsga2"]),
        ("nsga2", {"mutation": "unifrom"}, ["mutation", "uniform"]),
        ("nsga2", {"mutation": 3}, ["mutation=3"]),
        ("nsga2", {"crossover": "ux"}, ["crossover='ux'"]),
        ("random", {"mutation": "uniform"}, ["'mutation'", "pop_size, sampling"]),
        ("nsga3", {"ref_dirs": np.eye(3)}, ["ref_dirs", "(n, 2)"]),
        ("nsga3", {"ref_dirs": np.eye(2), "pop_size": 1}, ["pop_size=1"]),
        ("nsga3", {"ref_dirs": np.full((30, 2), 0.5), "pop_size": 20}, ["30 reference directions"]),
        ("moead", {"n_offsprings": 30}, ["20"]),
        ("moead", {"ref_dirs": np.eye(2), "pop_size": 20}, ["2 ref_dirs"]),
    ],
)
def test_refuses_and_says_why(name, settings, words, make_problem):
    with pytest.raises(InputError) as refusal:
        get_algorithm(name, make_problem["choices"](), **settings)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_moead_refuses_constraints_in_one_line(make_problem):
    with pytest.raises(InputError, match="^moead takes no constraints;.*nsga2$"):
        get_algorithm("moead", make_problem["choices"](budget=4e5))


def test_one_objective_has_no_directions(make_problem):
    for name in ("nsga3", "moead"):
        with pytest.raises(InputError, match="two objectives"):
            get_algorithm(name, make_problem["choices"](n_obj=1))


@pytest.mark.parametrize("name", [n for n in SEARCHES if n != "moead"])
def test_a_search_goes_on_where_the_neighbourhood_is_used_up(name, make_problem):
    """Two thirds of a space of 486 networks, far more than a population has neighbours."""
    problem = make_problem["choices"](n_choices=[3, 2, 3, 3, 1, 3, 3])
    algorithm = algorithm_for(name, problem)
    minimize(problem, algorithm, ("n_eval", 320), seed=1)
    assert 320 <= len(problem.asked) == len(set(problem.asked)) <= 486


def test_moead_moves_on_from_a_generation_of_repeats(make_problem):
    problem = make_problem["choices"](n_choices=[3, 4, 3, 3, 1, 3, 3])
    minimize(problem, get_algorithm("moead", problem), ("n_eval", 640), seed=1)
    assert 640 <= len(problem.asked) == len(set(problem.asked))
