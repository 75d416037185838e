"""Looking at a run while another process is at work on it."""

import sys
import time
from pathlib import Path
from typing import TextIO

from evonas.errors import InputError
from evonas.runs.status import RunStatus, read_status

INTERVAL, LONGEST = 2.0, 3600  # seconds between two looks: by default, and at most


def watch(
    path: Path | str, *, interval: float = INTERVAL, stream: TextIO | None = None
) -> RunStatus:
    """Show how a run stands until no process holds it any more.

    In a terminal the lines are written over each other; elsewhere they are written whenever they
    have changed.

    Args:
        path: the run folder.
        interval: seconds between two looks.
        stream: where to write; standard output by default.

    Returns:
        How the run stands in the end.

    Raises:
        InputError: `path` is no run folder, its journal is broken, or the interval is not above 0
            or longer than an hour.
    """
    if not 0 < interval <= LONGEST:
        raise InputError(f"the interval is {interval:g} seconds; give up to {LONGEST}, above 0")
    stream = stream or sys.stdout
    status = read_status(path)
    if not stream.isatty():
        return _in_lines(path, status, interval, stream)
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text(str(status)), console=Console(file=stream), auto_refresh=False) as live:
        while status.locked:
            time.sleep(interval)
            status = read_status(path)
            live.update(Text(str(status)), refresh=True)
    return status


def _in_lines(path: Path | str, status: RunStatus, interval: float, stream: TextIO) -> RunStatus:
    print(status, file=stream, flush=True)
    told = str(status)
    while status.locked:
        time.sleep(interval)
        status = read_status(path)
        if str(status) != told:
            told = str(status)
            print(f"\n{status}", file=stream, flush=True)
    return status
