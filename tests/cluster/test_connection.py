"""What a cluster cannot do is one line, before anything has begun."""

import dataclasses
import http.server
import subprocess
import sys
import threading

import pytest

from evonas.cli import main
from evonas.cluster import connect, connection
from evonas.cluster.check import check_nodes
from evonas.cluster.kit import Kit, NodeUnfit
from evonas.errors import InputError
from evonas.spaces import get_space


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


def test_no_machine_is_large_enough():
    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        refused("asks for 1 GPU, and no machine of the cluster has that many .none.", gpus=1.0)
        refused("asks for 2 CPUs, and no machine of the cluster has that many .at most 1.", cpus=2)
        with connect(workers=5) as cluster:
            assert cluster.workers == 1 and not cluster.started
        assert ray.is_initialized()  # what somebody else has started stays
    finally:
        ray.shutdown()


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
def machines(tmp_path):
    """A cluster of two machines, neither of which is this one: it has no CPUs to give."""
    from ray.cluster_utils import Cluster

    other = tmp_path / "other" / "evonas"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "9.9"\n')
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})

    def add(**environment):
        cluster.add_node(num_cpus=1, env_vars=environment)
        return cluster.address

    yield add, str(other.parent)
    cluster.shutdown()


def test_machines_that_cannot_work_are_named(machines, few_digits, tmp_path):
    add, other = machines
    address = add()
    space = get_space("tiny", 10, few_digits.input_shape)
    with connect(address) as cluster:
        assert cluster.workers == 1
        kit = Kit.of(space, few_digits, "cpu")
        check_nodes(cluster, kit)
        moved = {**few_digits.recipe, "data_dir": "/no/such/folder"}
        with pytest.raises(NodeUnfit, match="no data folder /no/such/folder; mount it there, or"):
            check_nodes(cluster, dataclasses.replace(kit, recipe=moved))
        with pytest.raises(NodeUnfit, match="its images of 'digits' are not those of the run"):
            check_nodes(cluster, dataclasses.replace(kit, checksum="0" * 32))
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
