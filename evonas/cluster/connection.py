"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evonas.device import cores
from evonas.errors import InputError

# Ray's own word for the cluster that this machine belongs to.
AUTO = "auto"
# A cluster that is started on this machine, and ends with what it was started for.
LOCAL = "local"
# The label of each machine that is Ray's name of it.
MACHINE = "ray.io/node-id"

# Seconds; with Ray's own retries an address that nobody answers at would take minutes.
ANSWERS_WITHIN, CONNECTS_WITHIN = 3.0, 10.0


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        id: Ray's.
        name: host name or address.
        cpus: that Ray may use.
        gpus: likewise.
    """

    id: str
    name: str
    cpus: float
    gpus: float


class NodeUnfit(InputError):
    """A machine of the cluster cannot do what the run needs."""


def _warn(news: str) -> None:
    warnings.warn(news, stacklevel=2)


@dataclass
class Cluster:
    """Where trials are done; made by `connect`.

    Attributes:
        address: of the cluster, in Ray's words.
        asked: trials at the same time; None for as many as there is room for.
        cpus: CPUs, and threads, of each.
        gpus: GPUs of each; above 0 they train on CUDA.
        started: whether it was started here, for this.
        holders: called to let CPUs and GPUs go that are held between two pieces of work.
        left_out: machines that get no more work, by Ray's names, and why.
        say: told a line of news; by default it is warned of.
    """

    address: str
    asked: int | None = None
    cpus: int = 1
    gpus: float = 0.0
    started: bool = False
    holders: list[Callable[[], None]] = field(default_factory=list, compare=False, repr=False)
    left_out: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    say: Callable[[str], None] = field(default=_warn, compare=False, repr=False)

    @property
    def room(self) -> int:
        """How many trials fit on the machines that are there now."""
        return sum(_fit(node, self.cpus, self.gpus) for node in self.nodes())

    @property
    def most_on_a_machine(self) -> int:
        """How many of them may be on one machine."""
        most = max((_fit(node, self.cpus, self.gpus) for node in self.nodes()), default=1)
        return max(1, min(most, self.workers))

    @property
    def workers(self) -> int:
        """Trials at the same time, now: machines may come and go."""
        return self.asked or max(1, self.room)

    @property
    def device(self) -> str:
        """Where a worker computes: "cuda" or "cpu"."""
        return "cuda" if self.gpus else "cpu"

    @property
    def summary(self) -> str:
        """What there is, in a line."""
        each = f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"
        each += f" and {self.gpus:g} GPU{'s' if self.gpus > 1 else ''}" if self.gpus else ""
        nodes, room = len(self.nodes()), self.room
        there = f"room for {room} workers of {each}"
        where = f"on {nodes} machine{'s' if nodes > 1 else ''}"
        more = (self.asked or 0) - room
        waits = f"; {more} more wait for others" if more > 0 else ""
        return f"cluster: {there} {where}{waits}"

    @property
    def resources(self) -> dict[str, Any]:
        """What each trial declares, as `ray.remote` takes it."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}

    @property
    def where(self) -> dict[str, Any]:
        """Where it may be done, as options of Ray: not on machines that are left out."""
        if not self.left_out:
            return {}
        return {"label_selector": {MACHINE: f"!in({', '.join(self.left_out)})"}}

    def leave_out(self, machine: str, why: str) -> None:
        """Give a machine no more work.

        Args:
            machine: Ray's name of it.
            why: a line.

        Raises:
            NodeUnfit: no other one is left; says why.
        """
        known = self.left_out.pop(machine, None)
        self.left_out[machine] = why
        self.check_fit()
        if not known:
            self.say(f"{why}; it gets no more work of this run")

    def check_fit(self) -> None:
        """See that machines are not all left out.

        Raises:
            NodeUnfit: those that are there are; says why the last one was.
        """
        if not self.left_out:
            return
        there = {node.id for node in alive()}
        reasons = [why for machine, why in self.left_out.items() if machine in there]
        if reasons and not self.nodes():
            self.left_out.clear()  # whoever tries again has seen to it
            raise NodeUnfit(reasons[-1])

    @property
    def connection(self) -> str:
        """Another one for each time that this program connected: what it sent is gone with it."""
        import ray

        context = ray.get_runtime_context()
        # Each Ray that is started has other machines, and each connection to it another worker.
        return f"{context.get_node_id()}{context.get_worker_id()}"

    def check_connected(self) -> None:
        """See that it is still there.

        Raises:
            InputError: the context that connected to it has ended.
        """
        import ray

        if not ray.is_initialized():
            raise InputError(
                "the cluster is not connected any more; evaluate within `with connect(...)`, or "
                "give the problem back what it had without one"
            )

    def let_go(self) -> None:
        """Let what is held go, so that other work finds room."""
        while self.holders:
            self.holders.pop()()

    def nodes(self) -> list[Node]:
        """Machines that a trial fits on now, and may be done on."""
        there = [node for node in alive() if node.id not in self.left_out]
        return [node for node in there if _fit(node, self.cpus, self.gpus)]


@contextmanager
def connect(
    address: str = LOCAL,
    *,
    workers: int | None = None,
    cpus: int = 1,
    gpus: float = 0.0,
) -> Iterator[Cluster]:
    """Connect to a cluster; one that is started here ends with the context.

    A program that has called `ray.init` itself goes on with that cluster, whatever the address.

    Args:
        address: "local" (start one on this machine), "auto" (the one that this machine belongs to),
            or that of its head, such as "10.0.0.1:6379".
        workers: trials at the same time; those that there is no room for wait for machines to
            come. By default as many as fit.
        cpus: CPUs of each trial.
        gpus: GPUs of each trial; may be a share, such as 0.5.

    Yields:
        The cluster.

    Raises:
        InputError: Ray is not installed, nobody answers, or no machine is large enough for a trial.
    """
    _quieten()
    try:
        import ray
    except ImportError:
        raise InputError(
            "Ray is not installed; install it (pip install 'evonas[ray]'), or leave --ray out"
        ) from None
    there = ray.is_initialized()
    if not there:
        if address == LOCAL:
            _start(workers, cpus)
        else:
            _join(address)
    cluster = Cluster(address, workers, cpus, gpus, started=not there and address == LOCAL)
    try:
        if not cluster.room:
            raise _too_small(cpus, gpus)
        yield cluster
    finally:
        cluster.let_go()
        if not there:
            ray.shutdown()


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two tuples hold the same objects; numbers and texts are compared by value."""
    return len(one) == len(other) and all(
        a == b if isinstance(a, int | float | str) else a is b
        for a, b in zip(one, other, strict=True)
    )


def alive() -> list[Node]:
    """The machines of the cluster that is connected to."""
    import ray

    nodes = []
    for node in ray.nodes():
        if node["Alive"]:
            resources = node["Resources"]
            name = node.get("NodeManagerHostname") or node["NodeManagerAddress"]
            sizes = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
            nodes.append(Node(node["NodeID"], name, *sizes))
    return nodes


def name_of(machine: str) -> str:
    """Host name or address of a machine, by Ray's name of it."""
    return next((node.name for node in alive() if node.id == machine), machine)


def _fit(node: Node, cpus: int, gpus: float) -> int:
    """How many trials fit on a machine."""
    fit = int(node.cpus // cpus)
    return min(fit, int(node.gpus / gpus + 1e-9)) if gpus else fit


def _too_small(cpus: int, gpus: float) -> InputError:
    nodes = alive()
    if gpus and max(node.gpus for node in nodes) < gpus:
        most = max(node.gpus for node in nodes)
        there = f"at most {most:g}" if most else "none"
        return InputError(
            f"a trial asks for {gpus:g} GPU{'s' if gpus > 1 else ''}, and no machine of the "
            f"cluster has that many ({there}); give a smaller --cluster.gpus, or 0 to train on CPUs"
        )
    most = max(node.cpus for node in nodes)
    if not most:
        return InputError(
            "no machine of the cluster has CPUs for trials; start Ray on one that has some (ray "
            "start --address HEAD:PORT)"
        )
    return InputError(
        f"a trial asks for {cpus} CPUs, and no machine of the cluster has that many (at most "
        f"{most:g}); give a smaller --cluster.cpus"
    )


def _start(workers: int | None, cpus: int) -> None:
    """Start a cluster on this machine."""
    import ray

    # More workers than cores may be asked for; a worker larger than the machine is a mistake.
    asked = (workers or 1) * cpus if cpus <= cores() else 1
    _init(ray, address=LOCAL, num_cpus=max(cores(), asked))


def _join(address: str) -> None:
    """Connect to a cluster that runs; where nobody answers, that is said at once."""
    import ray

    if address != AUTO:
        host, _, port = address.rpartition(":")
        if "/" in address or not host or not port.isdigit():
            raise InputError(
                f"'{address}' is no address of a cluster; give one such as 10.0.0.1:6379, 'auto' "
                "for that of this machine, or --ray alone to start one here (no ray:// client: run "
                "evonas on a machine of the cluster)"
            )
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
        except OSError as error:
            raise _nobody(address, error.strerror or str(error) or "no answer") from None
    # What answers need not be Ray, and a head that has lost its way ends this process or hangs.
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _TRY, address],
            timeout=CONNECTS_WITHIN,
            env=_token_environment(),
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise _nobody(address, f"no answer within {CONNECTS_WITHIN:g} s") from None
    if tried.returncode:
        said = [line for line in tried.stderr.splitlines() if line.strip()]
        why = said[-1].strip().partition(". ")[0] if said else "it cannot be connected to"
        raise _nobody(address, why)
    _show_token()
    _init(ray, address=address)


_TRY = """
import logging, sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
except BaseException as error:
    sys.exit(" ".join(str(error).split())[:300])
"""


def _nobody(address: str, why: str) -> InputError:
    where = "on this machine" if address == AUTO else f"at {address}"
    return InputError(
        f"no Ray cluster answers {where} ({why}); start one (ray start --head), correct the "
        "address, set RAY_AUTH_TOKEN where it asks for a token, or give --ray alone to start one "
        "for this run, or --ray off to do without"
    )


def _init(ray: Any, **given: Any) -> None:
    local = given["address"] == LOCAL
    try:
        ray.init(
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **given,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        why = " ".join(str(error).split())[:300]
        if local:
            raise InputError(
                f"Ray cannot be started on this machine ({why}); see /tmp/ray"
            ) from None
        raise _nobody(given["address"], why) from None


def _token_environment() -> dict[str, str]:
    """The environment of a process that answers clusters that ask for a token, if there is one.

    Others take no notice of it. Ray itself does so only for a cluster that it finds itself.
    """
    there = (Path.home() / ".ray" / "auth_token").is_file()
    if there or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        return {"RAY_AUTH_MODE": "token", **os.environ}
    return dict(os.environ)


def _show_token() -> None:
    """Have this process do so, too; Ray has read its environment already."""
    try:
        from ray._private.authentication import authentication_token_setup as tokens
    except ImportError:  # a Ray of before tokens, or of after
        return
    enable = getattr(tokens, "maybe_enable_token_auth_if_token_available", None)
    if enable is not None:
        enable(warn_if_disabled=False)


def _quieten() -> None:
    """Leave the terminal to the run; Ray keeps logs of its own. It reads this when imported."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # what it says of workers that died
