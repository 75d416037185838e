"""The interface of a stage, and the loop that runs stages in order."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from evonas.atomic import write_json_atomic
from evonas.errors import InputError
from evonas.runs.folder import RunFolder
from evonas.runs.progress import Progress


def never() -> bool:
    """The stop flag of a run that nobody stops."""
    return False


@dataclass(frozen=True)
class Context:
    """What a stage is given.

    Attributes:
        folder: the run.
        config: its resolved settings; this package does not look inside.
        progress: where to say how far things are.
        stop: whether to end at the next good point, after the batch.
    """

    folder: RunFolder
    config: Any
    progress: Progress
    stop: Callable[[], bool] = never


@runtime_checkable
class Stage(Protocol):
    """A part of a run, such as training the supernet or the search.

    A stage can be killed at any moment and run again: what it wrote is whole, and it goes on from
    there to the same result.
    """

    @property
    def name(self) -> str:
        """A word for displays and `stages.json`."""

    def done(self, run: RunFolder) -> bool:
        """Whether the folder holds all that this stage makes; reads only, and quickly."""

    def run(self, context: Context) -> None:
        """Do it, or the rest of it; returns early where `context.stop()`."""


@dataclass(frozen=True)
class StagesOutcome:
    """What `run_stages` did.

    Attributes:
        ran: names of the stages that ran to their end.
        skipped: names of those that were done before.
        stopped: name of the stage at which the stop flag ended the run; None if it did not.
    """

    ran: tuple[str, ...]
    skipped: tuple[str, ...]
    stopped: str | None


def read_states(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """What `stages.json` says: by stage, `state` and, where it ran, `seconds`; {} without one.

    Seconds are those of all processes that ran the stage to its end or were asked to stop.

    Raises:
        InputError: the file is there and broken.
    """
    if not folder.stages.is_file():
        return {}
    try:
        states = json.loads(folder.stages.read_text())
        return {str(name): dict(state) for name, state in states.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder.stages} is broken; delete it: it only informs") from error


def run_stages(stages: Sequence[Stage], context: Context) -> StagesOutcome:
    """Run what is not done yet, in order; keeps `stages.json` up to date.

    Raises:
        RuntimeError: a stage returned without being done although nobody asked it to stop.
    """
    folder = context.folder
    names = [stage.name for stage in stages]
    if len(set(names)) != len(names):
        raise ValueError(f"stages need different names, not {names}")
    before = read_states(folder)
    states = {name: before.get(name, {}) | {"state": "waiting"} for name in names}
    ran: list[str] = []
    skipped: list[str] = []
    for stage in stages:
        # Asked only now: what a stage before it wrote may have made this one's work stale.
        if stage.done(folder):
            states[stage.name]["state"] = "done"
            skipped.append(stage.name)
            continue
        if context.stop():
            write_json_atomic(folder.stages, states)
            return StagesOutcome(tuple(ran), tuple(skipped), stage.name)
        # A process that is killed loses its own seconds, and not those before.
        states[stage.name]["state"] = "running"
        write_json_atomic(folder.stages, states)
        start = time.perf_counter() - states[stage.name].get("seconds", 0.0)
        stage.run(context)
        seconds = round(time.perf_counter() - start, 3)
        if not stage.done(folder):
            if not context.stop():
                raise RuntimeError(f"stage '{stage.name}' ended without being done")
            states[stage.name] = {"state": "stopped", "seconds": seconds}
            write_json_atomic(folder.stages, states)
            return StagesOutcome(tuple(ran), tuple(skipped), stage.name)
        states[stage.name] = {"state": "done", "seconds": seconds}
        ran.append(stage.name)
        write_json_atomic(folder.stages, states)
    write_json_atomic(folder.stages, states)
    return StagesOutcome(tuple(ran), tuple(skipped), None)
