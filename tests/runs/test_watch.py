"""Looking at a run again and again, until the process that holds it lets go."""

import io
import threading
import time

import pytest

from evonas.errors import InputError
from evonas.runs import RunFolder, locked, watch


def test_lines_are_written_when_they_change(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    held, go = threading.Event(), threading.Event()

    def work():
        with locked(folder):
            held.set()
            go.wait(30)

    worker = threading.Thread(target=work)
    worker.start()
    held.wait(30)
    stream, done = io.StringIO(), []
    watcher = threading.Thread(
        target=lambda: done.append(watch(folder.path, interval=0.02, stream=stream))
    )
    watcher.start()
    while ": running" not in stream.getvalue():
        time.sleep(0.01)
    time.sleep(0.2)  # it looks ten times, and says nothing new
    go.set()
    worker.join(30)
    watcher.join(30)
    said = stream.getvalue()
    assert said.count(": running") == 1 and said.count(": not finished") == 1
    assert not done[0].locked


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan"), 3601])
def test_intervals_that_are_none(tmp_path, interval):
    with pytest.raises(InputError, match="give up to 3600, above 0"):
        watch(tmp_path, interval=interval)
