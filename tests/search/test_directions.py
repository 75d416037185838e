import numpy as np
import pytest

from evonas.errors import InputError
from evonas.search.directions import check_directions, reference_directions


@pytest.mark.parametrize(
    "n_obj, pop_size, n", [(2, 20, 20), (2, 2, 2), (3, 20, 15), (3, 21, 21), (3, 3, 3), (4, 20, 20)]
)
def test_largest_lattice_within_the_population(n_obj, pop_size, n):
    directions = reference_directions(n_obj, pop_size)
    assert directions.shape == (n, n_obj)
    assert len(np.unique(directions, axis=0)) == n
    np.testing.assert_allclose(directions.sum(axis=1), 1)
    assert (np.sort(directions.max(axis=0)) == 1).all(), "every objective on its own is there"


def test_refuses_what_has_no_lattice():
    with pytest.raises(InputError, match="two objectives"):
        reference_directions(1, 20)
    with pytest.raises(InputError, match="pop_size=2"):
        reference_directions(3, 2)
    with pytest.raises(InputError, match="shape"):
        check_directions([0.5, 0.5], 2)
