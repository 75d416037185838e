"""How many workers a cluster has room for."""

import time
from collections.abc import Callable, Mapping

# Seconds in which room that is there is given, and between two looks at whether to stop.
_AT_A_TIME = 2.0


def room_for(
    workers: int,
    each: Mapping[str, float],
    *,
    patience: float,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """How many workers could begin now.

    It is asked for by a reservation, which is given back: that knows of machines, of what else
    runs there, and has a cluster that can grow do so.

    Args:
        workers: how many are wanted.
        each: what each of them takes, such as ``{"CPU": 1}``.
        patience: seconds to wait for room for all of them.
        stop: True ends the waiting.

    Returns:
        At most as many as are wanted, and 0 where there is no room, or ``stop`` ended it.
    """
    import ray

    if _is_room(workers, each, patience, stop):
        return workers
    there = ray.cluster_resources()  # what is free of it Ray knows a moment later
    fewer = min(int(there.get(kind, 0.0) // amount) for kind, amount in each.items())
    for number in range(min(fewer, workers - 1), 0, -1):
        if _is_room(number, each, _AT_A_TIME, stop):
            return number
    return 0


def _is_room(
    workers: int, each: Mapping[str, float], patience: float, stop: Callable[[], bool]
) -> bool:
    from ray.util import placement_group, remove_placement_group

    if stop():
        return False
    until = time.monotonic() + patience
    reserved = placement_group([dict(each)] * workers)
    try:
        # At least once: what a reservation holds that is taken back while it is made is lost to
        # the cluster for good (Ray 2.60).
        while not reserved.wait(_AT_A_TIME):
            if time.monotonic() >= until or stop():
                return False
        return True
    finally:
        remove_placement_group(reserved)
