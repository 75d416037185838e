"""The processes in which a cluster works."""

import os
from pathlib import Path


def processes_of(what: str, under: int | None = None) -> list[int]:
    """Descendants of a process whose command line holds a text.

    Args:
        what: the text.
        under: the process; by default this one.
    """
    ancestor = os.getpid() if under is None else under
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if not folder.name.isdigit():
                continue
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            if what.encode() in command:
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if ancestor in _ancestors(pid)]


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is more than the record of its end."""
    try:
        return _status(pid)[0] != "Z"
    except OSError:
        return False


def _ancestors(pid: int) -> set[int]:
    above = set()
    try:
        while pid > 1:
            pid = int(_status(pid)[1])
            above.add(pid)
    except OSError:
        pass
    return above


def _status(pid: int) -> list[str]:
    """State, parent, and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
