import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.population import Population
from pymoo.operators.selection.rnd import RandomSelection
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.optimize import minimize
from pymoo.util.archive import MultiObjectiveArchive
from scipy.stats import chisquare

from evonas.operators import ArchiveSelection, ChoiceMutation, ChoiceSampling, UniformCrossover
from evonas.operators.archive_selection import crowding_weights


class Algorithm:
    def __init__(self, archive):
        self.archive = archive


def selected(share, *, n=4000, archived=((0.0, 1.0), (0.5, 0.5), (1.0, 0.0)), seed=0):
    """Of n matings: which have parents from the archive, and the parents' objectives."""
    pop = Population.new(X=np.arange(8)[:, None], F=np.full((8, 2), 9.0))
    archive = Population.new(X=np.arange(len(archived))[:, None], F=np.array(archived))
    parents = ArchiveSelection(RandomSelection(), share=share).do(
        None, pop, n, 2, random_state=np.random.default_rng(seed), algorithm=Algorithm(archive)
    )
    F = np.array([[one.F for one in mating] for mating in parents])
    return (F < 9).all(axis=2), F


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_a_share_of_the_matings_takes_both_parents_from_the_archive(share):
    archived, _ = selected(share)
    assert archived.shape == (4000, 2)
    assert (archived[:, 0] == archived[:, 1]).all()
    assert abs(archived[:, 0].mean() - share) < 0.03


def test_a_lonely_member_is_drawn_more_often():
    points = np.array([[0, 1.0], [0.1, 0.9], [0.2, 0.8], [0.6, 0.2], [1.0, 0]])
    weights = crowding_weights(points)
    assert weights.argmin() == 1 and weights.sum() == pytest.approx(1)
    assert weights[0] == weights[-1] == weights.max()  # the ends have one neighbour only
    _, F = selected(1, archived=points)
    drawn = [(F.reshape(-1, 2) == point).all(axis=1).sum() for point in points]
    assert chisquare(drawn, weights * 8000).pvalue > 0.001


@pytest.mark.parametrize("points", [[[1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0]] * 4])
def test_few_or_equal_members_are_drawn_alike(points):
    assert crowding_weights(np.array(points)) == pytest.approx(1 / len(points))


def test_an_empty_archive_leaves_the_population():
    archived, F = selected(1, archived=np.empty((0, 2)))
    assert (F == 9).all() and not archived.any()


def test_in_a_pymoo_program(plain):
    problem = plain()
    settings = dict(
        pop_size=8,
        sampling=ChoiceSampling(),
        crossover=UniformCrossover(),
        mutation=ChoiceMutation(),
        selection=ArchiveSelection(TournamentSelection(func_comp=binary_tournament)),
    )
    archive = MultiObjectiveArchive(max_size=None, truncate_size=None)
    runs = [
        minimize(problem, NSGA2(**settings, archive=archive), ("n_gen", 9), seed=3)
        for _ in range(2)
    ]
    assert np.array_equal(runs[0].pop.get("X"), runs[1].pop.get("X"))
    assert len(runs[0].archive) and not len(archive)
    with pytest.raises(ValueError, match="archive=MultiObjectiveArchive"):
        minimize(problem, NSGA2(**settings), ("n_gen", 2), seed=3)


def test_refuses_what_is_no_share():
    with pytest.raises(ValueError, match="share=2"):
        ArchiveSelection(RandomSelection(), share=2)
