"""A front: what is on it, in which order, and that files hold it exactly."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from pymoo.indicators.hv import HV

from evonas.analysis import Front
from evonas.errors import InputError
from evonas.runs import Journal, Result, RunFolder

NETWORKS = ["toy:3", "toy:0", "toy:2", "toy:1", "toy:1b", "toy:9"]
VALUES = [
    [5.0, 900.0, 70.0],
    [40.0, 100.0, 20.0],
    [10.25, 300.0, 30.0],
    [20.0, 200.0, 25.0],
    [20.0, 200.0, 26.0],
    [20.0, 300.0, 90.0],
]
COLUMNS = ["error", "params", "macs"]


@pytest.fixture
def front():
    return Front.from_arrays(
        NETWORKS, VALUES, columns=COLUMNS, objectives=["error", "params"], name="toy"
    )


def test_non_dominated_sorted_by_cost_and_equals_kept(front):
    assert front.networks == ("toy:0", "toy:1", "toy:1b", "toy:2", "toy:3")
    assert front.F.tolist() == [[40, 100], [20, 200], [20, 200], [10.25, 300], [5, 900]]
    assert front.column("macs").tolist() == [20, 25, 26, 30, 70]
    assert len(front) == 5
    with pytest.raises(InputError, match="no column 'flops'"):
        front.column("flops")
    with pytest.raises(ValueError):
        front.values[0] = 0


def test_three_objectives_and_a_network_given_twice():
    front = Front.from_arrays([*NETWORKS, "toy:0"], [*VALUES, [0, 0, 0]], columns=COLUMNS)
    assert front.networks == ("toy:0", "toy:1", "toy:2", "toy:3")
    assert front.objectives == ("error", "params", "macs")


def test_the_order_does_not_depend_on_the_order_given(front, random_state):
    for _ in range(5):
        order = random_state.permutation(len(NETWORKS))
        again = Front.from_arrays(
            [NETWORKS[i] for i in order],
            np.array(VALUES)[order],
            columns=COLUMNS,
            objectives=["error", "params"],
        )
        assert again.networks == front.networks and np.array_equal(again.values, front.values)


def test_the_file_is_exact_and_the_same_byte_for_byte(tmp_path, front, random_state):
    front.write(tmp_path / "front.csv")
    assert (tmp_path / "front.csv").read_text() == (
        "network,error,params,macs\n"
        "toy:0,40.0,100,20\n"
        "toy:1,20.0,200,25\n"
        "toy:1b,20.0,200,26\n"
        "toy:2,10.25,300,30\n"
        "toy:3,5.0,900,70\n"
    )
    n = 300
    values = np.column_stack([random_state.random(n) * 100, random_state.integers(1, 2**53, n)])
    big = Front(tuple(f"toy:{i}" for i in range(n)), ("error", "params"), values, ("error",))
    big.write(tmp_path / "a.csv")
    back = Front.load(tmp_path / "a.csv")
    assert back.networks == big.networks and np.array_equal(back.values, big.values)
    back.write(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    # pandas 2 reads floats to the last bit but one unless told otherwise.
    frame = pd.read_csv(tmp_path / "a.csv")
    np.testing.assert_allclose(frame[["error", "params"]].to_numpy(), values, rtol=1e-15)


def test_the_frame(front):
    frame = front.to_frame()
    assert list(frame.columns) == ["network", "error", "params", "macs"]
    assert frame["params"].dtype == np.int64 and frame["error"].dtype == np.float64
    assert frame["network"].tolist() == list(front.networks)
    assert front.take([]).to_frame().shape == (0, 4)


def test_the_knee(front):
    # Scaled to 0..1 the sums are 1, 3/7 + 1/8, the same, 0.15 + 1/4, 1.
    knee = front.knee()
    assert knee.network == "toy:2" and knee.index == 3
    assert knee.values == {"error": 10.25, "params": 300.0, "macs": 30.0}
    assert str(knee) == "toy:2 (10.25 % error, 300 parameters, 30 MACs)"
    assert front.take([4]).knee().network == "toy:3"
    assert front.take([1, 2]).knee().network == "toy:1"
    with pytest.raises(InputError, match="empty front"):
        front.take([]).knee()


def test_what_does_not_fit_together():
    with pytest.raises(InputError, match="2 networks and 1 rows"):
        Front(("a", "b"), ("error",), np.ones((1, 1)), ("error",))
    with pytest.raises(InputError, match="'loss' is no column"):
        Front(("a",), ("error",), np.ones((1, 1)), ("loss",))
    with pytest.raises(InputError, match="network b has an objective that is no finite number"):
        Front(("a", "b"), ("error",), np.array([[1.0], [np.nan]]), ("error",))


def result(genome, error, params, feasible=True):
    network = "toy:" + "".join(map(str, sorted(genome)))
    return Result(1, genome, (error, params), feasible, 0.1, network)


RESULTS = [
    result((0, 1), 30.0, 100.0),
    result((1, 0), 30.0, 100.0),
    result((1, 1), 20.0, 200.0),
    result((2, 2), 1.0, 300.0, feasible=False),
    result((0, 2), 25.0, 300.0),
]


def test_of_results_the_feasible_ones_once_each():
    front = Front.from_results(RESULTS, ["error", "params"], name="toy")
    assert front.networks == ("toy:01", "toy:11")
    none = Front.from_results(RESULTS[3:4], ["error", "params"])
    assert len(none) == 0 and none.columns == ("error", "params")


def test_further_costs_come_from_the_problem():
    class Problem:
        costs = {"params": None, "macs": lambda X: X @ np.array([10, 1])}

        def canonical(self, X):
            return np.sort(X, axis=1)

    front = Front.from_results(RESULTS[1:], ["error", "params"], problem=Problem())
    assert front.columns == ("error", "params", "macs")
    assert front.objectives == ("error", "params")
    assert front.column("macs").tolist() == [1, 11]
    none = Front.from_results([], ["error", "params"], problem=Problem())
    assert none.columns == ("error", "params", "macs")


def test_loading_a_run(tmp_path, front):
    folder = RunFolder.create(tmp_path, "toy-macs")
    folder.config.write_text("{}")
    with pytest.raises(InputError, match="no front.csv yet"):
        Front.load(folder.path)
    front.write(folder.front)
    assert Front.load(folder.path).objectives == ("error", "params")
    with Journal(folder.journal) as journal:
        objectives = ["error", "macs"]
        journal.append([{"kind": "search", "seed": 1, "evaluations": 9, "objectives": objectives}])
    for path in (folder.path, folder.front, str(folder.path)):
        loaded = Front.load(path)
        assert loaded.objectives == ("error", "macs") and loaded.name == folder.name
    assert Front.load(folder.path, objectives=["macs", "params"]).objectives == ("macs", "params")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network,error\ntoy:1,1.0\n", "no column 'params'"),
        ("error,params\n1.0,2\n", "no column 'network'"),
        ("", "no column 'network' .it has none."),
        ("network,error,params\ntoy:1,1.0\n", "line 2 of .* has 2 cells, not 3"),
        ("network,error,params\ntoy:1,1.0,2\ntoy:2,x,2\n", "line 3 of .*: error is 'x'"),
        ("network,error,params\ntoy:1,,2\n", "toy:1 has an objective that is no finite number"),
        (",network,error,params\n0,toy:1,1,2\n", "column 1 of .* has no name; .* without an index"),
        ("network,error,error\ntoy:1,1,2\n", "the column 'error' twice"),
        ("network;error;params\ntoy:1;1;2\n", "separated by semicolons"),
    ],
)
def test_a_table_broken_by_hand(tmp_path, text, message):
    (tmp_path / "front.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        Front.load(tmp_path / "front.csv", objectives=["error", "params"])


@pytest.mark.parametrize("end", ["12", "1", ""])
def test_a_table_of_a_run_that_is_cut_short(tmp_path, end):
    """By the end of its last line, in its last number, and right before it."""
    folder = RunFolder.create(tmp_path, "toy-params")
    folder.config.write_text("{}")
    text = f"network,error,params\ntoy:1,1.0,2\ntoy:2,0.5,{end}"
    folder.front.write_text(text)
    with pytest.raises(InputError, match="line 3 of .*may be cut short"):
        Front.load(folder.path)
    # A user's own table need not end in a new line, but for one whose last cell is empty.
    own = tmp_path / "own.csv"
    own.write_text(text)
    if end:
        assert len(Front.load(own)) == 2
    else:
        with pytest.raises(InputError, match="line 3 of .*may be cut short"):
            Front.load(own)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        Front.load(tmp_path / "front.csv")
    with pytest.raises(InputError, match="there is no run folder"):
        Front.load(tmp_path / "run")
    (tmp_path / "front.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="cannot read"):
        Front.load(tmp_path / "front.csv")


def test_representatives_lose_the_least_hypervolume(front):
    assert front.representatives(5).networks == front.networks
    # The second of two equal members says nothing new; then the one that adds least goes.
    assert front.representatives(4).networks == ("toy:0", "toy:1", "toy:2", "toy:3")
    few = front.representatives(2)
    scaled = (front.F - front.F.min(0)) / np.ptp(front.F, axis=0)
    volume = HV(ref_point=np.array([1.1, 1.1]))
    best = max(volume(scaled[list(pair)]) for pair in combinations(range(len(front)), 2))
    chosen = [front.networks.index(network) for network in few.networks]
    assert volume(scaled[chosen]) == pytest.approx(best)
    assert len(front.take([]).representatives(3)) == 0
    with pytest.raises(InputError, match="at least 1"):
        front.representatives(0)


def test_an_unknown_number_is_never_the_best():
    values = [[5, 900, np.nan], [10, 300, 4.0], [20, 200, 7.0], [40, 100, 9.0]]
    front = Front(("a", "b", "c", "d"), ("error", "params", "latency"), values, ("error", "params"))
    assert front.pick(by="latency").network == "b"
    assert front.pick(latency="<=8").network == "b"
    assert front.nearest(latency=8).network == "c"
    with pytest.raises(InputError, match="keeps latency<=3; the nearest has 4"):
        front.pick(latency=3)
    with pytest.raises(InputError, match="params=nan is no number"):
        front.nearest(params=float("nan"))
    unknown = front.take([0])
    with pytest.raises(InputError, match="no network has the numbers that decide"):
        unknown.pick(by="latency")
    with pytest.raises(InputError, match="no network has a known latency"):
        unknown.pick(latency="<=8")
    with pytest.raises(InputError, match="no network has a number in each"):
        unknown.nearest(latency=8)


def test_limits_on_columns_of_any_name():
    values = [[5, 900, -2.0], [10, 300, 4.0]]
    columns = ("error", "params", "delay [ms]")
    front = Front(("a", "b"), columns, values, ("error", "params"))
    assert front.pick(**{"delay [ms]": -1}).network == "a"
    assert front.pick(**{"delay [ms]": ">=3"}).network == "b"
    with pytest.raises(InputError, match=r"no network keeps delay \[ms\]<=-3"):
        front.pick(**{"delay [ms]": -3})
    for wrong in ("few", "<=few", float("nan")):
        with pytest.raises(InputError, match="is no constraint|is no number"):
            front.pick(params=wrong)


def test_a_spread_has_as_many_members_as_were_asked_for(random_state):
    """Also where the knee is an end, or next to one."""
    for members in (*range(3, 12), *range(12, 40, 3)):
        for _ in range(20):
            F = np.sort(random_state.random((members, 2)) ** 3, axis=0)
            F[:, 0] = F[::-1, 0]
            networks = [f"toy:{i:02}" for i in range(members)]
            front = Front.from_arrays(networks, F, columns=("error", "params"))
            ends = {front.networks[0], front.networks[-1]}
            for n in range(2, members + 1):
                chosen = front.spread(n).networks
                assert len(set(chosen)) == n and ends <= set(chosen)
                assert n == 2 or front.knee().network in chosen


def test_a_spread_of_a_table_in_any_order(front, random_state):
    # a row that another one dominates, as an edited file may hold
    rows = np.vstack([front.values, [[41.0, 101.0, 0.0]]])
    networks = [*front.networks, "toy:bad"]
    wanted = {n: set(front.spread(n).networks) for n in (1, 2, 3)}
    for _ in range(5):
        order = random_state.permutation(len(rows))
        mixed = Front([networks[i] for i in order], COLUMNS, rows[order], ("error", "params"))
        for n in (2, 3):
            assert {"toy:0", "toy:3"} <= set(mixed.spread(n).networks)
            assert set(mixed.spread(n).networks) == wanted[n]
        assert mixed.spread(6).networks == tuple(n for n in mixed.networks if n != "toy:bad")
    assert len(front.take([]).spread(2)) == 0


@pytest.mark.parametrize("objectives", [(), ("error", "error")])
def test_objectives_are_different(front, objectives):
    with pytest.raises(InputError, match="give different ones of error, params, macs"):
        Front(front.networks, COLUMNS, front.values, objectives)


def test_what_is_left_of_a_network_with_two_estimates():
    one = Front(("x",), ("error", "params"), [[10, 100]], ("error", "params"))
    two = Front(("x", "y"), ("error", "params"), [[8, 100], [7, 120]], ("error", "params"))
    for fronts in ([one, two], [two, one]):
        merged = Front.merge(fronts)
        assert merged.networks == ("x", "y") and merged.F.tolist() == [[8, 100], [7, 120]]


def test_names_of_folders_and_a_table_with_words(tmp_path, front):
    folder = RunFolder.create(tmp_path, "toy-params")
    folder.config.write_text("{}")
    front.write(folder.front)
    assert Front.load(folder.path).name == folder.name  # a journal is not needed for that
    words = "network,error,test_error,params,method\nx,1,2,3,10 epochs\n"
    (tmp_path / "retrained.csv").write_text(words)
    loaded = Front.load(tmp_path / "retrained.csv", objectives=["error", "params"])
    assert loaded.columns == ("error", "test_error", "params")
