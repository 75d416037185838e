"""Several fronts in numbers, exactly; bands over seeds; and their figures."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from moocore import epsilon_additive

from evonas.analysis import Attainment, Comparison, Front, History, HistoryBands
from evonas.analysis.comparison_figure import height, save_comparison
from evonas.errors import InputError
from evonas.problems.scale import Scale

OBJECTIVES = ("error", "params")


def front(values, name="", scale=None, objectives=OBJECTIVES):
    networks = tuple(f"toy:{name}{i}" for i in range(len(values)))
    return Front(networks, objectives, np.reshape(values, (-1, 2)), objectives, name, scale)


A = front([[40, 100], [20, 200], [5, 900]], "a")
B = front([[40, 100], [10, 300], [8, 400]], "b")


def test_numbers_of_two_fronts():
    compared = Comparison.of([A, B])
    assert compared.names == ("a", "b") and compared.objectives == OBJECTIVES
    # of all members, since neither has a scale of its own
    assert compared.scale == Scale((5, 100), (40, 900))
    assert compared.hypervolume.tolist() == [compared.scale.hypervolume(f.F) for f in (A, B)]
    assert compared.on_merged.tolist() == [3, 3]
    # b covers a's (40, 100) only; a covers b's (40, 100)
    assert compared.coverage.tolist() == [[1, 1 / 3], [1 / 3, 1]]
    best = np.array([[5, 900], [8, 400], [10, 300], [20, 200], [40, 100]], float)
    scaled = compared.scale.scaled
    expected = [epsilon_additive(scaled(f.F), ref=scaled(best)) for f in (A, B)]
    assert compared.epsilon.tolist() == expected
    assert len(compared.merged) == 6  # both of (40, 100)
    frame = compared.to_frame()
    assert list(frame.columns) == [
        "run", "networks", "hypervolume", "on_merged", "epsilon", "least_error", "least_params",
    ]  # fmt: skip
    assert frame["least_error"].tolist() == [5, 8]


def test_names_are_all_different():
    names = Comparison.of([front(A.F), front(A.F, "run 2"), front(A.F), front(A.F, "run 3")]).names
    assert names == ("run 1", "run 2", "run 3", "run 3 (2)")
    assert Comparison.of([front(A.F, "run 2"), front(A.F)]).names == ("run 2", "run 2 (2)")


def test_one_objective_is_compared_and_not_drawn(tmp_path):
    one = [Front(("x",), ("error",), [[e]], ("error",), name) for e, name in ((3, "a"), (2, "b"))]
    compared = Comparison.of(one)
    assert compared.on_merged.tolist() == [0, 1] and one[0].knee().network == "x"
    with pytest.raises(InputError, match="two objectives to be drawn"):
        save_comparison(compared, tmp_path / "both.png")


def test_a_dominated_front():
    worse = front(A.F + 1, "worse")
    compared = Comparison.of([A, worse])
    assert compared.on_merged.tolist() == [3, 0] and compared.epsilon[0] == 0 < compared.epsilon[1]
    assert compared.coverage.tolist() == [[1, 1], [0, 1]]


def test_runs_of_one_problem_keep_its_scale():
    scale = Scale((0, 0), (90, 1000))
    same = [front(f.F, f.name, scale) for f in (A, B)]
    assert Comparison.of(same).scale == scale
    assert Comparison.of(same).hypervolume.tolist() == [f.hypervolume() for f in same]
    other = Comparison.of([same[0], front(B.F, "b", Scale((0, 0), (1, 1)))])
    assert other.scale == Scale((5, 100), (40, 900))


def test_objectives_in_another_order_are_the_same():
    turned = front(B.F[:, ::-1], "b", objectives=OBJECTIVES[::-1])
    assert Comparison.of([A, turned]).coverage.tolist() == Comparison.of([A, B]).coverage.tolist()


def test_names_are_told_apart():
    fronts = [front(A.F, "a"), front(B.F, "a"), front(A.F), front(A.F, "a (2)")]
    assert Comparison.of(fronts).names == ("a", "a (2)", "run 3", "a (2) (2)")


def test_what_cannot_be_compared():
    other = front([[1, 1]], "c", objectives=("error", "macs"))
    with pytest.raises(InputError, match="a minimised error, params and c error, macs"):
        Comparison.of([A, other])
    with pytest.raises(InputError, match="b has no network; leave it out"):
        Comparison.of([A, front([], "b")])
    with pytest.raises(InputError, match="no front is given"):
        Comparison.of([])


def test_many_members_are_compared_in_parts(monkeypatch, random_state):
    fronts = [front(random_state.random((n, 2)), str(n)) for n in (301, 57)]
    whole = Comparison.of(fronts)
    numbers = whole.coverage.tolist(), whole.on_merged.tolist()
    monkeypatch.setattr("evonas.analysis.comparison.AT_ONCE", 1000)
    again = Comparison.of(fronts)
    assert (again.coverage.tolist(), again.on_merged.tolist()) == numbers


def test_attainment_of_three_runs():
    C = front([[30, 150]], "c")
    bands = Attainment.of([A, B, C], levels=(1 / 3, 1))
    assert bands.objectives == ("params", "error") and bands.runs == 3
    anyone, everyone = bands.surfaces
    assert anyone.tolist() == [
        [100, 40], [150, 30], [200, 20], [300, 10], [400, 8], [900, 5],
    ]  # fmt: skip
    # all three have 40 from 150 on, and 30 from 300 on
    assert everyone.tolist() == [[150, 40], [300, 30]]
    with pytest.raises(InputError, match="levels are"):
        Attainment.of([A], levels=(0.5, 1.5))


def test_bands_want_two_objectives():
    three = ("error", "params", "macs")
    many = Front(("x",), three, [[1, 2, 3]], three, "many")
    with pytest.raises(InputError, match="bands are for two objectives"):
        Attainment.of([many, many])


def test_height_of_stairs():
    corners = np.array([[1.0, 5.0], [2.0, 3.0]])
    assert height(corners, np.array([0.5, 1, 1.5, 2, 9])).tolist() == [np.inf, 5, 5, 3, 3]
    assert height(np.empty((0, 2)), np.array([1.0])).tolist() == [np.inf]


def history(at, volume, name="toy"):
    n = len(at)
    return History(np.arange(n) + 1, at, volume, np.arange(n), name)


def test_bands_of_histories():
    a = history([10, 20, 30], [0.1, 0.3, 0.4])
    b = history([8, 25, 40], [0.2, 0.5, 0.9])
    bands = HistoryBands.of([a, b], levels=(0, 0.5, 1))
    assert bands.evaluations.tolist() == [10, 20, 25, 30] and bands.runs == 2
    np.testing.assert_allclose(
        bands.hypervolume,
        [[0.1, 0.2, 0.3, 0.4], [0.15, 0.25, 0.4, 0.45], [0.2, 0.3, 0.5, 0.5]],
    )
    assert list(bands.to_frame().columns) == ["evaluations", "q0", "q0.5", "q1"]
    with pytest.raises(ValueError):
        bands.hypervolume[0] = 0


def test_histories_that_have_nothing_in_common():
    with pytest.raises(InputError, match="compare runs of one length"):
        HistoryBands.of([history([10], [0.1]), history([20], [0.1])])
    with pytest.raises(InputError, match="empty has no hypervolume"):
        HistoryBands.of([history([10], [np.nan], "empty")])
    with pytest.raises(InputError, match="no history"):
        HistoryBands.of([])
    with pytest.raises(InputError, match="quantiles"):
        HistoryBands.of([history([10], [0.1])], levels=())


def test_figures(tmp_path, random_state):
    fronts = [front(random_state.random((n, 2)) + 0.1, f"run {n}") for n in (1, 5, 300)]
    ax = Figure().subplots()
    assert Comparison.of(fronts).plot(ax) is ax
    names = [text.get_text().partition(":")[0] for text in ax.get_legend().get_texts()]
    assert names == ["run 1", "run 5", "run 300"]
    assert Attainment.of(fronts).plot(Figure().subplots()).get_xlabel() == "parameters"
    many = Comparison.of(fronts * 4)
    save_comparison(many, tmp_path / "many.svg")
    assert (tmp_path / "many.svg").read_text().startswith("<?xml")
    save_comparison(many, tmp_path / "many.png")
    with pytest.raises(InputError, match="no ending of a figure; give one of .pdf, .png, .svg"):
        save_comparison(many, tmp_path / "many.doc")
    bands = HistoryBands.of([history([10, 20], [0.1, 0.3]), history([10, 20], [0.2, 0.3])])
    assert bands.plot(Figure().subplots()).get_ylabel() == "dominated hypervolume"
