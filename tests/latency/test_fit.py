import numpy as np
import pytest

from evonas.latency.design import make_design
from evonas.latency.fit import Agreement, fit_table
from evonas.problems import AdditiveCost
from evonas.spaces import get_space


@pytest.mark.parametrize("name", ["tiny", "nb201", "mobile-cifar"])
def test_times_that_add_up_are_found_again(name):
    space = get_space(name)
    design = make_design(space, 20, np.random.default_rng(0))
    truth = AdditiveCost(space, np.random.default_rng(1).random(space.allowed.shape), 2.0)
    table, constant = fit_table(space, design.fitted, truth(design.fitted))
    fitted = AdditiveCost(space, table, constant)
    X = space.canonical(space.sample(200, np.random.default_rng(2)))
    np.testing.assert_allclose(fitted(X), truth(X), rtol=1e-6)
    assert np.nanmin(table, axis=1).tolist() == [0.0] * space.n_var
    assert np.array_equal(np.isnan(table), ~space.allowed)


def test_a_choice_that_never_occurs_gets_the_average_of_its_gene():
    space = get_space("macro")
    X = space.sample(60, np.random.default_rng(0))
    X[:, 0] = np.minimum(X[:, 0], 1)
    table, _ = fit_table(space, X, 5.0 + 2.0 * X[:, 0] + X[:, 1])
    np.testing.assert_allclose(table[0], [0.0, 2.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(table[1], [0.0, 1.0, 2.0], atol=1e-9)


def test_agreement_by_hand():
    agreement = Agreement.of(np.array([1.1, 2.0, 2.7]), np.array([1.0, 2.0, 3.0]))
    assert agreement.tau == 1 and agreement.error == pytest.approx((0.1 + 0 + 0.1) / 3)
    assert Agreement.of(np.array([3.0, 2, 1]), np.array([1.0, 2, 3])).tau == -1
    assert np.isnan(Agreement.of(np.ones(3), np.arange(1.0, 4)).tau)
