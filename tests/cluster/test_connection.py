"""What a cluster cannot do is one line, before anything has begun."""

import http.server
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from evonas.cli import main
from evonas.cluster import ClusterScoring, ClusterTrainers, connect, connection
from evonas.cluster.check import check_nodes
from evonas.cluster.connection import Node, NodeUnfit
from evonas.cluster.kit import Kit
from evonas.cluster.trials import evonas_trial
from evonas.config import ScratchConfig
from evonas.errors import InputError
from evonas.plugins import run_plugin
from evonas.problems import ScratchProblem
from evonas.spaces import get_space
from evonas.supernet import Supernet


def refused(message, *given, **settings):
    with pytest.raises(InputError, match=message) as caught, connect(*given, **settings):
        pass
    assert "\n" not in str(caught.value)


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    refused(r"pip install 'evonas\[ray\]'")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "answers at 127.0.0.1:1 .Connection refused"),
        ("no-such-host.invalid:6379", "answers at no-such-host"),
        ("ray://10.0.0.1:10001", "no address of a cluster"),
        ("nonsense", "no address of a cluster"),
    ],
)
def test_addresses_that_nobody_answers_at(address, message):
    refused(message, address)


def test_something_else_answers(monkeypatch):
    monkeypatch.setattr(connection, "CONNECTS_WITHIN", 2.0)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        refused("no answer within 2 s", f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()


def test_no_machine_is_large_enough(monkeypatch):
    import ray

    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        refused("asks for 1 GPU, and no machine of the cluster has that many .none.", gpus=1.0)
        refused("asks for 2 CPUs, and no machine of the cluster has that many .at most 1.", cpus=2)
        with monkeypatch.context() as patched:
            heads = [Node("id", "head", 0.0, 0.0)]
            patched.setattr(connection, "alive", lambda: heads)
            refused("no machine of the cluster has CPUs for trials; start Ray on one")
        with connect() as cluster:
            assert cluster.workers == cluster.room == 1 and not cluster.started
        with connect(workers=5) as cluster:  # four of them wait for machines to come
            assert cluster.workers == 5 and cluster.room == 1
            assert cluster.summary == (
                "cluster: room for 1 workers of 1 CPU on 1 machine; 4 more wait for others"
            )
        assert ray.is_initialized()  # what somebody else has started stays
    finally:
        ray.shutdown()


def test_what_was_sent_is_gone_with_the_connection(few_digits):
    """A notebook that connects again goes on with the same problem."""
    space = get_space("tiny", 10, few_digits.input_shape)
    X = space.sample(4, np.random.default_rng(0))
    here, there = (
        ScratchProblem(space, few_digits, config=ScratchConfig(epochs=1)) for _ in range(2)
    )
    with connect(workers=1) as cluster:
        there.trainers, scoring = ClusterTrainers(cluster), ClusterScoring(cluster)
        assert there.evaluate(X[:2]).tolist() == here.evaluate(X[:2]).tolist()
        supernet = Supernet(space, few_digits)
        weights = scoring._weights_of(supernet)
        assert scoring._weights_of(supernet) is weights
    with pytest.raises(InputError, match="not connected any more"):
        there.evaluate(X[2:])
    with connect(workers=1):
        assert there.evaluate(X[2:]).tolist() == here.evaluate(X[2:]).tolist()
        assert scoring._weights_of(supernet) is not weights


def test_settings_of_workers_without_a_cluster(capsys):
    assert main(["run", "--cluster.workers", "3", "--dry-run"]) == 2
    assert "give --ray" in capsys.readouterr().err
    assert main(["run", "--ray", "--problem", "nasbench-macro-params", "--data-dir", "/tmp"]) == 2
    assert "leave --ray out" in capsys.readouterr().err
    for more in ["--from-scratch"], ["--joint", "--algorithm", "multi-distribution"]:
        assert main(["run", "--ray", "--cluster.training-workers", "2", *more]) == 2
        assert "leave --cluster.training-workers out" in capsys.readouterr().err
    assert main(["run", "--asynchronous"]) == 2
    assert "--from-scratch" in capsys.readouterr().err


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """A cluster of two machines, neither of which is this one: it has no CPUs to give."""
    from ray.cluster_utils import Cluster

    monkeypatch.delenv("EVONAS_DATA", raising=False)
    other = tmp_path / "other" / "evonas"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "9.9"\n')
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})

    def add(**environment):
        cluster.add_node(num_cpus=1, env_vars=environment)
        return cluster.address

    yield add, str(other.parent)
    cluster.shutdown()


def broken_on_one_machine(kit, trial, weights, threads):
    time.sleep(0.5)  # so that the other machine has work, too
    if os.environ.get("BROKEN"):
        raise NodeUnfit("its disk is broken")
    return evonas_trial(kit, trial, weights, threads)


def test_a_broken_machine_gets_no_more_work(machines, few_digits):
    """One that comes after machines were looked at; others do what it should have done."""
    import ray

    add, _ = machines
    space = get_space("tiny", 10, few_digits.input_shape)
    here, there = (
        ScratchProblem(space, few_digits, config=ScratchConfig(epochs=1, batch_size=32))
        for _ in range(2)
    )
    X = space.sample(8, np.random.default_rng(3))
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    said = []
    try:
        with connect(add()) as cluster:
            cluster.say = said.append
            there.trainers = ClusterTrainers(cluster)
            there.trainers.task = lambda *given: broken_on_one_machine(*given)
            there.evaluate(X[:1])
            add(BROKEN="1")
            while cluster.room < 2:
                time.sleep(0.1)
            assert there.evaluate(X).tolist() == here.evaluate(X).tolist()
            assert said == ["its disk is broken; it gets no more work of this run"]
            assert cluster.room == cluster.workers == 1 and len(cluster.left_out) == 1
            (fit,) = cluster.nodes()
            with pytest.raises(NodeUnfit, match="its disk is full"):  # no others are left
                cluster.leave_out(fit.id, "its disk is full")
    finally:
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


PLUGIN = """
from evonas.spaces import get_space, register_space

def mine(num_classes=10, input_shape=(1, 8, 8)):
    return get_space("tiny", num_classes, input_shape)

register_space("mine", mine)
"""


def test_machines_that_cannot_work_are_named(machines, few_digits, tmp_path, own_registries):
    add, other = machines
    (tmp_path / "mine.py").write_text(PLUGIN)
    run_plugin(str(tmp_path / "mine.py"))
    address = add()
    space = get_space("tiny", 10, few_digits.input_shape)
    with connect(address) as cluster:
        assert cluster.workers == 1
        kit = Kit.of(space, few_digits, "cpu")
        check_nodes(cluster, kit)
        # The same process, which has run the plugin, trains; by another kit, too.
        for seed in (1, 2):
            data = replace(few_digits, train=few_digits.train.take(100 * seed))
            settings = ScratchConfig(epochs=1, batch_size=32)
            problems = [ScratchProblem(space, data, config=settings) for _ in range(2)]
            problems[1].trainers = ClusterTrainers(cluster)
            X = space.sample(1, np.random.default_rng(seed))
            assert problems[0].evaluate(X).tolist() == problems[1].evaluate(X).tolist()
        moved = {**few_digits.arguments, "data_dir": "/no/such/folder"}
        with pytest.raises(NodeUnfit, match="no data folder /no/such/folder; mount it there, or"):
            check_nodes(cluster, replace(kit, recipe=moved))
        with pytest.raises(NodeUnfit, match="its images of 'digits' are not those of the run"):
            check_nodes(cluster, replace(kit, checksum="0" * 32))
    # The command line, from a folder that has no evonas in it.
    add(PYTHONPATH=other)
    command = ["run", "--problem", "digits-params", "--ray", address, "--runs", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from evonas.cli import main; sys.exit(main())",
         *command, "--from-scratch"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "has evonas 9.9, and the run" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("digits-*"))
