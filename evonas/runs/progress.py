"""How far things are: a bar in a terminal, plain lines elsewhere, and always the run's log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from evonas.atomic import cannot_write

LINE_EVERY = 10.0
"""Seconds between two lines of a stage, where lines are written."""


Work = Callable[[int], float]


class Step(Protocol):
    """A stage under way."""

    def advance(self, n: int = 1, **numbers: float) -> None:
        """`n` more units are done; `numbers` (loss, hypervolume) are shown beside the bar."""

    def finish(self) -> None:
        """Nothing more will come, and that is all there was to do."""


class Progress(Protocol):
    """What stages tell how far they are."""

    def stage(
        self, name: str, total: int, unit: str, *, done: int = 0, work: Work = float
    ) -> AbstractContextManager[Step]:
        """A stage of `total` units (plural, such as "networks"), `done` of them before.

        `work` says how much work the first so many units are, in a measure of its own; by default
        all are alike. Time left is told by it.
        """

    def say(self, text: str) -> None:
        """One line of news."""


def open_progress(
    log: Path | str | None = None, *, quiet: bool = False, stream: TextIO | None = None
) -> Progress:
    """The display that fits: nothing if `quiet`, rich on a terminal, else plain lines.

    Args:
        log: file to which plain lines are appended in any case; None for no file.
        quiet: show nothing.
        stream: where to show it; standard error if None, so that results stay apart.
    """
    stream = stream or sys.stderr
    if quiet:
        return QuietProgress(log)
    return RichProgress(log, stream) if stream.isatty() else LineProgress(log, stream)


def describe(
    done: int,
    total: int,
    unit: str,
    *,
    rate: float | None,
    left: float | None = None,
    numbers: Mapping[str, float],
) -> str:
    """One line on a stage: how many of how many, units per second, time left, numbers.

    Args:
        done: units so far.
        total: units in all.
        unit: their name, plural.
        rate: units per second; None while unknown.
        left: seconds that the rest will take; None while unknown.
        numbers: values by name.
    """
    parts = [f"{done}/{total} {unit}"]
    if rate:
        parts += [f"{format_rate(rate)} {unit}/s"]
    if left is not None and done < total:
        parts += [f"{format_seconds(left)} left"]
    return ", ".join(parts + format_numbers(numbers))


def format_rate(rate: float) -> str:
    """Three digits, and whole numbers above a hundred."""
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"


def format_seconds(seconds: float) -> str:
    """`1:05` or `2:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_numbers(numbers: Mapping[str, float]) -> list[str]:
    """`name value`, with four digits."""
    return [
        f"{name} {value}" if isinstance(value, int) else f"{name} {value:.4g}"
        for name, value in numbers.items()
    ]


class _Meter:
    """Counts units and time; tells `show` after every advance."""

    def __init__(
        self,
        total: int,
        unit: str,
        done: int,
        work: Work,
        clock: Callable[[], float],
        show: Any,
    ) -> None:
        self.total, self.unit, self.done, self.before = total, unit, done, done
        self._work = work
        self.numbers: dict[str, float] = {}
        self._clock, self._show, self.start = clock, show, clock()

    def advance(self, n: int = 1, **numbers: float) -> None:
        self.done += n
        self.numbers |= numbers
        self._show(self)

    def finish(self) -> None:
        self.total = self.done

    @property
    def seconds(self) -> float:
        return self._clock() - self.start

    @property
    def rate(self) -> float | None:
        """Units per second of this process: what was done before is no measure of it."""
        new = self.done - self.before
        return new / self.seconds if new > 0 and self.seconds > 0 else None

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes at the pace of this process."""
        new = self._work(self.done) - self._work(self.before)
        if new <= 0 or self.seconds <= 0:
            return None
        return (self._work(self.total) - self._work(self.done)) * self.seconds / new

    @property
    def end(self) -> str:
        """As `text`, when nothing more will come."""
        return describe(self.done, self.total, self.unit, rate=self.rate, numbers=self.numbers)

    @property
    def text(self) -> str:
        return describe(
            self.done, self.total, self.unit, rate=self.rate, left=self.left, numbers=self.numbers
        )


class QuietProgress:
    """Shows nothing; keeps the log.

    Args:
        log: file to append to; None for no file.
        every: seconds between two lines of a stage.
        clock: seconds, growing.
    """

    def __init__(  # noqa: D107
        self,
        log: Path | str | None = None,
        *,
        every: float = LINE_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = None if log is None else Path(log)
        self._every, self._clock = every, clock

    @contextlib.contextmanager
    def stage(
        self, name: str, total: int, unit: str, *, done: int = 0, work: Work = float
    ) -> Iterator[Step]:
        """A stage; its last line says that it is done, or how far it came."""
        shown = self._clock()

        def show(meter: _Meter) -> None:
            nonlocal shown
            self._tick(meter)
            if self._clock() - shown >= self._every:
                shown = self._clock()
                self._line(f"{name}: {meter.text}")

        meter = _Meter(total, unit, done, work, self._clock, show)
        self._line(f"{name}: {done}/{total} {unit}" + (" already done" if done else ""))
        with self._showing(name, meter):
            try:
                yield meter
            except BaseException:
                self._line(f"{name}: broken off at {meter.text}")
                raise
        how = "done" if meter.done >= meter.total else "stopped"
        self._line(f"{name}: {how} in {format_seconds(meter.seconds)}, {meter.end}")

    def say(self, text: str) -> None:
        """One line of news."""
        self._line(text)

    def _line(self, text: str) -> None:
        """A line for the log, and for whoever is watching."""
        if self._log is None:
            return
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")
        except OSError as error:
            raise cannot_write(self._log, error) from error

    def _showing(self, name: str, meter: _Meter) -> AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def _tick(self, meter: _Meter) -> None:
        """After every advance; nothing to do without a display."""


class LineProgress(QuietProgress):
    """Plain lines, for logs and pipes.

    Args:
        log: file to append to; None for no file.
        stream: where the lines go.
        every: seconds between two lines of a stage.
        clock: seconds, growing.
    """

    def __init__(  # noqa: D107
        self,
        log: Path | str | None,
        stream: TextIO,
        *,
        every: float = LINE_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(log, every=every, clock=clock)
        self._stream = stream

    def _line(self, text: str) -> None:
        super()._line(text)
        self._stream.write(text + "\n")
        self._stream.flush()


class RichProgress(QuietProgress):
    """A bar with rate, time left and numbers, drawn by rich.

    Args:
        log: file to append to; None for no file.
        stream: the terminal.
        every: seconds between two lines in the log.
        clock: seconds, growing.
    """

    def __init__(  # noqa: D107
        self,
        log: Path | str | None,
        stream: TextIO,
        *,
        every: float = LINE_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(log, every=every, clock=clock)
        # rich is slow to import, and most programs that import this never show a bar.
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)
        self._bar: Any = None
        self._task: Any = None

    @contextlib.contextmanager
    def _showing(self, name: str, meter: _Meter) -> Iterator[None]:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(24),
            TextColumn("{task.fields[text]}"),
        )
        with Bars(*columns, console=self._console, refresh_per_second=4) as bar:
            self._bar = bar
            self._task = bar.add_task(
                name, total=meter.total, completed=meter.done, text=meter.text
            )
            try:
                yield
            finally:
                self._tick(meter)
                self._bar = None

    def _tick(self, meter: _Meter) -> None:
        self._bar.update(self._task, completed=meter.done, text=meter.text)

    def say(self, text: str) -> None:
        """One line of news, above the bar if there is one."""
        super().say(text)
        self._console.print(text, markup=False)
