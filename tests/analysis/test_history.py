"""A history: from a journal, in a file, as a frame."""

import numpy as np
import pytest

from evonas.analysis import History
from evonas.errors import InputError
from evonas.runs import RunFolder
from evonas.runs.records import Generation, Search


def generation(number, evaluations, hypervolume, seconds):
    return Generation(number, [], {}, [], evaluations, hypervolume, seconds)


@pytest.fixture
def history():
    first = Search(1, 40, ("error", "params"))
    first.generations = [generation(1, 20, 0.5, 1.25), generation(2, None, None, None)]
    second = Search(2, 40, ("error", "params"), restart=True)
    second.generations = [generation(1, 25, None, 1.0), generation(2, 40, 0.75, 2.5)]
    return History.from_searches([first, second], name="toy")


def test_a_restart_goes_on_counting(history):
    assert history.generation.tolist() == [1, 2, 3]
    assert history.evaluations.tolist() == [20, 25, 40]
    assert np.array_equal(history.hypervolume, [0.5, np.nan, 0.75], equal_nan=True)
    assert history.seconds.tolist() == [1.25, 2.25, 3.75]
    assert len(history) == 3 and len(History.from_searches([])) == 0


def test_the_file(tmp_path, history):
    history.write(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text() == (
        "generation,evaluations,hypervolume,seconds\n1,20,0.5,1.25\n2,25,,2.25\n3,40,0.75,3.75\n"
    )
    back = History.load(tmp_path / "history.csv")
    for name in ("generation", "evaluations", "hypervolume", "seconds"):
        assert np.array_equal(
            getattr(back, name), getattr(history, name), equal_nan=name == "hypervolume"
        )
    frame = history.to_frame()
    assert frame["evaluations"].tolist() == [20, 25, 40]
    assert frame["evaluations"].dtype == np.int64


def test_loading_a_run(tmp_path, history):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    with pytest.raises(InputError, match="no history.csv yet"):
        History.load(folder.path)
    history.write(folder.history)
    assert History.load(folder.path).name == folder.name
    folder.history.write_text("generation,evaluations\n1,20\n")
    with pytest.raises(InputError, match="no column 'hypervolume'"):
        History.load(folder.path)
