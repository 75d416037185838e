import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonas.data.split import hold_out, split_search, stratified_order
from evonas.errors import InputError

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=200).map(np.array)


@given(LABELS)
def test_order_is_a_permutation(labels):
    assert np.array_equal(np.sort(stratified_order(labels)), np.arange(len(labels)))


@given(LABELS, st.data())
def test_every_slice_is_stratified(labels, data):
    order = stratified_order(labels)
    start = data.draw(st.integers(0, len(labels) - 1))
    stop = data.draw(st.integers(start + 1, len(labels)))
    held = labels[order[start:stop]]
    classes = len(np.unique(labels))
    for label in np.unique(labels):
        expected = (stop - start) * (labels == label).mean()
        # Each end of the slice is off by less than one image of this class, for each end by the
        # rounding of all classes together.
        assert abs((held == label).sum() - expected) <= 1 + classes / 2


def test_order_is_the_one_it_always_was():
    # A changed value here means another split: results before and after cannot be compared.
    labels = np.arange(20) % 3
    golden = [18, 13, 14, 9, 16, 11, 3, 1, 17, 15, 4, 8, 0, 7, 2, 12, 19, 5, 6, 10]
    assert stratified_order(labels).tolist() == golden


def test_parts_are_disjoint_and_nested():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    train, held = split_search(labels, 100)
    assert len(train) == 900 and len(held) == 100
    assert not set(train) & set(held)
    smaller, same = split_search(labels, 100, train_images=200)
    assert np.array_equal(smaller, train[:200]) and np.array_equal(same, held)
    _, larger = split_search(labels, 300)
    assert set(held) < set(larger)
    assert np.array_equal(split_search(labels, 300, 200)[0], smaller)


def test_share():
    rest, held = hold_out(np.arange(100) % 2, 0.15)
    assert (len(rest), len(held)) == (85, 15)


@pytest.mark.parametrize("validation", [0, -1, 100, 1000, 0.0])
def test_impossible_validation(validation):
    with pytest.raises(InputError, match="choose a number from 1 to 99"):
        split_search(np.zeros(100, int), validation)


@pytest.mark.parametrize("train_images", [0, -5, 81])
def test_impossible_training(train_images):
    with pytest.raises(InputError, match="choose a number from 1 to 80"):
        split_search(np.zeros(100, int), 20, train_images)
