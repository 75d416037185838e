"""Operators in somebody else's pymoo program: no torch, no evonas but them, no global generator."""

import subprocess
import sys

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize

from evonas import operators

PROGRAM = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "thop"):
            raise ImportError(name + " is not installed here")

sys.meta_path.insert(0, Refuse())

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.optimize import minimize
from evonas.operators import (
    ChoiceMutation, SeenBefore, StratifiedSampling, UniformCrossover
)

class Knapsack(Problem):
    def __init__(self):
        super().__init__(n_var=12, n_obj=2, xl=1, xu=4, vtype=int)
    def _evaluate(self, X, out, *args, **kwargs):
        out["F"] = np.stack([X.sum(axis=1), -(X * X[:, ::-1]).sum(axis=1)], axis=1)

algorithm = NSGA2(
    pop_size=20,
    sampling=StratifiedSampling(lambda X: X.sum(axis=1)),
    crossover=UniformCrossover(),
    mutation=ChoiceMutation(),
    eliminate_duplicates=SeenBefore(),
)
result = minimize(Knapsack(), algorithm, ("n_eval", 200), seed=1)
assert result.algorithm.evaluator.n_eval == 200 and result.X.dtype.kind == "i"
ours = sorted(n for n in sys.modules if n.startswith("evonas."))
assert all(n.startswith(("evonas.operators", "evonas._version")) for n in ours), ours
assert "torch" not in sys.modules

from evonas.search import get_algorithm
minimize(Knapsack(), get_algorithm("sms-emoa", Knapsack()), ("n_eval", 60), seed=1)
assert "torch" not in sys.modules
"""


def test_without_torch_and_without_the_rest_of_evonas():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sampling", ["ChoiceSampling", "StratifiedSampling"])
def test_all_randomness_comes_from_the_seed(cheap, sampling):
    np.random.seed(11)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    algorithm = NSGA2(
        pop_size=10,
        sampling=getattr(operators, sampling)(),
        crossover=operators.UniformCrossover(),
        mutation=operators.ChoiceMutation(),
        eliminate_duplicates=operators.SeenBefore(),
    )
    problem = cheap([4] * 10, xl=2)
    first, again, other = (
        minimize(problem, algorithm, ("n_gen", 4), seed=seed).pop.get("X") for seed in (1, 1, 2)
    )
    assert first.tolist() == again.tolist() != other.tolist()
    assert first.min() >= 2 and first.max() <= 5
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
