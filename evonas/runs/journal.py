"""The journal: lines of JSON, appended and flushed; the checkpoint of a search.

What the lines mean is in `evonas.runs.records`; here they are only kept safe.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evonas.atomic import cannot_write, write_fully
from evonas.errors import InputError


def read_lines(path: Path | str) -> tuple[list[dict[str, Any]], int]:
    """The journal's lines, and the length in bytes of its good part.

    A process killed while writing leaves a torn last line: one without a line end, or one that is
    no JSON object. It is left out, and the good part ends before it. A missing file is an empty
    journal. Floats come back exactly as they were written.

    Raises:
        InputError: a line that is not the last is broken; names its number.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    lines: list[dict[str, Any]] = []
    good = 0
    whole, _, _ = data.rpartition(b"\n")
    raw = whole.split(b"\n") if whole else []
    for number, line in enumerate(raw, start=1):
        value = _parse(line)
        if value is None:
            if number == len(raw) and good + len(line) + 1 == len(data):
                break
            raise InputError(
                f"line {number} of {path} is broken; restore the file from a copy, "
                "or delete that line and all below it to search on from there"
            )
        lines.append(value)
        good += len(line) + 1
    return lines, good


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Journal:
    """Append-only access to a journal file, for one writer.

    Opening it cuts off a torn last line. Use as a context manager, inside the run's lock.

    Args:
        path: the file; made if it is missing.

    Attributes:
        lines: all whole lines, those appended since included.

    Raises:
        InputError: a broken line that is not the last, or the file cannot be written.
    """

    def __init__(self, path: Path | str) -> None:  # noqa: D107
        self.path = Path(path)
        self.lines, self._end = read_lines(self.path)
        try:
            self._descriptor: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            if os.fstat(self._descriptor).st_size != self._end:
                os.ftruncate(self._descriptor, self._end)
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write lines in one go and flush them to the disk.

        Raises:
            InputError: the disk is full; none of the lines is in the file then.
            ValueError: a line holds NaN or an infinity.
        """
        if self._descriptor is None:
            raise ValueError(f"the journal {self.path} is closed")
        # allow_nan=False: a NaN objective must stop the run before it reaches a file.
        new = [dict(line) for line in lines]
        text = "".join(
            json.dumps(line, allow_nan=False, separators=(", ", ": ")) + "\n" for line in new
        )
        data = text.encode()
        try:
            write_fully(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._end)
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            raise cannot_write(self.path, error) from error
        self._end += len(data)
        self.lines += new

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
