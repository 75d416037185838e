"""Tables as problems, on tables small enough to check by hand and on the published ones."""

import itertools
import warnings

import numpy as np
import pytest
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.problems import TabularProblem
from evonas.search import get_algorithm, list_algorithms
from evonas.spaces import CategoricalSpace, get_space

GRID = np.array(list(itertools.product(range(3), range(2), range(4))))


def error_and_cost(X):
    error = 20.0 - 3 * X[:, 0] - 2 * X[:, 1] - X[:, 2] + 4.0 * (X[:, 0] == X[:, 1])
    return np.column_stack([error, 1.0 + X @ [5, 3, 1]])


@pytest.fixture
def whole():
    return TabularProblem(GRID, error_and_cost(GRID))


@pytest.fixture
def partial():
    rows = np.random.default_rng(0).permutation(len(GRID))[:15]
    return TabularProblem(GRID[rows], error_and_cost(GRID[rows]))


def test_a_complete_table_gives_back_its_rows(whole):
    assert isinstance(whole.space, CategoricalSpace) and whole.space.size == 24
    assert np.array_equal(whole.evaluate(GRID), error_and_cost(GRID))
    assert whole.n_ieq_constr == 0 and whole.cheap == ("params",) and whole.evaluated == 24
    assert np.array_equal(whole.cheap_values(GRID)[:, 0], error_and_cost(GRID)[:, 1])
    assert whole.space.decode(GRID[-1]) == "table:213"


def test_the_true_front_is_the_one_by_hand(whole):
    F = error_and_cost(GRID)
    optimal = [f for f in F.tolist() if not any(dominates(g, f) for g in F.tolist())]
    front = whole.pareto_front()
    assert sorted(map(tuple, optimal)) == sorted(map(tuple, front.tolist()))
    assert {tuple(f) for f in whole.evaluate(whole.pareto_set()).tolist()} == set(
        map(tuple, front.tolist())
    )
    assert whole.ideal.tolist() == front.min(axis=0).tolist()
    assert whole.nadir.tolist() == front.max(axis=0).tolist()
    assert whole.hypervolume(front) == 1 and whole.hypervolume(np.empty((0, 2))) == 0
    assert whole.recall(front) == 1 and whole.recall(front[:1]) == 1 / len(front)
    assert whole.mean_excess_error(front) == 0 < whole.mean_excess_error(front[:2])


def dominates(g, f):
    return g != f and all(a <= b for a, b in zip(g, f, strict=True))


def test_a_genome_without_a_row_is_infeasible_and_finite(partial):
    out = partial.evaluate(GRID, return_as_dictionary=True)
    known = {tuple(x) for x in partial.genes.tolist()}
    there = np.array([tuple(x) in known for x in GRID.tolist()])
    assert np.array_equal((out["G"] <= 0).all(axis=1), there)
    assert np.array_equal(partial.feasible(GRID), there) and partial.n_ieq_constr == 1
    assert np.isfinite(out["F"]).all() and np.isfinite(partial.cheap_values(GRID)).all()
    assert np.array_equal(out["F"][there], error_and_cost(GRID[there]))
    assert partial.evaluated == 15


def test_a_row_with_a_gap_is_missing():
    values = error_and_cost(GRID)
    values[3, 0] = np.nan
    problem = TabularProblem(GRID, values)
    assert not problem.feasible(GRID[3:4])[0] and problem.feasible(GRID).sum() == 23


# moead takes no constraints; "saliency" needs a table of it, and evaluates a few networks only;
# "true-rank" goes through another space
OTHERS = ("moead", "saliency", "true-rank")


@pytest.mark.parametrize("name", [n for n in list_algorithms() if n not in OTHERS])
def test_every_algorithm_searches_a_partial_table_of_a_large_grid(name):
    rng = np.random.default_rng(0)
    genes = np.unique(rng.integers(0, 4, (600, 12)) // rng.integers(1, 4, (600, 1)), axis=0)
    genes[0] = 3
    values = np.column_stack([30.0 - genes.sum(1), genes @ np.arange(1, 13), genes[:, 0]])
    problem = TabularProblem(genes, values, ("error", "latency", "memory"))
    assert problem.partial and problem.cheap == ("latency", "memory")
    result = minimize(problem, get_algorithm(name, problem, pop_size=21), ("n_eval", 60), seed=1)
    assert problem.feasible(np.atleast_2d(result.X)).all() and problem.evaluated >= 21


def test_what_choices_cost_is_read_from_the_rows_that_are_there():
    random_state = np.random.default_rng(0)
    genes = np.unique(random_state.integers(0, 3, (60, 4)), axis=0)
    assert len(genes) < 3**4
    values = np.column_stack([30.0 - genes.sum(1), 1 + genes @ [1, 2, 3, 4]])
    table = TabularProblem(genes, values, ("error", "latency")).cost_table()
    np.testing.assert_allclose(table, np.outer([1, 2, 3, 4], [0, 1, 2]), atol=1e-4)
    few = np.repeat(np.arange(3)[:, None], 4, axis=1)
    few = TabularProblem(few, np.column_stack([3 - few[:, 0], few.sum(1)]), ("error", "latency"))
    with pytest.raises(InputError, match="too few to tell"):
        few.cost_table()


def test_which_objectives_are_cheap_may_be_said():
    values = np.column_stack([error_and_cost(GRID), GRID[:, 0]])
    names = ("accuracy", "latency", "loss")
    assert TabularProblem(GRID, values, names).cheap == ("latency",)
    dear = TabularProblem(GRID, values, names, cheap=())
    assert dear.cheap == () and dear.cheap_values(GRID).shape == (24, 0)
    assert np.array_equal(dear.evaluate(GRID), values)
    with pytest.raises(InputError, match="cheap objective 'latncy'; did you mean latency"):
        TabularProblem(GRID, values, names, cheap=("latncy",))


def test_costs_and_constraints_by_name(whole):
    macs = GRID @ [1, 10, 100]
    limited = TabularProblem(
        GRID, error_and_cost(GRID), costs={"macs": macs}, constraints=["macs<=150", "params>=3"]
    )
    keeps = (macs <= 150) & (error_and_cost(GRID)[:, 1] >= 3)
    assert np.array_equal(limited.feasible(GRID), keeps) and limited.n_ieq_constr == 2
    assert limited.hypervolume(limited.pareto_front()) == 1
    assert limited.feasible(limited.pareto_set()).all()
    with pytest.raises(InputError, match="params<=0; the space 'table' has params from 1 to 17"):
        TabularProblem(GRID, error_and_cost(GRID), constraints=["params<=0"])


def test_equal_networks_are_merged_only_where_the_table_agrees():
    space = get_space("macro")
    X = np.indices([3] * 8).reshape(8, -1).T
    C = space.canonical(X)
    values = np.column_stack([50.0 - C.sum(axis=1), 1.0 + (C > 0).sum(axis=1)])
    agreed = TabularProblem(X, values, space=space)
    assert len(np.unique(agreed.canonical(X), axis=0)) == 3969
    noise = values + np.random.default_rng(0).random(values.shape)
    for table in (
        TabularProblem(X, noise, space=space),
        TabularProblem(X[:-1], values[:-1], space=space),
    ):
        assert np.array_equal(table.canonical(X), X)


def test_a_restricted_space_takes_the_rows_inside():
    space = get_space("macro")
    X = np.indices([3] * 8).reshape(8, -1).T
    values = np.column_stack([50.0 - X.sum(axis=1), 1.0 + X.sum(axis=1)])
    allowed = space.allowed.copy()
    allowed[:, 0] = False
    part = space.restrict(allowed)
    problem = TabularProblem(X, values, space=part)
    assert len(problem.genes) == 2**8 and not problem.partial
    some = part.sample(5, np.random.default_rng(0))
    assert np.array_equal(problem.evaluate(some)[:, 1], 1.0 + part.lift(some).sum(axis=1))


def test_from_csv_and_npz(tmp_path):
    path = tmp_path / "mine.csv"
    lines = ["kernel,act,error,latency,note"]
    for kernel, act, error in itertools.product((3, 5, 11), ("relu", "gelu"), (1,)):
        lines.append(f"{kernel},{act},{error + kernel + len(act)},{20 - kernel},x")
    path.write_text("\n".join(lines) + "\n5,tanh,,3,gap\n")
    problem = TabularProblem.from_csv(
        path, genes=["kernel", "act"], objectives=("error", "latency")
    )
    assert problem.space.labels == (("3", "5", "11"), ("gelu", "relu", "tanh"))
    assert problem.label == "mine" and problem.partial and len(problem.genes) == 6
    out = problem.evaluate(np.array([[2, 1]]), return_values_of=["F"])
    assert out.tolist() == [[16.0, 9.0]]
    np.savez(tmp_path / "mine.npz", genes=GRID, error=GRID.sum(1), params=GRID[:, 0])
    other = TabularProblem.from_npz(tmp_path / "mine.npz")
    assert other.evaluate(GRID).tolist() == np.column_stack([GRID.sum(1), GRID[:, 0]]).tolist()
    front = tmp_path / "front.csv"
    front.write_text("network,error,params\nmacro:00000000,50,3\nmacro:22222222,10,9\n")
    named = TabularProblem.from_csv(front, space=get_space("macro"))
    assert named.genes.tolist() == [[0] * 8, [2] * 8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GRID, np.zeros((3, 2))), r"genes of shape \(24, 3\) and 3 rows of values do not fit"),
        ((GRID, np.zeros((24, 3))), r"values of shape \(24, 3\) do not fit the objectives error"),
        ((GRID, np.full((24, 2), np.nan)), "no row whose values are all there"),
        ((GRID, np.full((24, 2), np.inf)), "row 0 of the table has an infinite value"),
        ((GRID - 1, error_and_cost(GRID)), "count from 0"),
        ((GRID + 0.5, error_and_cost(GRID)), "whole numbers"),
        ((np.zeros((2, 3), int), np.array([[1.0, 2], [1, 3]])), "table:000 stands in the table"),
        ((GRID, error_and_cost(GRID), ("error",)), "do not fit the objectives"),
        ((GRID, [["a", "b"]] * 24), "no numbers"),
    ],
)
def test_a_bad_table_is_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as error:
        TabularProblem(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no table"),
        ("a,error,params\n1,2,x\n", "line 2 of .*: params is 'x', no number"),
        ("a,error\n1,2\n", "unknown column 'params'"),
        ("error,params\n1,2\n", "no column beside the objectives"),
        ("", "cannot read"),
        (",a,error,params\n0,1,2,3\n", "column 1 of .* has no name"),
        ("a,a,error,params\n0,1,2,3\n", "two columns 'a'"),
        ("a,error,params\n0,1,2,\n", "line 2 of .* has 4 cells, and the header 3"),
        ("a,error,params\n0,1,2\n\n1,2\n", "line 4 of .* has 2 cells"),
    ],
)
def test_a_bad_csv_is_one_line(tmp_path, text, message):
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        TabularProblem.from_csv(path)
    assert "\n" not in str(error.value)


def test_a_bad_npz_is_one_line(tmp_path):
    path = tmp_path / "table.npz"
    with pytest.raises(InputError, match="there is no table"):
        TabularProblem.from_npz(path)
    np.savez(path, genes=GRID, error=GRID[:, 0])
    with pytest.raises(InputError, match="unknown array 'params'"):
        TabularProblem.from_npz(path)
    np.savez(path, genes=GRID, error=np.array([object()] * 24), params=GRID[:, 0])
    with pytest.raises(InputError, match="cannot read .*allow_pickle"):
        TabularProblem.from_npz(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot read"):
        TabularProblem.from_npz(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"genes": [["a", "b"]] * 24}, "whole numbers"),
        ({"genes": [[1, 2], [1]]}, "whole numbers"),
        ({"genes": GRID + 2**40}, "at most 100000"),
        ({"space": "macro"}, "give a SearchSpace"),
        ({"costs": [1]}, "give a mapping"),
        ({"objectives": "ab"}, "give a list of names"),
        ({"cheap": "params"}, "give a list of names"),
    ],
)
def test_arguments_of_the_wrong_kind_are_one_line(settings, message):
    arguments = {"genes": GRID, "values": GRID[:, :2] + 1.0} | settings
    with pytest.raises(InputError, match=message) as error:
        TabularProblem(**arguments)
    assert "\n" not in str(error.value)


def test_says_so_where_nothing_would_cost_an_evaluation():
    with pytest.warns(UserWarning, match="test_error, params all count as known"):
        TabularProblem(GRID, GRID[:, :2] + 1.0, ("test_error", "params"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabularProblem(GRID, GRID[:, :2] + 1.0, ("a", "b"), cheap=["a", "b"])


def test_what_is_infeasible_adds_no_hypervolume():
    problem = TabularProblem(GRID[:-1], GRID[:-1, :2] + 1.0, ("loss", "params"))
    assert problem.partial and problem.hypervolume(problem.evaluate(GRID[-1:])[0]) == 0
