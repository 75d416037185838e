"""Activations of early layers on validation images, kept for the populations to come."""

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

    def get(self, path: Sequence[int]) -> Tensor | None:
        """As of `Activations`."""
        return self._all.get((self._batch, tuple(path)))

    def put(self, path: Sequence[int], value: Tensor, cost: float) -> None:
        """As of `Activations`."""
        self._all.put((self._batch, tuple(path)), value, cost)


class Activations:
    """Tensors that are dear to compute again, in bounded memory.

    Populations of a search start alike, and so do generations: with the outputs of early layers at
    hand only the late ones are run. What goes first is what saves least for its size, or was last
    used longest ago (GreedyDual-Size; Cao and Irani, Cost-aware WWW proxy caching algorithms,
    1997). What is kept changes no number.

    They are those of one state of the shared weights: whoever trains these has to `clear`.

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
        self._rank: dict[Key, float] = {}
        self._clock = 0.0

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
        value = self._kept.get(key)
        if value is not None:
            self._rank[key] = self._clock + self._worth[key]
        return value

    def put(self, key: Key, value: Tensor, cost: float) -> None:
        """Keep a tensor, if there is room or something worth less.

        Args:
            key: what it is of.
            value: not to be changed from now on.
            cost: of computing it again, in any unit.
        """
        if key in self._kept or value.nbytes > self.limit:
            return
        worth = cost / value.nbytes
        while self.nbytes + value.nbytes > self.limit:
            least = min(self._rank, key=self._rank.__getitem__)
            if self._rank[least] > self._clock + worth:
                self._clock += worth  # the new one goes first
                return
            self._clock = self._rank.pop(least)
            self.nbytes -= self._kept.pop(least).nbytes
            del self._worth[least]
        self._kept[key], self._worth[key] = value, worth
        self._rank[key] = self._clock + worth
        self.nbytes += value.nbytes

    def clear(self) -> None:
        """Let everything go."""
        self._kept.clear()
        self._worth.clear()
        self._rank.clear()
        self.nbytes, self._clock = 0, 0.0
