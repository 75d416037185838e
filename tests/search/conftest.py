"""A small integer problem in plain pymoo: additive cost, an error with interactions."""

import numpy as np
import pytest
from pymoo.core.problem import Problem

N_CHOICES = np.array([3, 4, 5, 3, 1, 4, 5, 3])


class Choices(Problem):
    """Error (an interaction of neighbouring genes), cost, and a second cost, all minimised.

    Gene 4 has one choice; choices count from `xl`. Records every genome it is asked for.
    """

    def __init__(self, *, n_obj=2, budget=None, n_choices=N_CHOICES, xl=0):
        n_choices = np.asarray(n_choices)
        super().__init__(
            n_var=len(n_choices),
            n_obj=n_obj,
            n_ieq_constr=0 if budget is None else 1,
            xl=np.full(len(n_choices), xl),
            xu=n_choices - 1 + xl,
            vtype=int,
        )
        generator = np.random.default_rng(7)
        shape = (len(n_choices), n_choices.max())
        self.tables = generator.random((3, *shape))
        self.pairs = generator.random((len(n_choices), shape[1], shape[1]))
        self.budget = budget
        self.asked = []

    def _sum(self, table, X):
        return table[np.arange(self.n_var), X].sum(axis=1)

    def values(self, X):
        X = np.asarray(X).astype(int) - self.xl.astype(int)
        cost = 1e5 * self._sum(self.tables[0], X)
        clash = sum(self.pairs[j, X[:, j], X[:, (j + 1) % self.n_var]] for j in range(self.n_var))
        error = 20 + 10 * clash - 5e-5 * cost + 3 * self._sum(self.tables[1], X)
        return np.stack([error, cost, self._sum(self.tables[2], X)], axis=1)

    def _evaluate(self, X, out, *args, **kwargs):
        self.asked.extend(map(tuple, np.asarray(X).tolist()))
        values = self.values(X)
        out["F"] = values[:, : self.n_obj]
        if self.budget is not None:
            # in coarse steps, so that violations tie and whatever breaks ties has to be seeded
            out["G"] = np.ceil((values[:, 1:2] - self.budget) / 5e4)


class CheapChoices(Choices):
    """The same with a cost that is known beforehand, as evonas's own problems have."""

    cheap = ("cost",)

    def cheap_values(self, X):
        return self.values(X)[:, 1:2]

    def feasible(self, X):
        limit = np.inf if self.budget is None else self.budget
        return self.values(X)[:, 1] <= limit


class Merged(Choices):
    """The first gene makes no difference: genomes are three to a network."""

    def canonical(self, X):
        X = np.array(X)
        X[:, 0] = self.xl[0]
        return X

    def values(self, X):
        return super().values(self.canonical(X))


VARIANTS = {
    "two objectives": lambda: Choices(),
    "constrained": lambda: Choices(budget=2.9e5),
    "three objectives": lambda: Choices(n_obj=3),
    "three, constrained": lambda: Choices(n_obj=3, budget=2.9e5),
    "cheap": lambda: CheapChoices(),
    "cheap, constrained": lambda: CheapChoices(budget=3.4e5),
    "merged": lambda: Merged(),
    "from two on": lambda: Choices(xl=2),
}


@pytest.fixture(params=VARIANTS)
def problem(request):
    return VARIANTS[request.param]()


@pytest.fixture
def make_problem():
    """Problem classes by name, for tests that need a particular one."""
    return {"choices": Choices, "cheap": CheapChoices, "merged": Merged}
