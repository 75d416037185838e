"""Saliency tables: what each variant is, on real digits."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional as F

from evonas.config import TrainingConfig
from evonas.data import get_data
from evonas.errors import InputError
from evonas.operators import main_effects
from evonas.spaces import AvgPool, CellSpace, Identity, ReLUConv, get_space
from evonas.supernet import Supernet, removal_effects, saliency_table
from evonas.supernet.variants import VARIANTS

TRAINING = TrainingConfig(
    steps=200, batch_size=256, lr=0.2, weight_decay=5e-4, label_smoothing=0.0, paths="fair"
)
FEW = 2  # batches of validation images


@pytest.fixture(scope="module")
def digits():
    return get_data("digits")


@pytest.fixture(scope="module")
def trained(digits):
    supernet = Supernet(get_space("tiny", 10, digits.input_shape), digits)
    supernet.train(TRAINING, seed=1)
    return supernet


def small_cells(digits, seed=0):
    """A small cell space without zeros: where some are, a stationary mixture has no gradient."""
    space = CellSpace(
        name="small",
        operations={
            "skip": Identity(),
            "conv1": ReLUConv(1),
            "conv3": ReLUConv(3),
            "pool": AvgPool(3),
        },
        nodes=3,
        channels=6,
        stages=2,
        cells_per_stage=1,
        num_classes=10,
        input_shape=digits.input_shape,
    )
    return Supernet(space, digits, seed=seed)


@pytest.fixture(scope="module")
def cells(digits):
    """A mixture with double precision and some training by paths."""
    supernet = small_cells(digits)
    supernet.train(TRAINING, seed=1)
    supernet.network.double()
    return supernet


@pytest.fixture(scope="module")
def stationary(digits):
    """Softmax weights of a trained mixture that rest on the images they are scored on.

    Returns the supernet, these images, the weights, and their largest gradient. ReLUs are made
    smooth: a loss with kinks comes to rest at one, where its gradient does not vanish.
    """
    supernet = small_cells(digits, seed=3)
    network = supernet.network.double()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    alphas = torch.zeros(3, 4, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        for images, labels in digits.train.batches(256, generator):
            optimizer.zero_grad()
            logits = network.mixture(images.double(), alphas.detach().softmax(1))
            F.cross_entropy(logits, labels).backward()
            optimizer.step()
    images, labels = supernet.batches([0])[0]
    images = images.double()
    network.requires_grad_(False)
    optimizer = torch.optim.LBFGS(
        [alphas], max_iter=500, tolerance_grad=1e-10, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(network.mixture(images, alphas.softmax(1)), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    closure()
    gates = alphas.detach().softmax(1).numpy()
    return supernet, [(images, labels)], gates, float(alphas.grad.abs().max())


def test_a_table_has_a_number_for_each_choice(trained):
    space = trained.space
    assert not space.allowed.all()  # a layer that changes the shape has fewer choices
    for variant in VARIANTS:
        table = saliency_table(trained, FEW, variant)
        assert table.shape == space.allowed.shape and table.dtype == np.float64
        assert (np.isfinite(table) == space.allowed).all(), variant


def test_fisher_is_the_default(trained):
    np.testing.assert_array_equal(
        saliency_table(trained, FEW), saliency_table(trained, FEW, variant="fisher")
    )


def test_removal_is_what_the_loss_loses(trained):
    """A branch that goes leaves its skip: the same network with an identity there."""
    space = trained.space
    labels = space.labels
    identity = [names.index("identity") if "identity" in names else None for names in labels]
    residual = [
        [name.startswith("mbconv") and space.layers[gene].keeps_shape for name in names]
        for gene, names in enumerate(labels)
    ]
    X = space.sample(6, np.random.default_rng(0))
    effects = removal_effects(trained, FEW, X)
    # not `evaluate`, which moves identities to other layers

    def loss(x):
        return trained.score([tuple(x.tolist())], trained.batches(range(FEW)))[0, 1]

    checked = 0
    for row, x in enumerate(X):
        for gene, choice in enumerate(x):
            if labels[gene][choice] == "identity" and space.layers[gene].keeps_shape:
                assert effects[row, gene] == 0
            elif residual[gene][choice]:
                without = x.copy()
                without[gene] = identity[gene]
                rise = loss(without) - loss(x)
                assert effects[row, gene] == pytest.approx(rise, abs=1e-5)
                checked += 1
    assert checked


def test_exact_and_removal_are_means_over_the_paths_that_hold_a_choice(trained):
    X = np.vstack([trained.space.sample(12, np.random.default_rng(s)) for s in range(2)])
    effects = removal_effects(trained, FEW, X)
    removal = saliency_table(trained, FEW, "removal", contexts=X)
    exact = saliency_table(trained, FEW, "exact", contexts=X)
    for gene, choice in np.argwhere(trained.space.allowed):
        mine = effects[X[:, gene] == choice, gene]
        assert removal[gene, choice] == pytest.approx(mine.mean(), abs=1e-9)
        assert exact[gene, choice] == pytest.approx((mine**2).mean(), abs=1e-9)


def test_first_order_variants_follow_the_gradients_of_single_images(cells):
    """One image at a time in the batch gets another gate: finite differences of the mean loss."""
    network = cells.network
    images, labels = cells.batches([0])[0]
    images, labels = images[:10].double(), labels[:10]
    gates = np.random.default_rng(0).dirichlet(np.ones(4), 3)
    each = torch.tensor(gates).expand(10, 3, 4).clone()

    def loss(g):
        with torch.no_grad():
            return F.cross_entropy(network.mixture(images, g), labels, reduction="sum").item()

    gradients = np.zeros((10, 3, 4))
    for at in np.ndindex(gradients.shape):
        up, down = each.clone(), each.clone()
        up[at] += 1e-6
        down[at] -= 1e-6
        gradients[at] = (loss(up) - loss(down)) / 2e-6
    batch = [(images, labels)]
    mean, square = gradients.mean(0), (gradients**2).mean(0)
    tables = {v: saliency_table(cells, batch, v, gates=gates) for v in VARIANTS[:5]}
    five = saliency_table(cells, batch, "fisher", gates=gates, group=5)
    np.testing.assert_allclose(tables["taylor"], (gates * mean) ** 2, rtol=1e-4, atol=1e-10)
    np.testing.assert_allclose(tables["fisher"], gates**2 * square, rtol=1e-4, atol=1e-10)
    second = (-gates * mean + gates**2 * square / 2) ** 2
    np.testing.assert_allclose(tables["second-order"], second, rtol=1e-4, atol=1e-10)
    np.testing.assert_array_equal(tables["magnitude"], gates)
    halves = gradients.reshape(2, 5, 3, 4).mean(1)
    np.testing.assert_allclose(five, gates**2 * (halves**2).mean(0), rtol=1e-4, atol=1e-10)


def test_taylor_ranks_as_magnitude_does_where_softmax_weights_are_stationary(stationary):
    supernet, images, gates, rest = stationary
    assert rest < 1e-7
    assert gates.min() > 1e-3, "an interior point, or there is nothing to rank"
    taylor = saliency_table(supernet, images, "taylor", gates=gates)
    fisher = saliency_table(supernet, images, "fisher", gates=gates)
    for gene in range(3):
        assert spearmanr(taylor[gene], gates[gene])[0] == pytest.approx(1)
    ranks = [spearmanr(fisher[gene], gates[gene])[0] for gene in range(3)]
    assert min(ranks) < 0.99, "the mean of squares does not only repeat the weights"


def test_renormalising_has_no_first_order_effect_where_weights_are_stationary(stationary):
    supernet, images, gates, _ = stationary
    zeroed = saliency_table(supernet, images, "taylor", gates=gates)
    renormalised = saliency_table(supernet, images, "taylor", gates=gates, removal="renormalise")
    assert renormalised.max() < 1e-6 * zeroed.max()
    exact = saliency_table(supernet, images, "exact", gates=gates, removal="renormalise")
    assert exact.max() > 0


def test_renormalised_first_order_is_the_derivative_of_the_removal(cells):
    """Weight flows from a choice to the others of its gene, in proportion to theirs."""
    gates = np.random.default_rng(1).dirichlet(np.ones(4), 3)
    images, labels = cells.batches([0])[0]
    images = images.double()
    step = 1e-7
    batch = [(images, labels)]
    taylor = saliency_table(cells, batch, "taylor", gates=gates, removal="renormalise")

    def loss(g):
        with torch.no_grad():
            logits = cells.network.mixture(images, torch.tensor(g))
            return F.cross_entropy(logits, labels).item()

    for gene, choice in np.argwhere(cells.space.allowed):
        sides = []
        for sign in (1, -1):
            moved = gates.copy()
            moved[gene] *= 1 + sign * step * gates[gene, choice] / (1 - gates[gene, choice])
            moved[gene, choice] = gates[gene, choice] * (1 - sign * step)
            sides.append(loss(moved))
        expected = ((sides[0] - sides[1]) / (2 * step)) ** 2
        assert taylor[gene, choice] == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_what_computes_nothing_scores_nothing_however_it_is_removed(trained, digits):
    cells = Supernet(get_space("nb201", 10, digits.input_shape), digits, width=0.25)
    for supernet in (trained, cells):
        allowed = supernet.space.allowed
        gates = np.where(allowed, 0.2, np.nan)
        nothing = allowed & ~supernet.network.weighable
        assert nothing.any()
        for variant in ("exact", "removal", "taylor", "fisher", "second-order"):
            weights = np.where(allowed, gates, 0)
            table = saliency_table(supernet, 1, variant, gates=weights, removal="renormalise")
            assert (table[nothing] == 0).all(), variant


def test_main_effects_compare_within_a_gene(trained):
    table = saliency_table(trained, FEW, "main-effect")
    np.testing.assert_allclose(np.nansum(table, axis=1), 0, atol=1e-9)
    X = trained.space.sample(200, np.random.default_rng(5))
    worth = table[np.arange(trained.space.n_var), X].sum(1)
    assert spearmanr(worth, -trained.evaluate(X).loss)[0] > 0.7


def test_rank_effects_are_main_effects_on_ranks(trained):
    X = trained.space.sample(200, np.random.default_rng(5))
    table = saliency_table(trained, FEW, "rank-effect", contexts=X)
    loss = trained.score([tuple(x) for x in X.tolist()], trained.batches(range(FEW)))[:, 1]
    ranks = (loss[:, None] > loss).mean(1) + (loss[:, None] == loss).mean(1) / 2 + 0.5 / len(X)
    np.testing.assert_allclose(table, -main_effects(X, ranks, trained.space.n_choices), atol=1e-9)
    assert 0 < np.nanmax(table) < 1


def test_a_restricted_space_has_only_its_own_choices(trained, digits):
    base = trained.space
    allowed = base.allowed.copy()
    allowed[1, 0] = allowed[4, [1, 2]] = False
    narrow = Supernet(base.restrict(allowed), digits)
    narrow.network.load_state_dict(trained.network.state_dict())
    for variant in VARIANTS:
        table = saliency_table(narrow, FEW, variant)
        assert (np.isfinite(table) == allowed).all(), variant


def test_a_cell_that_is_cut_off_has_no_gradient(digits):
    space = get_space("nb201", 10, digits.input_shape)
    supernet = Supernet(space, digits, width=0.25)
    X = np.vstack([np.zeros((1, 6), int), np.tile(np.arange(5)[:, None], (1, 6))])
    for variant in VARIANTS[:5]:
        assert np.isfinite(saliency_table(supernet, 1, variant, contexts=X)).all()


def test_the_same_images_can_be_given_in_three_ways(trained):
    first = saliency_table(trained, 2, "removal")
    np.testing.assert_array_equal(first, saliency_table(trained, [0, 1], "removal"))
    pairs = trained.batches([0, 1])
    np.testing.assert_array_equal(first, saliency_table(trained, iter(pairs), "removal"))
    arrays = [(images.numpy(), labels.numpy()) for images, labels in pairs]
    np.testing.assert_allclose(first, saliency_table(trained, arrays, "removal"), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "fischer"}, "did you mean fisher"),
        ({"removal": "scale"}, "'zero' or 'renormalise'"),
        ({"removal": "renormalise"}, "give gates"),
        ({"group": 0}, "group is 0"),
        ({"contexts": 0}, "contexts is 0"),
        ({"contexts": np.zeros((3, 6), int)}, "no path holds choice 1 of gene 0"),
        ({"gates": np.eye(6, 4), "removal": "renormalise"}, "all the weight of gene 0"),
        ({"gates": np.ones((2, 2))}, "gates have shape"),
        ({"gates": np.full((6, 4), np.nan)}, "gene 0, choice 0 is no finite number"),
        ({"variant": "main-effect", "contexts": 4}, "too few"),
        ({"variant": "main-effect", "gates": np.ones((6, 4))}, "leave gates out"),
        ({"variant": "rank-effect", "gates": np.ones((6, 4))}, "'rank-effect' is of paths"),
        ({"batches": 0}, "no batch"),
        ({"batches": [99]}, "give some of 0 to"),
        ({"batches": [3.5]}, "pairs of images and labels"),
        ({"batches": [(torch.zeros(2, 3, 3, 3), torch.zeros(2))]}, "normalised floats"),
        ({"batches": [(torch.zeros(2, 1, 8, 8), torch.zeros(3))]}, "labels"),
        ({"batches": [(torch.zeros(2, 1, 8, 8), torch.tensor([0, 10]))]}, "from 0 to 9"),
        ({"batches": 2.0}, "batches to score saliency on are 2.0"),
        ({"group": 1.5}, "group is 1.5"),
        ({"gates": [["a"]]}, "no number"),
    ],
)
def test_what_makes_no_sense_is_refused(trained, settings, message):
    with pytest.raises(InputError, match=message):
        saliency_table(trained, **{"batches": 1, **settings})
