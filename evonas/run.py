"""The main job: ``python -m evonas.run``, and ``run(RunConfig(...))`` from Python.

Data, supernet, search, results: stages put together here, in one folder that survives a crash.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas._version import __version__
from evonas.analysis import Front, History, RankFidelity, RetrainedNetworks, write_report
from evonas.atomic import write_json_atomic
from evonas.config import (
    RetrainConfig,
    RunConfig,
    cost_files,
    differences,
    load,
    put_over,
    to_dict,
)
from evonas.data.locate import named_folder
from evonas.device import kind_of, resolve_device
from evonas.errors import InputError, unknown
from evonas.problems import TabularProblem
from evonas.problems.published import TABLES
from evonas.problems.registry import data_of
from evonas.runs import (
    Context,
    Interrupt,
    RunFolder,
    Stage,
    locked,
    open_progress,
    run_stages,
    space_of,
)
from evonas.runs.stage import read_states
from evonas.search.joint import begin
from evonas.spaces import SearchSpace
from evonas.stages import (
    MeasureFidelity,
    Plan,
    PruneSupernet,
    RetrainMembers,
    ScoreSaliency,
    SearchFront,
    TrainJointly,
    TrainSupernet,
    Workspace,
    WriteReport,
    WriteResults,
    plan,
)
from evonas.stages.cluster import on_cluster, use_cluster
from evonas.stages.fidelity import NotMeasured, put_back, set_aside
from evonas.stages.fidelity_plan import resettle_fidelity, resumed_fidelity, with_fidelity_of
from evonas.stages.filling import fill, use_threads
from evonas.stages.filling.cluster import fill_workers
from evonas.stages.results import write_results
from evonas.stages.start import read_networks, start_file, write_networks
from evonas.stages.trainings import resettle_retraining
from evonas.stages.workspace import AnyProblem

if TYPE_CHECKING:
    from evonas.supernet import Supernet


class Stopped(Exception):
    """Ctrl-C ended a run after its batch; everything so far is on disk.

    Attributes:
        run: the unfinished run; ``run.folder.resume_command`` goes on with it.
        stage: name of the stage that was under way.
    """

    def __init__(self, run: Run, stage: str, command: str | None = None) -> None:
        """Keep the run; say the command that goes on, where it is not that of the whole run."""
        command = command or run.folder.resume_command
        super().__init__(f"stopped in stage '{stage}'; go on with: {command}")
        self.run, self.stage = run, stage


@dataclass(frozen=True)
class Run:
    """A run on disk, finished or not.

    Attributes:
        folder: where everything is.
        config: its settled settings.
    """

    folder: RunFolder
    config: RunConfig

    @classmethod
    def load(cls, folder: str | Path, *, data_dir: str | Path | None = None) -> Run:
        """Open a run folder; no torch is needed.

        Args:
            folder: of the run.
            data_dir: the folder of its data, where that has moved.

        Raises:
            InputError: it is no run folder, its ``config.json`` is broken, or there is no such
                folder of data.
        """
        opened = RunFolder.open(folder)
        settings = load(opened.config)
        if data_dir is not None:
            named_folder(data_dir)
            settings = replace(settings, data_dir=os.path.abspath(data_dir))
        return cls(opened, settings)

    @property
    def front(self) -> Front:
        """The feasible non-dominated set of everything evaluated."""
        return Front.load(self.folder.path)

    @property
    def retrained(self) -> RetrainedNetworks:
        """True errors of the members that were trained alone."""
        return RetrainedNetworks.load(self.folder.path)

    @property
    def history(self) -> History:
        """Evaluations, hypervolume and seconds per generation."""
        return History.load(self.folder.path)

    @property
    def fidelity(self) -> RankFidelity:
        """How well the supernet ranks a sample of networks, where that was measured."""
        return RankFidelity.load(self.folder.path)

    @property
    def space(self) -> SearchSpace:
        """The space its networks are of, without what a pruning struck out; no torch is needed.

        Raises:
            InputError: the run does not say, or the space is one of a plugin that has not run.
        """
        return space_of(self.folder)

    def problem(self, device: str = "auto") -> AnyProblem:
        """The problem with its trained supernet, or what it has trained, ready to evaluate.

        What networks it trains from scratch on top of that stay in memory.

        Args:
            device: "auto" is the run's own where there is such a device, else what there is.
        """
        return self._workspace(device).ready_problem(self.folder, read_only=True)

    def supernet(self, device: str = "auto") -> Supernet:
        """The trained supernet; ``device`` as for `problem`.

        Raises:
            InputError: the run's problem is a table, or its training has not ended.
        """
        return self._workspace(device).load_supernet(self.folder.path)

    def device(self, device: str = "auto") -> str:
        """A device that there is: for "auto" the run's own, or else what there is.

        Raises:
            InputError: another one was named and is not there.
        """
        if device != "auto":
            return resolve_device(device)
        try:
            return resolve_device(self.config.device)
        except InputError:
            return resolve_device("auto")

    def _workspace(self, device: str) -> Workspace:
        return Workspace(replace(self.config, device=self.device(device)))


def run(
    config: RunConfig | None = None,
    *,
    resume: str | Path | None = None,
    restart_search: bool = False,
    quiet: bool = False,
    started: float | None = None,
) -> Run:
    """Run the main job, or go on with an unfinished one.

    Args:
        config: the settings; where a run is resumed, those of ``Run.load(resume).config``, in which
            more ``evaluations``, ``device`` and ``threads``, what is said of rank fidelity, and how
            members are retrained are the only changes allowed.
        resume: a run folder to go on with.
        restart_search: with ``resume``: begin the search anew, keeping all results.
        quiet: show no progress.
        started: `time.perf_counter()` at which a budget began; now, if None.

    Returns:
        The finished run.

    Raises:
        InputError: a setting is wrong, data is missing, the folder is in use, the disk is full.
        Stopped: Ctrl-C was pressed; a second Ctrl-C ends at once with KeyboardInterrupt.
    """
    if resume is None:
        config = config or RunConfig()
        filled = fill(config) if config.ray else config
        with on_cluster(filled.ray, filled.cluster) as cluster:
            planned = plan(config, started=started)
            use_cluster(planned.workspace, cluster, begins=True)
            folder = _create(planned)
            return _run(folder, planned.workspace, quiet=quiet)
    return go_on(resume, config, restart_search=restart_search, quiet=quiet)


def go_on(
    resume: str | Path,
    config: RunConfig | None,
    *,
    restart_search: bool = False,
    quiet: bool = False,
    keeps_cluster: bool = True,
) -> Run:
    """Go on with a run.

    Args:
        resume: its folder.
        config: as of `run`.
        restart_search: likewise.
        quiet: likewise.
        keeps_cluster: whether the run is to go on with the same cluster when it is resumed again.
    """
    folder = RunFolder.open(resume)
    workspace, stored = Workspace(_resumed(folder, config)), load(folder.config)
    with on_cluster(workspace.config.ray, workspace.config.cluster) as cluster:
        changed = resettle_fidelity(workspace, stored)
        resettle_retraining(workspace, stored)
        use_cluster(workspace, cluster)
        kept = workspace.config
        if not keeps_cluster:
            kept = replace(kept, ray=stored.ray, cluster=stored.cluster)
        return _run(
            folder,
            workspace,
            quiet=quiet,
            kept=kept,
            restart_search=restart_search,
            before=stored if changed else None,
        )


def _run(
    folder: RunFolder,
    workspace: Workspace,
    *,
    quiet: bool,
    kept: RunConfig | None = None,
    restart_search: bool = False,
    before: RunConfig | None = None,
) -> Run:
    """All stages of a run whose settings are settled.

    Args:
        folder: of the run.
        workspace: of its settings.
        quiet: show no progress.
        kept: settings that a run has from now on that was begun before.
        restart_search: begin the search anew, keeping all results.
        before: settings of a measurement of rank fidelity before that is not the one asked for now,
            and that the run has again where that one comes to nothing.
    """
    settled = workspace.config
    with locked(folder):
        states = read_states(folder)
        if workspace.computes:
            use_threads(settled)
        progress = open_progress(folder.log, quiet=quiet)
        if kept is not None:
            folder.sweep()
            _check_data(folder, workspace)
            if restart_search and SearchFront(workspace).spent(folder):
                raise InputError(
                    f"the search of {folder.path} has spent its budget; add --evaluations with "
                    f"more than {settled.evaluations} to search anew"
                )
            _keep_settings(folder, kept)
            if before is not None:
                set_aside(folder, keep=bool(kept.fidelity))
        progress.say(summary(settled))
        progress.say(f"run folder: {folder.path}")
        if workspace.cluster:
            workspace.cluster.say = progress.say
            progress.say(workspace.cluster.summary)
        done = Run(folder, settled)
        with Interrupt(lambda: progress.say("finishing the batch (Ctrl-C again: at once)")) as stop:
            try:
                outcome = run_stages(
                    [
                        *_training_stages(workspace),
                        *_guiding_stages(workspace),
                        SearchFront(workspace, restart=restart_search),
                        WriteResults(workspace),
                        *_last_stages(workspace),
                        WriteReport(),
                    ],
                    Context(folder, settled, progress, stop),
                )
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"go on with: {folder.resume_command}") from None
            except NotMeasured:
                as_before = kept and before and with_fidelity_of(kept, before)
                if as_before:
                    _keep_settings(folder, as_before)
                    put_back(folder, states)
                raise
        if outcome.stopped:
            if folder.journal.is_file():
                write_results(folder, workspace)
                write_report(folder, state="not finished")
            raise Stopped(done, outcome.stopped)
    return done


def _training_stages(workspace: Workspace) -> list[TrainSupernet]:
    if not workspace.trains:
        return []
    if workspace.config.prune:
        return [PruneSupernet(workspace)]
    return [TrainJointly(workspace) if workspace.config.joint else TrainSupernet(workspace)]


def _guiding_stages(workspace: Workspace) -> list[ScoreSaliency]:
    return [] if workspace.config.saliency is None else [ScoreSaliency(workspace)]


def _last_stages(workspace: Workspace) -> list[Stage]:
    config, stages = workspace.config, list[Stage]()
    if config.retrain is not None:
        stages.append(RetrainMembers(workspace, config.retrain, config.scratch))
    if config.fidelity:
        stages.append(MeasureFidelity(workspace))
    return stages


def summary(config: RunConfig) -> str:
    """What will be done, in one line."""
    parts = [
        f"{config.problem} on {config.device}",
        f"space {config.space}",
        *_training_summary(config),
        f"{config.algorithm}: {config.evaluations} evaluations",
        *([f"pruning: {config.prune} by {config.prune_by}"] if config.prune else []),
        *([f"saliency: {config.saliency}"] if config.saliency else []),
        *([f"{config.retrain} members retrained"] if config.retrain else []),
        *(
            [f"rank fidelity of {config.fidelity} by {config.fidelity_by}"]
            if config.fidelity
            else []
        ),
        *([f"on Ray ({config.ray})"] if config.ray else []),
        *config.cost,
        *config.constraint,
        f"seed {config.seed}",
    ]
    return ", ".join(parts)


def _training_summary(config: RunConfig) -> list[str]:
    training = config.training
    if config.from_scratch:
        epochs, seeds = config.scratch.epochs, config.scratch.seeds or 1
        each = "an epoch" if epochs == 1 else f"{epochs} epochs"
        each += f" and {seeds} seeds" if seeds > 1 else ""
        return [*config.space_settings, f"networks trained from scratch for {each}"]
    if config.supernet:
        return [f"supernet of {config.supernet}"]
    if training.steps is None:  # a table
        return []
    steps = f"{training.steps} steps of {training.batch_size} images at width {config.width:g}"
    if not config.joint:
        return [steps]
    M, k = config.distributions, config.weight_steps
    first = begin(training.steps)
    return [steps, f"from step {first} on {M} distributions learn after every {k}"]


def _create(planned: Plan) -> RunFolder:
    config = planned.config
    networks = read_networks(config.start) if config.start else []
    description = _description(planned.workspace)
    folder = RunFolder.create(config.runs, config.problem)
    if networks:
        # A copy: the run is resumed and repeated as it was when the file has gone or changed.
        write_networks(start_file(folder), networks)
        description["settings"]["start"] = str(start_file(folder).absolute())
    write_json_atomic(folder.config, description)
    return folder


def retrain_members(
    run: str | Path,
    config: RetrainConfig | None = None,
    *,
    quiet: bool = False,
) -> RetrainedNetworks:
    """Train members of a finished run's front alone, and measure each once on the test images.

    Args:
        run: its folder.
        config: which, and how; what is open is as the run has it.
        quiet: show no progress.

    Returns:
        Everything that was retrained in the run so far.

    Raises:
        InputError: the run has no front yet, its data has changed, or a setting is wrong.
        Stopped: Ctrl-C was pressed; the same call goes on.
    """
    config = config or RetrainConfig()
    opened = Run.load(run, data_dir=config.data_dir)
    folder, settings = opened.folder, opened.config
    folder.require(folder.front)
    if config.threads:
        opened = replace(opened, config=replace(settings, threads=config.threads))
    scratch = put_over(replace(settings.scratch, promotion=()), config.scratch)
    workspace = opened._workspace(config.device)
    known = workspace.config
    ray, workers = fill_workers(config.ray, config.cluster, scratch, known.threads, known.device)
    workspace.config = replace(known, ray=ray, cluster=workers)
    with on_cluster(ray, workers) as cluster, locked(folder):
        use_cluster(workspace, cluster)
        use_threads(workspace.config)
        folder.sweep()
        _check_data(folder, workspace)
        progress = open_progress(folder.log, quiet=quiet)
        if cluster:
            cluster.say = progress.say
        stage = RetrainMembers(workspace, config.members, scratch, config.network)
        with Interrupt(lambda: progress.say("finishing the step (Ctrl-C again: at once)")) as stop:
            stage.run(Context(folder, workspace.config, progress, stop))
        write_report(folder)
        if stop():
            command = f"evonas retrain {shlex.quote(str(folder.path))} with the same settings"
            raise Stopped(opened, stage.name, command)
    return RetrainedNetworks.load(folder.path)


def export_member(
    run: str | Path,
    *,
    member: int | None = None,
    network: str | None = None,
    format: str = "safetensors",
    output: str | Path | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
) -> Path:
    """Write a network of a run as files that need evonas no longer.

    Args:
        run: its folder.
        member: row of front.csv, from 0; the knee of the front if no network is named either.
        network: a network by its text instead.
        format: one of `evonas.export.FORMATS`.
        output: folder to make; by default one in ``exports/`` of the run.
        device: "auto" is the run's.
        data_dir: the folder of its data, where that has moved; it tells names and scale of inputs.

    Returns:
        The folder, of what `evonas.export.export_network` writes.

    Raises:
        InputError: the run has no such network or no weights of it, the folder is there already,
            or a package is missing.
    """
    from evonas.export import FORMATS, export_network
    from evonas.exporting.member import folder_for, front_network, member_of

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if member is not None and network is not None:
        raise InputError("--member and --network both name what to export; give one of them")
    opened = Run.load(run, data_dir=data_dir)
    opened.folder.require(opened.folder.front)
    if network is None:
        network = front_network(opened.folder, member)
    exported = member_of(opened.folder, opened.problem(device), network)
    target = Path(output or folder_for(opened.folder, exported.genome, format)).expanduser()
    export_network(exported, target, format=format)
    return target


def _keep_settings(folder: RunFolder, config: RunConfig) -> None:
    """Write settings that a resume has changed; versions stay those the run began with."""
    stored = json.loads(folder.config.read_text(encoding="utf-8"))
    settings = to_dict(config)
    if stored.get("settings") != settings:
        write_json_atomic(folder.config, {**stored, "settings": settings})


def _description(workspace: Workspace) -> dict[str, Any]:
    problem = workspace.problem
    if isinstance(problem, TabularProblem):
        sizes = {"rows": len(problem.genes)}
    else:
        sizes = {"train": len(problem.data.train), "validation": len(problem.data.validation)}
    return {
        "settings": to_dict(workspace.config),
        "data": {
            "name": data_of(workspace.config.problem),
            "checksum": workspace.checksum,
            "num_classes": problem.space.num_classes,
            "input_shape": list(problem.space.input_shape),
            **sizes,
        },
        "costs": workspace.cost_checksums,
        "versions": {
            "evonas": __version__,
            "python": sys.version.split()[0],
            **{name: _version(name) for name in ("torch", "torchvision", "pymoo", "numpy")},
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # torch, where tables are searched only
        return None


def _resumed(folder: RunFolder, config: RunConfig | None) -> RunConfig:
    """The stored settings, with more evaluations or another rank fidelity, if asked for."""
    stored = load(folder.config)
    training = stored.training.steps or stored.from_scratch or data_of(stored.problem) in TABLES
    if not (stored.evaluations and stored.space and training):
        raise InputError(
            f"{folder.config} is no settled configuration of a run; repeat it as a new one with "
            f"--config {folder.config}"
        )
    if config is None:
        return stored
    # What was not said is as it was; where data and costs lie may change, their checksums may not.
    changed = {
        name: (old, new)
        for name, (old, new) in differences(stored, config).items()
        if new is not None
        and name not in ("runs", "data_dir", "device", "threads", "ray")
        and not name.startswith("cluster.")
    }
    before, other_kind = stored, False
    if config.device != "auto":
        device = resolve_device(config.device)
        other_kind = kind_of(device) != kind_of(stored.device)
        if other_kind:
            # What the other one computes faster in says nothing of this one.
            stored = replace(stored, training=replace(stored.training, precision=None))
        stored = replace(stored, device=device)
    if config.threads is not None:
        stored = replace(stored, threads=config.threads)
    said = config.cluster
    if said == stored.cluster and (other_kind or config.threads not in (None, before.threads)):
        # What a worker took on the other device, or with other threads, says nothing of this one.
        said = replace(said, cpus=None, gpus=None)
    given = config.ray, said, stored.scratch, stored.threads, stored.device
    ray, cluster = fill_workers(*given)
    stored = replace(stored, ray=ray, cluster=cluster)
    if config.data_dir not in (None, stored.data_dir):
        named_folder(config.data_dir)
        stored = replace(stored, data_dir=os.path.abspath(config.data_dir))
    old_costs, new_costs = cost_files(stored.cost), cost_files(config.cost)
    if old_costs.keys() == new_costs.keys():
        changed.pop("cost", None)
        moved = [
            f"{name}={os.path.abspath(os.path.expanduser(new_costs[name]))}" for name in old_costs
        ]
        stored = replace(stored, cost=tuple(moved))
    stored = resumed_fidelity(stored, config)
    if not stored.from_scratch and data_of(stored.problem) not in TABLES:
        if stored.retrain is not None:
            stored = replace(stored, scratch=put_over(stored.scratch, config.scratch))
        ours = ("fidelity", "scratch.")
        changed = {name: pair for name, pair in changed.items() if not name.startswith(ours)}
    more = changed.pop("evaluations", None)
    if changed:
        name, (old, new) = next(iter(changed.items()))
        instead = (
            f"and then: evonas retrain {shlex.quote(str(folder.path))} --members {new}"
            if name == "retrain"
            else "or start a new run (only --evaluations can be raised, and --fidelity changed)"
        )
        raise InputError(
            f"{folder.path} was run with {name} = {old}, not {new}; resume it without that "
            f"setting, {instead}"
        )
    if more is None:
        return stored
    old, new = more
    if old is not None and new < old:
        raise InputError(
            f"{folder.path} has a budget of {old} evaluations, which can only be raised, not "
            f"lowered to {new}; resume it without --evaluations, or start a new run"
        )
    return replace(stored, evaluations=new)


def _check_data(folder: RunFolder, workspace: Workspace) -> None:
    stored = json.loads(folder.config.read_text(encoding="utf-8"))
    costs = workspace.cost_checksums
    for name, file in cost_files(workspace.config.cost).items():
        if stored.get("costs", {}).get(name, costs[name]) != costs[name]:
            raise InputError(
                f"the cost '{name}' of {folder.path} has changed in {file} since the run was "
                f"started; give --cost {name}=FILE with what it was, or start a new run"
            )
    if stored.get("data", {}).get("checksum", workspace.checksum) != workspace.checksum:
        raise InputError(
            f"the data of {folder.path} has changed since it was started; give --data-dir the "
            "folder it was started with, or start a new run"
        )


if __name__ == "__main__":
    _started = time.perf_counter()
    from evonas.cli import main

    sys.exit(main(["run", *sys.argv[1:]], started=_started))
