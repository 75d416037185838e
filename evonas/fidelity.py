"""How well the supernet of a finished run ranks networks, measured afterwards."""

from dataclasses import replace
from pathlib import Path

from evonas.config import ClusterConfig, ScratchConfig
from evonas.errors import InputError
from evonas.run import Run, go_on
from evonas.runs import read_status
from evonas.stages.fidelity_plan import asked


def measure_fidelity(
    path: str | Path,
    *,
    networks: int | None = None,
    by: str | None = None,
    scratch: ScratchConfig | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    ray: str | None = None,
    cluster: ClusterConfig | None = None,
    quiet: bool = False,
) -> Run:
    """Compare what a run's supernet says of some networks with what they are.

    The run keeps what was asked for: called again it goes on where it was stopped, and measures
    anew only where something else is asked. Trainings that the run has are not made again.

    Args:
        path: folder of a finished run that has a supernet.
        networks: how many, spread over the costs; as before, else 100 that are looked up, or 20
            that are trained.
        by: "table" (the published one) or "scratch" (trainings); as before, else the table where
            the data folder holds it and nothing is said of trainings.
        scratch: how networks are trained; as before, else by the default recipe.
        data_dir: the data folder, where it has moved.
        device: "auto" is the run's where there is such a device, else what there is.
        threads: CPU threads; those of the run, if None.
        ray: a Ray cluster that trains the networks, as in `RunConfig`; that of the run, if None.
            The run does not keep it.
        cluster: what each of its workers takes.
        quiet: show no progress.

    Returns:
        The run; `Run.fidelity` has the numbers.

    Raises:
        InputError: the run has no supernet or is not finished, a table is missing, fewer than
            three networks are asked for or could be trained, the folder is in use. The run then has
            the settings and the table that it had.
        Stopped: Ctrl-C was pressed; what was trained is kept.
    """
    opened = Run.load(path, data_dir=data_dir)
    folder, stored = opened.folder, opened.config
    stored = replace(stored, device=opened.device(device), threads=threads or stored.threads)
    if ray is not None:
        stored = replace(stored, ray=ray, cluster=cluster or ClusterConfig())
    elif cluster not in (None, ClusterConfig()):
        stored = replace(stored, cluster=cluster)
    config = asked(stored, networks=networks, by=by, scratch=scratch)
    status = read_status(folder.path)
    before = [stage for stage in status.stages if stage.name not in ("fidelity", "report")]
    if not status.locked and not (before and all(stage.state == "done" for stage in before)):
        raise InputError(
            f"{folder.path} is not finished; go on with it first: {folder.resume_command}"
        )
    return go_on(folder.path, config, quiet=quiet, keeps_cluster=False)
