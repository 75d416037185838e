"""A plain pymoo problem with categorical genes, and what evonas's problems add to one."""

import numpy as np
import pytest
from pymoo.core.problem import Problem

N_CHOICES = np.array([3, 4, 5, 3, 1, 4, 5, 3])


class Plain(Problem):
    """Integer genes that count from `xl`; cost is a sum over genes."""

    def __init__(self, n_choices=N_CHOICES, xl=0, limit=None, merge=False):
        n_choices = np.asarray(n_choices)
        low = np.full(len(n_choices), xl)
        super().__init__(n_var=len(n_choices), n_obj=2, xl=low, xu=low + n_choices - 1, vtype=int)
        self.n_choices = n_choices
        self.table = np.random.default_rng(3).random((len(n_choices), n_choices.max()))
        self.limit = limit
        if merge:
            self.canonical = lambda X: np.where(np.arange(len(n_choices)) == 0, xl, X)

    def total(self, X):
        X = np.asarray(X) - self.xl.astype(int)
        return self.table[np.arange(self.n_var), X].sum(axis=1)

    def ends(self):
        valid = np.arange(self.table.shape[1]) < self.n_choices[:, None]
        low = np.where(valid, self.table, np.inf).min(axis=1).sum()
        high = np.where(valid, self.table, -np.inf).max(axis=1).sum()
        return low, high

    def _evaluate(self, X, out, *args, **kwargs):
        out["F"] = np.stack([self.total(X), -self.total(X)], axis=1)


class Cheap(Plain):
    def cheap_values(self, X):
        return np.stack([self.total(X), 1e6 * self.total(X)], axis=1)


class Limited(Cheap):
    def feasible(self, X):
        return self.total(X) <= self.limit


@pytest.fixture
def plain():
    return Plain


@pytest.fixture
def cheap():
    return Cheap


@pytest.fixture
def limited():
    return Limited
