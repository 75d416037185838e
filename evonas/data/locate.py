"""Where data lies: the folder the user named, else the user's cache, filled by a download."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock

from evonas.errors import InputError

VARIABLE = "EVONAS_DATA"
HOW_TO_NAME = f"name a folder that holds it with --data-dir or {VARIABLE}"
# Seconds without a byte after which a server counts as absent.
PATIENCE = 10.0


def named_folder(data_dir: str | Path | None) -> Path | None:
    """The folder the user named: the argument, else the environment variable EVONAS_DATA.

    Returns:
        The folder, or None where neither names one. It is never created.

    Raises:
        InputError: if the folder named does not exist or is none.
    """
    value, said_by = data_dir, "--data-dir"
    if value is None:
        value, said_by = os.environ.get(VARIABLE) or None, VARIABLE
    if value is None:
        return None
    folder = Path(value).expanduser()
    if not os.path.exists(folder):
        raise InputError(
            f"the data folder {folder} (from {said_by}) does not exist; name one that does"
        )
    if not os.path.isdir(folder):
        raise InputError(f"{folder} (from {said_by}) is not a folder; name the folder of the data")
    return folder


def cache_folder() -> Path:
    """The user's cache for downloads: $XDG_CACHE_HOME/evonas, else ~/.cache/evonas."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "evonas"


def read_bytes(path: Path) -> bytes:
    """A whole file.

    Raises:
        InputError: if it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; put the complete data set there") from None
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); make it readable") from None


def verify(content: bytes, md5: str, path: Path) -> None:
    """Compare content with its published MD5 sum.

    Raises:
        InputError: if they differ; the message names the file.
    """
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise InputError(
            f"{path} is damaged or incomplete (its MD5 sum is not the published one); "
            "replace it by a fresh copy"
        )


def downloaded(name: str, entry: str, fetch: Callable[[Path], None]) -> Path:
    """The cache folder with `entry` in it, downloaded first where it is not there yet.

    The download goes to a temporary folder beside it and is renamed when complete, so an
    interrupted one leaves nothing that a later run would read; a lock keeps two runs from
    downloading at once.

    Args:
        name: the data set, for messages.
        entry: the folder inside the cache that the data set becomes.
        fetch: downloads and unpacks into the folder given; must create `entry` there.

    Raises:
        InputError: if the download fails: no network, no space, a wrong MD5 sum.
    """
    cache = cache_folder()
    if (cache / entry).is_dir():
        return cache
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{entry}.lock"):
            for stale in cache.glob(f".{entry}-*"):  # left by a killed process; we hold the lock
                shutil.rmtree(stale, ignore_errors=True)
            if not (cache / entry).is_dir():
                with (
                    tempfile.TemporaryDirectory(prefix=f".{entry}-", dir=cache) as fresh,
                    _patience(PATIENCE),
                ):
                    fetch(Path(fresh))
                    os.replace(Path(fresh) / entry, cache / entry)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise InputError(f"cannot download {name} ({reason}); {HOW_TO_NAME}") from error
    return cache


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Let sockets time out: torchvision passes no timeout and would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
