"""A bar on a terminal, lines without one, nothing when quiet, and always the log."""

import io

import pytest

from evonas.runs import open_progress
from evonas.runs.progress import (
    LineProgress,
    QuietProgress,
    RichProgress,
    describe,
    format_seconds,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_display_that_fits(tmp_path):
    assert type(open_progress(stream=io.StringIO())) is LineProgress
    assert type(open_progress(stream=Terminal())) is RichProgress
    assert type(open_progress(stream=Terminal(), quiet=True)) is QuietProgress


def test_lines_every_ten_seconds_and_at_the_end(tmp_path):
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(tmp_path / "log.txt", stream, clock=clock)
    with progress.stage("search", 100, "networks", done=40) as step:
        for _ in range(6):
            clock.now += 4
            step.advance(10, hypervolume=0.81234567, members=7)
    progress.say("the front has 7 networks")
    expected = [
        "search: 40/100 networks already done",
        "search: 70/100 networks, 2.5 networks/s, 0:12 left, hypervolume 0.8123, members 7",
        "search: 100/100 networks, 2.5 networks/s, hypervolume 0.8123, members 7",
        "search: done in 0:24, 100/100 networks, 2.5 networks/s, hypervolume 0.8123, members 7",
        "the front has 7 networks",
    ]
    assert stream.getvalue().splitlines() == expected
    # Each line of the log begins with a time of 19 characters and a space.
    logged = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[20:] for line in logged] == expected
    assert logged[0][4] == "-" and logged[0][13] == ":"


def test_time_left_knows_that_later_steps_take_longer():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(None, stream, clock=clock)
    with progress.stage("supernet", 40, "steps", work=lambda n: n + max(0, n - 20)) as step:
        for seconds in (10, 20, 20):
            clock.now += seconds
            step.advance(10)
        step.advance(10)
    lines = stream.getvalue().splitlines()
    assert lines[1] == "supernet: 10/40 steps, 1 steps/s, 0:50 left"
    # 40 of 60 units of work took 50 s, so the 20 that are left take 25 s
    assert lines[3] == "supernet: 30/40 steps, 0.6 steps/s, 0:25 left"


def test_stopped_and_broken_off():
    stream = io.StringIO()
    progress = open_progress(stream=stream)
    with progress.stage("supernet", 5, "epochs") as step:
        step.advance()
    with pytest.raises(KeyError), progress.stage("search", 5, "networks"):
        raise KeyError
    text = stream.getvalue()
    assert "supernet: stopped in 0:00, 1/5 epochs" in text
    assert "search: broken off at 0/5 networks" in text


def test_quiet_shows_nothing_and_logs(tmp_path, capfd):
    progress = open_progress(tmp_path / "log.txt", quiet=True)
    with progress.stage("search", 2, "networks") as step:
        step.advance(2)
    progress.say("done")
    assert capfd.readouterr() == ("", "")
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 3


def test_a_bar_on_a_terminal(tmp_path):
    stream = Terminal()
    progress = RichProgress(tmp_path / "log.txt", stream)
    with progress.stage("search", 20, "networks") as step:
        step.advance(20, loss=1.5)
        progress.say("a [new] best")
    assert "20/20 networks" in stream.getvalue() and "loss 1.5" in stream.getvalue()
    assert "a [new] best" in stream.getvalue()
    log = (tmp_path / "log.txt").read_text()
    assert "search: done" in log and "\x1b" not in log


def test_descriptions():
    assert describe(3, 9, "epochs", rate=None, numbers={}) == "3/9 epochs"
    assert describe(9, 9, "steps", rate=1234.5, numbers={}) == "9/9 steps, 1234 steps/s"
    assert [format_seconds(s) for s in (0.4, 65, 7265)] == ["0:00", "1:05", "2:01:05"]
