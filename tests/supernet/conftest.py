import numpy as np
import pytest

from evonas.data import from_tensors


@pytest.fixture(scope="session")
def random_images():
    """Sixty noise images of 3 x 32 x 32 in ten classes; nothing can be learnt from them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (240, 3, 32, 32), dtype=np.uint8)
    return from_tensors(images, np.arange(240) % 10)
