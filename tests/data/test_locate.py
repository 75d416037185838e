"""Where data is looked for, and downloads that fail."""

import hashlib
import socket
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evonas.data import get_data, locate
from evonas.data.fashion_mnist import FILES, fashion_mnist
from evonas.errors import InputError


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def serve():
    """Returns a function (folder) -> address of an HTTP server on it."""
    servers = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):  # noqa: A002
            pass

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _use(monkeypatch, address):
    from torchvision import datasets

    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.CIFAR100, "url", f"{address}cifar-100-python.tar.gz")
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])


def _nothing_left(cache):
    return [path for path in cache.iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist"])
def test_no_network(name, no_folder, closed_port, monkeypatch):
    _use(monkeypatch, f"http://127.0.0.1:{closed_port}/")
    for _ in range(2):  # the first failure must not look like damaged data to the second
        start = time.perf_counter()
        with pytest.raises(InputError, match=f"cannot download {name}") as caught:
            get_data(name)
        assert time.perf_counter() - start < 5
        message = str(caught.value)
        assert "--data-dir" in message and "EVONAS_DATA" in message and "\n" not in message
    assert _nothing_left(no_folder)


def test_silent_server(no_folder, monkeypatch):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()  # accepts connections, and never says a word
        _use(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}/")
        monkeypatch.setattr(locate, "PATIENCE", 0.3)
        start = time.perf_counter()
        with pytest.raises(InputError, match="cannot download cifar10"):
            get_data("cifar10")
        assert time.perf_counter() - start < 5
    assert socket.getdefaulttimeout() is None


def test_wrong_archive(no_folder, serve, tmp_path, monkeypatch, capsys):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "cifar-10-python.tar.gz").write_bytes(b"half a file")
    _use(monkeypatch, serve(tmp_path / "www"))
    with pytest.raises(InputError, match="cannot download cifar10"):
        get_data("cifar10")
    assert _nothing_left(no_folder)


def test_download(no_folder, serve, small_fashion, monkeypatch, capsys):
    from torchvision import datasets

    _use(monkeypatch, serve(small_fashion))
    sums = [
        (f"{file}.gz", hashlib.md5((small_fashion / f"{file}.gz").read_bytes()).hexdigest())
        for pair in FILES.values()
        for file in pair
    ]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", sums)
    no_folder.mkdir(parents=True)
    (no_folder / ".FashionMNIST-killed").mkdir()  # left by a killed process
    source = fashion_mnist(published=False, validation=50)
    first = get_data(source)
    assert len(first.train) == 250
    assert [p.name for p in no_folder.iterdir() if not p.name.endswith(".lock")] == ["FashionMNIST"]
    _use(monkeypatch, "http://127.0.0.1:1/")  # from here on the cache must do
    assert get_data(source).checksum == first.checksum


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist", "folder"])
def test_named_folder_is_never_created(name, tmp_path, monkeypatch, no_folder):
    missing = tmp_path / "no" / "such"
    with pytest.raises(InputError, match=f"{missing} .*--data-dir.* does not exist"):
        get_data(name, data_dir=missing)
    monkeypatch.setenv("EVONAS_DATA", str(missing))
    with pytest.raises(InputError, match=f"{missing} .*EVONAS_DATA.* does not exist"):
        get_data(name)
    assert not missing.parent.exists() and not no_folder.exists()


def test_named_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        get_data("cifar10", data_dir=tmp_path / "file")


def test_argument_beats_variable(small_cifar, monkeypatch, tmp_path):
    monkeypatch.setenv("EVONAS_DATA", str(tmp_path / "missing"))
    assert get_data("cifar10", data_dir=small_cifar(10)).num_classes == 10


def test_unwritable_cache(no_folder, tmp_path, monkeypatch):
    (tmp_path / "cache").touch()  # a file where the folder should be
    with pytest.raises(InputError, match="cannot download cifar10"):
        get_data("cifar10")
