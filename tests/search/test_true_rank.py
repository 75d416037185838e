"""True-rank search, against the published log and made-up truths."""

import copy
import csv
import math

import numpy as np
import pytest
from pymoo.core.problem import Problem
from pymoo.optimize import minimize

from evonas.errors import InputError
from evonas.problems import ArchitectureProblem, TabularProblem
from evonas.runs import Journal, drive, read_lines, read_searches
from evonas.search import TrueRankSearch, get_algorithm
from evonas.search.true_rank import most_candidates
from evonas.spaces import get_space


@pytest.fixture
def space():
    return get_space("plain", depth=(10, 20), width=(16, 72, 4))


@pytest.fixture
def log(data_dir, space):
    """The genomes of the published search in order, and the table of what they reached."""
    with (data_dir / "trg-nas-search-log.csv").open() as file:
        rows = list(csv.DictReader(file))
    texts = [f"{r['depth']}x{r['width']}:{r['ops']}:{r['kernels']}" for r in rows]
    X = np.stack([space.encode(text.replace(" ", "")) for text in texts])
    error = 100 - np.array([float(row["best_val_acc"]) for row in rows])
    return X, TabularProblem(X, np.column_stack([error, space.params(X)]), space=space)


def visited(algorithm):
    return algorithm.pop.get("X")


@pytest.mark.parametrize("make", [lambda p, **s: TrueRankSearch(**s), None])
def test_the_log_is_reproduced(log, space, make):
    X, problem = log
    make = make or (lambda p, **s: get_algorithm("true-rank", p, **s))
    result = minimize(problem, make(problem, rules="log"), seed=3)
    np.testing.assert_array_equal(visited(result.algorithm), X)
    final = result.algorithm.architecture
    assert space.decode(final) == "plain:16x56:1010000000000000:3333333333333333"
    assert space.params(final[None])[0] == 453_498
    phases = [decision.phase for decision in result.algorithm.decisions]
    assert [phases.count(p) for p in ("depth", "width", "operations", "kernels")] == [11, 5, 10, 20]
    # The front holds whatever is not beaten, not only what was kept.
    assert {tuple(f) for f in result.F} == {tuple(f) for f in problem.pareto_front()}


def test_the_published_script_leaves_the_log_at_candidate_25(log):
    X, problem = log
    result = minimize(problem, TrueRankSearch(rules="published"), seed=1)
    went = visited(result.algorithm)
    np.testing.assert_array_equal(went[:24], X[:24])
    assert not np.array_equal(went[24], X[24])


def test_decisions_and_their_margins(log):
    _, problem = log
    decisions = minimize(problem, TrueRankSearch(), seed=1).algorithm.decisions
    first, second, third = decisions[:3]
    assert (first.outcome, first.correct) == ("kept", 9486) and math.isnan(first.margin)
    # 42 images better; 25 would have done.
    assert (second.outcome, second.reference, second.margin) == ("kept", 9486, 17)
    # 12 images worse; 16 would have been too many.
    assert (third.outcome, third.reference, third.margin) == ("passed", 9528, 3)
    by_width = {d.architecture.width: d for d in decisions if d.phase == "width"}
    # 49 images worse than the depth kept, of 50 allowed.
    assert (by_width[60].outcome, by_width[60].reference, by_width[60].margin) == ("kept", 9600, 1)
    assert (by_width[52].outcome, by_width[52].margin) == ("rejected", 14)
    right = (0.9528 * 0.0472 + 0.9486 * 0.0514) * 10_000
    assert second.noise == pytest.approx(2 * math.sqrt(right))
    # What the paper's search decided hangs on fewer images than chance moves, throughout.
    assert not any(decision.exceeds_noise for decision in decisions)


def test_resumed_from_its_journal(log, tmp_path):
    X, problem = log
    whole, parts = Journal(tmp_path / "whole.jsonl"), tmp_path / "parts.jsonl"
    settings = {"evaluations": 64, "seed": 1}
    drive(problem, get_algorithm("true-rank", problem), journal=whole, **settings)
    for stop_at in (5, 30, 1000):
        count = 0

        def stop(stop_at=stop_at):
            nonlocal count
            count += 1
            return count > stop_at

        with Journal(parts) as journal:
            outcome = drive(
                problem,
                get_algorithm("true-rank", problem),
                journal=journal,
                stop=stop,
                **settings,
            )
    assert not outcome.stopped and outcome.evaluations == 46
    recorded = [read_searches(read_lines(p)[0], p)[0] for p in (whole.path, parts)]
    assert recorded[0].finished and recorded[1].finished
    for one, other in zip(recorded[0].generations, recorded[1].generations, strict=True):
        assert (one.genomes, one.details) == (other.genomes, other.details)
    details = recorded[0].generations[1].details
    assert details["phase"] == 1 and details["kept"] == 1 and details["margin"] == 17
    assert details["exceeds_noise"] == 0 and details["noise"] > 17
    assert "margin" not in recorded[0].generations[0].details


class Truth(Problem):
    """A problem over plain chains whose error a function of the architecture tells."""

    objectives = ("error", "params")

    def __init__(self, space, error, images=None, trainings=1, training=None, limit=math.inf):
        super().__init__(
            n_var=space.n_var,
            n_obj=2,
            n_ieq_constr=int(math.isfinite(limit)),
            xl=0,
            xu=space.n_choices - 1,
            vtype=int,
        )
        self.space, self.error, self.limit = space, error, limit
        if images:
            self.evaluation_images = images
        self.trainings = trainings
        if training is not None:
            self.training_accuracy = lambda X: np.full(len(X), training)

    def _evaluate(self, X, out, *args, **kwargs):
        params = self.space.params(X)
        error = [self.error(self.space.base.architecture(x)) for x in self.space.lift(X)]
        out["F"] = np.column_stack([error, params])
        if self.n_ieq_constr:
            out["G"] = (params - self.limit)[:, None]


SMALL = {"depth": (3, 6), "width": (8, 16, 4)}


def search(problem, **settings):
    return minimize(problem, TrueRankSearch(**settings), seed=1).algorithm


def texts(algorithm):
    return [algorithm.problem.space.decode(x).partition(":")[2] for x in visited(algorithm)]


def test_every_gain_is_taken():
    space = get_space("plain", **SMALL)
    algorithm = search(
        Truth(space, lambda a: 50 - a.depth - sum(a.operations) - sum(a.kernels) / 10), layers=1
    )
    assert texts(algorithm)[:4] == ["3x16:000:333", "4x16:0000:3333", "5x16:00000:33333"] + [
        "6x16:000000:333333"
    ]
    assert space.decode(algorithm.architecture) == "plain:6x8:111111:777777"
    assert len(visited(algorithm)) == 4 + 2 + 6 + 12 == most_candidates(space)


def test_seven_is_tried_whether_or_not_five_was_kept():
    space = get_space("plain", depth=(3, 3), width=(8, 8))
    bad, good = {3: 1.0, 5: 2.0, 7: 0.0}, {3: 1.0, 5: 0.5, 7: 0.6}
    for costs, ends in ((bad, "777"), (good, "555")):
        algorithm = search(
            Truth(space, lambda a, costs=costs: 10 + sum(costs[k] for k in a.kernels)), layers=1
        )
        assert [t[-3:] for t in texts(algorithm)[4:6]] == ["533", "733"]
        assert space.decode(algorithm.architecture) == f"plain:3x8:000:{ends}"


def test_the_target_ends_the_depth_phase():
    space = get_space("plain", **SMALL)
    truth = Truth(space, lambda a: 7.0 - a.depth)
    assert [t for t in texts(search(truth, target=98)) if t.startswith("5x16")]
    assert not [t for t in texts(search(truth, target=98)) if t.startswith("6x")]
    assert [t for t in texts(search(truth)) if t.startswith("6x")]
    # A network that is passed over is not the one kept: 97.9 stays, 98.05 and 97.95 are no end.
    passed = Truth(space, lambda a: {3: 2.1, 4: 1.95, 5: 2.05, 6: 1.8}[a.depth])
    outcomes = [d.outcome for d in search(passed, target=98).decisions[:4]]
    assert outcomes == ["kept", "passed", "passed", "kept"]
    fitted = Truth(space, lambda a: 7.0 - a.depth, training=100.0)
    assert [t for t in texts(search(fitted)) if t.startswith("6x")]
    assert not [t for t in texts(search(fitted, rules="published")) if t.startswith("4x")]


def test_whole_images_of_the_evaluation_set():
    space = get_space("plain", depth=(3, 4), width=(8, 8))

    def error(better):
        # 300 images: a quarter of a point is 0.75 images, so one image is enough.
        return lambda a: 10.0 - (a.depth == 4) * better * 100 / 300

    for better, outcome in ((1, "kept"), (0.4, "passed"), (0, "passed"), (-1, "rejected")):
        decided = search(Truth(space, error(better), images=300)).decisions[1]
        assert decided.outcome == outcome
        assert decided.correct == round(270 + better)
    # A mean over two trainings counts in halves of an image.
    decided = search(Truth(space, error(0.5), images=300, trainings=2)).decisions[1]
    assert decided.correct == 270.5 and decided.outcome == "passed"
    one, two = (search(Truth(space, error(1), trainings=n)).decisions[1].noise for n in (1, 2))
    assert one == pytest.approx(two * math.sqrt(2), rel=1e-3)
    decided = search(Truth(space, error(1), images=300), images=1000).decisions[1]
    assert decided.reference == 900


def test_noise_is_at_least_what_trainings_of_one_network_differ_by():
    class Trained(Truth):
        def training_errors(self, X):
            error = self.evaluate(X)[:, :1]
            depth = [self.space.base.architecture(x).depth for x in self.space.lift(X)]
            off = np.where(np.array(depth) == 3, 4.0, 2.0)[:, None]  # points
            return np.hstack([error - off, error + off])

    space = get_space("plain", **SMALL)
    alike, apart = (
        search(kind(space, lambda a: 40 - a.depth, images=1000, trainings=2)).decisions
        for kind in (Truth, Trained)
    )
    assert [d.correct for d in alike] == [d.correct for d in apart]
    # 40 images from the mean each, then 20: 3,200 and 800 of two trainings, in one freedom each.
    assert apart[1].noise == pytest.approx(2 * math.sqrt(2 * (3200 + 800) / 2 / 2))
    assert apart[-1].noise < apart[1].noise
    # What they differ by is less than their binomial spread of 1.5 points.
    one = Truth(space, lambda a: 40 - a.depth, images=1000, trainings=2)
    one.training_errors = lambda X: np.full((len(X), 2), 37.0)
    assert search(one).decisions[1].noise == alike[1].noise
    # A training that failed tells nothing.
    one.training_errors = lambda X: np.full((len(X), 2), np.nan)
    assert search(one).decisions[1].noise == alike[1].noise


def test_limits():
    space = get_space("plain", **SMALL)
    limit = float(space.params(space.encode("3x16:000:333")[None])[0]) - 1
    algorithm = search(Truth(space, lambda a: 50 - a.depth, limit=limit), layers=1)
    went = ["3x16:000:333", "3x12:000:333", "4x12:0000:3333", "3x8:000:333", "3x8:100:333"]
    assert texts(algorithm)[:5] == went
    outcomes = [decision.outcome for decision in algorithm.decisions[:4]]
    assert outcomes == ["infeasible", "kept", "infeasible", "kept"]
    assert space.decode(algorithm.architecture) == "plain:3x8:000:333"
    nothing = search(Truth(space, lambda a: 50, limit=10))
    assert nothing.architecture is None and len(nothing.decisions) == 3


def test_many_in_a_row_that_break_a_limit_end_no_search(tmp_path):
    class Predicted(ArchitectureProblem):
        def _score(self, X):
            return {"error": 90.0 / (1.0 + X.sum(axis=1))}

    space = get_space("plain", depth=(3, 3), width=(2, 128, 2))
    problem = Predicted(space, ("error", "params"), constraints=["params<=2500"])
    algorithm = minimize(problem, get_algorithm("true-rank", problem), seed=1).algorithm
    outcomes = [decision.outcome for decision in algorithm.decisions]
    assert outcomes.index("kept") > 50 and set(outcomes[: outcomes.index("kept")]) == {"infeasible"}
    assert space.params(algorithm.architecture[None])[0] <= 2500
    assert not algorithm.evaluator.exhausted
    with Journal(tmp_path / "journal.jsonl") as journal:
        made = get_algorithm("true-rank", problem)
        driven = drive(problem, made, journal=journal, evaluations=200, seed=1).algorithm
    assert [decision.outcome for decision in driven.decisions] == outcomes


def test_restricted_spaces():
    space = get_space("plain", **SMALL)
    mask = space.allowed.copy()
    mask[0, [1]] = False  # no depth 4
    mask[space.operation_genes[0], 0] = False  # the first layer is full
    mask[space.kernel_genes[1], 0] = False  # the second has no kernel 3
    algorithm = search(Truth(space.restrict(mask), lambda a: 50 - a.depth), layers=1)
    assert texts(algorithm)[:3] == ["3x16:100:353", "5x16:10000:35333", "6x16:100000:353333"]
    assert all(t.split(":")[1][0] == "1" and t.split(":")[2][1] != "3" for t in texts(algorithm))


def test_copies_under_way_and_runs_twice():
    space = get_space("plain", **SMALL)
    problem, algorithm = Truth(space, lambda a: 50 - a.depth), TrueRankSearch()
    first = minimize(problem, algorithm, seed=1, save_history=True)
    second = minimize(problem, algorithm, seed=2)
    np.testing.assert_array_equal(visited(first.algorithm), visited(second.algorithm))
    algorithm.setup(problem, seed=1)
    for _ in range(4):
        algorithm.next()
    half = copy.deepcopy(algorithm)
    while half.has_next():
        half.next()
    np.testing.assert_array_equal(visited(half), visited(first.algorithm))
    assert len(visited(algorithm)) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": "lgo"}, "did you mean log"),
        ({"gain": -0.1}, "gain is -0.1"),
        ({"depth_gain": math.nan}, "depth_gain is nan"),
        ({"layers": 1.5}, "a share of all layers"),
        ({"images": 0}, "images is 0"),
        ({"images": True}, "images is True"),
        ({"rules": ["log"]}, r"unknown rules '\['log'\]'"),
        ({"gain": "a"}, "gain is 'a'; give a number"),
        ({"gain": True}, "gain is True; give a number"),
        ({"fitted": "yes"}, "fitted is 'yes'; give True or False"),
        ({"depth_gian": 0.1}, "unknown setting 'depth_gian'; did you mean depth_gain"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        TrueRankSearch(**settings)
    assert "\n" not in str(caught.value)


def test_other_problems_are_refused():
    table = TabularProblem([[0, 0], [0, 1]], [[1.0, 2.0], [2.0, 1.0]])
    for make in (
        lambda: get_algorithm("true-rank", table),
        lambda: minimize(table, TrueRankSearch()),
    ):
        with pytest.raises(InputError, match="has the space 'table'; give --space plain"):
            make()
    space = get_space("plain", **SMALL)
    X = space.canonical(space.sample(5, np.random.default_rng(0)))
    table = TabularProblem(X, np.ones((5, 2)), ("loss", "params"), space=space)
    with pytest.raises(InputError, match="decides by the error"):
        minimize(table, TrueRankSearch())
    with pytest.raises(InputError, match="no setting 'pop_size'"):
        get_algorithm("true-rank", table, pop_size=20)
