import copy
import math

import numpy as np
import pytest
import torch

from evonas.config import TrainingConfig
from evonas.data import get_data
from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet import Supernet
from evonas.supernet.evaluation_plan import BlockCosts
from evonas.supernet.scores import outcomes_of
from evonas.supernet.supernet import EVALUATION_BATCH

TRAINING = TrainingConfig(
    steps=250, batch_size=256, lr=0.2, weight_decay=5e-4, label_smoothing=0.0, paths="fair"
)


@pytest.fixture(scope="module")
def digits():
    return get_data("digits")


@pytest.fixture(scope="module")
def space(digits):
    return get_space("tiny", num_classes=10, input_shape=digits.input_shape)


@pytest.fixture(scope="module")
def trained(space, digits):
    supernet = Supernet(space, digits)
    supernet.train(TRAINING, seed=1)
    return supernet


def genomes(space, n=6, seed=0):
    return space.sample(n, np.random.default_rng(seed))


def test_it_learns_real_digits(trained, space, digits):
    X = genomes(space)
    before = Supernet(space, digits).evaluate(X)
    after = trained.evaluate(X)
    assert after.error.mean() < before.error.mean() - 30
    assert after.loss.mean() < before.loss.mean()


def test_scores_do_not_depend_on_the_company(trained, space):
    X = genomes(space, 8)
    together = trained.evaluate(X)
    alone = [trained.evaluate(x[None]) for x in X]
    assert together.error.tolist() == [s.error[0] for s in alone]
    assert together.loss.tolist() == [s.loss[0] for s in alone]


def test_sizes_of_batches_are_those_that_are_scored(monkeypatch, trained):
    for most in (1000, 60, 7):
        monkeypatch.setattr("evonas.supernet.supernet.EVALUATION_BATCH", most)
        monkeypatch.setattr(trained, "_validation", None)
        assert trained.batch_sizes == [len(labels) for _, labels in trained.batches()]
        assert trained.validation_batches == len(trained.batch_sizes)


def test_scores_on_some_batches_add_up_to_those_on_all(trained, space):
    X = genomes(space, 4)
    sizes = [len(labels) for _, labels in trained.batches()]
    assert len(sizes) == trained.validation_batches > 1
    each = [trained.evaluate(X, batches=[i]) for i in range(len(sizes))]
    whole = trained.evaluate(X)
    np.testing.assert_allclose(np.average([s.loss for s in each], 0, sizes), whole.loss)
    np.testing.assert_allclose(np.average([s.error for s in each], 0, sizes), whole.error)
    for wrong in ([], [-1], [len(sizes)]):
        with pytest.raises(InputError, match="batch"):
            trained.evaluate(X, batches=wrong)


def test_scores_on_images_of_half_the_side(trained, space):
    X = genomes(space, 3)
    half = trained.evaluate(X, batches=[0], half_resolution=True)
    images, labels = trained.batches()[0]
    small = torch.nn.functional.avg_pool2d(images, 2, ceil_mode=True)
    for x, loss, error in zip(X, half.loss, half.error, strict=True):
        logits = trained.logits(small, tuple(space.canonical(x[None])[0].tolist()))
        assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
        assert error == pytest.approx(100 * (logits.argmax(1) != labels).float().mean().item())
    assert not np.allclose(half.loss, trained.evaluate(X, batches=[0]).loss)


def test_paths_that_start_alike_share_layers(trained, space):
    X = np.array([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 1], [2, 0, 1, 0, 0, 1]])
    images = torch.rand(5, *space.input_shape)
    runs, together = runs_of(trained, images, X.tolist())
    assert runs == [0, 1, 2, 3, 4, 5] + [5] + [2, 3, 4, 5] + [0, 1, 2, 3, 4, 5]
    for x, logits in zip(X, together, strict=True):
        assert torch.equal(logits, trained.logits(images, tuple(x.tolist())))


def runs_of(trained, images, paths, **settings):
    """Genes of the blocks that are run, in order, and what comes out."""
    runs = []
    hooks = [
        layer[choice].register_forward_hook(lambda *_, gene=gene: runs.append(gene))
        for gene, layer in enumerate(trained.network.layers)
        for choice in range(len(layer))
    ]
    with torch.no_grad():
        together = list(trained.network.each(images, paths, **settings))
    for hook in hooks:
        hook.remove()
    return runs, together


@pytest.mark.parametrize("memory", [0, 3000, 10_000, 10**9])
def test_what_does_not_fit_into_memory_is_computed_again(trained, space, memory):
    X = np.unique(space.canonical(space.sample(60, np.random.default_rng(1))), axis=0)
    images = torch.rand(5, *space.input_shape)
    runs, together = runs_of(trained, images, X.tolist(), memory=memory)
    for x, logits in zip(X, together, strict=True):
        assert torch.equal(logits, trained.logits(images, tuple(x.tolist())))
    alone = X.size
    least = len({tuple(x[: k + 1]) for x in X.tolist() for k in range(space.n_var)})
    assert len(runs) == (alone if memory == 0 else least if memory == 10**9 else len(runs))
    assert least <= len(runs) <= alone


def test_an_evaluation_is_planned_as_it_is_run(trained, space):
    X = space.sample(80, np.random.default_rng(2))
    C = space.canonical(X)
    distinct = np.unique(C, axis=0)
    ones = BlockCosts(0.0, 0.0, np.where(space.allowed, 1.0, np.nan))
    runs, _ = runs_of(trained, torch.rand(5, *space.input_shape), distinct.tolist())
    plan = trained.evaluation_plan(X, ones)
    assert (plan.networks, plan.distinct) == (80, len(distinct))
    assert plan.together == len(runs) and plan.one_by_one == X.size
    assert plan.saving == pytest.approx(X.size / len(runs))
    by_macs = trained.evaluation_plan(X)
    assert by_macs.one_by_one == space.macs(C).sum()
    assert trained.evaluation_plan(X[:1]).saving == pytest.approx(1.0)


def test_block_seconds(trained, space):
    costs = trained.block_seconds(repeats=2)
    assert costs.fixed > 0 and costs.own > 0
    assert np.array_equal(np.isnan(costs.table), ~space.allowed)
    assert trained.evaluation_plan(space.sample(40, np.random.default_rng(0)), costs).saving > 1


def test_equal_cells_are_planned_once(digits):
    cells = Supernet(get_space("nb201", 10, (1, 8, 8)), digits, 0.25)
    X = np.zeros((3, 6), int)
    plan = cells.evaluation_plan(X)
    assert (plan.distinct, plan.saving) == (1, pytest.approx(3.0))
    with pytest.raises(InputError, match="no chains of blocks"):
        cells.block_seconds()


def test_scores_are_percent_and_nats_of_all_validation_images(trained, space, digits):
    x = genomes(space, 1)[0]
    genome = tuple(space.canonical(x[None])[0].tolist())
    # Batches of nearly equal size that hold every validation image once.
    batches = list(digits.validation.batches(EVALUATION_BATCH))
    assert sum(len(labels) for _, labels in batches) == len(digits.validation) == 350
    with torch.no_grad():
        logits = torch.cat([trained.logits(images, genome) for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    scores = trained.evaluate(x[None])
    wrong = (logits.argmax(1) != labels).double().mean()
    assert scores.error[0] == pytest.approx(100 * float(wrong))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert scores.loss[0] == pytest.approx(float(loss), rel=1e-5)


def test_equal_networks_share_one_evaluation(trained, space, monkeypatch):
    X = np.array([[1, 0, 1, 0, 1, 0]] * 3)
    calls = []
    score = trained.score
    monkeypatch.setattr(
        trained, "score", lambda X, *more, **named: calls.extend(X) or score(X, *more, **named)
    )
    scores = trained.evaluate(X)
    assert len(calls) == 1 and len(set(scores.error)) == 1


def test_a_population_of_none(trained, space):
    scores = trained.evaluate(np.empty((0, space.n_var), dtype=int))
    assert scores.error.shape == scores.loss.shape == (0,)


def test_save_and_load(trained, space, digits, tmp_path):
    path = tmp_path / "supernet" / "weights.safetensors"
    trained.save(path)
    X = genomes(space)
    for source in (path, tmp_path):
        loaded = Supernet.load(source, digits)
        assert loaded.trained and loaded.width == 1
        assert np.array_equal(loaded.evaluate(X).loss, trained.evaluate(X).loss)


def test_loading_for_another_space_or_data_is_refused(trained, digits, tmp_path, random_images):
    path = tmp_path / "weights.safetensors"
    trained.save(path)
    macro = get_space("macro", num_classes=10, input_shape=digits.input_shape)
    with pytest.raises(InputError, match="space 'tiny', not 'macro'"):
        Supernet.load(path, digits, space=macro)
    with pytest.raises(InputError, match="made for 10 classes and images of shape"):
        Supernet.load(path, random_images)
    with pytest.raises(InputError, match="holds no trained supernet"):
        Supernet.load(tmp_path, digits)


def test_same_seed_same_weights_and_global_generator_untouched(space, digits):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    nets = [Supernet(space, digits, seed=s).network for s in (1, 1, 2)]
    assert torch.equal(before, torch.get_rng_state())
    first, second, third = (torch.cat([p.flatten() for p in n.parameters()]) for n in nets)
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_pymoo_copies_are_the_supernet_itself(trained):
    assert copy.deepcopy(trained) is trained


def test_restricted_space_trains_and_scores_in_the_numbering_of_its_base(trained, space, digits):
    allowed = np.ones((space.n_var, int(space.n_choices.max())), dtype=bool)
    allowed[:, 0] = False
    small = space.restrict(allowed)
    supernet = Supernet(small, digits)
    supernet.network.load_state_dict(trained.network.state_dict())
    X = small.sample(4, np.random.default_rng(0))
    assert np.array_equal(
        supernet.evaluate(X).loss, losses_of(trained, small.lift(small.canonical(X)))
    )


def losses_of(supernet, lifted):
    with torch.no_grad():
        return np.array(
            [supernet.score([tuple(g)], supernet.batches())[0, 1] for g in lifted.tolist()]
        )


def test_diverged_weights_are_an_error_and_no_number(space, digits):
    supernet = Supernet(space, digits)
    with torch.no_grad():
        for parameter in supernet.network.head.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(InputError, match="tiny:.*nan.*--training.lr"):
        supernet.evaluate(genomes(space, 1))


def test_bad_input(space, digits):
    with pytest.raises(InputError, match="width is 0"):
        Supernet(space, digits, 0)
    with pytest.raises(InputError, match="made for 3 classes"):
        Supernet(get_space("tiny", num_classes=3, input_shape=(1, 8, 8)), digits)


def test_a_users_own_arrays(space, digits):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 1, 8, 8), dtype=np.uint8)
    supernet = Supernet(space, (images, np.arange(100) % 10))
    assert supernet.evaluate(genomes(space, 2)).error.shape == (2,)


def test_smoothed_errors_are_errors_of_sure_networks():
    logits = torch.tensor([[9.0, 0.0, -3.0], [1.0, 1.0, -3.0], [0.0, 9.0, 1.0], [0.5, 0.0, 0.0]])
    told = outcomes_of(logits[None], torch.zeros(4, dtype=torch.int64))
    assert told.wrong.tolist() == [[False, False, True, False]]
    expected = [0.0, 0.5, 1.0, 1 / (1 + math.exp(2.0))]
    assert told.smoothed[0].tolist() == pytest.approx(expected)
    expected = torch.nn.functional.cross_entropy(logits, torch.zeros(4).long(), reduction="none")
    torch.testing.assert_close(told.loss[0], expected)


def test_outcomes_do_not_depend_on_the_company(trained, space):
    supernet = trained
    paths = [tuple(x) for x in np.unique(space.canonical(genomes(space, 70)), axis=0).tolist()]
    together = supernet.outcomes(paths, range(supernet.validation_batches))
    for i in (0, 7, len(paths) - 1):
        alone = supernet.outcomes([paths[i]], range(supernet.validation_batches))
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[i])
    assert ((together.smoothed > 0.5) == together.wrong).mean() > 0.999
