"""One small cluster for the tests of a file, and a problem whose trainings take a moment."""

from collections.abc import Iterator

import pytest

from evonas.config import ScratchConfig

pytest.importorskip("ray", reason="needs Ray: pip install 'evonas[ray]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator:
    from evonas.cluster import connect

    with connect(workers=2, cpus=1) as connected:
        yield connected


@pytest.fixture
def make(few_digits):
    """Makes problems of networks trained for an epoch."""
    from evonas.problems import ScratchProblem
    from evonas.spaces import get_space

    space = get_space("tiny", few_digits.num_classes, few_digits.input_shape)

    def made(**settings) -> ScratchProblem:
        config = ScratchConfig(epochs=1, batch_size=32)
        return ScratchProblem(space, few_digits, **{"config": config, **settings})

    return made
