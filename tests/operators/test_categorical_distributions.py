"""Several distributions that learn from each other's samples."""

import itertools
import json

import numpy as np
import pytest

from evonas.operators import (
    CategoricalDistributions,
    effective_sample_size,
    quantile_utility,
)

CHOICES = np.array([3, 2, 4, 1, 3])


def all_genomes(n_choices):
    return np.array(list(itertools.product(*map(range, n_choices))))


def moved(n_choices=CHOICES, M=3, steps=6, seed=0):
    """Distributions that have taken steps along random utilities."""
    rng = np.random.default_rng(seed)
    distributions = CategoricalDistributions(n_choices, M)
    for _ in range(steps):
        X = distributions.sample(2, rng).reshape(2 * M, -1)
        utility = rng.normal(size=(M, 2 * M))
        distributions.asng_step(distributions.gradient(X, distributions.importance(X) * utility))
    return distributions


class AsngByTheBook:
    """ASNG of one distribution, gene by gene, as the authors' paper and code have it."""

    def __init__(self, n_choices):
        self.K = [int(k) for k in n_choices]
        free = [k for k in self.K if k > 1]
        self.theta = [np.full(k, 1 / k) for k in self.K]
        self.least = [1 / (len(free) * (k - 1)) if k > 1 else 0.0 for k in self.K]
        self.N = sum(k - 1 for k in self.K)
        self.s, self.gamma, self.Delta = np.zeros(self.N), 0.0, 1.0

    def step(self, X, losses):
        n = len(X)
        ranks = np.argsort(np.argsort(losses))
        edge = int(np.ceil(n / 4))
        u = np.where(ranks < edge, 1.0, np.where(ranks >= n - edge, -1.0, 0.0))
        G = [
            sum(u[i] * ((np.arange(k) == X[i, j]) - self.theta[j]) for i in range(n)) / n
            for j, k in enumerate(self.K)
        ]
        v = np.concatenate(
            [
                g[:-1] / np.sqrt(t[:-1]) + np.sqrt(t[:-1]) * g[:-1].sum() / (t[-1] + np.sqrt(t[-1]))
                for g, t in zip(G, self.theta, strict=True)
            ]
        )
        norm = np.linalg.norm(v)
        if norm == 0:
            return
        delta = 1.0 / self.Delta
        for j, g in enumerate(G):
            if self.K[j] == 1:
                continue
            t = np.maximum(self.theta[j] + delta * g / norm, self.least[j])
            t -= (t.sum() - 1) * (t - self.least[j]) / (t - self.least[j]).sum()
            self.theta[j] = t / t.sum()
        beta = delta / np.sqrt(self.N)
        self.s = (1 - beta) * self.s + np.sqrt(beta * (2 - beta)) * v / norm
        self.gamma = (1 - beta) ** 2 * self.gamma + beta * (2 - beta)
        self.Delta *= np.exp(beta * (self.gamma - self.s @ self.s / 1.5))


@pytest.mark.parametrize("n", [2, 4, 8])
def test_one_distribution_is_asng_step_for_step(n):
    table = np.random.default_rng(5).random((len(CHOICES), 4))
    reference, ours = AsngByTheBook(CHOICES), CategoricalDistributions(CHOICES)
    rng = np.random.default_rng(1)
    for _ in range(60):
        X = ours.sample(n, rng)[0]
        losses = table[np.arange(len(CHOICES)), X].sum(axis=1)
        if len(np.unique(losses)) < n:  # how ties are ranked is left open there
            continue
        rho = ours.importance(X)
        np.testing.assert_allclose(rho, 1.0, rtol=1e-12)
        ours.asng_step(ours.gradient(X, rho * quantile_utility(losses[None], rho)))
        reference.step(X, losses)
        for j, theta in enumerate(reference.theta):
            np.testing.assert_allclose(ours.probabilities[0, j, : CHOICES[j]], theta, atol=1e-10)


def test_equal_distributions_stay_identical_and_share_all_samples():
    distributions = CategoricalDistributions(CHOICES, 4)
    rng = np.random.default_rng(2)
    for _ in range(30):
        X = distributions.sample(2, rng).reshape(8, -1)
        rho = distributions.importance(X)
        np.testing.assert_allclose(rho, 1.0, rtol=1e-12)
        np.testing.assert_allclose(effective_sample_size(rho), 8.0)
        keys = np.tile(rng.random(8), (4, 1))
        distributions.asng_step(distributions.gradient(X, rho * quantile_utility(keys, rho)))
        for p in distributions.probabilities:
            np.testing.assert_array_equal(p, distributions.probabilities[0])


def test_importance_lies_between_0_and_the_number_of_distributions():
    distributions = moved(np.full(40, 5), M=8, steps=200)
    X = distributions.sample(50, np.random.default_rng(3)).reshape(400, -1)
    rho = distributions.importance(X)
    assert np.isfinite(rho).all() and (rho >= 0).all() and (rho <= 8 * (1 + 1e-12)).all()
    np.testing.assert_allclose(rho.mean(axis=0), 1.0)


def test_gradients_sum_to_zero_over_the_choices_of_a_gene():
    distributions = moved()
    X = distributions.sample(4, np.random.default_rng(4)).reshape(12, -1)
    weights = np.random.default_rng(5).normal(size=(3, 12))
    G = distributions.gradient(X, weights)
    np.testing.assert_allclose(G.sum(axis=2), 0.0, atol=1e-14)
    G = distributions.cost_gradient(np.random.default_rng(6).random((5, 4)))
    np.testing.assert_allclose(G.sum(axis=2), 0.0, atol=1e-14)


def test_the_cost_gradient_is_that_of_the_expected_cost():
    distributions = moved()
    table = np.random.default_rng(7).random((5, 4))
    X = all_genomes(CHOICES)
    cost = table[np.arange(5), X].sum(axis=1)
    p = np.exp(distributions.log_probability(X))
    hot = X[:, :, None] == np.arange(4)
    expected = np.einsum("mi,ijk->mjk", p * cost, hot)
    expected -= (p @ cost)[:, None, None] * distributions.probabilities
    np.testing.assert_allclose(distributions.cost_gradient(table), expected, atol=1e-12)


def test_pooled_estimates_are_unbiased():
    """Against enumeration, with a mixture of distributions that differ a lot."""
    distributions = moved(steps=12)
    X = all_genomes(CHOICES)
    value = np.random.default_rng(8).random(len(X))
    logs = distributions.log_probability(X)
    p = np.exp(logs)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    exact = p @ value
    # the expectation over the mixture, which samples are drawn from, is exact
    np.testing.assert_allclose(
        (p.mean(axis=0) * distributions.importance(X)) @ value, exact, rtol=1e-12
    )
    drawn = distributions.sample(20_000, np.random.default_rng(9)).reshape(-1, len(CHOICES))
    index = np.zeros(len(drawn), dtype=int)
    for j, k in enumerate(CHOICES):
        index = index * k + drawn[:, j]
    estimates = distributions.importance(drawn) * value[index]
    error = estimates.std(axis=1) / np.sqrt(len(drawn))
    assert (np.abs(estimates.mean(axis=1) - exact) < 4 * error).all()


@pytest.mark.parametrize(
    ("step", "steps"), [("asng", 10_000), ("stretched", 10_000), ("fixed", 1_000)]
)
def test_ten_thousand_steps_on_forty_genes_keep_the_floor_and_no_nan(step, steps):
    n_choices = np.array([2, 3, 5, 8] * 10)
    distributions = CategoricalDistributions(n_choices, 4)
    rng = np.random.default_rng(10)
    table = rng.random((4, 40, 8))
    there = np.arange(8) < n_choices[:, None]
    least = np.where(there, 1 / (40 * (n_choices[:, None] - 1)), 0.0)
    for i in range(steps):
        X = distributions.sample(2, rng).reshape(8, -1)
        rho = distributions.importance(X)
        keys = table[:, np.arange(40), X].sum(axis=2)
        G = distributions.gradient(X, rho * quantile_utility(keys, rho))
        if step == "fixed":
            distributions.fixed_step(G)
        else:
            ess = effective_sample_size(rho) / 2 if step == "stretched" else 1.0
            distributions.asng_step(G, ess)
        if i % 100 == 0 or i > steps - 10:
            p = distributions.probabilities
            assert np.isfinite(p).all()
            assert (p >= least * (1 - 1e-12)).all()
            np.testing.assert_allclose(p.sum(axis=2), 1.0)
    assert (distributions.entropy() < CategoricalDistributions(n_choices).entropy()).all()


def test_learning_finds_the_best_choices():
    rng = np.random.default_rng(11)
    best = rng.integers(4, size=(3, 10))
    table = rng.random((3, 10, 4)) + (np.arange(4) != best[:, :, None])
    distributions = CategoricalDistributions(np.full(10, 4), 3)
    for _ in range(400):
        X = distributions.sample(2, rng).reshape(6, -1)
        rho = distributions.importance(X)
        keys = table[:, np.arange(10), X].sum(axis=2)
        distributions.asng_step(distributions.gradient(X, rho * quantile_utility(keys, rho)))
    np.testing.assert_array_equal(distributions.argmax(), best)


@pytest.mark.parametrize("n", [1, 7, 30, 1000])
def test_the_likeliest_genomes_are_those_of_an_enumeration(n):
    distributions = moved(steps=20)
    X = distributions.likeliest(n)
    G = all_genomes(CHOICES)
    logs = distributions.log_probability(G)
    assert X.shape == (3, min(n, len(G)), 5)
    for m in range(3):
        assert len(np.unique(X[m], axis=0)) == len(X[m])
        expected = np.sort(logs[m])[::-1][:n]
        np.testing.assert_allclose(distributions.log_probability(X[m])[m], expected, atol=1e-12)
    np.testing.assert_array_equal(X[:, 0], distributions.argmax())


def test_the_likeliest_of_a_large_space_are_found_at_once():
    distributions = moved(np.full(40, 5), M=8, steps=50)
    X = distributions.likeliest(500)
    assert X.shape == (8, 500, 40)
    logs = np.stack([distributions.log_probability(X[m])[m] for m in range(8)])
    assert (np.diff(logs, axis=1) <= 1e-12).all()
    # no sample is likelier than the last of them and not among them
    drawn = distributions.sample(200, np.random.default_rng(1))
    for m in range(8):
        known = {tuple(x) for x in X[m]}
        for x, log in zip(drawn[m], distributions.log_probability(drawn[m])[m], strict=True):
            assert tuple(x) in known or log <= logs[m, -1] + 1e-12


def test_what_is_ruled_out_comes_last():
    P = np.array([[[0.7, 0.3, 0.0], [1.0, 0.0, 0.0]]])
    X = CategoricalDistributions([3, 2], probabilities=P).likeliest(6)[0]
    assert X[:2].tolist() == [[0, 0], [1, 0]] and len(X) == 6


def test_samples_follow_the_probabilities():
    distributions = moved()
    X = distributions.sample(50_000, np.random.default_rng(13))
    assert X.shape == (3, 50_000, 5)
    hot = X[..., None] == np.arange(4)
    np.testing.assert_allclose(hot.mean(axis=1), distributions.probabilities, atol=0.01)


def test_entropy_is_that_of_all_genomes():
    distributions = moved()
    p = np.exp(distributions.log_probability(all_genomes(CHOICES)))
    np.testing.assert_allclose(distributions.entropy(), -(p * np.log(p)).sum(axis=1))


def test_a_state_goes_through_json_to_the_last_bit():
    one = moved()
    other = CategoricalDistributions(CHOICES, 3)
    other.restore(json.loads(json.dumps(one.state())))
    rng = np.random.default_rng(14)
    for _ in range(5):
        X = one.sample(2, rng).reshape(6, -1)
        G = one.gradient(X, one.importance(X) * rng.normal(size=(3, 6)))
        one.asng_step(G)
        other.asng_step(G)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    with pytest.raises(ValueError, match="shape"):
        CategoricalDistributions(CHOICES, 2).restore(one.state())


def test_a_fixed_gene_counts_nowhere():
    with_fixed = CategoricalDistributions([3, 1, 3], 1)
    without = CategoricalDistributions([3, 3], 1)
    assert with_fixed.dimensions == without.dimensions
    np.testing.assert_array_equal(with_fixed.floor, [*without.floor[:1], 0, *without.floor[1:]])
    X = np.array([[0, 0, 1], [2, 0, 2]])
    for distributions, genomes in ((with_fixed, X), (without, X[:, [0, 2]])):
        distributions.asng_step(distributions.gradient(genomes, np.array([[1.0, -1.0]])))
        distributions.fixed_step(distributions.gradient(genomes, np.array([[1.0, -1.0]])))
    np.testing.assert_array_equal(with_fixed.probabilities[:, [0, 2]], without.probabilities)
    np.testing.assert_array_equal(with_fixed.probabilities[:, 1], [[1, 0, 0]])


def test_all_genes_fixed_is_no_error():
    distributions = CategoricalDistributions([1, 1], 2)
    X = distributions.sample(2, np.random.default_rng(0)).reshape(4, 2)
    assert (distributions.asng_step(distributions.gradient(X, np.ones((2, 4)))) == 0).all()
    assert (distributions.argmax() == 0).all()


def test_a_zero_gradient_moves_nothing():
    distributions = moved()
    before = json.dumps(distributions.state())
    assert (distributions.asng_step(np.zeros((3, 5, 4))) == 0).all()
    assert (distributions.fixed_step(np.zeros((3, 5, 4))) == 0).all()
    assert json.dumps(distributions.state()) == before
    given = CategoricalDistributions([4], probabilities=[[[1.0, 0, 0, 0]]])
    given.asng_step(np.zeros((1, 1, 4)))
    assert given.probabilities.tolist() == [[[1, 0, 0, 0]]]


def test_given_probabilities_are_scaled_and_may_rule_choices_out():
    given = np.array([[[2.0, 2.0, 9.0], [0.0, 1.0, 3.0]]])
    distributions = CategoricalDistributions([2, 3], probabilities=given)
    np.testing.assert_allclose(distributions.probabilities, [[[0.5, 0.5, 0], [0, 0.25, 0.75]]])
    assert distributions.log_probability([[0, 0]])[0, 0] == -np.inf
    assert distributions.importance([[0, 0]])[0, 0] == 0
    X = np.array([[0, 1], [1, 2]])
    distributions.asng_step(distributions.gradient(X, np.array([[1.0, -1.0]])))
    assert np.isfinite(distributions.probabilities).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_choices": []},
        {"n_choices": [2, 0]},
        {"n_choices": [[2]]},
        {"n_choices": [2], "n_distributions": 0},
        {"n_choices": [2], "probabilities": np.ones((2,))},
        {"n_choices": [2], "probabilities": np.ones((1, 2, 2))},
        {"n_choices": [2], "probabilities": -np.ones((1, 1, 2))},
        {"n_choices": [2], "probabilities": np.zeros((1, 1, 2))},
        {"n_choices": [2], "probabilities": np.full((1, 1, 2), np.nan)},
    ],
)
def test_what_is_no_distribution_is_refused(arguments):
    with pytest.raises(ValueError):
        CategoricalDistributions(**arguments)


@pytest.mark.parametrize("X", [[[0, 0]], [[3, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0]]])
def test_genomes_of_other_genes_are_refused(X):
    with pytest.raises(ValueError, match="genes"):
        CategoricalDistributions(CHOICES).log_probability(np.array(X))


class TestQuantileUtility:
    """Ranks on a scale that importances divide."""

    def by_the_book(self, keys, rho, n):
        """Equation by equation, one sample at a time, the mean by summing many quantiles."""
        u = []
        for key in keys:
            low = sum(r for k, r in zip(keys, rho, strict=True) if k < key) / n
            high = sum(r for k, r in zip(keys, rho, strict=True) if k <= key) / n
            q = low + (np.arange(200_000) + 0.5) / 200_000 * (high - low)
            u.append(np.mean(np.where(q < 0.25, 1.0, np.where(q > 0.75, -1.0, 0.0))))
        return u

    @pytest.mark.parametrize("normalised", [True, False])
    def test_is_the_definition(self, normalised):
        rng = np.random.default_rng(15)
        keys = np.round(rng.random((3, 9)), 1)  # with ties
        rho = rng.random((3, 9)) * 2
        ours = quantile_utility(keys, rho, normalised=normalised)
        for m in range(3):
            n = rho[m].sum() if normalised else 9
            np.testing.assert_allclose(ours[m], self.by_the_book(keys[m], rho[m], n), atol=1e-4)

    def test_of_equal_samples_a_quarter_is_best_and_a_quarter_worst(self):
        u = quantile_utility(np.array([[3.0, 1.0, 2.0, 4.0]]), np.ones((1, 4)))
        np.testing.assert_allclose(u, [[0, 1, 0, -1]])

    def test_ties_share(self):
        u = quantile_utility(np.array([[1.0, 1.0, 2.0, 3.0]]), np.ones((1, 4)))
        np.testing.assert_allclose(u, [[0.5, 0.5, 0, -1]])

    def test_an_importance_of_zero_has_the_worth_of_its_place(self):
        u = quantile_utility(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 0.0]]))
        np.testing.assert_allclose(u, [[1, 0, -1]])

    def test_no_importance_at_all_is_no_nan(self):
        assert np.isfinite(quantile_utility(np.arange(3.0)[None], np.zeros((1, 3)))).all()
