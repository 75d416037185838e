"""Ctrl-C as a wish: the first one ends the work at the next good point, the second at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """A stop flag that SIGINT raises; a context manager, and the callable that stages ask.

    In a thread that is not the main one Python allows no handler: there the flag is raised by
    `set` only, and Ctrl-C does what it did before.

    Args:
        on_first: called at the first SIGINT, to say that the batch is being finished.
    """

    def __init__(self, on_first: Callable[[], None] | None = None) -> None:  # noqa: D107
        self._on_first = on_first
        self._raised = False
        self._previous: Any = None
        self._installed = False

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._raised

    def set(self) -> None:
        """Ask for the stop without a signal."""
        self._raised = True

    def __enter__(self) -> Self:
        """Take over SIGINT."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give SIGINT back to whoever had it."""
        if self._installed:
            # None: the handler before was not set from Python and cannot be put back.
            signal.signal(signal.SIGINT, self._previous or signal.default_int_handler)
            self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raised:
            raise KeyboardInterrupt
        self._raised = True
        if self._on_first is not None:
            self._on_first()
