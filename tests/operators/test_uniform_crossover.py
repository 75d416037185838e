"""pymoo's uniform crossover is used as it is; these are the reasons why it can be."""

import numpy as np
from pymoo.core.population import Population
from scipy.stats import chisquare

from evonas.operators import UniformCrossover


def offspring(problem, A, B, seed=0):
    parents = [list(pair) for pair in zip(Population.new(X=A), Population.new(X=B), strict=True)]
    off = UniformCrossover()(problem, parents, random_state=np.random.default_rng(seed))
    return np.split(off.get("X"), 2)


def test_genes_are_swapped_whole_and_both_offspring_hold_all(plain):
    n = 4000
    A, B = np.zeros((n, 8), dtype=int), np.tile(np.maximum(plain().n_choices - 1, 0), (n, 1))
    first, second = offspring(plain(), A, B)
    assert first.dtype.kind == "i"
    assert ((first == A) & (second == B) | (first == B) & (second == A)).all()
    crossed = (first != A).any(axis=1) & (second != B).any(axis=1)
    assert 0.85 < crossed.mean() < 0.95  # pymoo's default probability is 0.9
    free = plain().n_choices > 1
    swapped = (first != A)[:, free].sum(axis=0)
    assert chisquare(swapped).pvalue > 0.001
    assert abs(swapped.mean() / n - 0.45) < 0.01


def test_same_seed_same_offspring(plain):
    A, B = np.zeros((9, 8), dtype=int), np.ones((9, 8), dtype=int)
    assert np.array_equal(offspring(plain(), A, B, 3), offspring(plain(), A, B, 3))
    assert not np.array_equal(offspring(plain(), A, B, 3), offspring(plain(), A, B, 4))
