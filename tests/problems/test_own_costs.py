"""Costs of one's own by name: in names of problems, as constraints, on tables, from plugins."""

import numpy as np
import pytest
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.problems import get_problem, own_costs, register_cost
from evonas.problems.registry import data_of, split_name
from evonas.search import get_algorithm


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(own_costs, "_FACTORIES", {})


def latency(X):
    return 1.25 + 0.5 * X.sum(axis=1)


def test_names_with_costs_of_ones_own():
    assert data_of("nasbench201-cifar10-latency") == "nasbench201-cifar10"
    name = "fashion-mnist-params-latency"
    assert split_name(name, ["latency"]) == ("fashion-mnist", ("error", "params", "latency"))
    register_cost("energy", lambda space: latency)
    assert split_name("digits-energy-latency", ["latency"])[1] == ("error", "energy", "latency")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits-latency", "names the cost 'latency', which nobody gave; give --cost latency=FILE"),
        ("digits-params-watts", "names the cost 'watts', which nobody gave"),
        ("digits-enregy", "unknown problem 'digits-enregy'; did you mean digits-energy"),
        ("digits-params-params", "unknown problem"),
        ("digits-params-macs-energy", "unknown problem"),
        ("digits-", "unknown problem"),
        ("digit-energy", "unknown problem 'digit-energy'; did you mean"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(InputError, match=message):
        split_name(name, ["energy"])


def test_objective_and_constraint_on_shared_weights():
    problem = get_problem(
        "digits-latency", costs={"latency": latency}, constraints=["latency<=4.5"]
    )
    assert problem.objectives == ("error", "latency") and problem.cheap == ("latency",)
    X = problem.space.sample(50, np.random.default_rng(0))
    expected = latency(problem.space.canonical(X))
    assert np.array_equal(problem.cheap_values(X)[:, 0], expected)
    assert np.array_equal(problem.feasible(X), expected <= 4.5)
    assert (problem.ideal[1], problem.nadir[1]) == (1.25, 1.25 + 0.5 * 16)
    limited = get_problem("digits-params", costs={"latency": latency}, constraints=["latency<=3"])
    assert limited.n_ieq_constr == 1 and "latency" in limited.costs


def test_ranges_are_told_with_their_digits():
    with pytest.raises(InputError, match="'tiny' has latency from 1.25 to 9.25"):
        get_problem("digits-params", costs={"latency": latency}, constraints=["latency<=1.1"])


def test_a_registered_cost_needs_no_other_word(tmp_path):
    made = []

    def make(space):
        made.append(space.name)
        return latency

    register_cost("latency", make)
    register_cost("latency", make)
    assert get_problem("digits-latency").cheap == ("latency",) and made == ["tiny"]
    with pytest.raises(InputError, match="a cost named 'latency' already"):
        register_cost("latency", lambda space: latency)
    with pytest.raises(InputError, match="a registered cost 'latency' already"):
        get_problem("digits-latency", costs={"latency": latency})


@pytest.mark.parametrize("name", ["params", "macs", "error", "loss", "accuracy", "network"])
def test_names_that_mean_something_already(name):
    for give in (lambda: register_cost(name, lambda space: latency),
                 lambda: get_problem("digits-params", costs={name: latency})):  # fmt: skip
        with pytest.raises(InputError, match=f"cannot be named '{name}'; choose another"):
            give()


@pytest.mark.parametrize("name", ["my latency", "la-tency", "9ms", ""])
def test_names_that_are_none(name):
    with pytest.raises(InputError, match="is no name of a cost; use letters"):
        register_cost(name, lambda space: latency)


def test_costs_that_are_no_mapping():
    with pytest.raises(InputError, match="costs is 'latency=a.csv'; give names with files"):
        get_problem("digits-latency", costs="latency=a.csv")


def spoils(X):
    X[:] = 0
    return latency(X)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda X: 1.0, r"gives shape \(\) for \d+ genomes; it must return"),
        (lambda X: X, r"gives shape \(\d+, 6\) for \d+ genomes"),
        (lambda X: np.where(X[:, 0] > 0, np.nan, 1.0), r"of genome \[[12], .* no finite number"),
        (lambda X: 1 // 0, "fails on genomes .*ZeroDivisionError"),
        (spoils, "fails on genomes .*read-only"),
        ("a.csv", "there is no table of latency a.csv"),
        (3.5, "the cost 'latency' is 3.5; give a CSV file, or a function"),
    ],
)
def test_a_wrong_function_is_one_line(function, message):
    with pytest.raises(InputError, match=message) as error:
        get_problem("digits-latency", costs={"latency": function})
    assert "\n" not in str(error.value)


def test_a_factory_that_fails_is_one_line():
    register_cost("latency", lambda space: 1 // 0)
    with pytest.raises(InputError, match="cannot be made for the space 'tiny' .ZeroDivisionError"):
        get_problem("digits-latency")


@pytest.mark.parametrize("table", ["nasbench-macro", "nasbench201-cifar10"])
def test_on_a_published_table_equal_networks_cost_the_same(data_dir, table):
    problem = get_problem(f"{table}-latency", data_dir=data_dir, costs={"latency": latency})
    X = problem.space.sample(300, np.random.default_rng(0))
    assert np.array_equal(problem.evaluate(X)[:, 1], latency(problem.space.canonical(X)))
    assert problem.cheap == ("latency",) and {"params", "macs"} < set(problem.costs)
    limited = get_problem(
        f"{table}-params", data_dir=data_dir, costs={"latency": latency},
        constraints=["latency<=3.5"],
    )  # fmt: skip
    assert np.array_equal(limited.feasible(X), latency(limited.space.canonical(X)) <= 3.5)
    algorithm = get_algorithm("screened", limited)
    result = minimize(limited, algorithm, ("n_eval", 20), seed=1)
    assert (latency(limited.space.canonical(result.X)) <= 3.5).all()


def test_on_a_restricted_published_table(data_dir):
    whole = get_problem("nasbench-macro-latency", data_dir=data_dir, costs={"latency": latency})
    allowed = whole.space.allowed.copy()
    allowed[:, 0] = False
    part = get_problem(
        "nasbench-macro-latency", whole.space.restrict(allowed), data_dir=data_dir,
        costs={"latency": lambda X: latency(X + 1)},
    )  # fmt: skip
    assert len(part.genes) == 256
    X = part.genes[:9]
    assert np.array_equal(part.evaluate(X), whole.evaluate(part.space.lift(X)))
