"""A small integer problem, and pymoo's algorithms on it."""

import numpy as np
import pytest
from pymoo.algorithms.moo.age import AGEMOEA
from pymoo.algorithms.moo.moead import MOEAD, ParallelMOEAD
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.algorithms.soo.nonconvex.random_search import RandomSearch
from pymoo.core.problem import Problem
from pymoo.indicators.hv import HV
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.util.ref_dirs import get_reference_directions

from evonas.search import get_algorithm


class Blocks(Problem):
    """Five genes of four choices: an error that falls with cost, unevenly; counts what it costs."""

    objectives = ("error", "params")

    def __init__(self, *, n_obj=2, limit=None):
        super().__init__(
            n_var=5, n_obj=n_obj, n_ieq_constr=int(limit is not None), xl=0, xu=3, vtype=int
        )
        self.limit = limit
        self.objectives = ("error", "params", "macs")[:n_obj]
        self.evaluated = []

    def _evaluate(self, X, out, *args, **kwargs):
        self.evaluated += [tuple(x) for x in X.tolist()]
        weight = np.array([0.9, 0.7, 0.55, 0.45, 0.3])
        error = 60 * np.exp(-(X * weight).sum(axis=1) / 3) + np.sin(X @ np.arange(1, 6)) ** 2 / 3
        params = 1000 + (X**2 * np.array([100, 220, 310, 480, 900])).sum(axis=1)
        macs = 50 + ((X % 3) * np.array([7, 5, 3, 2, 1])).sum(axis=1)
        out["F"] = np.column_stack([error, params, macs])[:, : self.n_obj]
        if self.limit is not None:
            out["G"] = (params - self.limit).reshape(-1, 1)

    def hypervolume(self, F):
        scale = np.array([100.0, 20000.0, 200.0])[: self.n_obj]
        return float(HV(ref_point=np.ones(self.n_obj))(F / scale))


def operators():
    return {
        "sampling": IntegerRandomSampling(),
        "crossover": UX(repair=RoundingRepair()),
        "mutation": PM(prob=0.9, prob_var=0.3, eta=1, vtype=float, repair=RoundingRepair()),
    }


def directions(n_obj=2):
    return get_reference_directions("das-dennis", n_obj, n_partitions=7 if n_obj == 2 else 3)


ALGORITHMS = {
    "nsga2": lambda: NSGA2(pop_size=8, **operators()),
    "nsga3": lambda: NSGA3(directions(), pop_size=8, **operators()),
    "sms-emoa": lambda: SMSEMOA(pop_size=8, **operators()),
    "age-moea": lambda: AGEMOEA(pop_size=8, **operators()),
    "parallel-moead": lambda: ParallelMOEAD(directions(), n_neighbors=4, **operators()),
    "moead": lambda: MOEAD(directions(), n_neighbors=4, **operators()),
    "random": lambda: RandomSearch(n_points_per_iteration=8, sampling=IntegerRandomSampling()),
}


@pytest.fixture
def blocks():
    """The problem's class."""
    return Blocks


@pytest.fixture
def make():
    """A new algorithm: pymoo's own by name, or evonas's as `evonas:name` for `problem`."""

    def make(name, problem=None):
        if not name.startswith("evonas:"):
            return ALGORITHMS[name]()
        return get_algorithm(name.removeprefix("evonas:"), problem, pop_size=8)

    return make
