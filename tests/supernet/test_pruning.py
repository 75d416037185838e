"""Pruning a supernet while it is trained, on real digits."""

import numpy as np
import pytest
import torch

from evonas.analysis import PruningAccount
from evonas.config import TrainingConfig
from evonas.data import get_data
from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet import Supernet, prune
from evonas.supernet.pruning import Pruner
from evonas.supernet.struck import CRITERIA, ORDERS, rounds

TRAINING = TrainingConfig(
    steps=60, batch_size=256, lr=0.2, weight_decay=5e-4, label_smoothing=0.0, paths="fair",
    half_resolution=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    return get_data("digits")


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
    assert steps == sorted(steps) and 24 <= steps[0] and steps[-1] <= 48
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


def test_path_dropout_trains_what_is_left(digits):
    supernet = new(digits)
    config = TrainingConfig(**(vars(TRAINING) | {"paths": "dropout"}))
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
    ],
)
def test_bad_arguments(trained, given, message):
    with pytest.raises(InputError, match=message):
        prune(trained, **given)
    assert trained.space is trained.space.base


def test_nothing_is_known_of_untrained_weights(digits):
    with pytest.raises(InputError, match="not trained"):
        prune(new(digits))


def test_levels_have_to_fit_into_the_training(digits):
    with pytest.raises(InputError, match=r"give at most 1\.75"):
        Pruner(new(digits), TRAINING, epochs=5)
    assert rounds(new(digits).space, TRAINING, digits.train, 1)[-1] < 60


def test_the_last_choice_of_a_gene_stays(digits):
    space = get_space("tiny", 10, digits.input_shape)
    mask = space.allowed.copy()
    mask[1] = False
    with pytest.raises(InputError, match="gene 1 would have no choice left"):
        space.restrict(mask)
