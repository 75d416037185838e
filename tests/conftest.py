"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data named by EVONAS_DATA; tests that need it skip without."""
    value = os.environ.get("EVONAS_DATA")
    if not value:
        pytest.skip("needs real data: set EVONAS_DATA to the folder that holds it")
    path = Path(value)
    assert path.is_dir(), f"EVONAS_DATA names {path}, which is no folder"
    return path


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The networks of the tests are tiny: a second thread costs more than it brings."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread_again(one_thread) -> Iterator[None]:
    """A run in the process of the tests, and some of the tests, set their own number of threads."""
    import torch

    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two threads in a test."""
    from evonas.device import cpu_threads

    with cpu_threads(2):
        yield


@pytest.fixture(scope="session")
def few_digits():
    """200 training and 100 validation images: an epoch takes a moment."""
    from evonas.data import get_data

    return get_data("digits", train_images=200, validation=100)


@pytest.fixture(scope="session")
def chains():
    """Small plain chains for digits."""
    from evonas.spaces import get_space

    return get_space("plain", 10, (1, 8, 8), depth=(3, 4), width=(2, 4))


@pytest.fixture(autouse=True)
def own_plugins(monkeypatch) -> None:
    """Plugins that a test runs are not known to workers of another one."""
    from evonas import plugins

    monkeypatch.setattr(plugins, "_RAN", {})


@pytest.fixture
def own_registries(monkeypatch) -> None:
    """What a test registers (spaces, data sets, costs) is forgotten after it."""
    from evonas.data import registry as data
    from evonas.problems import own_costs
    from evonas.spaces import registry as spaces

    for module, name in (spaces, "_FACTORIES"), (data, "_DATA_SETS"), (own_costs, "_FACTORIES"):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


@pytest.fixture
def random_state() -> np.random.Generator:
    return np.random.default_rng(0)


# A picture of one pixel.
_EMPTY = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU"
    b"\0\0\0\nIDATx\x9cc\xf8\x0f\0\x01\x01\x01\0\xb18\xf6\x14\0\0\0\0IEND\xaeB`\x82"
)


@pytest.fixture(scope="module")
def empty_figures() -> Iterator[None]:
    """Figures of a module's runs are pictures of one pixel: to draw them takes a third of a run."""
    from matplotlib.figure import Figure

    def save(self: Figure, file: Any, **options: Any) -> None:
        if isinstance(file, str | Path):
            Path(file).write_bytes(_EMPTY)
        else:
            file.write(_EMPTY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield
