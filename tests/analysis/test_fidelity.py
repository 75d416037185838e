"""The record of rank fidelity, its file and its figure."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import kendalltau, spearmanr

from evonas.analysis import Front, RankFidelity, save_fidelity
from evonas.analysis.fidelity_figure import draw_fidelity, fidelity_picture
from evonas.errors import InputError
from evonas.runs import RunFolder

SOURCE = 'trained from scratch for 12 epochs, 1 seed ("é")'
NETWORKS = ("toy:0", "toy:1", "toy:2", "toy:3", "toy:4")
ESTIMATED = np.array([30.0, 25.5, 100 / 3, 20.0, 21.0])
TRUE = np.array([9.0, 8.0, 7.75, 6.5, 6.0])
COLUMNS = ("params", "latency")
HEADER = "network,estimated_error,true_error,source\n"
COSTS = np.array([[100, 1.5], [200, 1.0], [300, 2.0], [500, 2.5], [400, 3.0]])


def fidelity(name="", **changes):
    parts = {
        "networks": NETWORKS,
        "estimated_error": ESTIMATED,
        "true_error": TRUE,
        "source": SOURCE,
        "columns": COLUMNS,
        "costs": COSTS,
        "name": name,
    }
    return RankFidelity(**(parts | changes))


def sample(k, *, low=5.0, high=7.0, seed=0):
    random_state = np.random.default_rng(seed)
    true = low + (high - low) * random_state.random(k)
    estimated = true + 0.2 * (high - low) * random_state.random(k)
    return RankFidelity([f"toy:{i}" for i in range(k)], estimated, true, "a table")


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    return folder


def test_the_numbers():
    record = fidelity()
    assert len(record) == 5
    # of ten pairs three are in the wrong order: 2 with 0 and 1, 3 with 4
    assert record.tau == pytest.approx(0.4) and record.tau == kendalltau(ESTIMATED, TRUE).statistic
    assert record.spearman == spearmanr(ESTIMATED, TRUE).statistic
    assert [record.regret(), record.regret(1), record.regret(2), record.regret(5)] == [
        0.5,
        0.5,
        0,
        0,
    ]
    # the dearer the better, but for one pair each
    assert record.cost_tau("params") == pytest.approx(0.8)
    assert record.cost_tau("latency") == pytest.approx(0.8)
    with pytest.raises(InputError, match="no cost 'macs'; choose from params, latency"):
        record.cost_tau("macs")
    with pytest.raises(InputError, match="no 6 best"):
        record.regret(6)


def test_intervals_are_the_same_each_time():
    first, second = sample(12), sample(12)
    for record in (first, first, second):
        assert record.tau_interval == first.tau_interval
        assert record.spearman_interval == first.spearman_interval
        assert record.regret_interval(2) == first.regret_interval(2)
    assert first.tau_interval.low < first.tau < first.tau_interval.high
    assert first.spearman_interval.low < first.spearman < first.spearman_interval.high
    with pytest.raises(InputError, match="no 13 best"):
        first.regret_interval(13)


def test_write_and_load(tmp_path):
    path = tmp_path / "fidelity.csv"
    fidelity("toy").write(path)
    assert path.read_text().splitlines()[:2] == [
        "network,estimated_error,true_error,params,latency,source",
        'toy:0,30.0,9.0,100,1.5,"trained from scratch for 12 epochs, 1 seed (""é"")"',
    ]
    loaded = RankFidelity.load(path)
    assert (loaded.networks, loaded.columns, loaded.source) == (NETWORKS, COLUMNS, SOURCE)
    assert loaded.name == ""
    for name in ("estimated_error", "true_error", "costs"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(fidelity(), name))
        assert not getattr(loaded, name).flags.writeable
    pd.testing.assert_frame_equal(loaded.to_frame(), pd.read_csv(path))


def test_without_costs(folder):
    record = fidelity(columns=(), costs=np.empty(0))
    assert record.costs.shape == (5, 0)
    assert RankFidelity(NETWORKS, ESTIMATED, TRUE, SOURCE).costs.shape == (5, 0)
    record.write(folder.fidelity)
    loaded = RankFidelity.load(folder.path)
    assert loaded.columns == () and loaded.costs.shape == (5, 0)
    assert list(loaded.to_frame()) == ["network", "estimated_error", "true_error", "source"]


def test_a_run(folder):
    with pytest.raises(
        InputError, match=r"no fidelity.csv; measure it with: evonas fidelity .*toy"
    ):
        RankFidelity.load(folder.path)
    fidelity().write(folder.fidelity)
    assert RankFidelity.load(folder.path).name == folder.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network,estimated_error,true_error\na,1,2\n", "no column 'source'"),
        ("network,true_error,source\na,1,x\n", "no column 'estimated_error'"),
        (HEADER, "fidelity.csv: no network was compared"),
        (HEADER + "a,1,2,x\nb,1,2,y\n", "2 sources"),
        (HEADER + "a,1,,x\n", "network a .* not finite"),
        (HEADER + "a,1,two,x\n", "true_error is 'two'"),
        (HEADER + "a,1,2,x\na,1,2,x\n", "network a is there twice"),
        (HEADER + "a,1,2,\n", "where the true errors come from"),
    ],
)  # fmt: skip
def test_a_broken_file(tmp_path, text, message):
    path = tmp_path / "fidelity.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        RankFidelity.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true_error": TRUE[:4]}, "do not fit 5 networks and 2 columns"),
        ({"estimated_error": ESTIMATED[:, None]}, "do not fit"),
        ({"costs": COSTS[:, :1]}, "do not fit"),
        ({"costs": np.empty(0)}, "do not fit"),
        ({"columns": ()}, "do not fit"),
        ({"columns": ("params", "params")}, "another name"),
        ({"columns": ("params", "true_error")}, "another name"),
        ({"columns": ("source", "params")}, "another name"),
        ({"networks": ("a", "b", "c", "d", "b")}, "network b is there twice"),
        ({"true_error": np.array([1, 2, np.nan, 4, 5])}, "network toy:2 has a number"),
        ({"estimated_error": np.array([1, 2, 3, 4, np.inf])}, "network toy:4 has a number"),
        ({"costs": np.where(COSTS == 200, np.nan, COSTS)}, "network toy:1 has a number"),
        ({"source": " "}, "come from"),
        ({"source": "two\nlines"}, "come from"),
        ({"networks": ()}, "no network"),
    ],
)
def test_what_is_no_record(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        fidelity(**changes)
    assert "\n" not in str(caught.value)


def test_summary():
    assert sample(3).summary().count("\n") == 0
    record = fidelity(true_error=[9.0, 8.0, 9.5, 6.5, 7.0], source="a table")
    assert record.summary() == (
        "5 networks, a table: Kendall's tau 1.00 (no interval), Spearman 1.00 (no interval), "
        "regret of the best 0.00 points (no interval), regret of the best 3 0.00 points "
        "(no interval), tau by params alone 0.60, tau by latency alone 0.20"
    )
    interval = sample(12).tau_interval
    assert f"tau {sample(12).tau:.2f} (95 %: {interval.low:.2f} to" in sample(12).summary()


def test_samples_that_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for record in (
            RankFidelity(["a"], [10], [5], "a table"),
            RankFidelity(["a", "b"], [10, 20], [5, 6], "a table"),
            RankFidelity(["a", "b", "c"], [90, 90, 90], [5, 6, 7], "a table"),
            RankFidelity(["a", "b", "c"], [5, 6, 7], [90, 90, 90], "a table"),
        ):
            assert np.isnan([record.tau, record.spearman]).all()
            assert np.isnan([*record.tau_interval, *record.spearman_interval]).all()
            assert "Kendall's tau not defined, Spearman not defined" in record.summary()
            assert "Kendall's tau not defined" in fidelity_picture(record).title
    assert record.regret() == 0
    assert RankFidelity(["a", "b", "c"], [90, 90, 90], [5, 6, 10], "a table").regret(
        1
    ) == pytest.approx(2)


def test_the_picture():
    front = Front(("toy:9", "toy:3", "toy:0"), ("error", "params"), np.ones((3, 2)), ("error",))
    record = fidelity("a-run")
    picture = fidelity_picture(record, front)
    assert np.array_equal(picture.x, TRUE) and np.array_equal(picture.y, ESTIMATED)
    assert picture.cost == "params" and np.array_equal(picture.colour, COSTS[:, 0])
    assert picture.members.tolist() == [True, False, False, True, False]
    low, high = record.tau_interval
    assert picture.title == (
        f"a-run · 5 networks\nKendall's tau 0.40 (95 %: {low:.2f} to {high:.2f}) · "
        "by params alone 0.80"
    )
    assert not (picture.log_x or picture.log_y or picture.diagonal)
    assert not fidelity_picture(record).members.any()


def test_axes_fit_two_points_of_error_and_sixty():
    narrow, broad = fidelity_picture(sample(20)), fidelity_picture(sample(20, low=6, high=66))
    assert not (narrow.log_x or narrow.log_y) and broad.log_x and broad.log_y
    for picture in (narrow, broad):
        assert picture.diagonal and picture.colour is None
        left, right, bottom, top = picture.limits
        assert left < picture.x.min() and picture.x.max() < right
        assert bottom < picture.y.min() and picture.y.max() < top
    left, right, _, _ = narrow.limits
    assert right - left < 1.2 * np.ptp(narrow.x)


def test_what_is_drawn_is_the_picture():
    picture = fidelity_picture(
        fidelity(), Front(("toy:1",), ("error",), np.ones((1, 1)), ("error",))
    )
    ax = draw_fidelity(picture, Figure().subplots())
    dots, rings = ax.collections
    assert np.array_equal(dots.get_offsets(), np.column_stack([TRUE, ESTIMATED]))
    assert np.array_equal(dots.get_array(), COSTS[:, 0])
    assert rings.get_offsets().tolist() == [[8.0, 25.5]]
    assert ax.get_title(loc="left") == picture.title
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        f"true error [%]: {SOURCE}",
        "estimated error [%]",
    )
    assert (*ax.get_xlim(), *ax.get_ylim()) == pytest.approx(picture.limits)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["on the front"]
    assert ax.figure.axes[1].get_ylabel() == "parameters"


def test_the_line_of_true_estimates():
    ax = draw_fidelity(fidelity_picture(sample(20, low=6, high=66)), Figure().subplots())
    (line,) = ax.lines
    assert np.array_equal(line.get_xdata(), line.get_ydata())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(ax.figure.axes) == 1
    far = RankFidelity(["a", "b", "c"], [50, 60, 70], [5, 6, 7], "a table")
    ax = draw_fidelity(fidelity_picture(far), Figure().subplots())
    assert not ax.lines and ax.get_legend() is None


def test_a_run_gets_its_figure(folder):
    with pytest.raises(InputError, match="no fidelity.csv"):
        save_fidelity(folder)
    fidelity().write(folder.fidelity)
    path = save_fidelity(folder)
    assert path == folder.figures / "fidelity.png"
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG") and save_fidelity(folder).read_bytes() == first
    front = Front(NETWORKS[:2], ("error", "params"), np.ones((2, 2)), ("error", "params"))
    front.write(folder.front)
    assert save_fidelity(folder).read_bytes() != first


@pytest.mark.parametrize("k", [1, 2, 3, 400])
def test_figures_of_all_sizes(folder, k):
    long = "trained from scratch " * 12
    RankFidelity(
        [f"toy:{i}" for i in range(k)], np.full(k, 90.0), np.arange(k) / k, long.strip(),
        ("params",), np.ones((k, 1)),
    ).write(folder.fidelity)  # fmt: skip
    save_fidelity(folder)


def test_plot_draws_into_given_axes():
    ax = Figure().subplots()
    front = Front(NETWORKS[:2], ("error",), np.ones((2, 1)), ("error",))
    assert fidelity().plot(ax, front=front) is ax
    assert len(ax.collections) == 2


def test_records_need_neither_torch_nor_matplotlib_and_figures_no_pyplot(folder):
    fidelity().write(folder.fidelity)
    code = """
import sys
from evonas.analysis import RankFidelity
from evonas.runs import RunFolder
RankFidelity.load(sys.argv[1]).summary()
assert not {"torch", "matplotlib"} & set(sys.modules)
from evonas.analysis import save_fidelity
save_fidelity(RunFolder(sys.argv[1]))
assert not {"torch", "matplotlib.pyplot"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)
