"""See that all machines of a cluster can do a run's work, before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from evonas.cluster.connection import Cluster, Node
from evonas.cluster.kit import Kit, NodeUnfit, check_data
from evonas.cluster.said import in_a_line, original
from evonas.errors import InputError

# Seconds within which every machine has answered, and within which it has read its images.
ANSWERS_WITHIN, READS_WITHIN = 10.0, 120.0


def check_nodes(cluster: Cluster, kit: Kit) -> None:
    """Ask every machine for its evonas and its data; one that is this machine needs no asking.

    Args:
        cluster: connected.
        kit: of the run.

    Raises:
        InputError: a machine has another evonas or none, lacks the data or has other images, or
            does not answer; it is named.
    """
    if cluster.started:
        return
    for node, found in _ask(cluster, version_there(), (), ANSWERS_WITHIN):
        if found != kit.version:
            raise NodeUnfit(another_evonas(node.name, found, kit.version))
    if kit.recipe is not None:
        asked = (dict(kit.recipe), kit.checksum, kit.plugins)
        _ask(cluster, check_data, asked, READS_WITHIN)


def _ask(
    cluster: Cluster, function: Callable[..., Any], given: tuple[Any, ...], within: float
) -> list[tuple[Node, Any]]:
    """What a function says on each machine."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = cluster.nodes()
    remote = ray.remote(num_cpus=0, max_retries=0)(function)
    refs = [
        remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(*given)
        for node in nodes
    ]
    told, until = [], time.monotonic() + within
    for node, ref in zip(nodes, refs, strict=True):
        try:
            told.append((node, ray.get(ref, timeout=max(0.1, until - time.monotonic()))))
        except InputError as error:
            raise NodeUnfit(str(original(error))) from None
        except ray.exceptions.GetTimeoutError:
            raise InputError(
                f"the machine {node.name} of the cluster does not answer within {within:g} s; see "
                "`ray status`, and stop Ray there if it is gone or cannot read its data"
            ) from None
        except ray.exceptions.RayError as error:
            raise InputError(
                f"the machine {node.name} of the cluster cannot work: {in_a_line(error)}"
            ) from None
    return told


def another_evonas(machine: str, found: str, wanted: str) -> str:
    """What is said of a machine by what `version_there` told of it."""
    has = f"evonas {found}" if found else "no evonas"
    return (
        f"the machine {machine} of the cluster has {has}, and the run {wanted}; install the same "
        "there"
    )


def version_there() -> Callable[[], str]:
    """A function that travels by value: the machine may have another evonas, or none."""

    def version() -> str:
        try:
            from evonas import __version__ as found
        except ImportError:
            return ""
        return str(found)

    return version
