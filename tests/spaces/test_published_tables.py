"""Counts and classes against the published benchmarks, every network of them."""

import json

import numpy as np
import pytest

from evonas.spaces import get_space


@pytest.fixture(scope="module")
def macro_table(data_dir):
    with open(data_dir / "nas-bench-macro_cifar10.json") as file:
        return json.load(file)


@pytest.fixture(scope="module")
def nb201_table(data_dir):
    with np.load(data_dir / "nas-bench-201.npz", allow_pickle=False) as file:
        return dict(file)


def test_nas_bench_macro(macro_table):
    space = get_space("macro")
    X = np.array([space.encode(text) for text in macro_table])
    assert len(X) == space.size == 6561
    np.testing.assert_array_equal(space.params(X), [v["params"] for v in macro_table.values()])
    np.testing.assert_array_equal(space.macs(X), [v["flops"] for v in macro_table.values()])


def test_nas_bench_macro_classes_are_those_that_share_results(macro_table):
    space = get_space("macro")
    X = np.array([space.encode(text) for text in macro_table])
    C = space.canonical(X)
    assert len(np.unique(C, axis=0)) == 3969
    results = [tuple(v["test_acc"]) for v in macro_table.values()]
    classes = [space.decode(c) for c in C]
    assert len(set(zip(classes, results, strict=True))) == len(set(results)) == 3969


@pytest.mark.parametrize(
    ("dataset", "num_classes", "input_shape"),
    [
        ("cifar10", 10, (3, 32, 32)),
        ("cifar100", 100, (3, 32, 32)),
        ("imagenet16_120", 120, (3, 16, 16)),
    ],
)
def test_nas_bench_201(nb201_table, dataset, num_classes, input_shape):
    space = get_space("nb201", num_classes, input_shape)
    X = nb201_table["ops"]
    assert len(X) == space.size == 15625
    np.testing.assert_array_equal(space.params(X), nb201_table[f"params_{dataset}"])
    np.testing.assert_array_equal(space.macs(X) + num_classes, nb201_table[f"flops_{dataset}"])


def test_nas_bench_201_operations_are_in_the_published_order(nb201_table):
    space = get_space("nb201")
    assert space.labels[0] == tuple(nb201_table["op_names"])
    assert space.decode(nb201_table["ops"][6111]) == (
        "nb201:|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    )


def test_nas_bench_201_published_classes_lie_inside_ours(nb201_table):
    space = get_space("nb201")
    C = space.canonical(nb201_table["ops"])
    classes = [space.decode(c) for c in C]
    assert len(set(classes)) == 4930
    published = set(zip(nb201_table["unique_id"].tolist(), classes, strict=True))
    assert len(published) == len(set(nb201_table["unique_id"].tolist())) == 6466
