"""What a run takes of a Ray cluster, and whether its search waits for whole generations."""

from dataclasses import replace

from evonas.config import ClusterConfig, RunConfig, ScratchConfig
from evonas.device import cores, kind_of
from evonas.errors import InputError
from evonas.problems.published import TABLES
from evonas.problems.registry import data_of
from evonas.stages.workers import OFF

# The search that proposes while networks are trained.
PROPOSES_MEANWHILE = "screened"


def fill_cluster(config: RunConfig) -> RunConfig:
    """The CPUs and GPUs of a worker; refuses them without a cluster.

    Args:
        config: all else filled.
    """
    _check_asynchronous(config)
    if config.cluster.training_workers is not None:
        _check_trained_together(config)
    given = config.ray, config.cluster, config.scratch, config.threads, config.device
    ray, cluster = fill_workers(*given)
    if ray and data_of(config.problem) in TABLES:
        raise InputError(
            f"'{config.problem}' is a table of measured networks and trains none; leave --ray out"
        )
    return replace(config, ray=ray, cluster=cluster)


def fill_workers(
    ray: str | None,
    cluster: ClusterConfig,
    scratch: ScratchConfig,
    threads: int | None,
    device: str,
) -> tuple[str | None, ClusterConfig]:
    """The settings `ray` and `cluster`, with what a worker takes by default.

    A training takes as many threads as it has without a cluster: sums over threads differ in their
    last bits with their number.

    Args:
        ray: as in `RunConfig`.
        cluster: what was said.
        scratch: how networks are trained.
        threads: of the run.
        device: resolved.

    Raises:
        InputError: something is said of workers, and there is no cluster.
    """
    if ray in (None, OFF):
        if cluster != ClusterConfig() and ray is None:
            raise InputError(
                "--cluster says what workers on Ray take; give --ray, or leave its settings out"
            )
        return None, ClusterConfig()
    at_once = 1 if scratch.compile else scratch.at_once or threads or cores()
    gpus = float(kind_of(device) == "cuda") if cluster.gpus is None else cluster.gpus
    share = 1 if gpus else max(1, (threads or cores()) // at_once)
    return ray, replace(cluster, cpus=cluster.cpus or share, gpus=gpus)


def _check_trained_together(config: RunConfig) -> None:
    why = None
    if config.budget is not None:
        why = "--budget measures how fast this process trains (--training.steps says it, too)"
    elif config.from_scratch:
        why = "networks trained from scratch share no weights"
    elif config.supernet:
        why = f"the supernet of {config.supernet} is trained already"
    elif config.joint or config.prune:
        why = f"{'--joint' if config.joint else '--prune'} trains weights without the cluster"
    if why:
        raise InputError(f"{why}; leave --cluster.training-workers out")


def _check_asynchronous(config: RunConfig) -> None:
    if not config.asynchronous:
        return
    if not config.from_scratch:
        raise InputError(
            "--asynchronous is for networks trained from scratch; others are scored together in a "
            "moment: leave it out, or give --from-scratch"
        )
    if config.algorithm != PROPOSES_MEANWHILE:
        raise InputError(
            f"'{config.algorithm}' waits for whole generations; leave --asynchronous out, or give "
            f"--algorithm {PROPOSES_MEANWHILE}"
        )
    if config.scratch.promotion or config.supernet:
        raise InputError(
            "which networks are promoted is told by whole generations; leave --asynchronous out, "
            "or --scratch.promotion and --supernet"
        )
