"""How choices stand against each other at all prices of cost."""

import numpy as np
import pytest

from evonas.operators.saliency import standing

NAN = np.nan


def by_definition(saliency, cost, prices):
    table = np.full(saliency.shape, NAN)
    for gene, choice in np.argwhere(~np.isnan(saliency)):
        others = np.delete(np.arange(saliency.shape[1]), choice)
        others = others[~np.isnan(saliency[gene, others])]
        worth = saliency[gene] - prices[:, None] * cost[gene]
        ahead = worth[:, choice] - worth[:, others].max(axis=1, initial=-np.inf)
        best = ahead >= 0
        table[gene, choice] = np.where(best, ahead, 0).mean() if best.any() else ahead.max()
    return table


def test_a_choice_is_worth_what_its_gene_would_lose():
    random_state = np.random.default_rng(0)
    saliency, cost = random_state.random((2, 5, 4))
    saliency[1, 2:] = NAN
    cost[1, 2:] = NAN
    saliency[2, 1:] = NAN
    from evonas.operators.saliency import PRICES, turning_prices

    turns = turning_prices(saliency, cost)
    prices = np.geomspace(turns[0] / 2, 2 * turns[-1], PRICES)
    table = standing(saliency, cost)
    np.testing.assert_allclose(table, by_definition(saliency, cost, prices), rtol=1e-9)
    assert table[2, 0] == np.inf and np.isnan(table[2, 1:]).all()


def test_the_cheap_stays_beside_the_good():
    """What is cheap, and what is good, stand above what is neither."""
    saliency, cost = np.array([[0.0, 0.3, 1.0]]), np.array([[0.0, 0.9, 1.0]])
    cheap, neither, good = standing(saliency, cost)[0]
    assert neither < 0 < min(cheap, good)


@pytest.mark.parametrize("cost", [None, np.zeros((1, 3)), np.ones((1, 3))])
def test_without_a_cost_saliency_decides(cost):
    table = standing(np.array([[0.1, 0.5, 0.3]]), cost)[0]
    np.testing.assert_allclose(table, [-0.4, 0.2, -0.2])


def test_equal_choices():
    assert standing(np.ones((1, 2)), np.array([[0.0, 1.0]]))[0, 1] <= 0
    np.testing.assert_array_equal(standing(np.ones((2, 2))), 0)


def test_costs_that_hardly_differ_change_nothing():
    random_state = np.random.default_rng(0)
    saliency = random_state.random((8, 5))
    cost = np.tile([0.0, 0.0, 10.0, 50.0, 1000.0], (8, 1))
    noise = 1e-2 * random_state.random(cost.shape)
    np.testing.assert_allclose(
        standing(saliency, cost), standing(saliency, cost + noise), rtol=1e-2, atol=1e-3
    )
