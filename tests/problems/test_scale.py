"""Ranges of objectives, and the hypervolume that they make comparable."""

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from evonas.problems import TabularProblem
from evonas.problems.scale import REFERENCE, Scale


def test_the_box_between_ideal_and_reference_is_the_whole():
    scale = Scale((0, 100), (50, 300))
    assert scale.whole == REFERENCE**2
    assert scale.scaled(np.array([[25.0, 100.0], [50.0, 300.0]])).tolist() == [[0.5, 0], [1, 1]]
    assert scale.hypervolume(np.array([[0.0, 100.0]])) == pytest.approx(1.0)
    F = np.array([[10.0, 200.0], [20.0, 150.0]])
    expected = HV(ref_point=np.full(2, 1.1))(np.array([[0.2, 0.5], [0.4, 0.25]])) / 1.21
    assert scale.hypervolume(F) == pytest.approx(expected)
    assert scale.hypervolume(np.empty((0, 2))) == 0.0


def test_a_range_of_nothing_changes_nothing():
    assert Scale((0, 5), (1, 5)).scaled(np.array([[0.5, 5.0]])).tolist() == [[0.5, 0.0]]


def test_records_are_exact():
    scale = Scale((0.1, 1 / 3), (0.7, 2 / 3), whole=0.9)
    assert Scale.from_record(scale.to_record()) == scale
    assert Scale.of(np.array([[1.0, 4.0], [2.0, 3.0]])) == Scale((1, 3), (2, 4))
    with pytest.raises(ValueError, match="no ranges"):
        Scale((0, np.nan), (1, 1))


def test_a_table_calls_its_true_front_one():
    genes = np.arange(4)[:, None]
    values = np.array([[40.0, 10.0], [30.0, 20.0], [5.0, 80.0], [50.0, 90.0]])
    problem = TabularProblem(genes, values)
    assert problem.scale.hypervolume(values) == pytest.approx(1.0)
    assert problem.hypervolume(values[:1]) == problem.scale.hypervolume(values[:1])
    assert problem.ideal.tolist() == [5, 10] and problem.nadir.tolist() == [40, 80]
