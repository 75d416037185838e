from types import SimpleNamespace

import numpy as np
import pytest

from evonas.operators.genomes import as_genomes, genome_keys, integer_bounds


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, float, object, bool])
def test_whole_numbers_of_any_type_become_int64(dtype):
    X = as_genomes(np.array([[0, 1], [1, 0]], dtype=dtype))
    assert X.dtype == np.int64 and X.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("bad", [[[0.5]], [[np.nan]], [[np.inf]], [["a"]], [1, 2]])
def test_anything_else_is_refused(bad):
    with pytest.raises(ValueError, match="genomes are"):
        as_genomes(bad)


def test_bounds_come_as_integers():
    low, high = integer_bounds(SimpleNamespace(xl=np.array([2.0, 0.0]), xu=np.array([2.0, 3.0])))
    assert low.tolist() == [2, 0] and high.tolist() == [2, 3] and low.dtype == np.int64


@pytest.mark.parametrize(
    "xl, xu, words",
    [(None, None, "needs a problem"), ([0], [0.5], "whole"), ([0, 3], [1, 2], "gene 1 has no")],
)
def test_bounds_that_are_none_are_refused(xl, xu, words):
    with pytest.raises(ValueError, match=words):
        integer_bounds(SimpleNamespace(xl=xl, xu=xu))


def test_keys_are_equal_where_genomes_are():
    a, b, c = genome_keys(np.array([[1, 2], [2, 1], [1, 2]], dtype=np.int16))
    assert a == c != b
    assert genome_keys(np.array([[1.0, 2.0]])) == [a]
    assert genome_keys(np.asfortranarray([[1, 2], [2, 1]])) == [a, b]


def test_a_problem_of_real_numbers_is_refused():
    from pymoo.problems import get_problem

    with pytest.raises(ValueError, match="the problem has real ones"):
        integer_bounds(get_problem("zdt1"))
