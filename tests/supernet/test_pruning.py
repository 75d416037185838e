"""Pruning a supernet while it is trained, on real digits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evonas.analysis import PruningAccount
from evonas.config import TrainingConfig
from evonas.data import get_data
from evonas.errors import InputError
from evonas.operators.saliency import standing
from evonas.problems import get_problem
from evonas.spaces import get_space
from evonas.supernet import Supernet, prune, saliency_table
from evonas.supernet.pruning import Pruner
from evonas.supernet.struck import CRITERIA, ORDERS, rounds

TRAINING = TrainingConfig(
    steps=60, batch_size=128, lr=0.2, weight_decay=5e-4, label_smoothing=0.0, paths="fair",
    half_resolution=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    return get_data("digits", train_images=600, validation=120)


@pytest.fixture(scope="module")
def weights(digits, tmp_path_factory):
    supernet = new(digits)
    supernet.train(TRAINING, seed=1)
    path = tmp_path_factory.mktemp("supernet") / "weights.safetensors"
    supernet.save(path)
    return path


def new(digits):
    return Supernet(get_space("tiny", 10, digits.input_shape), digits)


@pytest.fixture
def trained(weights, digits):
    return Supernet.load(weights, digits)


def account(pruned):
    return [(s.gene, s.choice) for s in pruned.struck]


@pytest.mark.parametrize("order", ORDERS)
def test_no_weight_is_lost(trained, order):
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    space = trained.space
    pruned = prune(trained, order=order, size=100)
    assert trained.space is pruned.space and pruned.before is space
    assert 1 <= pruned.space.size <= 100
    after = trained.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    # undone, and done again
    assert pruned.space.base is space
    assert space.restrict(space.allowed) is space
    assert (space.restrict(pruned.space.allowed).allowed == pruned.space.allowed).all()


@pytest.mark.parametrize("order", ORDERS)
def test_the_account_tells_all(trained, order):
    pruned = prune(trained, order=order, keep=0.5)
    gone = np.zeros_like(pruned.before.allowed)
    for struck in pruned.struck:
        assert pruned.before.base.labels[struck.gene][struck.choice] == struck.label
        assert pruned.before.levels[struck.level] == (struck.gene,)
        assert np.isfinite(struck.score) and struck.reason
        assert struck.log10_after < struck.log10_before
        gone[struck.gene, struck.choice] = True
    assert (pruned.space.allowed == (pruned.before.allowed & ~gone)).all()
    assert pruned.space.allowed.sum() == np.ceil(0.5 * pruned.before.allowed.sum())
    first, last = pruned.log10_sizes
    assert first == pytest.approx(np.log10(pruned.before.size))
    assert last == pytest.approx(np.log10(pruned.space.size))
    chain = [first, *(s.log10_after for s in pruned.struck)]
    assert [s.log10_before for s in pruned.struck] == pytest.approx(chain[:-1])
    told = PruningAccount.of(pruned.before, pruned.struck)
    assert (told.allowed == pruned.space.allowed).all()
    assert told.log10_sizes == pytest.approx(pruned.log10_sizes)


def test_orders_go_their_way(trained):
    base, levels = trained.space, {}
    table = np.where(base.allowed, np.random.default_rng(0).random(base.allowed.shape), np.nan)
    for order in ORDERS:
        trained.space = base
        # a small step at each level: each round takes one choice or none
        levels[order] = [
            s.level for s in prune(trained, order=order, keep=0.7, criterion=table).struck
        ]
    assert levels["shallow-first"] == sorted(levels["shallow-first"])
    assert levels["deep-first"] == sorted(levels["deep-first"], reverse=True)
    assert levels["round-robin"] == list(range(len(levels["round-robin"])))
    assert levels["random"] not in (levels["shallow-first"], levels["deep-first"])
    assert len(set(map(tuple, levels.values()))) >= 4


def test_what_a_level_cannot_give_others_do(trained):
    pruned = prune(trained, order="shallow-first", size=1)
    assert pruned.space.size == 1


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion(trained, criterion):
    pruned = prune(trained, criterion=criterion, keep=0.9)
    assert len(pruned.struck) == 2


def test_a_table_of_ones_own(trained):
    space = trained.space
    table = np.where(space.allowed, 1.0, np.nan)
    table[2, 1] = table[4, 2] = -5.0
    pruned = prune(trained, criterion=table, keep=0.9, cost=np.zeros(table.shape))
    assert set(account(pruned)) == {(2, 1), (4, 2)}
    assert all(s.score == -6 and "lacks 6" in s.reason for s in pruned.struck)


def test_something_in_reserve_stays(trained):
    space = trained.space
    table = np.where(space.allowed, np.arange(space.allowed.shape[1]), np.nan)
    none = np.zeros(table.shape)
    reserve = np.zeros((1, space.n_var), dtype=int)
    free = prune(trained, criterion=table, cost=none, size=1)
    assert free.space.decode(np.zeros(space.n_var, int)) != space.decode(reserve[0])
    trained.space = space
    bound = prune(trained, criterion=table, cost=none, size=1, reserve=reserve)
    assert bound.space.decode(np.zeros(space.n_var, int)) == space.decode(reserve[0])


def test_levels_fall_into_the_training(digits):
    supernet = new(digits)
    pruned = prune(supernet, TRAINING, seed=1, keep=0.6)
    steps = [s.step for s in pruned.struck]
    assert steps == sorted(steps) and 30 <= steps[0] and steps[-1] <= 51
    assert len(set(steps)) == 6  # a round for each level
    assert pruned.finished and supernet.trained_steps == 60


def test_only_what_is_left_is_trained(digits):
    supernet = new(digits)
    seen = {}

    def on_step(steps, loss):
        if supernet.space is not supernet.space.base:
            for gene, choice in np.argwhere(supernet.space.base.allowed & ~supernet.space.allowed):
                for name, value in supernet.network.named_parameters():
                    if name.startswith(f"layers.{gene}.{choice}."):
                        seen.setdefault(name, value.detach().clone())

    config = TRAINING
    pruned = prune(supernet, config, seed=1, keep=0.6, on_step=on_step)
    assert len(pruned.struck) and seen
    now = dict(supernet.network.named_parameters())
    # the first snapshot is taken after the step that follows no more than one on all of the space
    assert all(torch.equal(now[name], value) for name, value in seen.items())


def test_killed_and_resumed(digits, tmp_path):
    whole = new(digits)
    first = prune(whole, TRAINING, seed=1, order="round-robin", keep=0.6)
    for after in (26, 41):
        file = tmp_path / f"{after}.safetensors"
        count = 0

        def stop(after=after):
            nonlocal count
            count += 1
            return count >= after

        given = {"seed": 1, "order": "round-robin", "keep": 0.6, "checkpoint": file}
        assert not prune(new(digits), TRAINING, stop=stop, **given).finished
        again = new(digits)
        second = prune(again, TRAINING, **given)
        assert second.finished and second.struck == first.struck
        for name, value in whole.network.state_dict().items():
            assert torch.equal(value, again.network.state_dict()[name])


def test_stopped_and_gone_on_with_in_place(digits, tmp_path):
    """As in a notebook: the same supernet, and the same call again."""
    given = {"seed": 1, "keep": 0.6, "checkpoint": tmp_path / "checkpoint.safetensors"}
    whole = prune(new(digits), TRAINING, seed=1, keep=0.6)
    supernet, count = new(digits), 0

    def stop():
        nonlocal count
        count += 1
        return count >= 46

    part = prune(supernet, TRAINING, stop=stop, **given)
    assert not part.finished and part.struck and supernet.space is supernet.space.base
    again = prune(supernet, TRAINING, **given)
    assert again.struck == whole.struck and again.before is whole.before
    assert (supernet.space.allowed == whole.space.allowed).all()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"keep": 0.5}, r"another keep \(0.6, not 0.5\)"),
        ({"order": "deep-first"}, "another order"),
        ({"criterion": "error"}, "another criterion"),
        ({"cost": np.ones((6, 4))}, "another cost"),
        ({"reserve": [[0] * 6]}, "another reserve"),
        ({"keep": None, "size": 10}, "another keep"),
    ],
)
def test_a_checkpoint_of_another_pruning(digits, tmp_path, other, message):
    given = {"seed": 1, "keep": 0.6, "checkpoint": tmp_path / "checkpoint.safetensors"}
    config = replace(TRAINING, steps=12)
    prune(new(digits), config, **given)
    with pytest.raises(InputError, match=message):
        prune(new(digits), config, **(given | other))


def test_weights_know_what_is_left(trained, digits, tmp_path):
    pruned = prune(trained, keep=0.6)
    trained.save(tmp_path / "weights.safetensors")
    loaded = Supernet.load(tmp_path / "weights.safetensors", digits)
    assert (loaded.space.allowed == pruned.space.allowed).all()
    problem = get_problem("digits-params", supernet=loaded)
    assert (problem.space.allowed == pruned.space.allowed).all()
    with pytest.raises(InputError, match="problem is of more than is left"):
        get_problem("digits-params").supernet = loaded
    loaded.space = loaded.space.base
    assert get_problem("digits-params", supernet=loaded).space is loaded.space.base


def test_pruned_again_by_tables_of_what_is_left(trained):
    first = prune(trained, keep=0.8)
    table = saliency_table(trained, 1)
    assert np.isnan(table[first.before.allowed]).any()
    cost = first.space.lift_table(first.space.param_table())
    second = prune(trained, criterion=table, cost=cost, keep=0.8)
    assert second.before is first.space and second.struck
    assert not set(account(first)) & set(account(second))


def test_several_costs(trained):
    """What is good by one of them stands well."""
    space = trained.space
    table = np.where(space.allowed, np.random.default_rng(0).random(space.allowed.shape), np.nan)
    tables = np.stack([space.param_table(), space.mac_table()])
    pruned = prune(trained, criterion=table, cost=tables, keep=0.7)
    worth = [standing(table, cost) for cost in tables]
    first = pruned.struck[0]
    best = np.where(space.allowed[..., None], np.stack(worth, -1), np.inf).max(-1)
    assert first.score == pytest.approx(np.where(np.isnan(best), np.inf, best).min())


def test_what_keeps_a_limit_stays_in_proportion(trained):
    space = trained.space
    X = space.canonical(space.sample(2000, np.random.default_rng(0)))
    small = X[space.params(X) < np.quantile(space.params(X), 0.1)]
    table = np.where(space.allowed, space.param_table(), np.nan)  # the dear is worth more
    pruned = prune(trained, criterion=table, size=100, reserve=small)
    left = pruned.space.allowed[np.arange(6), small].all(axis=1).sum()
    assert left / len(small) >= 0.5 * pruned.space.size / space.size


def test_path_dropout_trains_what_is_left():
    supernet = new(get_data("digits"))
    config = replace(TRAINING, batch_size=256, paths="dropout")
    pruned = prune(supernet, config, seed=1, keep=0.6)
    assert pruned.finished and pruned.space.allowed.sum() < pruned.before.allowed.sum()
    X = pruned.space.sample(20, np.random.default_rng(0))
    assert supernet.evaluate(X).error.mean() < 85


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 1e9}, "cannot be left of the 2304"),
        ({"size": 0}, "from 1 to"),
        ({"keep": 0}, "keep is 0"),
        ({"keep": 1.2}, "keep is 1.2"),
        ({"keep": 0.5, "size": 10}, "give one of them"),
        ({"order": "deep"}, "unknown order of pruning 'deep'; did you mean deep-first"),
        ({"criterion": "fishr"}, "did you mean fisher"),
        ({"criterion": "magnitude"}, "unknown criterion"),
        ({"criterion": np.zeros((2, 2))}, r"shape \(2, 2\)"),
        ({"criterion": np.full((6, 4), np.nan)}, "no number for gene 0, choice 0"),
        ({"cost": np.full((6, 4), np.nan)}, "cost table has no number"),
        ({"epochs": -1}, "at least 0"),
        ({"reserve": [[9] * 6]}, "lies in"),
        ({"keep": "a"}, "keep is 'a'; give a number"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"training": 60}, "give a TrainingConfig"),
        ({"training": TrainingConfig(steps=60)}, "training.batch_size is not set"),
        ({"training": TrainingConfig()}, "training.steps is not set"),
    ],
)
def test_bad_arguments(trained, given, message):
    with pytest.raises(InputError, match=message):
        prune(trained, **given)
    assert trained.space is trained.space.base


def test_only_a_supernet_can_be_pruned():
    with pytest.raises(InputError, match="a SupernetProblem cannot be pruned; give a Supernet"):
        prune(get_problem("digits-params"))


def test_very_short_trainings(digits):
    for steps in (1, 2, 3):
        assert prune(new(digits), replace(TRAINING, steps=steps), keep=0.6).finished


def test_nothing_is_known_of_untrained_weights(digits):
    with pytest.raises(InputError, match="not trained"):
        prune(new(digits))


def test_levels_have_to_fit_into_the_training(digits):
    with pytest.raises(InputError, match=r"give at most 1\.45"):
        Pruner(new(digits), TRAINING, epochs=5)
    assert rounds(new(digits).space, TRAINING, digits.train, 1)[1][-1] < 60


def test_the_last_choice_of_a_gene_stays(digits):
    space = get_space("tiny", 10, digits.input_shape)
    mask = space.allowed.copy()
    mask[1] = False
    with pytest.raises(InputError, match="gene 1 would have no choice left"):
        space.restrict(mask)
