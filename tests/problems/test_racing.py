"""Networks that stop being scored when they cannot matter."""

import math

import numpy as np
import pytest

from evonas.errors import InputError
from evonas.problems.racing import FIRST, Race, Rival, first_and_rest, half_width


def rival(cost, value):
    return Rival(np.atleast_1d(np.asarray(cost, float)), value, lambda batch: np.zeros(1))


def test_rivals_are_the_front_of_all_that_were_added():
    race = Race("exact")
    race.add([rival(3, 10.0), rival(1, 30.0), rival(2, 40.0)])
    race.add([rival(2, 20.0), rival(5, 10.0)])
    assert sorted((r.cost[0], r.value) for r in race.rivals) == [(1, 30), (2, 20), (3, 10)]
    assert race.rival(np.array([0.5])) is None
    assert race.rival(np.array([2.0])).value == 20
    assert race.rival(np.array([9.0])).value == 10


def test_a_rival_costs_no_more_in_any_respect():
    race = Race("confident")
    race.add([rival((1, 5), 10.0), rival((5, 1), 20.0)])
    assert race.rival(np.array([4.0, 4.0])) is None
    assert race.rival(np.array([5.0, 2.0])).value == 20


def test_exact_waits_until_nothing_can_help():
    """Of 10 images 4 wrong ones are sure to be no better than an error of 0.4."""
    sums = np.array([3.0, 4.0, 5.0])
    out = Race("exact").out(sums, sums, sums, np.full(3, 0.4), seen=6, images=10)
    assert out.tolist() == [False, False, True]


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_confident_is_rarely_wrong_however_often_it_looks(rate):
    """Of networks exactly as good as their rival few are ever told worse, at 31 looks."""
    rng = np.random.default_rng(0)
    n, images, batch = 1500, 4000, 125
    # images that one of the two tells wrong, as many each way
    told = np.zeros(images)
    told[: int(rate * images)] = np.resize([1, -1], int(rate * images))
    order = np.stack([rng.permutation(told) for _ in range(n)])
    sums, squares = order.cumsum(axis=1), np.square(order).cumsum(axis=1)
    ever = np.zeros(n, bool)
    race = Race("confident", confidence=0.95)
    for seen in range(batch, images, batch):
        S, Q = sums[:, seen - 1], squares[:, seen - 1]
        ever |= race.out(S, S, Q, np.zeros(n), seen=seen, images=images)
    assert 0.001 < ever.mean() < 0.05


def test_confident_sees_what_is_plain():
    """20 points worse, on 125 images, 30 of which tell the two apart."""
    out = Race("confident").out(
        np.array([50.0]), np.array([25.0]), np.array([30.0]), np.zeros(1), seen=125, images=4000
    )
    assert out.all()


def test_the_half_width_shrinks_with_the_number_of_images():
    widths = [half_width(np.array([0.25]), n, 4000, 0.05)[0] for n in (125, 1000, 3900)]
    assert widths[0] > widths[1] > widths[2]
    # a few times the deviation of the mean of images that are not put back
    for n, width in zip((125, 1000, 3900), widths, strict=True):
        assert 2.0 < width / math.sqrt(0.25 / n * (1 - n / 4000)) < 5


def test_of_many_some_of_all_costs_come_first():
    costs = np.random.default_rng(0).permutation(100)[:, None].astype(float)
    first, rest = first_and_rest(costs)
    assert len(first) == FIRST and sorted([*first, *rest]) == list(range(100))
    assert {0, 99} <= set(costs[first, 0])
    assert [part.tolist() for part in first_and_rest(costs[:5])] == [[0, 1, 2, 3, 4]]


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="did you mean exact"):
        Race("exct")
    with pytest.raises(InputError, match="above 0.5 and below 1"):
        Race("confident", confidence=0.2)


@pytest.fixture(scope="module")
def digits():
    """A supernet of digits, scored on 350 images in 14 batches, and 120 networks."""
    from evonas.problems import get_problem

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evonas.supernet.supernet.EVALUATION_BATCH", 25)
        problem = get_problem("digits-params")
        supernet = problem.train(steps=150, batch_size=128)
        X = problem.space.sample(120, np.random.default_rng(0))
        yield problem, supernet, X


def raced(digits, racing, **settings):
    from evonas.problems import SupernetProblem

    problem, supernet, _ = digits
    return SupernetProblem(
        problem.space, problem.data, supernet=supernet, racing=racing, name="digits", **settings
    )


def front(F):
    from moocore import is_nondominated

    return {tuple(point) for point in F[is_nondominated(F, keep_weakly=True)].tolist()}


@pytest.mark.parametrize("objectives", [("error", "params"), ("loss", "params", "macs")])
@pytest.mark.parametrize("racing", ["exact", "confident"])
def test_what_is_non_dominated_is_scored_on_all_images(digits, racing, objectives):
    X = digits[2]
    whole, race = raced(digits, "off", objectives=objectives), raced(
        digits, racing, objectives=objectives
    )  # fmt: skip
    F, G = whole.evaluate(X), race.evaluate(X)
    saved = race.images_saved(X)
    assert np.all(whole.images_saved(X) == 0)
    np.testing.assert_array_equal(F[saved == 0], G[saved == 0])
    assert front(G) <= {tuple(point) for point in G[saved == 0].tolist()}
    if racing == "exact":
        assert front(F) == front(G)
    distinct = len(np.unique(whole.space.canonical(X), axis=0))
    assert whole.images_scored == 350 * distinct
    each = race.images_saved(np.unique(whole.space.canonical(X), axis=0))
    assert race.images_scored == 350 * distinct - each.sum()
    assert saved.any()
    # an estimate is dominated by a network that is known on all images
    known = G[saved == 0]
    for point in G[saved > 0]:
        assert np.any(np.all(known <= point, axis=1) & (known[:, 0] < point[0]))


@pytest.mark.parametrize("racing", ["exact", "confident"])
def test_a_race_goes_on_from_what_is_remembered(digits, racing):
    X = digits[2]
    one, two = raced(digits, racing), raced(digits, racing)
    F = one.evaluate(X[:60])
    G = one.evaluate(X[60:])
    two.remember(X[:60], F, one.images_saved(X[:60]))
    assert two.images_scored == 0
    np.testing.assert_array_equal(two.images_saved(X[:60]), one.images_saved(X[:60]))
    np.testing.assert_array_equal(two.evaluate(X[60:]), G)
    np.testing.assert_array_equal(two.images_saved(X[60:]), one.images_saved(X[60:]))


def test_confident_saves_more_than_exact(digits):
    X = digits[2]
    scored = []
    for racing in ("off", "exact", "confident"):
        problem = raced(digits, racing)
        problem.evaluate(X)
        scored.append(problem.images_scored)
    assert scored[0] > scored[1] > scored[2]


def test_another_supernet_begins_another_race(digits):
    problem = raced(digits, "confident")
    problem.evaluate(digits[2])
    assert problem.images_saved(digits[2]).any()
    problem.supernet = digits[1]
    assert problem.images_scored == 0 and not problem.images_saved(digits[2]).any()


def test_networks_race_by_one_objective(digits):
    with pytest.raises(InputError, match="one of error and loss, not by error and loss"):
        raced(digits, "exact", objectives=("error", "loss"))
    with pytest.raises(InputError, match="did you mean confident"):
        raced(digits, "confidnt")


def test_estimates_teach_a_model_nothing(digits):
    from evonas.search import get_algorithm

    problem = raced(digits, "confident")
    algorithm = get_algorithm("screened", problem)
    algorithm.setup(problem, termination=("n_eval", 60), seed=1)
    while algorithm.has_next():
        algorithm.next()
    saved = problem.images_saved(np.array(algorithm.known.get("X"), dtype=int))
    assert saved.any()
    assert len(algorithm._learnt()) == np.sum(saved == 0)
