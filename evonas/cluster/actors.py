"""Actors of a Ray cluster: those that are ready, and others that come in the place of lost ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from evonas.cluster.said import in_a_line, original
from evonas.errors import InputError

# Actors lost in a row, for each that there is to be, before one has opened.
LOST = 3


class Actors:
    """Actors with a method `open`, which have work when it has returned.

    That returns Ray's name of its machine, and why this cannot do the work; "" where it can. One on
    a machine without room is not waited for: others do its work meanwhile.

    Args:
        make: makes one.
        leave_out: told of a machine that cannot do the work, and why; as `Cluster.leave_out`.
        say: told a line of news.

    Attributes:
        free: those that are ready and have nothing to do.
        opening: what their `open` will return -> actor.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        leave_out: Callable[[str, str], None],
        say: Callable[[str], None],
    ) -> None:
        """None begins."""
        self._make, self._leave_out, self._say, self._lost = make, leave_out, say, 0
        self._said = False  # that some do without others
        self.free: list[Any] = []
        self.opening: dict[Any, Any] = {}
        self._all: list[Any] = []

    def want(self, number: int) -> None:
        """Begin others, until there are so many."""
        while len(self._all) < number:
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
            machine, why = ray.get(ref)
        except InputError as error:
            raise original(error) from None
        except ray.exceptions.RayError as error:
            self._lost += 1
            if self._lost < LOST * len(self._all):
                self.replace(actor)
                return
            why = f"workers are lost before they have begun: {in_a_line(error)}; see Ray's logs"
            if len(self._all) == 1 + len(self.opening):  # no other one has
                raise InputError(why) from None
            self._end(actor)
            if not self._said:
                self._said = True
                self._say(f"{why}; the others go on")
            return
        if why:
            self._leave_out(machine, why)
            self.replace(actor)
            return
        self._lost = 0
        self.free.append(actor)

    def replace(self, actor: Any) -> None:
        """Begin another one in the place of a lost one."""
        self._end(actor)
        self._begin()

    def _end(self, actor: Any) -> None:
        import ray

        ray.kill(actor)
        self._all.remove(actor)

    def end(self) -> None:
        """End all."""
        import ray

        actors = self._all
        self._all, self.free, self.opening = [], [], {}
        if ray.is_initialized():
            for actor in actors:
                with suppress(ray.exceptions.RayError):  # of a Ray that was there before
                    ray.kill(actor)
