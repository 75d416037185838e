"""Files that are whole or not there: a temporary name in the same folder, fsync, rename."""

import contextlib
import errno
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evonas.errors import InputError

# Networks that are trained at once write their files from threads of their own.
_ASKING = threading.Lock()

# Characters of a text that a file name begins with.
LONGEST_STEM = 80

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def cannot_write(path: Path, error: OSError) -> InputError:
    """The one-line error for a file that could not be written.

    Args:
        path: the file that was to be written.
        error: what the operating system said.
    """
    if error.errno in _FULL:
        return InputError(
            f"{_FULL[error.errno]}: {path} could not be written and what was there before is "
            f"unchanged; free some space in {path.parent}, then go on with --resume"
        )
    reason = error.strerror or str(error)
    return InputError(
        f"cannot write {path} ({reason}); make {path.parent} writable or choose another folder"
    )


def make_folder(folder: Path) -> None:
    """Make a folder, and a file in it that goes again: before work whose result it is to hold.

    Raises:
        InputError: the disk is full, the folder cannot be made or written, or it is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder} is a file, or in one; give a folder") from None
    except OSError as error:
        raise cannot_write(folder / "*", error) from error


def file_stem(text: str) -> str:
    """Any text, such as a network's, as the readable beginning of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:LONGEST_STEM].strip("-")


def write_fully(descriptor: int, data: bytes) -> None:
    """Write all of `data`; one `os.write` may take only the part that still fits the disk."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of `path` when the block ends well.

    For writers that want a file name of their own (safetensors, matplotlib). The temporary file
    keeps the suffix, is flushed to the disk, and is removed when anything goes wrong, so that
    readers see the old file or the new one and never a part.

    Raises:
        InputError: the disk is full or the folder cannot be written; `path` is unchanged.
    """
    path = Path(path)
    try:
        descriptor, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a run is to be read by whom the umask allows.
        temporary.chmod(0o666 & ~_umask())
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes_atomic(path: Path | str, data: bytes) -> None:
    """Write `data` to `path` so that a crash leaves the old file or the new one.

    Raises:
        InputError: the disk is full or the folder cannot be written; `path` is unchanged.
    """
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_TRUNC)
        try:
            write_fully(descriptor, data)
        finally:
            os.close(descriptor)


def write_text_atomic(path: Path | str, text: str) -> None:
    """`write_bytes_atomic` of `text` as UTF-8, line ends as they are."""
    write_bytes_atomic(path, text.encode())


def write_json_atomic(path: Path | str, value: Any) -> None:
    """`write_text_atomic` of `value` as indented JSON; keys keep their order, NaN is refused.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON has no word for.
    """
    write_text_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The only way to read it is to set it: a second reader meanwhile would find what the first one
    # has set, and leave that behind.
    with _ASKING:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
