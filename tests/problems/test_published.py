"""The published tables, read from the user's data folder."""

import numpy as np
import pytest

from evonas.errors import InputError
from evonas.problems import TabularProblem, get_problem
from evonas.problems.published import TABLES, Measured, counted


@pytest.mark.parametrize(
    ("name", "networks", "optimal", "best"),
    [
        ("nasbench-macro-params", 3969, 39, 93.1267),
        ("nasbench-macro-macs", 3969, 35, 93.1267),
        ("nasbench-macro-params-macs", 3969, 118, 93.1267),
        ("nasbench201-cifar10-params", 15625, 14, 94.3733),
        ("nasbench201-cifar100-params", 15625, 13, 73.5133),
        ("nasbench201-imagenet16-120-params", 15625, 13, 47.3111),
    ],
)
def test_what_is_known_of_them(data_dir, name, networks, optimal, best):
    problem = get_problem(name, data_dir=data_dir)
    X = problem.genes
    assert len(np.unique(problem.canonical(X), axis=0)) == networks
    assert not problem.partial and len(problem.pareto_front()) == optimal
    assert round(100 - problem.evaluate(X)[:, 0].min(), 4) == best
    assert problem.hypervolume(problem.pareto_front()) == 1


@pytest.mark.parametrize("table", TABLES)
def test_published_counts_are_the_spaces_own(data_dir, table):
    problem = get_problem(f"{table}-params-macs", data_dir=data_dir)
    X = problem.genes[::97]
    assert np.array_equal(problem.cheap_values(X)[:, 0], problem.space.params(X))
    assert np.array_equal(problem.cheap_values(X)[:, 1], problem.space.macs(X))


@pytest.mark.parametrize("table", TABLES)
def test_counts_taken_from_a_table_are_those_of_thop(data_dir, table):
    space = get_problem(f"{table}-params", data_dir=data_dir).space
    taken, counted = space.costs, space.count()
    for name in ("params", "macs", "fixed_params", "fixed_macs"):
        assert np.array_equal(getattr(taken, name), getattr(counted, name))


def test_counts_that_do_not_add_up_are_no_counts():
    genes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    columns = {"params": np.array([5.0, 7, 8, 10]), "macs": np.array([1.0, 2, 3, 4])}
    costs = counted(Measured(genes, columns))
    assert costs.params.tolist() == [[0, 3], [0, 2]] and costs.fixed_params == 5
    with pytest.raises(ValueError, match="do not add up"):
        counted(Measured(genes, columns | {"macs": np.array([1.0, 2, 3, 5])}))


def test_the_front_ranked_by_macs_has_the_known_excess(data_dir):
    problem = get_problem("nasbench-macro-params", data_dir=data_dir)
    X = np.unique(problem.canonical(problem.genes), axis=0)
    F, macs = problem.evaluate(X), problem.costs["macs"](X)
    front = [i for i in range(len(X)) if not ((F[:, 1] <= F[i, 1]) & (macs > macs[i])).any()]
    assert round(problem.mean_excess_error(F[front]), 2) == 0.38


def test_a_missing_or_damaged_table_is_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("EVONAS_DATA", raising=False)
    with pytest.raises(InputError, match="published by the repository xiusu/NAS-Bench-Macro; name"):
        get_problem("nasbench-macro-params")
    with pytest.raises(InputError, match="nas-bench-201.npz; it is published by NATS-Bench"):
        get_problem("nasbench201-cifar10-params", data_dir=tmp_path)
    (tmp_path / "nas-bench-macro_cifar10.json").write_text('{"00": {"mean_acc"')
    with pytest.raises(
        InputError, match="is damaged or incomplete.*fresh copy from the repository"
    ):
        get_problem("nasbench-macro-params", data_dir=tmp_path)


def test_what_means_nothing_to_a_table_is_refused(data_dir):
    for setting, value in (("width", 0.5), ("supernet", "runs/x"), ("validation_images", 100)):
        with pytest.raises(InputError, match=f"trains none; leave {setting} out"):
            get_problem("nasbench-macro-params", data_dir=data_dir, **{setting: value})
    with pytest.raises(InputError, match="a table of the space 'macro', not of 'nb201'"):
        get_problem("nasbench-macro-params", "nb201", data_dir=data_dir)
    problem = get_problem("nasbench-macro-params", "macro", data_dir=data_dir)
    allowed = problem.space.allowed.copy()
    allowed[:, 0] = False
    part = get_problem("nasbench-macro-params", problem.space.restrict(allowed), data_dir=data_dir)
    assert isinstance(part, TabularProblem) and len(part.genes) == 256
