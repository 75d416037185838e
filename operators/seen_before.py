"""Duplicate elimination against everything that was ever evaluated."""

import copy
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.individual import Individual

from evonas.operators.genomes import as_genomes, genome_keys


class SeenBefore(DuplicateElimination):
    """Drops offspring whose genome was evaluated before, in any generation.

    pymoo's own elimination compares with the current population only, so a genome that died out
    is evaluated again. This one remembers what passed through it. pymoo truncates *after*
    elimination: an individual that was offered but never evaluated does not count as seen.
    Repeats within the batch and of the other populations given are dropped as usual. An
    individual that carries its values already is never dropped for having been seen: it costs
    nothing.
    """

    def __init__(self, canonical: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        """Store the settings.

        Args:
            canonical: `X -> X`, both `(n, n_var)`, giving equal genomes to equal networks; by
                default genomes are compared as they are. It is held by reference: a copy of this
                object does not copy what it belongs to.
        """
        super().__init__()
        self.canonical = canonical
        self._seen: set[bytes] = set()
        # Weak: an individual that was truncated goes away, one still to be evaluated lives
        # somewhere in the algorithm (pymoo holds the last infills until the next ones are told).
        self._offered: list[weakref.ref[Individual]] = []

    def __len__(self) -> int:
        """Number of distinct genomes known to have been evaluated."""
        self._learn()
        return len(self._seen)

    def __bool__(self) -> bool:
        """Always true: pymoo takes a falsy elimination for none at all."""
        return True

    def do(self, pop: Any, *args: Any, return_indices: bool = False, to_itself: bool = True) -> Any:
        """Keep what is new; pymoo's interface.

        Args:
            pop: population to filter.
            *args: populations whose members are duplicates too.
            return_indices: also return the positions kept and dropped.
            to_itself: whether repeats within `pop` are dropped, all but the first.

        Returns:
            The individuals kept, in their order; with `return_indices` a tuple of these, the
            list of positions kept and the list of positions dropped.
        """
        self._learn()
        others = [individual for other in args for individual in other]
        keys = self._keys([*pop, *others])
        taken = set(keys[len(pop) :])
        self._seen.update(
            key
            for key, individual in zip(keys[len(pop) :], others, strict=True)
            if _is_evaluated(individual)
        )

        kept, dropped = [], []
        for i, (key, individual) in enumerate(zip(keys, pop, strict=False)):
            known = key in self._seen and not _is_evaluated(individual)
            if known or key in taken:
                dropped.append(i)
                continue
            kept.append(i)
            if to_itself:
                taken.add(key)

        new = pop[np.array(kept, dtype=int)] if dropped else pop
        self._offered.extend(weakref.ref(individual) for individual in new)
        return (new, kept, dropped) if return_indices else new

    def _learn(self) -> None:
        """Move what was evaluated since the last call from offered to seen."""
        alive = [individual for ref in self._offered if (individual := ref()) is not None]
        self._seen.update(self._keys([one for one in alive if _is_evaluated(one)]))
        self._offered = [weakref.ref(one) for one in alive if not _is_evaluated(one)]

    def _keys(self, individuals: list[Individual]) -> list[bytes]:
        if not individuals:
            return []
        X = as_genomes([individual.X for individual in individuals])
        return genome_keys(X if self.canonical is None else self.canonical(X))

    def __deepcopy__(self, memo: dict[int, Any]) -> "SeenBefore":
        """An independent copy: keys are shared, what waits for evaluation is copied with `memo`.

        Copied together with an algorithm, the copy watches the copied individuals.
        """
        self._learn()
        new = type(self)(self.canonical)
        new._seen = set(self._seen)
        waiting = copy.deepcopy([ref() for ref in self._offered], memo)
        new._offered = [weakref.ref(one) for one in waiting if one is not None]
        return new

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: weak references become the individuals themselves."""
        self._learn()
        return {**self.__dict__, "_seen": set(self._seen), "_offered": [r() for r in self._offered]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`."""
        waiting = [weakref.ref(one) for one in state["_offered"] if one is not None]
        self.__dict__.update({**state, "_offered": waiting})


def _is_evaluated(individual: Individual) -> bool:
    """Whether it has objectives, from an evaluator or set by hand in an ask-and-tell program."""
    return bool(individual.evaluated) or np.size(individual.F) > 0
