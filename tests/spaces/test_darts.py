"""DARTS's space: published counts, notation, classes, equal logits."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from evonas.errors import InputError
from evonas.spaces import (
    DartsNetwork,
    DartsSpace,
    FactorizedReduce,
    MaxPool,
    SkipConnect,
    get_space,
)
from evonas.spaces.counting import count_module
from tests.spaces.test_cell import share

NONE, MAX, AVG, SKIP, SEP3, SEP5, DIL3, DIL5 = range(8)
DARTS_V2 = """
    Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0),
      ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0),
      ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5],
      reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),
      ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
      reduce_concat=[2, 3, 4, 5])
"""


@pytest.fixture(scope="module")
def darts():
    return get_space("darts")


@pytest.fixture(scope="module")
def small():
    """Two nodes a cell, in a network small enough for many of them."""
    return DartsSpace(
        name="small", nodes=2, channels=3, layers=4, num_classes=4, input_shape=(2, 9, 10)
    )


def cells_of(space, reduction, allowed=None):
    """All genomes whose other cell is all none (the first choices), (n, n_var)."""
    allowed = space.allowed if allowed is None else allowed
    genes = range(space.n_var)[space.genes(reduction)]
    choices = [
        np.flatnonzero(allowed[g]) if g in genes else np.flatnonzero(allowed[g])[:1]
        for g in range(space.n_var)
    ]
    return np.array(np.meshgrid(*choices, indexing="ij")).reshape(space.n_var, -1).T


# -- counts ---------------------------------------------------------------------------------


def test_published_parameters_of_darts_v2(darts):
    """DARTS's log of the training on CIFAR-10 says "param size = 3.349342MB"."""
    x = darts.encode(DARTS_V2)
    assert darts.params(x[None])[0] == 3_349_342
    with torch.device("meta"):
        network = darts.build(x)
    assert isinstance(network, DartsNetwork)
    assert sum(p.numel() for p in network.parameters()) == 3_349_342


def test_every_choice_of_every_gene_is_counted_exactly():
    space = DartsSpace(layers=5, num_classes=10, input_shape=(3, 32, 32))
    for shift in range(int(space.n_choices.max())):
        x = (np.arange(space.n_var) + shift) % space.n_choices
        counted = count_module(lambda x=x: space.build(x), space.input_shape)
        assert counted == (space.params(x[None])[0], space.macs(x[None])[0], (10,))


def test_a_skip_in_the_reduction_cell_has_parameters_from_the_inputs_only(darts):
    params = darts.costs.params
    normal, reduction = params[6], params[14]
    skips = [source * 8 + SKIP for source in range(5)]
    assert normal[skips].tolist() == [0] * 5
    # 72 and 144 channels: 1x1 convolutions without bias, and normalisation
    assert reduction[skips].tolist() == [72 * 72 + 144 + 144 * 144 + 288] * 2 + [0] * 3


def test_plan(darts):
    plan = darts.plan()
    assert [place for place, cell in enumerate(plan) if cell.reduction] == [6, 13]
    assert [place for place, cell in enumerate(plan) if cell.after_reduction] == [7, 14]
    assert [cell.channels for cell in plan] == [36] * 6 + [72] * 7 + [144] * 7
    assert [cell.in_channels for cell in plan[:3]] == [(108, 108), (108, 144), (144, 144)]
    assert plan[7].in_channels == (144, 288) and plan[8].in_channels == (288, 288)
    assert {cell.channels for cell in darts.plan(0.25)} == {9, 18, 36}


def test_layers_are_those_of_darts(darts):
    cell = darts.plan()[6]
    with torch.device("meta"):
        modules = {
            name: str(darts.block(8, place, cell)) for place, name in enumerate(darts.operations)
        }
    for name, kernel, padding, dilation in (
        ("sep_conv_3x3", 3, 1, 1),
        ("sep_conv_5x5", 5, 2, 1),
        ("dil_conv_3x3", 3, 2, 2),
        ("dil_conv_5x5", 5, 4, 2),
    ):
        of = "" if dilation == 1 else f", dilation=({dilation}, {dilation})"
        convolution = (
            f"(72, 72, kernel_size=({kernel}, {kernel}), stride=(2, 2), "
            f"padding=({padding}, {padding}){of}, groups=72, bias=False)"
        )
        assert convolution in modules[name]
        assert modules[name].count("groups=72") == (2 if dilation == 1 else 1)
    assert modules["max_pool_3x3"].startswith("MaxPool2d(kernel_size=3, stride=2, padding=1")
    assert modules["avg_pool_3x3"] == "AvgPool2d(kernel_size=3, stride=2, padding=1)"
    assert modules["skip_connect"].startswith("FactorizedReduce")
    assert isinstance(darts.block(10, 16 + SKIP, cell), nn.Identity)
    for gene, choice in ((16, 0), (0, 16), (15, -1)):
        with pytest.raises(InputError, match="no choice"):
            darts.block(gene, choice, cell)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 3), (1, 1)])
def test_factorized_reduce(height, width):
    block = FactorizedReduce().build(2, 5, 2).eval()
    with torch.no_grad():
        for conv in (block.first, block.second):
            conv.weight.fill_(1.0)
    x = torch.rand(1, 2, height, width)
    # Two channels of equal sums: pixels at even places, and those to their lower right.
    around = nn.functional.pad(x.sum(1), (0, 1, 0, 1))
    expected = [around[:, 0:height:2, 0:width:2], around[:, 1 : height + 1 : 2, 1 : width + 1 : 2]]
    y = block(x)
    torch.testing.assert_close(y[:, 0], expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(y[:, 4], expected[1], rtol=1e-4, atol=1e-4)
    assert torch.equal(y[:, 0], y[:, 2]) and torch.equal(y[:, 3], y[:, 4])


def test_operations_where_they_do_not_fit():
    for op, shape in (
        (MaxPool(3), (2, 3, 1)),
        (SkipConnect(), (2, 3, 1)),
        (SkipConnect(), (1, 1, 2)),
    ):
        with pytest.raises(InputError, match="use it where"):
            op.build(*shape)


def test_spaces_that_cannot_be():
    for wrong in ({"nodes": 0}, {"channels": 1}, {"layers": 2}):
        with pytest.raises(InputError, match="nodes >= 1, channels >= 2, and layers >= 3"):
            DartsSpace(num_classes=2, input_shape=(1, 4, 4), **wrong)


# -- notation -------------------------------------------------------------------------------


def test_notation(darts):
    x = darts.encode(DARTS_V2)
    assert x[:2].tolist() == [SEP3, 8 + SEP3]
    assert [darts.labels[gene][choice] for gene, choice in enumerate(x)][7:11] == [
        "dil_conv_3x3~2",
        "max_pool_3x3~0",
        "max_pool_3x3~1",
        "skip_connect~2",
    ]
    text = darts.decode(x)
    assert text.startswith("darts:Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), (")
    assert text.endswith("('max_pool_3x3', 1)], reduce_concat=range(2, 6))")
    fields = text.removeprefix("darts:Genotype(").removesuffix(")")
    normal, reduce = fields.split(", reduce=")
    for same in (
        text,
        text.replace(" ", ""),
        text.replace(" ", "\n\t"),
        text.replace("darts:", " darts: "),
        text.replace("darts:", "DARTS_V2 = "),
        text.replace("range(2, 6)", "(2, 3, 4, 5)"),
        text.replace("'", '"'),
        f"Genotype(reduce={reduce}, {normal})",
    ):
        np.testing.assert_array_equal(darts.encode(same), x)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sep_conv_3x3", "sep_conv_7x7", "'sep_conv_7x7' is no operation; there are none"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2)", "reads input 2, and its node can"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', -1)", "reads input -1"),
        ("('sep_conv_3x3', 0), ", "", "normal is no list of 8 pairs"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 0, 1)", "is no pair"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', True)", "is no pair"),
        ("('sep_conv_3x3', 0)", "0", "is no pair"),
        ("('sep_conv_3x3', 0)", "open('x')", "normal is no list of 8 pairs"),
        ("('sep_conv_3x3', 0)", "{[]: 0}", "normal is no list of 8 pairs"),
        ("normal_concat=range(2, 6)", "normal_concat=range(3, 6)", "normal_concat is not range"),
        ("reduce_concat=range(2, 6)", "reduce_concat=[2, 3, 4]", "reduce_concat is not range"),
        ("range(2, 6)", "range(2, 10**9)", "normal_concat is not range"),
        ("range(2, 6)", "range(2, 999999999999)", "normal_concat is not range"),
        ("range(2, 6)", "list((2, 3, 4, 5))", "normal_concat is not range"),
        ("range(2, 6)", "5", "normal_concat is not range"),
        (", reduce_concat=range(2, 6)", "", "has the fields normal, normal_concat"),
        (", reduce_concat=", ", concat=", "has the fields normal, normal_concat"),
        ("reduce_concat=", "**", "has the fields normal, normal_concat"),
        ("reduce_concat=", "", "it cannot be read"),
        ("Genotype(", "Network(", "is no Genotype"),
        ("Genotype(", "Genotype(1, ", "is no Genotype"),
        ("Genotype(", "Genotype(((", "it cannot be read"),
        ("Genotype(", "-" * 100_000 + "1 + Genotype(", "it "),
        ("Genotype(", "\0", "it cannot be read"),
    ],
)  # fmt: skip
def test_texts_that_are_no_genotype(darts, old, new, says):
    text = darts.decode(darts.encode(DARTS_V2))
    assert old in text
    with pytest.raises(InputError) as caught:
        darts.encode(text.replace(old, new, 1).replace(", ", ",\n"))
    assert says in str(caught.value) and "\n" not in str(caught.value)


# -- classes --------------------------------------------------------------------------------


def node_values(cell, reduction):
    """The value of each node as a sorted tuple of terms; written anew, not the space's code."""
    values = [("in0",), ("in1",)]
    for first, second in zip(cell[::2], cell[1::2], strict=True):
        value = []
        for source, op in (divmod(first, 8), divmod(second, 8)):
            if op == NONE or not values[source]:
                continue
            if op == SKIP and not (reduction and source < 2):
                value += values[source]
            else:
                value.append(f"{op}({'+'.join(values[source])})")
        values.append(tuple(sorted(value)))
    return tuple(values[2:])


def best_of_class(space, X, reduction):
    """The cheapest, then first, of all genomes that have the same values."""
    genes = space.genes(reduction)
    classes = [node_values(x, reduction) for x in X[:, genes].tolist()]
    best = {}
    for i in np.lexsort((np.arange(len(X)), space.params(X))):
        best.setdefault(classes[i], i)
    return X[[best[c] for c in classes]], len(best)


@pytest.mark.parametrize("reduction", [False, True])
def test_canonical_equals_enumeration(small, reduction):
    X = cells_of(small, reduction)
    expected, classes = best_of_class(small, X, reduction)
    C = small.canonical(X)
    np.testing.assert_array_equal(C, expected)
    assert len(np.unique(C, axis=0)) == classes < len(X) / 2


@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_canonical_equals_enumeration_within_a_restriction(small, reduction, seed):
    mask = np.random.default_rng(seed).random(small.allowed.shape) > 0.5
    mask[:, [NONE, SKIP, 8 + SKIP]] = seed % 2 == 0
    mask[:, SEP3] = True
    space = small.restrict(mask)
    X = cells_of(small, reduction, space.allowed)
    genes = small.genes(reduction)
    expected, _ = best_of_class(small, X, reduction)
    C = space.lift(space.canonical(space.lower(X)))
    np.testing.assert_array_equal(C[:, genes], expected[:, genes])


def test_canonical_keeps_the_values_of_larger_cells(darts, random_state):
    X = darts.sample(3000, random_state)
    X[1000:] -= (X[1000:] % 8 > SKIP) * (X[1000:] % 8 - SKIP)  # more skips than chance gives
    for x, c in zip(X.tolist(), darts.canonical(X).tolist(), strict=True):
        for reduction in (False, True):
            genes = darts.genes(reduction)
            assert node_values(x[genes], reduction) == node_values(c[genes], reduction)


CANONICAL_BY_HAND = [
    # the order of two edges, in both cells
    ([SEP5, SEP3, MAX, NONE], [SEP3, SEP5, NONE, MAX]),
    # nothing passes none, whatever it reads; what is fed by nothing is nothing
    ([8 + NONE, NONE, 16 + SEP3, SEP3], [NONE, NONE, NONE, SEP3]),
    # node 2 is input 1
    ([NONE, 8 + SKIP, 16 + DIL3, 16 + SKIP], [NONE, 8 + SKIP, 8 + SKIP, 8 + DIL3]),
    # a sum handed on by a skip is the same sum, and a skip is cheaper
    ([SEP3, 8 + SEP3, SEP3, 8 + SEP3], [SEP3, 8 + SEP3, NONE, 16 + SKIP]),
    # an operation twice on one input is twice its value, and no less
    ([MAX, MAX, MAX, NONE], [MAX, MAX, NONE, MAX]),
]


@pytest.mark.parametrize(("x", "canonical"), CANONICAL_BY_HAND)
def test_canonical_by_hand(small, x, canonical):
    expected = [*canonical, NONE, NONE, NONE, NONE]
    np.testing.assert_array_equal(small.canonical([[*x, 8, 8, 8, 8]]), [expected])


def test_a_strided_skip_is_an_operation(small):
    # In the normal cell node 2 is input 0. In the reduction cell it is what a FactorizedReduce
    # made of it, which it hands on free of parameters.
    x = [SKIP, NONE, 16 + MAX, SKIP, SKIP, NONE, 16 + MAX, SKIP]
    c = [NONE, SKIP, MAX, SKIP, NONE, SKIP, 16 + MAX, 16 + SKIP]
    np.testing.assert_array_equal(small.canonical([x]), [c])


# -- networks -------------------------------------------------------------------------------


def with_weights(space, x, store):
    """Builds x, and gives equal terms of one cell equal weights."""
    network = space.build(x)
    for name in ("stem", "head"):
        share(getattr(network, name), name, store)
    for place, (plan, cell) in enumerate(zip(space.plan(), network.cells, strict=True)):
        share(cell.preprocess0, (place, 0), store)
        share(cell.preprocess1, (place, 1), store)
        genes = range(space.n_var)[space.genes(plan.reduction)]
        values = (("in0",), ("in1",), *node_values([x[g] for g in genes], plan.reduction))
        for gene in genes:
            source, op = divmod(x[gene], 8)
            if values[source]:
                share(cell.ops[str(gene)], (place, op, values[source]), store)
    return network.double()


def test_one_class_one_function(small):
    torch.manual_seed(1)
    X = small.sample(60, np.random.default_rng(1))
    X = np.vstack(
        [X, [[*x, *y] for (x, _), (y, _) in itertools.combinations(CANONICAL_BY_HAND, 2)]]
    )
    images = torch.randn(3, *small.input_shape, dtype=torch.float64)
    for x, c in zip(X.tolist(), small.canonical(X).tolist(), strict=True):
        store = {}
        one, other = with_weights(small, x, store), with_weights(small, c, store)
        with torch.no_grad():
            for training in (True, False):
                a, b = one.train(training)(images), other.train(training)(images)
                torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def test_live_edges(small):
    x = [NONE, 8 + NONE, 16 + SEP3, SEP3, SKIP, NONE, 16 + SEP5, 16 + SEP5]
    normal, reduction = small.live(x)
    assert normal == ((3, 0, 3),)
    assert reduction == ((2, 0, 4), (3, 2, 6), (3, 2, 7))
    assert small.live([NONE] * 8) == ((), ())


def test_an_operation_fed_by_nothing_passes_zero_and_learns_nothing(small):
    network = small.build([NONE, NONE, 16 + SEP3, SEP3, NONE, NONE, 16 + DIL5, NONE])
    for layer in network.cells.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.bias, 5)
    normal, reduction = network.cells[0], network.cells[1]
    stem = torch.randn(2, 9, 9, 10)
    y = normal(stem, stem)
    assert y.shape == (2, 6, 9, 10)
    assert not y[:, :3].any() and y[:, 3:].any()
    z = reduction(stem, y)
    assert z.shape == (2, 12, 5, 5) and not z.any()
    network = small.build([NONE, NONE, 16 + SEP3, SEP3, NONE, MAX, NONE, 8 + MAX])
    normal = network.cells[0]
    network(torch.randn(2, *small.input_shape)).sum().backward()
    assert all(p.grad is None for p in normal.ops["2"].parameters())
    assert all(p.grad is not None for p in normal.ops["3"].parameters())


def test_logits(darts):
    network = darts.build(darts.encode(DARTS_V2)).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)
        features = nn.Sequential(*list(network.head)[:2])
        assert isinstance(network.head[2], nn.Linear) and features[0].output_size == 1
    assert network.head[2].in_features == 4 * 144
