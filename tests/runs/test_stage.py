"""Stages run in order, once each, and stop where they are asked to."""

import json

import pytest

from evonas.errors import InputError
from evonas.runs import Context, Interrupt, RunFolder, Stage, open_progress, run_stages
from evonas.runs.stage import read_states


class Writes:
    """Writes one file; may ask for a stop, before or after."""

    def __init__(self, name, *, before=None, after=None):
        self.name, self.before, self.after, self.runs = name, before, after, 0

    def done(self, run):
        return (run.path / self.name).exists()

    def run(self, context):
        self.runs += 1
        if self.before:
            self.before()
            return
        (context.folder.path / self.name).write_text("")
        if self.after:
            self.after()


@pytest.fixture
def stop():
    return Interrupt()


@pytest.fixture
def context(tmp_path, stop):
    return Context(RunFolder(tmp_path), None, open_progress(quiet=True), stop)


def states(context):
    return {name: state["state"] for name, state in read_states(context.folder).items()}


def test_each_runs_once(context):
    stages = [Writes("supernet"), Writes("search")]
    assert all(isinstance(stage, Stage) for stage in stages)
    outcome = run_stages(stages, context)
    assert (outcome.ran, outcome.skipped, outcome.stopped) == (("supernet", "search"), (), None)
    seconds = read_states(context.folder)["search"]["seconds"]
    outcome = run_stages(stages, context)
    assert (outcome.ran, outcome.skipped) == ((), ("supernet", "search"))
    assert [stage.runs for stage in stages] == [1, 1]
    assert read_states(context.folder)["search"] == {"state": "done", "seconds": seconds}


def test_a_stop_within_a_stage(context, stop):
    stages = [Writes("supernet", before=stop.set), Writes("search")]
    assert run_stages(stages, context).stopped == "supernet"
    assert states(context) == {"supernet": "stopped", "search": "waiting"}


def test_seconds_are_those_of_all_processes(context, stop):
    def took(seconds, stage):
        context.folder.stages.write_text(json.dumps({"search": {"state": "?", "seconds": seconds}}))
        run_stages([stage], context)
        return read_states(context.folder)["search"]

    def fail():
        raise InputError("killed")

    with pytest.raises(InputError):
        took(50, Writes("search", before=fail))
    assert read_states(context.folder)["search"] == {"state": "running", "seconds": 50}
    assert 100 <= took(100, Writes("search"))["seconds"] < 110
    assert took(150, Writes("search")) == {"state": "done", "seconds": 150}  # not run any more
    (context.folder.path / "search").unlink()
    # Those of a stage that waits for another one are kept, too.
    context.folder.stages.write_text(json.dumps({"report": {"state": "done", "seconds": 70}}))
    with pytest.raises(InputError):
        run_stages([Writes("search", before=fail), Writes("report")], context)
    assert read_states(context.folder)["report"] == {"state": "waiting", "seconds": 70}
    stopped = took(200, Writes("search", before=stop.set))
    assert stopped["state"] == "stopped" and 200 <= stopped["seconds"] < 210


def test_a_stop_as_a_stage_ends(context, stop):
    outcome = run_stages([Writes("supernet", after=stop.set), Writes("search")], context)
    assert outcome.ran == ("supernet",) and outcome.stopped == "search"
    assert states(context) == {"supernet": "done", "search": "waiting"}


def test_work_that_became_stale_is_done_again(context):
    report = Writes("report")
    run_stages([report], context)
    stale = Writes("search", after=lambda: (context.folder.path / "report").unlink())
    assert run_stages([stale, report], context).ran == ("search", "report")


def test_a_stage_that_fails_says_running_and_a_lazy_one_is_an_error(context):
    def fail():
        raise InputError("nothing there; look again")

    with pytest.raises(InputError):
        run_stages([Writes("data", before=fail)], context)
    assert states(context) == {"data": "running"}
    with pytest.raises(RuntimeError, match="'data' ended without being done"):
        run_stages([Writes("data", before=lambda: None)], context)
    with pytest.raises(ValueError, match="different names"):
        run_stages([Writes("a"), Writes("a")], context)


def test_broken_states_are_an_error(context):
    for text in ("{", "[]", json.dumps({"a": 3})):
        context.folder.stages.write_text(text)
        with pytest.raises(InputError, match="stages.json is broken"):
            read_states(context.folder)
