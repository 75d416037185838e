"""How distributions moved: read from a run, drawn."""

import json

import numpy as np
import pytest

from evonas.analysis import Distributions, Front, History, save_distributions
from evonas.analysis.figures import save_figures
from evonas.config import RunConfig
from evonas.errors import InputError
from evonas.run import run


@pytest.fixture(scope="module")
def done(data_dir, tmp_path_factory):
    config = RunConfig(
        problem="nasbench-macro-params", algorithm="multi-distribution", distributions=3,
        evaluations=60, data_dir=str(data_dir), runs=str(tmp_path_factory.mktemp("runs")),
    )  # fmt: skip
    return run(config, quiet=True)


def test_a_run_keeps_them(done):
    history = Distributions.load(done.folder.path)
    generations = History.load(done.folder.path)
    assert history.probabilities.shape == (len(generations), 3, 8, 3)
    np.testing.assert_allclose(history.probabilities[0], 1 / 3)
    np.testing.assert_allclose(history.probabilities.sum(axis=3), 1)
    assert history.at.tolist() == [0, *generations.evaluations[:-1].tolist()]
    assert (history.probabilities[-1].max(axis=2) > 0.5).mean() > 0.5
    with pytest.raises(ValueError):
        history.probabilities[0] = 0


def test_a_history_has_columns_for_each_distribution(done):
    history = History.load(done.folder.path)
    names = [f"{n}_{m}" for n in ("effective_samples", "entropy", "step") for m in (1, 2, 3)]
    assert list(history.details) == names
    assert history.details["effective_samples_2"][0] == pytest.approx(
        18
    )  # six samples of each make a pool of 20
    # the last evaluations are looked up, and teach nothing
    assert np.isnan(history.details["step_1"][-1])
    frame = history.to_frame()
    assert list(frame)[4:] == names
    header, *lines = done.folder.history.read_text().splitlines()
    assert header.split(",")[4:] == names and lines[-1].endswith(",,")
    again = done.folder.path / "again.csv"
    history.write(again)
    assert again.read_bytes() == done.folder.history.read_bytes()


def test_the_figure_is_drawn_with_the_others(done):
    drawn = {path.name for path in save_figures(done.folder)}
    assert drawn == {"front.png", "hypervolume.png", "distributions.png"}
    first = (done.folder.figures / "distributions.png").read_bytes()
    save_distributions(
        Distributions.load(done.folder.path), done.folder.figures / "distributions.png"
    )
    assert (done.folder.figures / "distributions.png").read_bytes() == first


@pytest.mark.parametrize("M, genes", [(1, 2), (9, 40)])
def test_other_sizes_are_drawn(M, genes, tmp_path):
    p = np.full((2, M, genes, 9), 1 / 9)
    save_distributions(Distributions([0, 20], p), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_plots_into_a_figure_of_pyplot():
    import matplotlib.pyplot as plt

    ax = Distributions([0], np.full((1, 2, 3, 2), 0.5), "toy").plot()
    assert plt.gcf() is ax.figure
    assert [t.get_text() for t in ax.texts if "distribution" in t.get_text()] == [
        "distribution 1",
        "distribution 2",
    ]
    plt.close("all")


def test_other_arrays_and_other_runs_are_refused(done, tmp_path):
    with pytest.raises(InputError, match="do not fit"):
        Distributions([0, 1], np.ones((1, 2, 3, 2)))
    lines = [json.loads(line) for line in done.folder.journal.read_text().splitlines()]
    for line in lines:
        line.pop("state", None)
    from evonas.runs import read_searches

    with pytest.raises(InputError, match="--algorithm multi-distribution"):
        Distributions.from_searches(read_searches(lines, "journal"))


def test_a_run_has_a_table_of_its_architectures(done):
    path = done.folder.architectures
    rows = Front.load(path, objectives=("error", "params"))
    assert rows.columns == ("error", "params", "macs", "error_per_params") and len(rows) == 3
    problem = done.problem()
    X = np.array([problem.space.encode(text) for text in rows.networks])
    np.testing.assert_array_equal(rows.F, problem.evaluate(X, return_values_of="F"))
    assert (np.diff(rows.column("error_per_params")) > 0).all()
    before = path.read_bytes()
    path.unlink()
    run(resume=done.folder.path, quiet=True)
    assert path.read_bytes() == before
