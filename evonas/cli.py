"""The command line: one line for an error, exit code 2; 130 after Ctrl-C."""

import contextlib
import io
import itertools
import json
import math
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from evonas import __version__
from evonas.atomic import write_text_atomic
from evonas.config import (
    ClusterConfig,
    LatencyConfig,
    RetrainConfig,
    RunConfig,
    ScratchConfig,
    load,
)
from evonas.errors import InputError, unknown
from evonas.plugins import options_of, run_plugin

C = TypeVar("C")

USAGE_ERROR, INTERRUPTED = 2, 130

MOST_COVERED = 8  # runs whose coverage of each other fits into a terminal

# What decides how much memory a verb takes; the others take little.
SIZES = {
    "run": "--training.batch-size (or --scratch.batch-size), --width or --image-size",
    "measure-latency": "--batch-size or --input-shape",
    "fidelity": "--scratch.batch-size or --scratch.at-once",
    "retrain": "--scratch.batch-size or --scratch.at-once",
}


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Search networks for the best trade-off between accuracy and cost.

    Trains a weight-sharing supernet once, searches it with a pymoo algorithm, and leaves a Pareto
    front of networks in a run folder that survives a crash.
    """

    settings: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    resume: str | None = None
    """Run folder to go on with; --evaluations may be raised."""
    restart_search: bool = False
    """With --resume: begin the search anew, keeping all results so far."""
    config: str | None = None
    """config.json of a run to repeat; other options are put over it."""
    plugin: tuple[str, ...] = ()
    """Python files of your own that register a space, a data set or a cost; run before all else."""
    dry_run: bool = False
    """Say what would be done and how long it would take, and do nothing."""
    quiet: bool = False
    """Show no progress."""


@dataclass(frozen=True, kw_only=True)
class StatusCommand:
    """Say how a run stands."""

    run: tyro.conf.Positional[str]
    """Run folder."""
    watch: bool = False
    """Say it again and again, until the run ends or Ctrl-C."""
    interval: float | None = None
    """Seconds between two looks, with --watch; by default 2."""


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write report.html of a run: one page that opens anywhere, without a network.

    What was searched, the front as a figure and a table, architectures, history, settings, and the
    commands that train and export each member. Needs no torch.
    """

    run: tyro.conf.Positional[str]
    """Run folder."""
    plugin: tuple[str, ...] = ()
    """Python files of your own that register a space, run before all else; for its diagrams."""


@dataclass(frozen=True, kw_only=True)
class CompareCommand:
    """Compare the fronts of several runs.

    Hypervolume (of runs of one problem that of their histories), members that no other run
    dominates, how far a front is from all together (additive epsilon), and which share of each
    front every other one covers. Needs no torch.
    """

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders, or CSV files with a column `network`; two or more."""
    objectives: tuple[str, ...] = ()
    """Columns to compare by, all minimised; by default what the runs minimised."""
    output: str | None = None
    """Figure to write, such as compare.png or compare.svg."""
    csv: str | None = None
    """Table to write."""


@dataclass(frozen=True, kw_only=True)
class RetrainCommand:
    """Train members of a run's front alone, and measure each once on the test images.

    Both ends, the knee, and others spread evenly between them. Weights and figures are kept in
    networks/, a table of true errors beside the estimated ones in retrained.csv. What was trained
    before, with the same settings, is not trained again.
    """

    run: tyro.conf.Positional[str]
    """Run folder."""
    settings: Annotated[RetrainConfig, tyro.conf.arg(name="")] = field(
        default_factory=RetrainConfig
    )
    plugin: tuple[str, ...] = ()
    """Python files of your own that register a space or a data set, run before all else."""
    quiet: bool = False
    """Show no progress."""


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write a network of a run as files that need torch and not evonas.

    A folder with the network as one plain Python file, its weights, and what it is; with
    torch-export or onnx a graph as well, which takes the bytes of images. Weights are those of a
    retraining where there was one, else those of the search.
    """

    run: tyro.conf.Positional[str]
    """Run folder."""
    member: int | None = None
    """Row of front.csv, from 0; by default the knee."""
    network: str | None = None
    """A network by its text instead, such as "macro:22212220"."""
    format: str = "safetensors"
    """safetensors, torch-export or onnx."""
    output: str | None = None
    """Folder to make; by default one in exports/ of the run."""
    device: str = "auto"
    """"auto" (the run's), "cpu", "cuda" or "cuda:1"."""
    data_dir: str | None = None
    """Folder of the data, where it has moved."""
    plugin: tuple[str, ...] = ()
    """Python files of your own that register a space or a data set, run before all else."""


@dataclass(frozen=True, kw_only=True)
class FidelityCommand:
    """Measure how well the supernet of a finished run ranks networks.

    Networks spread over the costs are looked up in the published table of the space and data set,
    or trained from scratch. What is not said is as it was in the run.
    """

    run: tyro.conf.Positional[str]
    """Run folder."""
    networks: int | None = None
    """Networks that are compared; by default 100 that are looked up, or 20 that are trained."""
    by: str | None = None
    """"table" or "scratch"; by default the table, where it is in the data folder and nothing is
    said of trainings."""
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    """How networks are trained."""
    data_dir: str | None = None
    """Folder of the data, where it has moved."""
    device: str = "auto"
    """"auto" (the run's), "cpu", "cuda" or "cuda:1"."""
    threads: int | None = None
    """CPU threads; by default those of the run."""
    ray: str | None = None
    """A Ray cluster that trains the networks: --ray alone starts one on this machine, "auto" is the
    one that it belongs to, else the address of its head. By default that of the run, if it has one;
    "off" is none."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """What each worker takes."""
    plugin: tuple[str, ...] = ()
    """Python files of your own that register a space or a data set, run before all else."""
    quiet: bool = False
    """Show no progress."""


@dataclass(frozen=True, kw_only=True)
class ProblemsCommand:
    """List the registered problems and what they do where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class LatencyCommand:
    """Measure a table of the latency of every choice on the device at hand.

    Whole networks are timed, a table is fitted to their times, and other whole networks say how
    well it adds up. A search takes the table as --cost latency=FILE.
    """

    settings: Annotated[LatencyConfig, tyro.conf.arg(name="")] = field(
        default_factory=LatencyConfig
    )
    plugin: tuple[str, ...] = ()
    """Python files of your own that register a space or a data set, run before all else."""
    quiet: bool = False
    """Show no progress."""


def main(arguments: Sequence[str] | None = None, *, started: float | None = None) -> int:
    """Run one verb.

    Args:
        arguments: verb and options; those of the process if None.
        started: `time.perf_counter()` at the start of the process.

    Returns:
        The exit code.
    """
    started = time.perf_counter() if started is None else started
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else USAGE_ERROR
    if arguments[0] == "--version":
        print(__version__)
        return 0
    try:
        verb, *options = _with_ray(arguments)
        if verb not in VERBS:
            raise unknown("command", verb, VERBS)
        return VERBS[verb](options, started)
    except InputError as error:
        print(f"evonas: {error}", file=sys.stderr)
        return USAGE_ERROR
    except ModuleNotFoundError as error:
        # Reading a run needs no torch; training does. Our own modules are never what is missing.
        print(f"evonas: {error}; install it (pip install {error.name})", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt as interrupt:
        print(f"evonas: {'; '.join(['interrupted', *map(str, interrupt.args)])}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`). Only a run has more to do than to show.
        sys.stderr.close()
        return 1 if arguments[0] == "run" else 0
    except (MemoryError, RuntimeError) as error:
        # torch has a class of its own for accelerators, and none for the host.
        if arguments[0] not in SIZES or not (
            isinstance(error, MemoryError)
            or type(error).__name__ == "OutOfMemoryError"
            or "can't allocate memory" in str(error)
        ):
            raise
        print(f"evonas: out of memory; give a smaller {SIZES[arguments[0]]}", file=sys.stderr)
        return USAGE_ERROR


def _usage() -> str:
    lines = ["usage: evonas VERB [OPTIONS]", ""]
    width = max(map(len, VERBS))
    for verb, action in VERBS.items():
        lines.append(f"  {verb:{width}}  {(action.__doc__ or '').splitlines()[0]}")
    lines += ["", "evonas VERB --help lists the options of a verb; evonas --version the version"]
    return "\n".join(lines)


def _parse(kind: type[C], options: Sequence[str], verb: str, default: C | None = None) -> C:
    """Read options with tyro; its boxed errors become one line.

    Raises:
        InputError: an option is unknown, lacks its value, or has a wrong one.
    """
    told = io.StringIO()
    prog = "python -m evonas.run" if verb == "run" else f"evonas {verb}"
    try:
        with contextlib.redirect_stderr(told):
            parsed: C = tyro.cli(kind, args=list(options), prog=prog, default=default)  # type: ignore[assignment]
            return parsed
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
    # The first paragraph of the box says what is wrong; the rest repeats the help.
    rows = [re.sub(r"^[│|]\s?|\s*[│|]$", "", row) for row in told.getvalue().splitlines()]
    said: list[str] = []
    for row in (row.strip() for row in rows):
        if row.startswith(("╭", "╰")):
            continue
        if said and (not row or row.startswith("──")):
            break
        if row:
            said.append(row)
    raise InputError(f"{' '.join(said).rstrip('.')}; `{prog} --help` lists the options")


def _run(options: Sequence[str], started: float) -> int:
    """Search a problem; the main job."""
    from evonas.run import Stopped, run
    from evonas.stages import plan

    command = _run_command(options)
    if command.resume:
        stored = load(_folder(command.resume).config)
        if command.dry_run or command.config:
            raise InputError("--resume goes on with stored settings; leave --dry-run/--config out")
        settings = command.settings if command.settings != stored else None
    else:
        settings = command.settings
        if command.restart_search:
            raise InputError("--restart-search needs --resume RUN")
    if command.dry_run:
        assert settings
        _show_plan(plan(settings, started=started, measure=True))
        return 0
    plugins = options_of(command.plugin)
    try:
        done = run(
            settings,
            resume=command.resume,
            restart_search=command.restart_search,
            quiet=command.quiet,
            started=started,
        )
    except Stopped as stopped:
        print(f"\n{stopped}{plugins}", file=sys.stderr)
        return INTERRUPTED
    _show_run(done, plugins)
    return 0


def _run_command(options: Sequence[str]) -> RunCommand:
    """The command, over the settings of --resume, --config or the problem's own for --help."""
    from evonas.stages.filling import fill

    for repeated in ("--constraint", "--cost", "--space-settings"):
        options = _merged(options, repeated)
    options = _run_plugins(options)
    base = RunConfig()
    resume, config = _value(options, "--resume"), _value(options, "--config")
    for name, value in (("--resume", resume), ("--config", config)):
        if value == "":
            raise InputError(f"{name} is empty; name a run folder or leave it out")
    supernet, budget = _value(options, "--supernet"), _value(options, "--budget")
    if resume:
        base = load(_folder(resume).config)
    elif config:
        base = load(config)
        if budget:
            # A new budget decides these anew.
            base = replace(base, evaluations=None, training=replace(base.training, steps=None))
            if base.retrain is not None:
                base = replace(base, scratch=replace(base.scratch, epochs=None))
        base = _other_pruning(base, options)
    elif supernet:
        # Another search of the same problem, unless another one of the same data is named.
        other = load(_folder(supernet).config)
        base = replace(base, problem=other.problem)
        if _value(options, "--problem") is None:
            base = replace(base, cost=other.cost)
    base = _other_fidelity(base, options)
    # A recipe that is named begins anew.
    if _value(options, "--scratch.recipe"):
        base = replace(base, scratch=ScratchConfig())
    if _value(options, "--fidelity-scratch.recipe"):
        base = replace(base, fidelity_scratch=ScratchConfig())
    retrain = base.retrain is not None or _value(options, "--retrain")
    open_epochs = retrain and not _value(options, "--scratch.epochs")
    if budget and _value(options, "--evaluations") and not open_epochs:
        if supernet or _value(options, "--training.steps"):
            raise InputError(
                "with these settings there is nothing left for --budget to decide; leave it out, "
                "or leave --evaluations out"
            )
    if {"-h", "--help"} & set(options) and not (resume or config):
        named = replace(base, problem=_value(options, "--problem") or base.problem)
        base = replace(fill(replace(named, device="cpu")), device="auto", threads=None)
    return _parse(RunCommand, options, "run", RunCommand(settings=base))


def _other_pruning(base: RunConfig, options: Sequence[str]) -> RunConfig:
    """Stored settings without those of a pruning that the command line decides anew."""
    if _value(options, "--prune") == "None":
        return replace(base, prune_to=None, prune_keep=None, prune_by=None, prune_epochs=None)
    if _value(options, "--prune-to"):
        return replace(base, prune_keep=None)
    return replace(base, prune_to=None) if _value(options, "--prune-keep") else base


def _other_fidelity(base: RunConfig, options: Sequence[str]) -> RunConfig:
    """Stored settings without those of trainings that the command line has no use for."""
    none, by = _value(options, "--fidelity") == "0", _value(options, "--fidelity-by")
    if base.from_scratch or not (none or by == "table"):
        return base
    base = replace(base, fidelity_by=None, fidelity_scratch=ScratchConfig())
    return base if base.retrain is not None else replace(base, scratch=ScratchConfig())


def _with_ray(options: Sequence[str]) -> list[str]:
    """Options in which --ray, where it is given alone, means a cluster on this machine."""
    told: list[str] = []
    for at, option in enumerate(options):
        told.append(option)
        alone = at + 1 == len(options) or options[at + 1].startswith("--")
        if option == "--ray" and alone:
            told.append("local")
    return told


def _merged(options: Sequence[str], name: str) -> list[str]:
    """Options with all values of a repeated one in one place: tyro would keep the last."""
    rest: list[str] = []
    values: list[str] = []
    taking = False
    for option in options:
        if option.startswith("--"):
            taking = option == name
            if option.startswith(f"{name}="):
                values.append(option.partition("=")[2])
            elif not taking:
                rest.append(option)
        else:
            (values if taking else rest).append(option)
    return [*rest, name, *values] if values else list(options)


def _value(options: Sequence[str], name: str) -> str | None:
    """The value of an option before the real parsing, in either spelling."""
    for at, option in enumerate(options):
        if option == name and at + 1 < len(options):
            return options[at + 1]
        if option.startswith(f"{name}="):
            return option.partition("=")[2]
    return None


def _values(options: Sequence[str], name: str) -> list[str]:
    """All values of an option that `_merged` has put in one place."""
    if name not in options:
        return []
    rest = options[list(options).index(name) + 1 :]
    return list(itertools.takewhile(lambda option: not option.startswith("--"), rest))


def _run_plugins(options: Sequence[str]) -> list[str]:
    """Run every --plugin; the options, with all of its files behind one."""
    merged = _merged(options, "--plugin")
    for path in _values(merged, "--plugin"):
        run_plugin(path)
    return merged


def _folder(path: str) -> Any:
    from evonas.runs import RunFolder

    return RunFolder.open(path)


def _show_plan(planned: Any) -> None:
    from evonas.analysis.quantities import many
    from evonas.run import summary

    print(f"would run: {summary(planned.config)}")
    problem = planned.workspace.problem
    if planned.workspace.computes:
        print(
            f"data: {len(problem.data.train)} training and {len(problem.data.validation)} "
            f"validation images; {many(problem.space.size)} genomes"
        )
    else:
        print(f"data: a table of {len(problem.genes)} networks; the search takes seconds")
        return
    if not planned.expected:
        when = "the first network has been trained"
        if not planned.config.from_scratch:
            when = "the workers train"
        print(f"how long: shown as soon as {when}; not measured before")
        return
    for stage, seconds in planned.expected.items():
        print(f"{stage}: about {seconds:.0f} s")
    print(f"together: about {sum(planned.expected.values()):.0f} s")


def _show_run(done: Any, plugins: str = "") -> None:
    """The front as a table, where everything is, and what to do next."""
    from evonas.analysis.tables import read_table

    front = done.front
    print(f"Pareto front of {done.config.problem}: {len(front)} networks")
    _print_networks(front.networks, front.columns, front.values)
    path = done.folder.path
    if done.folder.retrained.is_file():
        _show_retrained(done.folder, done.retrained)
    if done.folder.architectures.is_file():
        networks, columns, values = read_table(done.folder.architectures, text="network")
        print(f"likeliest architecture of each distribution: {len(set(networks))} networks")
        _print_networks(networks, columns, values)
    print(f"run folder  {path}")
    if done.folder.report.is_file():
        print(f"report      {done.folder.report}")
    drawn = ("hypervolume", "distributions", "saliency", "pruning", "fidelity")
    more = [f"{name}.png" for name in drawn]
    there = [name for name in more if (done.folder.figures / name).is_file()]
    print(f"figures     {', '.join([str(done.folder.figures / 'front.png'), *there])}")
    if not len(front):
        print("no network evaluated keeps the constraints; loosen them, or raise --evaluations")
    if done.folder.fidelity.is_file():
        print(f"fidelity    {done.fidelity.summary()}")
    history = done.history
    if done.folder.decisions.is_file():
        networks, columns, values = read_table(
            done.folder.decisions, text="network", ignored=("decision",)
        )
        sure = [value for value in values[:, columns.index("exceeds_noise")].tolist() if value == 1]
        print(
            f"decisions   {done.folder.decisions}: {len(networks)} candidates, {len(sure)} decided "
            "by more than noise"
        )
        if len(history) and history.evaluations[-1] < done.config.evaluations:
            return  # it came to its own end
    elif len(history) and history.evaluations[-1] < done.config.evaluations:
        print(
            f"no more networks were found that are new and keep the limits, after "
            f"{history.evaluations[-1]} of {done.config.evaluations}"
        )
        return
    print(
        f"search on   python -m evonas.run --resume {path} "
        f"--evaluations {2 * done.config.evaluations}{plugins}"
    )


def _fidelity(options: Sequence[str], started: float) -> int:
    """Measure how well the supernet of a finished run ranks networks."""
    from evonas.fidelity import measure_fidelity
    from evonas.run import Stopped

    command = _parse(FidelityCommand, _run_plugins(options), "fidelity")
    try:
        done = measure_fidelity(
            command.run,
            networks=command.networks,
            by=command.by,
            scratch=command.scratch,
            data_dir=command.data_dir,
            device=command.device,
            threads=command.threads,
            ray=command.ray,
            cluster=command.cluster,
            quiet=command.quiet,
        )
    except Stopped as stopped:
        print(f"\n{stopped}{options_of(command.plugin)}", file=sys.stderr)
        return INTERRUPTED
    print(done.fidelity.summary())
    print(f"table       {done.folder.fidelity}")
    print(f"figure      {done.folder.figures / 'fidelity.png'}")
    return 0


def _status(options: Sequence[str], started: float) -> int:
    """Say how a run stands, once or again and again (--watch)."""
    from evonas.runs import read_status, watch
    from evonas.runs.watch import INTERVAL

    command = _parse(StatusCommand, options, "status")
    if not command.watch:
        if command.interval is not None:
            raise InputError("--interval is for --watch; give both")
        print(read_status(command.run))
        return 0
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
        watch(command.run, interval=INTERVAL if command.interval is None else command.interval)
    return 0


def _report(options: Sequence[str], started: float) -> int:
    """Write a page of a run that opens anywhere and can be mailed."""
    from evonas.analysis import write_report

    command = _parse(ReportCommand, _run_plugins(options), "report")
    print(f"report      {write_report(_folder(command.run))}")
    return 0


def _compare(options: Sequence[str], started: float) -> int:
    """Compare the fronts of several runs, in numbers and a figure."""
    from evonas.analysis import Comparison, Front, save_comparison

    command = _parse(CompareCommand, options, "compare")
    if len(command.runs) < 2:
        raise InputError("name two runs or more: evonas compare RUN RUN")
    objectives = command.objectives or None
    compared = Comparison.of(Front.load(path, objectives=objectives) for path in command.runs)
    told = _different_estimates(command.runs, compared)
    table = compared.to_frame()
    print(f"compared by {', '.join(compared.objectives)}")
    # Names of runs are long; columns are told by numbers.
    for number, name in enumerate(compared.names, start=1):
        print(f"{number:>3}  {name}")
    _print_runs(
        [name.replace("_", "\n") for name in table.columns[1:]], table.iloc[:, 1:].to_numpy()
    )
    if len(compared) <= MOST_COVERED:
        print("share of the members of a column's front that the front of a row covers:")
        _print_runs([str(number + 1) for number in range(len(compared))], compared.coverage)
    print(f"all together: {len(compared.merged)} networks are on the front")
    for line in told:
        print(line)
    if command.csv:
        write_text_atomic(Path(command.csv).expanduser(), table.to_csv(index=False))
        print(f"table       {command.csv}")
    if command.output:
        save_comparison(compared, Path(command.output).expanduser())
        print(f"figure      {command.output}")
    return 0


def _print_runs(columns: Sequence[str], values: Any) -> None:
    """Numbers of runs, which are told by numbers: short, so that eight fit into a terminal."""
    from rich.table import Table

    from evonas.analysis.quantities import format_number

    table = Table()
    table.add_column("run", justify="right", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(values.tolist(), start=1):
        table.add_row(str(number), *map(format_number, row))
    _print_table(table)


def _different_estimates(runs: Sequence[str], compared: Any) -> list[str]:
    """What a comparison compares beside the networks, in lines."""
    from evonas.runs import supernet_of

    told = []
    scales = {front.scale for front in compared.fronts} - {None}
    if len(scales) > 1:
        told.append(
            "the runs measure hypervolume by different scales (other data, or another space): here "
            "all are measured by the ranges of all members"
        )
    supernets = {supernet_of(path) for path in runs} - {None}
    if len(supernets) > 1 and "error" in compared.objectives:
        told.append(
            f"errors are estimates of {len(supernets)} supernets, which this compares, too; "
            "`evonas retrain` measures true ones: compare RUN/retrained.csv by --objectives error "
            "and a cost"
        )
    return told


def _retrain(options: Sequence[str], started: float) -> int:
    """Train members of a run's front alone; true errors, on test images too."""
    from evonas.run import Stopped, retrain_members

    options = _run_plugins(_merged(options, "--network"))
    command = _parse(RetrainCommand, options, "retrain")
    try:
        done = retrain_members(command.run, command.settings, quiet=command.quiet)
    except Stopped:
        print("\nstopped; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    _show_retrained(_folder(command.run), done)
    return 0


def _export(options: Sequence[str], started: float) -> int:
    """Write a network of a run as files that need torch and not evonas."""
    from evonas.run import export_member

    command = _parse(ExportCommand, _run_plugins(options), "export")
    folder = export_member(
        command.run,
        member=command.member,
        network=command.network,
        format=command.format,
        output=command.output,
        device=command.device,
        data_dir=command.data_dir,
    )
    about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    print(f"network  {about['genome']}")
    print(f"weights  {about['weights']}")
    for path in sorted(folder.iterdir()):
        print(f"file     {path}")
    return 0


def _show_retrained(folder: Any, done: Any) -> None:
    from evonas.analysis.quantities import plural

    print(f"trained alone: {plural(len(set(done.networks)), 'network')}")
    _print_networks(done.networks, done.columns, done.values)
    print(f"networks    {folder.networks}")
    print(f"figure      {folder.figures / 'retrained.png'}")


def _problems(options: Sequence[str], started: float) -> int:
    """List the registered problems."""
    from rich.table import Table

    from evonas.problems import list_problems
    from evonas.problems.defaults import TABLE_EVALUATIONS, defaults_for
    from evonas.problems.published import TABLES
    from evonas.problems.registry import split_name

    _parse(ProblemsCommand, options, "problems")
    table = Table()
    for name in ("problem", "objectives", "space", "on a CPU", "on CUDA"):
        table.add_column(name)
    for problem in list_problems():
        data, objectives = split_name(problem)
        if data in TABLES:
            space, cells = TABLES[data].space, 2 * [f"a table, {TABLE_EVALUATIONS} evaluations"]
        else:
            by_kind = [defaults_for(data, kind) for kind in ("cpu", "cuda")]
            space = by_kind[0].space
            cells = [f"{d.training.steps} steps, {d.evaluations} evaluations" for d in by_kind]
        table.add_row(problem, ", ".join(objectives), space, *cells)
    _print_table(table)
    print("with a cost of your own: --cost latency=FILE --problem cifar10-latency")
    print("networks trained from scratch, one by one: --space plain, or --from-scratch")
    return 0


def _measure_latency(options: Sequence[str], started: float) -> int:
    """Measure a table of latencies on this device."""
    from evonas.latency import measure_latency
    from evonas.latency.measure import check_output
    from evonas.problems.registry import data_of
    from evonas.runs import open_progress

    options = _run_plugins(options)
    command = _parse(LatencyCommand, options, "measure-latency")
    output = check_output(command.settings.output)
    latency = measure_latency(command.settings, progress=open_progress(quiet=command.quiet))
    latency.write(output)
    print(latency)
    print(f"table        {output}")
    problem, data_dir = command.settings.problem, command.settings.data_dir
    words = ["--problem", f"{data_of(problem) if problem else 'DATA'}-latency"]
    words += ["--space", latency.cost.space.name, "--cost", f"latency={output}"]
    words += ["--data-dir", data_dir] if data_dir else []
    words += [word for path in command.plugin for word in ("--plugin", path)]
    print(f"search with  python -m evonas.run {shlex.join(words)}")
    return 0


def _print_networks(networks: Sequence[str], columns: Sequence[str], values: Any) -> None:
    """Networks and their numbers; what is unknown (NaN) stays empty."""
    from rich.table import Table

    table = Table()
    # A long network takes several lines; its numbers are never cut.
    table.add_column("network", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for network, row in zip(networks, values.tolist(), strict=True):
        cells = [
            ""
            if math.isnan(v)
            else f"{v:,.0f}"
            if v.is_integer() and n not in ("error", "loss")
            else f"{v:.4g}"
            for n, v in zip(columns, row, strict=True)
        ]
        table.add_row(network, *cells)
    _print_table(table)


def _print_table(table: Any) -> None:
    from rich.console import Console

    # Names are text, not markup. A file or a pipe has no width to fit into.
    console = Console(markup=False, emoji=False)
    console = console if console.is_terminal else Console(markup=False, emoji=False, width=200)
    console.print(table)


VERBS: dict[str, Callable[[Sequence[str], float], int]] = {
    "run": _run,
    "status": _status,
    "report": _report,
    "compare": _compare,
    "retrain": _retrain,
    "export": _export,
    "fidelity": _fidelity,
    "problems": _problems,
    "measure-latency": _measure_latency,
}


if __name__ == "__main__":
    sys.exit(main())
