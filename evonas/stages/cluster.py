"""The Ray cluster of a run, for as long as it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evonas.config import ClusterConfig
from evonas.errors import InputError
from evonas.problems import TabularProblem
from evonas.stages.workspace import Workspace

if TYPE_CHECKING:
    from evonas.cluster import Cluster


@contextmanager
def on_cluster(ray: str | None, settings: ClusterConfig) -> Iterator[Cluster | None]:
    """Connect, where a cluster is named; see `evonas.cluster.connect`.

    Args:
        ray: its address.
        settings: settled: what workers take.
    """
    if ray is None:
        yield None
        return
    from evonas.cluster import connect

    assert settings.cpus and settings.gpus is not None
    given = {"workers": settings.workers, "cpus": settings.cpus, "gpus": settings.gpus}
    with connect(ray, **given) as cluster:  # type: ignore[arg-type]
        yield cluster


def use_cluster(workspace: Workspace, cluster: Cluster | None, *, begins: bool = False) -> None:
    """Have a run's trainings and scores made on a cluster; sees that its machines can.

    Args:
        workspace: of the run.
        cluster: connected; None for none.
        begins: whether its shared weights are still to be trained.

    Raises:
        InputError: a machine lacks the data, or has another evonas.
    """
    problem = workspace.problem
    if cluster is None or isinstance(problem, TabularProblem):
        return
    wanted = workspace.config.cluster.training_workers or 0
    if begins and wanted > cluster.room:
        raise InputError(
            f"the cluster has room for {cluster.room} of {wanted} workers that train the shared "
            "weights; give a smaller --cluster.training-workers"
        )
    from evonas.cluster.check import check_nodes
    from evonas.cluster.kit import Kit

    check_nodes(cluster, Kit.of(problem.space, problem.data, cluster.device))
    workspace.cluster = cluster
