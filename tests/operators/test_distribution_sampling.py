"""Genomes from learnt distributions, in plain pymoo."""

import numpy as np
import pytest
from pymoo.core.problem import Problem

from evonas.operators import CategoricalDistributions, DistributionSampling


def problem(xl=0):
    return Problem(n_var=2, n_obj=2, xl=np.full(2, xl), xu=np.array([1, 2]) + xl, vtype=int)


ONE = np.array([[[1.0, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]])


@pytest.mark.parametrize("xl", [0, 4])
def test_draws_from_each_in_turn(xl):
    X = DistributionSampling(ONE)(problem(xl), 5, random_state=np.random.default_rng(0)).get("X")
    np.testing.assert_array_equal(X - xl, [[0, 2], [1, 0], [0, 2], [1, 0], [0, 2]])


def test_follows_the_probabilities():
    p = np.array([[0.2, 0.8, 0], [0.5, 0.3, 0.2]])
    X = DistributionSampling(p)(problem(), 20_000, random_state=np.random.default_rng(1)).get("X")
    hot = X.astype(int)[:, :, None] == np.arange(3)
    np.testing.assert_allclose(hot.mean(axis=0), p, atol=0.015)


def test_takes_distributions_and_keeps_them_as_they_were():
    distributions = CategoricalDistributions([2, 3], 2)
    sampling = DistributionSampling(distributions)
    distributions.fixed_step(np.array([[[0.5, -0.5, 0], [0, 0, 0]]] * 2))
    assert (sampling.probabilities[:, 0, :2] == 0.5).all()


def test_same_seed_same_genomes():
    draws = [
        DistributionSampling(CategoricalDistributions([2, 3], 3))(
            problem(), 30, random_state=np.random.default_rng(2)
        ).get("X")
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*draws)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        DistributionSampling(np.ones(3))
    with pytest.raises(ValueError, match="shape"):
        DistributionSampling(np.ones((3, 4)))(problem(), 4, random_state=np.random.default_rng(0))
