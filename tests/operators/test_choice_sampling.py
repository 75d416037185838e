import numpy as np
import pytest
from scipy.stats import chisquare

from evonas.operators import ChoiceSampling


@pytest.mark.parametrize("xl", [0, -2, 5])
def test_every_choice_is_equally_likely(plain, xl, random_state):
    problem = plain(xl=xl)
    X = ChoiceSampling()(problem, 6000, random_state=random_state, to_numpy=True)
    assert X.shape == (6000, problem.n_var) and X.dtype == np.int64
    for gene, n in enumerate(problem.n_choices):
        counts = np.bincount(X[:, gene] - xl, minlength=n)
        assert len(counts) == n
        assert n == 1 or chisquare(counts).pvalue > 0.001


def test_genes_are_independent(plain, random_state):
    X = ChoiceSampling()(plain([3, 3]), 9000, random_state=random_state, to_numpy=True)
    assert chisquare(np.bincount(X @ [3, 1], minlength=9)).pvalue > 0.001


def test_same_seed_same_sample(plain):
    first, again = (
        ChoiceSampling()(plain(), 20, random_state=np.random.default_rng(4), to_numpy=True)
        for _ in range(2)
    )
    assert (first == again).all()
