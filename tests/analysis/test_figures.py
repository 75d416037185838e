"""The numbers that figures show, exactly; and that files of all shapes come out."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from evonas.analysis import Front, History, save_figures, save_front
from evonas.analysis.front_figure import draw_front, front_picture
from evonas.analysis.history_figure import history_picture
from evonas.errors import InputError
from evonas.runs import RunFolder


def front_of(n, *, n_obj=2, span=40.0, seed=0):
    rng = np.random.default_rng(seed)
    params = np.round(25_000 * span ** np.sort(rng.random(n)))
    error = 4 + 40 * np.exp(-np.linspace(0, 3, n)) + rng.random(n) / 10
    macs = np.round(params * (40 + 30 * rng.random(n)))
    values = np.column_stack([error, params, macs])
    objectives = ["error", "params", "macs"][:n_obj]
    networks = [f"macro:{i:08d}" for i in range(n)]
    return Front.from_arrays(
        networks,
        values,
        columns=["error", "params", "macs"],
        objectives=objectives,
        name="cifar10-params-20261121-231500",
    )


def history_of(n):
    rng = np.random.default_rng(1)
    volume = np.maximum.accumulate(0.85 - 0.4 * np.exp(-np.arange(n) / 5) + rng.random(n) / 100)
    return History(np.arange(n) + 1, 20 * (np.arange(n) + 1), volume, np.arange(n) * 1.5, "toy")


def test_two_objectives():
    values = [[40, 100], [30, 150], [30, 160], [20, 300], [5, 1000]]
    networks = tuple(f"n{i}" for i in range(5))
    front = Front(networks, ("error", "params"), np.array(values), ("error", "params"), "toy")
    picture = front_picture(front)
    assert picture.names == ("params", "error") and picture.colour is None
    assert picture.x.tolist() == [100, 150, 160, 300, 1000]
    assert picture.y.tolist() == [40, 30, 30, 20, 5]
    assert picture.stairs.tolist() == [[100, 40], [150, 30], [300, 20], [1000, 5]]
    assert picture.log_x and picture.title == "toy · 5 networks on the front"
    assert picture.knee == front.knee()
    assert not front_picture(front.take([1, 2, 3, 4])).log_x
    assert front_picture(front.take([0, 1])).knee is None


def test_three_objectives_show_the_last_by_colour():
    front = front_of(30, n_obj=3)
    picture = front_picture(front)
    assert picture.names == ("params", "error", "macs")
    assert np.array_equal(picture.colour, front.column("macs"))


def test_objectives_in_any_order_and_of_any_name():
    front = Front(("a",), ("params", "macs", "error"), np.ones((1, 3)), ("params", "error"))
    assert front_picture(front).names == ("params", "error")
    front = Front(("a",), ("f1", "f2"), np.array([[1.0, 2.0]]), ("f1", "f2"))
    assert front_picture(front).names == ("f2", "f1")
    with pytest.raises(InputError, match="two objectives"):
        front_picture(Front(("a",), ("f1",), np.ones((1, 1)), ("f1",)))


def test_generations_without_hypervolume_are_left_out():
    history = History([1, 2, 3], [8, 16, 24], [0.1, np.nan, 0.3], [1, 2, 3], "toy")
    picture = history_picture(history)
    assert picture.evaluations.tolist() == [8, 24] and picture.hypervolume.tolist() == [0.1, 0.3]
    assert picture.title == "toy · 3 generations"


@pytest.mark.parametrize("n", [0, 1, 2, 12, 300])
@pytest.mark.parametrize("n_obj", [2, 3])
def test_fronts_of_all_sizes(tmp_path, n, n_obj):
    save_front(front_of(n, n_obj=n_obj), tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_drawn_is_the_picture():
    front = front_of(12)
    ax = draw_front(front_picture(front), Figure().subplots())
    dots = ax.collections[1].get_offsets()
    assert np.array_equal(np.asarray(dots), front.F[:, ::-1])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parameters", "validation error [%]")
    assert ax.get_xscale() == "log"


def test_a_run_gets_both_figures_from_its_tables(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    with pytest.raises(InputError, match="no front.csv yet"):
        save_figures(folder)
    front_of(12).write(folder.front)
    history_of(15).write(folder.history)
    first = [path.read_bytes() for path in save_figures(folder)]
    assert sorted(p.name for p in folder.figures.iterdir()) == ["front.png", "hypervolume.png"]
    assert [path.read_bytes() for path in save_figures(folder)] == first
    History([], [], [], []).write(folder.history)
    save_figures(folder)


def test_saving_leaves_pyplot_alone(tmp_path):
    code = """
import sys
import numpy as np
from evonas.analysis import Front, save_front
save_front(Front(("a",), ("f1", "f2"), np.ones((1, 2)), ("f1", "f2")), sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


def test_plot_draws_into_given_axes_or_new_ones():
    ax = Figure().subplots()
    assert front_of(5).plot(ax) is ax and history_of(5).plot(Figure().subplots()) is not ax
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = history_of(5).plot()
    assert plt.gcf() is ax.figure
    plt.close("all")
