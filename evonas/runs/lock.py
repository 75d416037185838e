"""One process writes a run at a time."""

import contextlib
from collections.abc import Iterator

from filelock import FileLock, Timeout

from evonas.atomic import cannot_write
from evonas.errors import InputError
from evonas.runs.folder import RunFolder

# `is_locked` holds the lock for an instant; a run that starts in that instant must not be refused.
_PATIENCE = 1.0


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Hold the run for the length of the block; the system lets go if the process dies.

    Raises:
        InputError: another process (or another block of this one) holds it, or it is not there.
    """
    if not folder.path.is_dir():
        # The lock library would make the folder: a wrong path must not become a run.
        raise InputError(f"there is no run folder {folder.path}; check the path")
    lock = FileLock(folder.lock, timeout=_PATIENCE, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{folder.path} is in use by another process; wait until it ends or stop it, "
            "or start a new run"
        ) from error
    except OSError as error:
        raise cannot_write(folder.lock, error) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: RunFolder) -> bool:
    """Whether a running process holds the run; False where no process could (no lock file)."""
    if not folder.lock.exists():
        return False
    lock = FileLock(folder.lock, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        # A folder or disk that may only be read: nobody with these rights can be writing it.
        return False
    lock.release()
    return False
