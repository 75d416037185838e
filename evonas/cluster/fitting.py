"""Ray Train, asked for one attempt at a training."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import partial

from evonas.cluster.member import Job, work
from evonas.cluster.said import in_a_line
from evonas.errors import InputError

# What Ray Train reads from the environment alone.
_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # the end, or a loss, is seen that late
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a machine that is taken away is one that is lost
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths stay what they are
}


def fit(job: Job, workers: int, each: Mapping[str, float]) -> None:
    """Have so many workers do a job, all or none.

    Call it on a thread of its own: on the main one Ray Train would take the interrupt key.

    Args:
        job: what they do.
        workers: how many.
        each: what each takes, such as ``{"CPU": 1}``.

    Raises:
        ray.train.TrainingFailedError: a worker was lost, or raised something.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from ray.train.torch import TorchConfig
    from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.torch.torch_trainer import TorchTrainer

    gpus = each.get("GPU", 0.0)
    # NCCL refuses two processes on one GPU, and knows no tensors of a CPU.
    backend = "cpu:gloo,cuda:nccl" if gpus >= 1 else "gloo"
    with tempfile.TemporaryDirectory(prefix="evonas-ray-train-") as folder:
        TorchTrainer(
            partial(work, job),
            torch_config=TorchConfig(backend=backend),
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu=gpus > 0, resources_per_worker=dict(each)
            ),
            run_config=RunConfig(
                storage_path=folder,  # nothing is reported to Ray Train, so nothing is kept there
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
            ),
        ).fit()


def refusal(error: Exception) -> InputError | None:
    """What a worker said that the user can act on, of what `fit` raised; None where it did not."""
    failures = getattr(error, "worker_failures", {}).values()
    return next((failure for failure in failures if isinstance(failure, InputError)), None)


def reason(error: Exception) -> str:
    """What went wrong, of what `fit` raised, in a few words."""
    failures = [*getattr(error, "worker_failures", {}).values()]
    cause = failures[0] if failures else getattr(error, "controller_failure", error)
    said = in_a_line(cause)
    # Where one is gone, the others miss its part of an exchange.
    if any(sign in said for sign in ("WorkerHealthCheckFailedError", "gloo", "NCCL")):
        return "one was lost"
    return said
