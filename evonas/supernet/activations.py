"""Activations of early layers on validation images, kept for the populations to come."""

import heapq
import itertools
import threading
from collections.abc import Hashable, Sequence
from typing import Any

from torch import Tensor

# A batch, by its number and size of image, and the choices of the layers that were run.
Key = tuple[Hashable, tuple[int, ...]]


class OfBatch:
    """Activations of one batch; `get` and `put` by the choices of the layers that were run."""

    def __init__(self, activations: "Activations", batch: Hashable) -> None:
        """Hold both."""
        self._all, self._batch = activations, batch

    @property
    def limit(self) -> float:
        """As of `Activations`."""
        return self._all.limit

    def get(self, path: Sequence[int]) -> Tensor | None:
        """As of `Activations`."""
        return self._all.get((self._batch, tuple(path)))

    def put(self, path: Sequence[int], value: Tensor, cost: float) -> None:
        """As of `Activations`."""
        self._all.put((self._batch, tuple(path)), value, cost)


class Activations:
    """Tensors that are dear to compute again, in bounded memory.

    Populations of a search start alike, and so do generations: with the outputs of early layers at
    hand only the late ones are run. What goes first is what saves least for its size, is used
    seldom, or was used longest ago (GreedyDual-Size with frequency; Cherkasova, Improving WWW
    proxies performance with greedy-dual-size-frequency caching policy, 1998). What is kept changes
    no number.

    They are those of one state of the shared weights: whoever trains these has to `clear`. Several
    threads may use them at once.

    Args:
        limit: bytes that are kept at most.

    Attributes:
        nbytes: bytes that are kept.
    """

    def __init__(self, limit: float) -> None:
        """Nothing is kept yet."""
        self.limit = limit
        self.nbytes = 0
        self._kept: dict[Key, Tensor] = {}
        self._worth: dict[Key, float] = {}  # of each byte
        self._uses: dict[Key, int] = {}
        self._rank: dict[Key, float] = {}
        self._least: list[tuple[float, int, Key]] = []  # a heap of ranks, past ones among them
        self._number = itertools.count()  # so that keys are never compared
        self._clock = 0.0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Activations":
        """Itself: pymoo copies problems, and what is kept never changes."""
        return self

    def __reduce__(self) -> tuple[type["Activations"], tuple[float]]:
        """For pickling: an empty one."""
        return Activations, (self.limit,)

    def __len__(self) -> int:
        """Tensors that are kept."""
        return len(self._kept)

    def of(self, batch: Hashable) -> OfBatch:
        """Those of one batch, whatever it is called."""
        return OfBatch(self, batch)

    def get(self, key: Key) -> Tensor | None:
        """What was put there, if it is still kept."""
        with self._lock:
            value = self._kept.get(key)
            if value is not None:
                self._uses[key] += 1
                self._put_in_order(key)
            return value

    def put(self, key: Key, value: Tensor, cost: float) -> None:
        """Keep a tensor, if there is room or something worth less.

        Args:
            key: what it is of.
            value: not to be changed from now on.
            cost: of computing it again, in any unit.
        """
        with self._lock:
            self._put(key, value, cost)

    def _put(self, key: Key, value: Tensor, cost: float) -> None:
        if key in self._kept or value.nbytes > self.limit:
            return
        worth = cost / value.nbytes
        while self.nbytes + value.nbytes > self.limit:
            least = self._first_to_go()
            if self._rank[least] > self._clock + worth:
                self._clock += worth  # so that what was dear once goes in the end
                return
            self._clock = self._rank.pop(least)
            self.nbytes -= self._kept.pop(least).nbytes
            del self._worth[least], self._uses[least]
        self._kept[key], self._worth[key], self._uses[key] = value, worth, 1
        self.nbytes += value.nbytes
        self._put_in_order(key)

    def _put_in_order(self, key: Key) -> None:
        self._rank[key] = self._clock + self._worth[key] * self._uses[key]
        heapq.heappush(self._least, (self._rank[key], next(self._number), key))
        if len(self._least) > 4 * len(self._kept) + 64:
            self._least = [(rank, next(self._number), key) for key, rank in self._rank.items()]
            heapq.heapify(self._least)

    def _first_to_go(self) -> Key:
        while True:
            rank, _, key = self._least[0]
            if self._rank.get(key) == rank:
                return key
            heapq.heappop(self._least)  # it was used since, or is gone

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._kept.clear()
            self._worth.clear()
            self._uses.clear()
            self._rank.clear()
            self._least.clear()
            self.nbytes, self._clock = 0, 0.0
