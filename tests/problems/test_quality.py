import json

import numpy as np
import pytest
from moocore import is_nondominated

from evonas.problems import mean_excess_error
from evonas.spaces import get_space

TRUTH = np.array([[10.0, 100.0], [6.0, 200.0], [5.0, 400.0]])


def test_the_true_front_has_none():
    assert mean_excess_error(TRUTH, TRUTH, worst_error=50) == 0


def test_by_hand():
    found = np.array([[12.0, 150.0], [5.5, 400.0]])
    # 100: nothing fits, 50 - 10; 200: 12 - 6; 400: 5.5 - 5
    assert mean_excess_error(found, TRUTH, worst_error=50) == pytest.approx((40 + 6 + 0.5) / 3)


def test_an_empty_front_pays_the_worst():
    assert mean_excess_error(np.empty((0, 2)), TRUTH, worst_error=50) == 43


def test_a_large_front_is_thinned_with_both_ends():
    params = np.arange(100.0, 401.0)
    found = np.column_stack([np.full(301, 30.0), params])
    found[0, 0], found[-1, 0] = 10, 5
    assert mean_excess_error(found, TRUTH, worst_error=50, members=2) == pytest.approx(4 / 3)


def test_what_is_beaten_makes_no_difference():
    beaten = np.column_stack([np.full(200, 60.0), np.linspace(100, 900, 200)])
    assert mean_excess_error(np.vstack([beaten, TRUTH]), TRUTH, worst_error=50) == 0


def test_ranking_macro_by_macs_alone(data_dir):
    """0.38 points, without any training: the number that every search is compared with."""
    table = json.loads((data_dir / "nas-bench-macro_cifar10.json").read_text())
    genomes = np.array([[int(c) for c in code] for code in table])
    error = np.array([100 - entry["mean_acc"] for entry in table.values()])
    params = np.array([entry["params"] for entry in table.values()], float)
    macs = np.array([entry["flops"] for entry in table.values()], float)
    _, distinct = np.unique(get_space("macro").canonical(genomes), axis=0, return_index=True)

    def front(quality):
        points = np.column_stack([quality, params])[distinct]
        return distinct[is_nondominated(points, keep_weakly=True)]

    truth, ranked = front(error), front(-macs)
    assert len(truth) == 39
    excess = mean_excess_error(
        np.column_stack([error, params])[ranked],
        np.column_stack([error, params])[truth],
        worst_error=error.max(),
    )
    assert round(excess, 2) == 0.38
