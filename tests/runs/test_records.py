"""What journal lines mean, and that lines out of place are refused by number."""

from dataclasses import replace

import pytest

from evonas.errors import InputError
from evonas.runs import Result, distinct_results, read_searches

SEARCH = {"kind": "search", "seed": 1, "evaluations": 4, "objectives": ["error", "params"]}
ASK = {"kind": "ask", "generation": 1, "genomes": [[0, 1], [1, 0]], "random_state": {"s": 1}}
FIRST = Result(1, (0, 1), (12.5, 300.0), True, 0.1, "toy:01", (-1.0,))
SECOND = Result(1, (1, 0), (10.0, 400.0), False, 0.1, "toy:01", (2.0,), (0.5,))
RESULTS = [result.to_line(["error", "params"]) for result in (FIRST, SECOND)]
CLOSE = {"kind": "generation", "generation": 1, "evaluations": 2, "hypervolume": None, "seconds": 1}
END = {"kind": "end", "evaluations": 4}
WHOLE = [SEARCH, ASK, *RESULTS, CLOSE, END]


def test_a_result_line_is_readable_and_comes_back():
    assert RESULTS[0] == {
        "kind": "result",
        "generation": 1,
        "genome": [0, 1],
        "network": "toy:01",
        "objectives": {"error": 12.5, "params": 300.0},
        "constraints": [-1.0],
        "feasible": True,
        "seconds": 0.1,
    }
    for result, line in zip((FIRST, SECOND), RESULTS, strict=True):
        assert Result.from_line(line, ["error", "params"]) == result
    plain = Result(2, (3, 1), (1.0,), True, 0.0)
    assert "network" not in plain.to_line(["f1"]) and "constraints" not in plain.to_line(["f1"])
    assert plain.key == "genome:3-1"
    raced = replace(FIRST, images_saved=30, race={"smoothed": 12.25})
    line = raced.to_line(["error", "params"])
    assert line["images_saved"] == 30 and line["race"] == {"smoothed": 12.25}
    assert Result.from_line(line, ["error", "params"]) == raced
    assert "race" not in plain.to_line(["f1"])


def test_searches_are_read_back():
    again = {**SEARCH, "kind": "restart", "seed": 2}
    more = {"kind": "budget", "evaluations": 9}
    first, second = read_searches([*WHOLE, again, ASK, RESULTS[0], more], "j")
    assert first.finished and not first.restart and first.generations[0].evaluations == 2
    assert second.restart and second.seed == 2 and second.evaluations == 9 and not second.finished
    assert second.generations[0].results == [FIRST] and second.generations[0].evaluations is None
    assert read_searches([*WHOLE, more], "j")[0].finished is False


def test_of_one_network_the_first_result_counts():
    assert distinct_results(read_searches(WHOLE, "j")) == [FIRST]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ([ASK], 1),
        ([END], 1),
        ([{**SEARCH, "kind": "restart"}], 1),
        ([SEARCH, SEARCH], 2),
        ([SEARCH, {**SEARCH, "kind": "restart", "objectives": ["error", "macs"]}], 2),
        ([SEARCH, {"kind": "note"}], 2),
        ([SEARCH, {"generation": 1}], 2),
        ([SEARCH, {**ASK, "generation": 2}], 2),
        ([SEARCH, {**ASK, "genomes": 5}], 2),
        ([SEARCH, RESULTS[0]], 2),
        ([SEARCH, ASK, ASK], 3),
        ([SEARCH, ASK, RESULTS[1]], 3),
        ([SEARCH, ASK, {**RESULTS[0], "objectives": {"error": 1.0}}], 3),
        ([SEARCH, ASK, RESULTS[0], CLOSE], 4),
        ([*WHOLE[:5], RESULTS[0]], 6),
    ],
)
def test_a_line_out_of_place_is_refused_by_number(lines, number):
    with pytest.raises(InputError, match=rf"^line {number} of some/journal.jsonl"):
        read_searches(lines, "some/journal.jsonl")
