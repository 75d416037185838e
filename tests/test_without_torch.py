"""What works where torch is not installed: other pymoo programs, and finished runs."""

import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from evonas.cli import main

ABSENT = ("torch", "torchvision", "torchgen", "functorch", "thop", "triton", "nvidia", "cuda")

PROGRAM = """
import importlib.util
for name in ("torch", "torchvision", "thop"):
    assert importlib.util.find_spec(name) is None, name

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.problem import Problem
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.optimize import minimize
from pymoo.util.archive import MultiObjectiveArchive

import evonas.operators
from evonas.operators import *
from evonas.problems import TabularProblem
from evonas.search import MultiDistributionSearch, ScreenedSearch, get_algorithm, list_algorithms
from evonas.spaces import get_space


class Kitchen(Problem):
    # dishes to choose for nine days: unhappiness, price, and a limit on repeats

    def __init__(self):
        super().__init__(n_var=9, n_obj=2, n_ieq_constr=1, xl=1, xu=5, vtype=int)
        self.taste = np.random.default_rng(0).random((9, 6))

    def price(self, X):
        return (X.astype(int) ** 1.5).sum(axis=1)

    def _evaluate(self, X, out, *args, **kwargs):
        assert X.dtype.kind == "i"
        bored = (X[:, 1:] == X[:, :-1]).sum(axis=1)
        out["F"] = np.stack([bored - self.taste[np.arange(9), X].sum(axis=1), self.price(X)], 1)
        out["G"] = bored - 4


used = {
    "sampling": ChoiceSampling(),
    "crossover": UniformCrossover(),
    "mutation": ChoiceMutation(),
    "eliminate_duplicates": SeenBefore(),
    "selection": ArchiveSelection(TournamentSelection(func_comp=binary_tournament)),
}
problem = Kitchen()
archive = MultiObjectiveArchive(max_size=None, truncate_size=None)
done = minimize(problem, NSGA2(pop_size=20, archive=archive, **used), ("n_eval", 200), seed=1)
assert len(done.X)
used["sampling"] = StratifiedSampling(problem.price)
del used["selection"]
minimize(problem, NSGA2(pop_size=20, **used), ("n_eval", 60), seed=1)
classes = {type(operator).__name__ for operator in used.values()}
named = {n for n in evonas.operators.__all__ if isinstance(getattr(evonas.operators, n), type)}
below = {"CategoricalDistributions", "DistributionSampling", "SaliencyMutation"}
below |= {"SaliencySampling"}
assert classes | below | {"ChoiceSampling", "ArchiveSelection"} == named, named
assert extreme_genomes(problem.price, problem.xl, problem.xu).tolist() == [[1] * 9, [5] * 9]

genomes = [
    minimize(problem, ScreenedSearch(cheap={1: problem.price}), ("n_eval", 60), seed=4).X.tolist()
    for _ in range(2)
]
assert genomes[0] == genomes[1] and len(genomes[0]) > 5
minimize(problem, ScreenedSearch(), ("n_eval", 40), seed=4)
learnt = minimize(problem, MultiDistributionSearch(4), ("n_eval", 80), seed=4).algorithm
assert learnt.evaluator.n_eval == 80 and learnt.architectures.shape == (4, 9)
used["sampling"] = DistributionSampling(learnt.distributions)
minimize(problem, NSGA2(pop_size=20, **used), ("n_eval", 60), seed=1)
taste, price = problem.taste[:, 1:], np.tile(np.arange(1, 6) ** 1.5, (9, 1))
used |= {"sampling": SaliencySampling(taste, price), "mutation": SaliencyMutation(taste, price)}
minimize(problem, NSGA2(pop_size=20, **used), ("n_eval", 60), seed=1)
for name in list_algorithms():
    settings = {"saliency": taste} if name == "saliency" else {}
    if name not in ("moead", "true-rank"):  # no constraints; no other space than plain chains
        minimize(problem, get_algorithm(name, problem, **settings), ("n_eval", 40), seed=1)
X = get_space("plain").canonical(get_space("plain").sample(9, np.random.default_rng(0)))
plain = TabularProblem(X, np.column_stack([X[:, 0], X[:, 1]]), space=get_space("plain"))
minimize(plain, get_algorithm("true-rank", plain), seed=1)
print("done")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of an environment that has everything but torch, by links to this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    bin_, target = folder / "bin", next(folder.glob("lib/python*/site-packages"))
    if not (bin_ / "python").exists():
        pytest.skip("environments look different on this platform")
    for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(source).iterdir():
            name = entry.name.lower()
            if not name.startswith(ABSENT) and not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)
    return bin_ / "python"


def said_by(python, program, folder, *arguments):
    """What a program prints; it must end well."""
    done = subprocess.run(
        [python, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": str(python.parent)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_integer_problem(python, tmp_path):
    assert said_by(python, PROGRAM, tmp_path).strip() == "done"


FINISHED = """
import sys
from evonas.analysis import Comparison, Diagram, Front, GeneFrequencies, History
from evonas.cli import main
from evonas.run import Run

folder = sys.argv[1]
assert main(["report", folder]) == 0
assert main(["compare", folder, folder, "--output", "both.png", "--csv", "both.csv"]) == 0
assert main(["status", folder, "--watch"]) == 0
front, space = Front.load(folder), Run.load(folder).space
assert front.hypervolume() == History.load(folder).hypervolume[-1]
from matplotlib.figure import Figure
for record in (front, Diagram.of(front.knee().network, space), GeneFrequencies.of(front, space)):
    record.plot(Figure().subplots())
print("done")
"""


def test_a_run_of_another_machine(python, tmp_path):
    run = ["run", "--problem", "digits-params", "--runs", str(tmp_path), "--quiet"]
    assert main([*run, "--training.steps", "30", "--evaluations", "30", "--threads", "1"]) == 0
    (folder,) = tmp_path.iterdir()
    before = (folder / "report.html").read_text()
    assert said_by(python, FINISHED, tmp_path, str(folder)).splitlines()[-1] == "done"
    assert (folder / "report.html").read_text() == before
    assert (tmp_path / "both.png").is_file() and (tmp_path / "both.csv").is_file()
