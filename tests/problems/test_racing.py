"""Networks that stop being scored when they cannot matter."""

import copy
import dataclasses
import math

import numpy as np
import pytest

from evonas.device import cpu_threads
from evonas.errors import InputError
from evonas.problems import racing as rules
from evonas.problems.racing import (
    FEW,
    FIRST,
    LOOKS,
    NEIGHBOURS,
    Difference,
    Race,
    Rival,
    Score,
    clock,
    critical_value,
    first_and_rest,
    looks_of,
    order_of,
    parts_of,
    probable_rest,
)


def rival(cost, value):
    return Rival(np.atleast_1d(np.asarray(cost, float)), value, (0,))


def race_of(mode, table=None, *, batch=10, **settings):
    """A race on outcomes (networks, images), whose paths are the places of networks.

    They may be (networks, 2, images), with smoothed ones.
    """
    table = np.zeros((1, 10 * batch)) if table is None else np.asarray(table, float)
    table = twice(table) if table.ndim == 2 else table
    asked = []

    def outcomes(paths, numbers):
        asked.extend((path[0], number) for path in paths for number in numbers)
        images = np.concatenate([np.arange(batch * i, batch * (i + 1)) for i in sorted(numbers)])
        return table[[path[0] for path in paths]][:, :, images]

    race = Race(mode, outcomes, sizes=[batch] * (table.shape[2] // batch), **settings)
    return race, asked


def twice(rows):
    """Outcomes (..., images) that are not smoothed, (..., 2, images)."""
    return np.stack([rows, rows], axis=-2)


def test_rivals_are_the_front_of_all_that_were_added():
    race, _ = race_of("exact")
    race.add([rival(3, 10.0), rival(1, 30.0), rival(2, 40.0)])
    race.add([rival(2, 20.0), rival(5, 10.0)])
    assert sorted((r.cost[0], r.value) for r in race.rivals) == [(1, 30), (2, 20), (3, 10)]
    assert race.rival(np.array([0.5])) is None
    assert race.rival(np.array([2.0])).value == 20
    assert race.rival(np.array([9.0])).value == 10


def test_a_rival_costs_no_more_in_any_respect():
    race, _ = race_of("confident")
    race.add([rival((1, 5), 10.0), rival((5, 1), 20.0)])
    assert race.rival(np.array([4.0, 4.0])) is None
    assert race.rival(np.array([5.0, 2.0])).value == 20


def test_exact_waits_until_nothing_can_help():
    """Of 100 images 41 wrong ones are sure to be worse than an error of 0.4."""
    race, _ = race_of("exact")
    sums = np.array([30.0, 40.0, 41.0])
    assert race.out(sums, sums, sums, np.full(3, 0.4)).tolist() == [False, False, True]


def test_all_are_scored_on_the_common_images():
    """Three batches of ten, of ten: a hopeless network is told so after them at the earliest."""
    table = np.zeros((2, 100))
    table[1] = 1
    race, asked = race_of("confident", table)
    race.score([(0,)], np.array([[1.0]]))
    asked.clear()
    value = race.score([(1,)], np.array([[2.0]]))[0]
    seen = len({number for path, number in asked if path == 1})
    assert 3 <= seen < 10 and value == 1.0
    told, alone = race.known[1,], race.known[0,]
    assert (told.value, told.saved) == (1.0, 100 - 10 * seen)
    assert math.isnan(told.smoothed)
    assert (alone.value, alone.saved, alone.smoothed) == (0.0, 0, 0.0)


def test_an_estimate_is_what_the_images_say():
    good = np.r_[np.zeros(20), np.tile([1, 0, 1, 1, 0], 16)]
    bad = np.r_[good[:30], np.ones(70)]
    race, _ = race_of("confident", [good, bad], confidence=0.6)
    race.score([(0,)], np.array([[1.0]]))
    race.score([(1,)], np.array([[2.0]]))
    seen = 100 - race.known[1,].saved
    assert 30 < seen < 100
    told = Difference(race.rivals[:1], 1.0, 100)
    told.add(twice(bad[:seen]), twice(good[None, :seen]))
    values = [race.known[path].value for path in ((0,), (1,))]
    np.testing.assert_allclose(values, [good.mean(), good.mean() + told.told()[0]])


def alike(rng, like, share, n=1):
    """Networks (n, images) as often wrong as another one, on a share of its mistakes elsewhere."""
    rows = np.repeat(like[None], n, axis=0)
    for row in rows:
        wrong, right = np.flatnonzero(like), np.flatnonzero(like == 0)
        moved = int(share * len(wrong))
        row[rng.choice(wrong, moved, replace=False)] = 0
        row[rng.choice(right, moved, replace=False)] = 1
    return rows


def known(rows):
    """Rivals of outcomes (networks, images) or, with smoothed ones, (networks, 2, images)."""
    rows = twice(rows) if rows.ndim == 2 else rows
    return [Rival(np.zeros(1), row[0].mean(), (i,), row[1].mean()) for i, row in enumerate(rows)]


def test_a_difference_is_told_by_networks_that_make_the_same_mistakes():
    rng = np.random.default_rng(0)
    rival = (rng.random(4000) < 0.2).astype(float)
    network = alike(rng, rival, 0.4)[0]
    near = alike(rng, network, 0.1, n=4)
    rows = np.vstack([rival, near])
    errors, variances = {}, {}
    for name, some in (("rival", rows[:1]), ("all", rows)):
        told = []
        for _ in range(200):
            seen = rng.permutation(4000)[:500]
            one = Difference(known(some), 1.0, 4000)
            one.add(twice(network[seen]), twice(some[:, seen]))
            told.append(one.told())
        means, variance = np.array(told).T
        errors[name], variances[name] = means.var(), variance.mean()
        assert abs(means.mean()) < 4 * means.std() / math.sqrt(200)
        assert means.var() == pytest.approx(variance.mean(), rel=0.3)  # as it says itself
    assert errors["all"] < 0.3 * errors["rival"] and variances["all"] < 0.3 * variances["rival"]


def smooth(margins):
    """Outcomes of margins (..., images), plain and smoothed, (..., 2, images)."""
    return np.stack([(margins < 0).astype(float), 1 / (1 + np.exp(margins / 0.25))], axis=-2)


def test_a_difference_is_told_by_smoothed_outcomes():
    """Networks that are unsure of the same images, and toss coins about them."""
    rng = np.random.default_rng(0)
    hard = rng.normal(1.0, 1.0, 4000)
    rows = smooth(hard + rng.normal(0, 0.3, (10, 4000)) + np.linspace(0, 0.1, 10)[:, None])
    network, rows = rows[0], rows[1:]
    true = network[0].mean() - rows[0, 0].mean()
    rest = probable_rest(known(rows))
    errors, variances = {}, {}
    for name, some, one_rest in (
        ("plain", twice(rows[:, 0]), (0.0, math.inf)),
        ("all of the rest", rows, (0.0, math.inf)),
        ("smoothed", rows, rest),
    ):
        told = []
        for _ in range(300):
            seen = rng.permutation(4000)[:375]
            own = twice(network[0]) if name == "plain" else network
            one = Difference(known(some), 1.0, 4000, one_rest)
            one.add(own[:, seen], some[:, :, seen])
            told.append(one.told())
        means, variance = np.array(told).T
        errors[name], variances[name] = np.mean((means - true) ** 2), variance.mean()
    assert errors["all of the rest"] == pytest.approx(errors["plain"], rel=0.25)
    assert errors["smoothed"] < 0.7 * errors["plain"]
    for name, error in errors.items():
        assert error == pytest.approx(variances[name], rel=0.4)


def test_a_rival_that_was_remembered_without_is_smoothed_when_it_is_needed():
    table = smooth(np.random.default_rng(0).normal(0.5, 1.0, (2, 100)))
    one, _ = race_of("confident", table)
    two, asked = race_of("confident", table)
    one.score([(0,)], np.array([[1.0]]))
    two.remember([(0,)], np.array([[1.0]]), [Score(table[0, 0].mean())])
    assert not asked and math.isnan(two.rivals[0].smoothed)
    for race in (one, two):
        race.score([(1,)], np.array([[2.0]]))
    assert two.rivals[0].smoothed == pytest.approx(one.rivals[0].smoothed)
    assert two.known[1,].value == pytest.approx(one.known[1,].value)


def test_of_known_networks_the_nearest_tell_a_difference():
    race, _ = race_of("confident")
    paths = [(i, j) for i in range(4) for j in range(6)]
    race.add([Rival(np.array([float(i)]), 20.0 - i, path) for i, path in enumerate(paths)])
    chosen = [one.path for one in race._references((0, 9), race.rivals[-1])]
    assert chosen[0] == (3, 5) and len(chosen) == NEIGHBOURS + 1
    assert chosen[1:] == paths[:NEIGHBOURS]
    assert [one.path for one in race._references((0, 9), rival(1, 9.0))][0] == (0,)


def test_a_race_remembers():
    rng = np.random.default_rng(0)
    table = rng.random((40, 200)) < np.linspace(0.1, 0.9, 40)[:, None]
    costs = rng.permutation(40)[:, None].astype(float)
    paths = [(i,) for i in range(40)]
    one, _ = race_of("confident", table, unit=1.0)
    two, asked = race_of("confident", table, unit=1.0)
    one.score(paths[:30], costs[:30])
    two.remember(paths[:30], costs[:30], [one.known[path] for path in paths[:30]])
    assert not asked
    np.testing.assert_array_equal(
        one.score(paths[30:], costs[30:]), two.score(paths[30:], costs[30:])
    )
    for path in paths:
        np.testing.assert_array_equal(
            dataclasses.astuple(one.known[path]), dataclasses.astuple(two.known[path])
        )


# 0.019 by the theory of five looks from 375 images on; to it three standard errors of 1,500
# networks are added.
@pytest.mark.parametrize(
    ("neighbours", "n", "most"), [(0, 500, 0.02), (8, 500, 0.02), (NEIGHBOURS, 1500, 0.0295)]
)
def test_confident_is_as_rarely_wrong_as_it_says(monkeypatch, neighbours, n, most):
    """Networks exactly as good as their rival are told worse as often as allowed, at all looks."""
    rng = np.random.default_rng(0)
    images, batch = 4000, 125
    monkeypatch.setattr(rules, "LOOKS", 5)
    monkeypatch.setattr(rules, "COMMON", 375)
    race, _ = race_of("confident", np.zeros((1, images)), batch=batch, confidence=0.8)
    ever, better = np.zeros(n, bool), np.zeros(n, bool)
    for i in range(n):
        rival = (rng.random(images) < 0.2).astype(float)
        network = alike(rng, rival, 0.4)[0]
        rows = np.vstack([rival, *alike(rng, network, 0.2, n=neighbours)])
        told = Difference(known(rows), 1.0, images)
        of_image = Difference(known(rows), 1.0, 10**9)  # as if these were few of many
        of_image.add(twice(network), twice(rows))
        lead = 2 * math.sqrt(of_image.told()[1])
        for part in race.parts[:-1]:
            seen = slice(batch * part[0], batch * (part[-1] + 1))
            told.add(twice(network[seen]), twice(rows[:, seen]))
            mean, variance = (np.array([value]) for value in told.told())
            for out, at in ((ever, mean), (better, mean - lead)):
                out[i] |= race.out(np.zeros(1), at, variance, np.zeros(1))[0]
    assert 0.15 < ever.mean() < 0.25
    assert better.mean() < most


def test_confident_sees_what_is_plain():
    """20 points worse, on 500 images, 24 % of which tell the two apart."""
    race, _ = race_of("confident", np.zeros((1, 4000)), batch=125)
    variance = np.array([0.24 - 0.2**2]) * (1 / 500 - 1 / 4000)
    assert race.out(np.array([200.0]), np.array([0.2]), variance, np.zeros(1)).all()


def test_each_look_tells_as_much_more():
    looks = looks_of(500, 4000)
    assert len(looks) == LOOKS and looks[[0, -1]] == pytest.approx([500, 3000])
    steps = np.diff(np.log(clock(looks, 4000)))
    np.testing.assert_allclose(steps, steps[0], rtol=5e-3)


def test_a_race_looks_at_the_end_of_a_batch():
    def ends(mode):
        race, _ = race_of(mode, np.zeros((1, 4000)), batch=125)
        assert [i for part in race.parts for i in part] == list(range(32))
        return [125 * (part[-1] + 1) for part in race.parts]

    assert ends("confident") == [250, 500, 1000, 1625, 2375, 3000, 4000]
    assert ends("exact")[:4] == [250, 500, 750, 1000]


def test_batches_come_in_an_order_of_their_own():
    order = order_of(32, 7)
    assert order == order_of(32, 7) != order_of(32, 8) and sorted(order) == list(range(32))
    table = np.random.default_rng(0).random((40, 320)) < np.linspace(0.1, 0.9, 40)[:, None]
    paths, costs = [(i,) for i in range(40)], np.arange(40.0)[:, None]
    race, asked = race_of("confident", table, order=order)
    race.score(paths, costs)
    stopped = max(paths, key=lambda path: race.known[path].saved)
    saved = race.known[stopped].saved
    assert saved > 160
    numbers = [number for path, number in asked if path == stopped[0]]
    assert numbers == order[: len(numbers)] and 10 * len(numbers) == 320 - saved
    whole = [path for path in paths if not race.known[path].saved]
    np.testing.assert_allclose(
        [race.known[path].value for path in whole], table[whole, :].mean(axis=-1).ravel()
    )


def test_looks_within_one_batch_are_one():
    assert parts_of(np.arange(100, 500, 100), np.array([10, 20, 100, 101, 350])) == [
        range(0, 1), range(1, 2), range(2, 4)
    ]  # fmt: skip
    assert parts_of(np.array([5]), np.array([1, 2])) == [range(0, 1)]


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.45])
def test_all_looks_together_are_wrong_as_often_as_allowed(alpha):
    """A walk that is rescaled to unit deviation at each look."""
    clocks = np.array([500.0, 900, 1600, 4000, 12000])
    z = critical_value(clocks, alpha)
    steps = np.random.default_rng(0).normal(size=(200_000, 5)) * np.sqrt(np.diff(clocks, prepend=0))
    crossed = (steps.cumsum(axis=1) / np.sqrt(clocks) > z).any(axis=1)
    assert crossed.mean() == pytest.approx(alpha, abs=0.004)


def test_few_batches_have_a_critical_value_of_their_own():
    """Of four batches three have a look at their end, whatever looks were planned."""
    few, _ = race_of("confident", np.zeros((1, 400)), batch=100)
    many, _ = race_of("confident", np.zeros((1, 400)), batch=10)
    none, _ = race_of("confident", np.zeros((1, 400)), batch=400)
    assert [len(race.parts) for race in (few, many, none)] == [4, LOOKS + 1, 1]
    assert few.critical == critical_value(clock(np.array([100, 200, 300]), 400), 1 - few.confidence)
    assert few.critical < many.critical


def test_critical_values_are_those_of_the_literature():
    """Pocock's constants for equally spaced looks, two-sided 5 % (one-sided 2.5 %)."""
    for looks, constant in ((1, 1.960), (2, 2.178), (5, 2.413)):
        assert critical_value(np.arange(1.0, looks + 1), 0.025) == pytest.approx(constant, abs=2e-3)


def test_of_many_some_of_all_costs_come_first():
    costs = np.random.default_rng(0).permutation(100)[:, None].astype(float)
    first, rest = first_and_rest(costs)
    assert len(first) == FIRST and sorted([*first, *rest]) == list(range(100))
    assert {0, 99} <= set(costs[first, 0])
    assert [part.tolist() for part in first_and_rest(costs[:5])] == [[0, 1, 2, 3, 4]]
    first, rest = first_and_rest(costs[:8], FEW)
    assert len(first) == 4 and sorted([*first, *rest]) == list(range(8))
    order = np.argsort(costs[:8, 0])
    assert {order[0], order[-1]} <= set(first)


def test_the_first_networks_of_all_race_against_half_of_them():
    table = np.repeat(np.linspace(0.1, 0.9, 8)[:, None], 100, axis=1)
    race, asked = race_of("confident", table)
    race.score([(i,) for i in range(8)], np.arange(8.0)[:, None])
    assert sum(race.known[i,].saved > 0 for i in range(8)) == 4


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="did you mean exact"):
        race_of("exct")
    with pytest.raises(InputError, match="above 0.5 and below 1"):
        race_of("confident", confidence=0.2)


@pytest.fixture(scope="module")
def digits():
    """A supernet of digits, scored on 350 images in 10 batches, and 90 networks."""
    from evonas.problems import get_problem

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evonas.supernet.supernet.EVALUATION_BATCH", 35)
        problem = get_problem("digits-params")
        supernet = problem.train(steps=150, batch_size=128)
        X = problem.space.sample(90, np.random.default_rng(0))
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
    two.remember(X[:60], F, one.images_saved(X[:60]), one.race_records(X[:60]))
    assert two.images_scored == 0
    np.testing.assert_array_equal(two.images_saved(X[:60]), one.images_saved(X[:60]))
    np.testing.assert_array_equal(two.evaluate(X[60:]), G)
    np.testing.assert_array_equal(two.images_saved(X[60:]), one.images_saved(X[60:]))
    np.testing.assert_array_equal(two.evaluate(X), one.evaluate(X))
    assert two.race_records(X) == one.race_records(X)


def test_confident_saves_more_than_exact(digits):
    X = digits[2]
    scored = []
    for racing in ("off", "exact", "confident"):
        problem = raced(digits, racing)
        problem.evaluate(X)
        scored.append(problem.images_scored)
    assert scored[0] > scored[1] > scored[2]


@pytest.mark.parametrize("racing", ["exact", "confident"])
def test_a_race_has_the_same_outcome_on_two_threads(digits, racing):
    one, two = raced(digits, racing), raced(digits, racing)
    F = one.evaluate(digits[2])
    with cpu_threads(2):
        # estimates are told by smoothed outcomes, which as losses have other last bits
        np.testing.assert_allclose(two.evaluate(digits[2]), F, rtol=1e-6)
    saved = one.images_saved(digits[2])
    np.testing.assert_array_equal(saved, two.images_saved(digits[2]))
    np.testing.assert_array_equal(two.evaluate(digits[2])[saved == 0], F[saved == 0])


def test_races_of_other_seeds_score_other_images_first(digits):
    X = digits[2]
    one, two = (raced(digits, "confident", seed=seed) for seed in (1, 2))
    F, G = one.evaluate(X), two.evaluate(X)
    saved = [problem.images_saved(X) > 0 for problem in (one, two)]
    estimates, whole = saved[0] & saved[1], ~saved[0] & ~saved[1]
    assert estimates.any() and np.any(F[estimates, 0] != G[estimates, 0])
    np.testing.assert_array_equal(F[whole], G[whole])
    again = raced(digits, "confident", seed=2)
    np.testing.assert_array_equal(again.evaluate(X), G)


def test_the_seed_of_a_race_is_that_of_its_run():
    from evonas.config import RunConfig
    from evonas.problems import get_problem
    from evonas.stages.workspace import Workspace

    assert get_problem("digits-params", racing="confident", seed=5).seed == 5
    config = RunConfig(problem="digits-params", device="cpu", racing="confident", seed=7)
    assert Workspace(config).problem.seed == 7


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
    """What a search asks for next does not depend on them."""
    from evonas.search import get_algorithm

    problem = raced(digits, "confident")
    algorithm = get_algorithm("screened", problem)
    algorithm.setup(problem, termination=("n_eval", 60), seed=1)
    while algorithm.has_next():
        algorithm.next()
    X, F = algorithm.known.get("X"), algorithm.known.get("F")
    stopped = problem.images_saved(np.array(X, dtype=int)) > 0
    assert stopped.any() and not stopped.all()
    asked = []
    for worse in (0.0, 1.0, 30.0):
        other = copy.deepcopy(algorithm)
        other.known.set("F", F + worse * np.column_stack([stopped, np.zeros(len(F))]))
        asked.append(other._infill().get("X").tolist())
    assert asked[0] == asked[1] == asked[2]
