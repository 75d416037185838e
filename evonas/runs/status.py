"""How a run stands, read from its folder; no torch, and no evaluation."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from evonas.runs.folder import RunFolder
from evonas.runs.lock import is_locked
from evonas.runs.progress import format_seconds
from evonas.runs.records import Search, distinct_results, searches_of
from evonas.runs.stage import Stage, read_states


@dataclass(frozen=True)
class StageStatus:
    """One stage.

    Attributes:
        name: of the stage.
        state: "waiting", "running", "stopped" (asked to, or its process died) or "done".
        seconds: what it took in all processes where it ran to its end or was asked to stop; None if
            there are none.
    """

    name: str
    state: str
    seconds: float | None = None


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes:
        folder: the run's path.
        stages: in order; empty for a run that never began.
        evaluations: networks evaluated so far.
        trainings: of networks from scratch that have ended; None where none has.
        budget: evaluations that the search may spend; None before the search begins.
        front: members of the front so far that were evaluated and are feasible; None before.
        hypervolume: so far; None where unknown.
        last_activity: when something in the folder was last written; local time.
        locked: whether a running process holds the run.
        finished: whether every stage is done.
        command: resumes the run; None while it is running or when it is finished.
    """

    folder: Path
    stages: tuple[StageStatus, ...]
    evaluations: int
    trainings: int | None
    budget: int | None
    front: int | None
    hypervolume: float | None
    last_activity: datetime
    locked: bool
    finished: bool
    command: str | None

    @property
    def state(self) -> str:
        """In words: "running", "finished" or "not finished"."""
        return "running" if self.locked else "finished" if self.finished else "not finished"

    def __str__(self) -> str:
        """Lines for people."""
        lines = [f"{self.folder}: {self.state}"]
        if self.stages:
            lines.append("stages       " + ", ".join(_stage_text(stage) for stage in self.stages))
        if self.budget is not None:
            lines.append(f"evaluations  {self.evaluations} of {self.budget}")
        if self.trainings is not None:
            lines.append(f"trainings    {self.trainings} have ended")
        if self.front is not None:
            lines.append(f"front        {self.front} networks")
        if self.hypervolume is not None:
            lines.append(f"hypervolume  {self.hypervolume:.4f}")
        lines.append(f"last written {self.last_activity:%Y-%m-%d %H:%M:%S}")
        if self.command is not None:
            lines.append(f"go on with   {self.command}")
        return "\n".join(lines)


def read_status(path: Path | str, stages: Sequence[Stage] | None = None) -> RunStatus:
    """Read how a run stands.

    Args:
        path: the run folder.
        stages: the run's stages, if the caller has them: they are asked whether they are done.
            Otherwise `stages.json` is believed.

    Raises:
        InputError: `path` is no run folder, or its journal is broken.
    """
    folder = RunFolder.open(path)
    locked = is_locked(folder)
    searches = searches_of(folder)
    states = read_states(folder)
    if stages is not None:
        states = {
            stage.name: states.get(stage.name, {})
            | {"state": _asked(stage, folder, states.get(stage.name, {}).get("state"))}
            for stage in stages
        }
    told = tuple(
        StageStatus(
            name,
            # A process that died left "running" behind.
            "stopped" if state["state"] == "running" and not locked else state["state"],
            state.get("seconds"),
        )
        for name, state in states.items()
    )
    finished = bool(told) and all(stage.state == "done" for stage in told)
    closed = [g for s in searches[-1:] for g in s.generations if g.evaluations is not None]
    return RunStatus(
        folder=folder.path,
        stages=told,
        evaluations=_evaluations(searches),
        trainings=len(list(folder.trainings.glob("[!.]*.safetensors"))) or None,
        budget=searches[-1].evaluations if searches else None,
        front=_front_size(searches),
        hypervolume=closed[-1].hypervolume if closed else None,
        last_activity=_last_activity(folder),
        locked=locked,
        finished=finished,
        command=None if locked or finished else folder.resume_command,
    )


def _asked(stage: Stage, folder: RunFolder, told: str | None) -> str:
    if stage.done(folder):
        return "done"
    return "waiting" if told in (None, "done") else told


def _evaluations(searches: list[Search]) -> int:
    """As counted at the end of a generation; in a search's first one, by distinct networks."""
    closed = [g.evaluations for s in searches[-1:] for g in s.generations if g.evaluations]
    return closed[-1] if closed else len(distinct_results(searches))


def _front_size(searches: list[Search]) -> int | None:
    import numpy as np
    from moocore import is_nondominated

    F = np.array([r.objectives for r in distinct_results(searches) if r.feasible])
    if not searches:
        return None
    return int(is_nondominated(F, keep_weakly=True).sum()) if len(F) else 0


def _last_activity(folder: RunFolder) -> datetime:
    # The lock file and temporary names (hidden) say nothing about the run itself.
    times = []
    for file in folder.path.rglob("[!.]*"):
        with contextlib.suppress(FileNotFoundError):  # a run at work removes files, too
            if file.is_file():
                times.append(file.stat().st_mtime)
    return datetime.fromtimestamp(max(times, default=folder.path.stat().st_mtime))


def _stage_text(stage: StageStatus) -> str:
    took = "" if stage.seconds is None else f" ({format_seconds(stage.seconds)})"
    return f"{stage.name} {stage.state}{took}"
