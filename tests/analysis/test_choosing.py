"""Choosing from a front: limits, nearness, weights, and what a front is worth."""

import json

import numpy as np
import pytest
from pymoo.mcdm.pseudo_weights import PseudoWeights

from evonas.analysis import Front, History
from evonas.analysis.choosing import pseudo_weights
from evonas.errors import InputError
from evonas.problems.scale import Scale
from evonas.runs import Journal, RunFolder

NETWORKS = ("toy:0", "toy:1", "toy:1b", "toy:2", "toy:3")
VALUES = np.array(
    [
        [40.0, 100e3, 20e6],
        [20.0, 200e3, 25e6],
        [20.0, 200e3, 26e6],
        [10.25, 300e3, 30e6],
        [5.0, 900e3, 70e6],
    ]
)


@pytest.fixture
def front():
    return Front(NETWORKS, ("error", "params", "macs"), VALUES, ("error", "params"), "toy")


def test_the_best_within_limits(front):
    assert front.pick(params="<=300k").network == "toy:2"
    assert front.pick(params=299_999).network == "toy:1"
    assert front.pick(params="<=300k", macs="<= 25.5M").network == "toy:1"
    assert front.pick(error="<=20").network == "toy:1"  # then the cheapest
    assert front.pick(error="<=20", by="macs").network == "toy:1"
    assert front.pick(macs=">=27e6", by="params").network == "toy:2"
    assert front.pick().network == "toy:3"
    assert front.pick(error=12, params="<=1M").network == "toy:3"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"params": "<=50k"}, "no network keeps params<=50000; the nearest has 100k"),
        ({"params": "<=150k", "error": "<=20"}, "no network keeps params<=150000 and error<=20"),
        ({"parms": "<=50k"}, "unknown column 'parms'; did you mean params"),
        ({"params": "few"}, "'paramsfew' is no constraint; write it like params<=500000"),
        ({"by": "flops"}, "no column 'flops'"),
    ],
)
def test_limits_that_nothing_keeps_or_that_are_none(front, limits, message):
    with pytest.raises(InputError, match=message):
        front.pick(**limits)


def test_the_nearest(front):
    assert front.nearest(params="290k").network == "toy:2"
    assert front.nearest(error=6).network == "toy:3"
    assert front.nearest(error=20, macs="26M").network == "toy:1b"
    # params span a factor of nine, so that the logarithm counts: 500k is nearer to 300k
    assert front.nearest(params=500_000).network == "toy:2"
    with pytest.raises(InputError, match="params='many' is no number"):
        front.nearest(params="many")
    with pytest.raises(InputError, match="name what the member is to be near to"):
        front.nearest()


def test_pseudo_weights_are_those_of_pymoo(front):
    _, expected = PseudoWeights(np.array([0.5, 0.5])).do(front.F, return_pseudo_weights=True)
    np.testing.assert_allclose(front.pseudo_weights(), expected)
    assert front.weighted(error=1).network == "toy:3"
    assert front.weighted(params=7).network == "toy:0"
    at = PseudoWeights(np.array([0.6, 0.4])).do(front.F)
    assert front.weighted(error=0.6, params=0.4).index == at
    for weights, message in (
        ({"macs": 1}, "unknown objective 'macs'"),
        ({}, "not all of them 0"),
        ({"error": -1, "params": 2}, "give numbers from 0"),
    ):
        with pytest.raises(InputError, match=message):
            front.weighted(**weights)


def test_pseudo_weights_where_objectives_do_not_differ():
    assert pseudo_weights(np.array([[1.0, 2.0]])).tolist() == [[0.5, 0.5]]
    F = np.array([[1.0, 7.0, 3.0], [2.0, 7.0, 1.0]])
    assert pseudo_weights(F).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_an_empty_front_has_nothing_to_choose(front):
    empty = front.take([])
    for choose in (empty.pick, lambda: empty.nearest(error=3), lambda: empty.weighted(error=1)):
        with pytest.raises(InputError, match="an empty front"):
            choose()
    assert empty.hypervolume() == 0.0


def test_hypervolume_by_its_own_ranges_or_a_scale(front):
    own = Scale.of(front.F)
    assert front.hypervolume() == own.hypervolume(front.F)
    scale = Scale((0, 0), (100, 1e6))
    assert front.hypervolume(scale) == scale.hypervolume(front.F)
    assert Front(NETWORKS, front.columns, VALUES, front.objectives, scale=scale).hypervolume() == (
        scale.hypervolume(front.F)
    )


def test_a_front_of_a_run_has_the_hypervolume_of_its_history(tmp_path):
    from pymoo.optimize import minimize  # noqa: F401  the search below is driven

    from evonas.problems import TabularProblem
    from evonas.runs import distinct_results, drive, searches_of
    from evonas.search import get_algorithm

    genes = np.indices((4, 5)).reshape(2, -1).T
    values = np.column_stack([60 - 10 * genes[:, 0] - genes[:, 1] ** 1.5, 1 + genes.sum(axis=1)])
    problem = TabularProblem(genes, values)
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    with Journal(folder.journal) as journal:
        drive(problem, get_algorithm("nsga2", problem), evaluations=12, seed=1, journal=journal)
    searches = searches_of(folder)
    assert searches[0].scale == problem.scale
    line = json.loads(folder.journal.read_text().splitlines()[0])
    assert line["scale"] == problem.scale.to_record()
    Front.from_results(distinct_results(searches), problem.objectives).write(folder.front)
    front, history = Front.load(folder.path), History.from_searches(searches)
    assert front.scale == problem.scale
    assert front.hypervolume() == history.hypervolume[-1] > 0
    assert Front.load(folder.front, objectives=["params", "error"]).scale is None


def test_merged_fronts():
    a = Front(("x", "y"), ("error", "params", "macs"), [[5, 9, 1], [9, 5, 1]], ("error", "params"))
    b = Front(("z", "x"), ("params", "error"), [[6, 6], [8, 4]], ("error", "params"), "b")
    merged = Front.merge([a, b], name="both")
    assert merged.networks == ("y", "z", "x") and merged.columns == ("error", "params")
    # of x what b says: it is better
    assert merged.F.tolist() == [[9, 5], [6, 6], [4, 8]] and merged.name == "both"
    with pytest.raises(InputError, match="one front minimised error, params and b error, macs"):
        Front.merge([a, Front(("z",), ("error", "macs"), [[1, 1]], ("error", "macs"), "b")])
    with pytest.raises(InputError, match="no front is given"):
        Front.merge([])
