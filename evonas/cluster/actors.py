"""Actors of a Ray cluster: those that are ready, and others that come in the place of lost ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evonas.cluster.said import in_a_line, original
from evonas.errors import InputError

# Actors lost in a row, for each that there is to be, before one has opened.
LOST = 3


class Actors:
    """Actors with a method `open`, which have work when it has returned.

    One on a machine without room is not waited for: others do its work meanwhile.

    Args:
        make: makes one.
        number: how many.

    Attributes:
        free: those that are ready and have nothing to do.
        opening: what their `open` will return -> actor.
    """

    def __init__(self, make: Callable[[], Any], number: int) -> None:
        """All begin."""
        self._make, self._number, self._lost = make, number, 0
        self.free: list[Any] = []
        self.opening: dict[Any, Any] = {}
        self._all: list[Any] = []
        for _ in range(number):
            self._begin()

    def _begin(self) -> None:
        actor = self._make()
        self._all.append(actor)
        self.opening[actor.open.remote()] = actor

    def opened(self, ref: Any) -> None:
        """What `open` has returned is there.

        Raises:
            InputError: what it raised; or actors are lost again and again.
        """
        import ray

        actor = self.opening.pop(ref)
        try:
            ray.get(ref)
        except InputError as error:
            raise original(error) from None
        except ray.exceptions.RayError as error:
            self._lost += 1
            if self._lost >= LOST * self._number:
                raise InputError(
                    f"workers are lost before they have begun: {in_a_line(error)}; see Ray's logs"
                ) from None
            self.replace(actor)
            return
        self._lost = 0
        self.free.append(actor)

    def replace(self, actor: Any) -> None:
        """Begin another one in the place of a lost one."""
        import ray

        ray.kill(actor)
        self._all.remove(actor)
        self._begin()

    def end(self) -> None:
        """End all."""
        import ray

        for actor in self._all:
            ray.kill(actor)
        self._all, self.free, self.opening = [], [], {}
