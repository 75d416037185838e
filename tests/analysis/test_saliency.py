"""The record of a saliency table, its file and its figure."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from evonas.analysis import Saliency, save_saliency
from evonas.analysis.choices_figure import draw_saliency
from evonas.errors import InputError
from evonas.runs import RunFolder

LABELS = (("identity", "conv"), ("identity", "conv", "pool"))
VALUES = np.array([[0.1, -0.2, np.nan], [1 / 3, 0.0, 2.5e-7]])


def table(name=""):
    return Saliency(VALUES, LABELS, name)


def test_write_and_load(tmp_path):
    path = tmp_path / "saliency.csv"
    table().write(path)
    assert path.read_text().splitlines()[:2] == [
        "operation,gene,choice,saliency",
        "identity,0,0,0.1",
    ]
    loaded = Saliency.load(path)
    np.testing.assert_array_equal(loaded.values, VALUES)
    assert loaded.labels == (("identity", "conv", ""), ("identity", "conv", "pool"))
    assert not loaded.values.flags.writeable


def test_rows_may_come_in_any_order(tmp_path):
    path = tmp_path / "saliency.csv"
    table().write(path)
    first, *rows = path.read_text().splitlines()
    path.write_text("\n".join([first, *reversed(rows)]))
    np.testing.assert_array_equal(Saliency.load(path).values, VALUES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("conv,0.5,1,1", "names a gene or choice that is none"),
        ("conv,-1,1,1", "names a gene or choice that is none"),
        ("conv,,1,1", "names a gene or choice that is none"),
        ("conv,0,1,1", "two rows for one choice"),
        ("conv,0,one,1", "no number"),
    ],
)
def test_a_broken_file(tmp_path, line, message):
    path = tmp_path / "saliency.csv"
    table().write(path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=message):
        Saliency.load(path)


def test_a_run_without_one(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    with pytest.raises(InputError, match="--mutation saliency"):
        Saliency.load(folder.path)


def test_shapes_that_do_not_fit():
    for values, labels in ((VALUES[0], LABELS), (VALUES[:, :2], LABELS), (VALUES, LABELS[:1])):
        with pytest.raises(InputError):
            Saliency(values, labels)


def test_the_figure_shows_numbers_and_names(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    table().write(folder.saliency)
    path = save_saliency(folder)
    first = path.read_bytes()
    assert save_saliency(folder).read_bytes() == first
    ax = Figure().subplots()
    assert draw_saliency(table("toy"), ax) is ax and table().plot(Figure().subplots()) is not ax
    assert [t.get_text() for t in ax.get_xticklabels()] == ["identity", "conv", "pool"]
    assert sorted(t.get_text() for t in ax.texts) == ["-0.2", "0", "0.1", "0.33", "2.5e-07"]
    assert "toy" in ax.get_title(loc="left")


def test_columns_of_genes_with_other_choices_are_numbers():
    assert Saliency(VALUES, (("a", "b"), ("a", "c", "d"))).columns == ["a", "1", "d"]
