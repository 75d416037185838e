"""Where the workers of a training and the machine of the run leave word for each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class News:
    """What workers have left there.

    Attributes:
        step: steps done.
        loss: the latest, in nats.
        kept: steps that had been done at the latest state.
        state: that state, a checkpoint as bytes; None where the reader has it.
    """

    step: int
    loss: float
    kept: int
    state: bytes | None


class Desk:
    """An actor of Ray that holds the latest state of a training: machines share no disk.

    Args:
        step: steps done at the beginning.
        state: then, a checkpoint as bytes.
    """

    def __init__(self, step: int, state: bytes) -> None:
        """Nothing has happened yet."""
        self._step, self._loss = step, math.nan
        self._kept, self._state = step, state
        self._stop = False

    def tell(self, step: int, loss: float) -> bool:
        """The first worker has done so many steps; whether all are to stop."""
        self._step, self._loss = step, loss
        return self._stop

    def keep(self, step: int, state: bytes) -> None:
        """The state after so many steps."""
        self._kept, self._state = step, state

    def state(self) -> bytes:
        """The latest state, which workers begin with."""
        return self._state

    def news(self, have: int, stop: bool) -> News:
        """What is new to the machine of the run.

        Args:
            have: steps that had been done at the state that it has.
            stop: whether workers are to stop; what was said once holds.
        """
        self._stop |= stop
        state = self._state if self._kept > have else None
        return News(self._step, self._loss, self._kept, state)


def open_desk(step: int, state: bytes) -> Any:
    """A `Desk` on this machine, which outlives the others."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here)
    return desk.remote(step, state)
