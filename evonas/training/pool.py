"""Jobs done several at once, each on a share of the CPU threads or a stream of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import Queue
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch

T = TypeVar("T")
P = TypeVar("P")

# What a job is called with: says whether to stop.
Stop = Callable[[], bool]

# Streams that torch has for each device.
MOST_STREAMS = 32


class JobPool(Generic[P, T]):
    """Does jobs, several at the same time; more may be handed in while others are under way.

    A job gets the same number of threads however many others there are, so that its result does not
    depend on them: sums over threads differ in their last bits with their number. With one at once,
    jobs are done on the caller's thread, as results are asked for: with a second team of threads
    there are more than cores, and OpenMP has both sleep and wake at every operation.

    A context manager; leaving it stops what is under way.

    Args:
        at_once: jobs done at the same time.
        device: where they compute; on an accelerator each has a stream of its own.
        stop: asked by all.
    """

    def __init__(self, at_once: int, device: torch.device, stop: Stop = lambda: False) -> None:
        """Nothing is under way."""
        self._threads = torch.get_num_threads()
        self._share = max(1, self._threads // at_once)
        self._broken = threading.Event()
        self._stop, self._streams = stop, _streams(device, at_once)
        self._waiting: deque[tuple[P, Callable[[Stop], T]]] = deque()
        self._places: dict[Future[T], P] = {}
        self._ended: deque[tuple[P, Future[T]]] = deque()
        self._pool = None
        if at_once > 1:
            self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="evonas-training")

    def __len__(self) -> int:
        """Jobs handed in whose results were not."""
        return len(self._waiting) + len(self._places) + len(self._ended)

    def submit(self, place: P, job: Callable[[Stop], T]) -> None:
        """Hand a job in.

        Args:
            place: what its result comes with.
            job: called with a function that says whether to stop.
        """
        if self._pool is None:
            self._waiting.append((place, job))
        else:
            self._places[self._pool.submit(self._work, job)] = place

    def ended(self) -> tuple[P, T]:
        """Place and result of a job that has ended; waits for one, of which there must be some.

        Raises:
            Exception: what a job raised, after the results of others that had ended by then.
        """
        if self._pool is None:
            place, job = self._waiting.popleft()
            with _a_stream(self._streams):
                return place, job(self._stop)
        if not self._ended:
            self._gather(timeout=None)
        return _result(*self._ended.popleft())

    def ended_by_now(self) -> tuple[P, T] | None:
        """The same without waiting; None where there is none. Raises likewise."""
        if not self._ended and self._places:
            self._gather(timeout=0.0)
        return _result(*self._ended.popleft()) if self._ended else None

    def _gather(self, timeout: float | None) -> None:
        """Wait, so many seconds at most, and put aside what has ended by then."""
        done, _ = wait(self._places, timeout=timeout, return_when=FIRST_COMPLETED)
        # Those that raised come last. A future holds what its job returned: none is kept here
        # longer than needed.
        several = [future for future in self._places if future in done]
        several.sort(key=lambda future: future.exception() is not None)
        self._ended.extend((self._places.pop(future), future) for future in several)

    def _stopped(self) -> bool:
        return self._broken.is_set() or self._stop()

    def _work(self, job: Callable[[Stop], T]) -> T:
        torch.set_num_threads(self._share)
        with _a_stream(self._streams):
            return job(self._stopped)

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what is under way, and wait for it."""
        self._broken.set()
        if self._pool is not None:
            try:
                self._pool.shutdown(wait=True, cancel_futures=True)
            finally:
                torch.set_num_threads(self._threads)


def do_several(
    jobs: Sequence[Callable[[Stop], T]],
    *,
    at_once: int,
    device: torch.device,
    stop: Stop = lambda: False,
) -> Generator[tuple[int, T], None, None]:
    """Do jobs in a `JobPool`; arguments as of that.

    Yields:
        The place of a job and what it returned, as they end.

    Raises:
        Exception: as of `JobPool.ended`; the others are stopped.
    """
    with JobPool[int, T](at_once, device, stop) as pool:
        for place, job in enumerate(jobs):
            pool.submit(place, job)
        while len(pool):
            yield pool.ended()


def _result(place: P, future: Future[T]) -> tuple[P, T]:
    return place, future.result()


def _streams(device: torch.device, n: int) -> Queue[torch.cuda.Stream] | None:
    """So many streams of an accelerator; not more than there are, as torch gives them out again."""
    if device.type != "cuda":
        return None
    streams: Queue[torch.cuda.Stream] = Queue()
    for _ in range(min(n, MOST_STREAMS)):
        streams.put(torch.cuda.Stream(device))
    return streams


@contextmanager
def _a_stream(streams: Queue[torch.cuda.Stream] | None) -> Iterator[None]:
    """One of these, and back; waits where all are in use."""
    if streams is None:
        yield
        return
    stream = streams.get()
    try:
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.stream(stream):
            yield
            stream.synchronize()
    finally:
        streams.put(stream)
