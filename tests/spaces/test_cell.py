"""Cells: classes, equal logits, zeros, notation."""

import numpy as np
import pytest
import torch
from torch import nn

from evonas.errors import InputError
from evonas.spaces import CellSpace, Conv, Identity, ReLUConv, Zero, cell_forward, get_space

NONE, SKIP, CONV1, CONV3, POOL = range(5)


@pytest.fixture(scope="module")
def nb201():
    return get_space("nb201")


@pytest.fixture(scope="module")
def every(nb201):
    return np.indices(nb201.n_choices).reshape(nb201.n_var, -1).T


@pytest.fixture(scope="module")
def small():
    """NAS-Bench-201's cell in a network small enough for many of them."""
    operations = get_space("nb201").operations
    return CellSpace(
        name="small",
        operations=operations,
        channels=3,
        stages=2,
        cells_per_stage=1,
        num_classes=4,
        input_shape=(2, 6, 6),
    )


def test_canonical_leaves_4930(nb201, every):
    C = nb201.canonical(every)
    assert len(np.unique(C, axis=0)) == 4930


def test_classes_equal_those_of_numbers(nb201, every):
    """All cells computed on vectors, with one random function for each kind of operation."""
    random_state = np.random.default_rng(0)
    weights = {op: random_state.normal(size=(8, 8)) for op in (CONV1, CONV3, POOL)}
    nodes = [np.tile(random_state.normal(size=8), (len(every), 1))]
    for target in (1, 2, 3):
        total = np.zeros((len(every), 8))
        for gene, edge in enumerate(nb201.edges):
            if edge[0] != target:
                continue
            value = nodes[edge[1]]
            fed = (value != 0).any(axis=1)
            total[every[:, gene] == SKIP] += value[every[:, gene] == SKIP]
            for op, matrix in weights.items():
                rows = (every[:, gene] == op) & fed
                total[rows] += np.tanh(value[rows] @ matrix + op)
        nodes.append(total)
    _, ours = np.unique(nb201.canonical(every), axis=0, return_inverse=True)
    numbers = np.round(nodes[3], 9) + 0.0
    _, theirs = np.unique(numbers, axis=0, return_inverse=True)
    pairs = set(zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert len(pairs) == len(set(ours.ravel())) == len(set(theirs.ravel())) == 4930


def test_canonical_members_have_no_dead_operation(nb201, every):
    for c in np.unique(nb201.canonical(every), axis=0)[::7]:
        assert len(nb201.live(c)) == (c != NONE).sum()


def test_canonical_is_the_cheapest_then_first(nb201, every):
    params = nb201.params(every)
    C = nb201.canonical(every)
    _, classes = np.unique(C, axis=0, return_inverse=True)
    best = {}
    for i in np.lexsort((np.arange(len(every)), params)):
        best.setdefault(int(classes.ravel()[i]), every[i])
    expected = np.array([best[int(c)] for c in classes.ravel()])
    np.testing.assert_array_equal(C, expected)


def test_live_edges(nb201):
    assert nb201.live([NONE, CONV3, CONV1, NONE, POOL, SKIP]) == ((2, 0, 1), (3, 2, 5))
    assert nb201.live([NONE] * 6) == ()
    assert nb201.live([CONV3, NONE, NONE, NONE, NONE, SKIP]) == ()
    assert len(nb201.live([CONV3] * 6)) == 6


def term_keys(space, x):
    """For each live edge what it computes, written out; written anew, not the space's code."""
    terms = {0: ["x"]}
    keys = {}
    for target, source, gene in space.live(x):
        if x[gene] == SKIP:
            added = terms[source]
        else:
            keys[gene] = f"{x[gene]}({'+'.join(sorted(terms[source]))})"
            added = [keys[gene]]
        terms[target] = terms.get(target, []) + added
    return keys


def with_weights(space, x, store):
    """Builds x, and gives equal terms of one cell equal weights."""
    network = space.build(x)
    for part in ("stem", "head"):
        share(getattr(network, part), part, store)
    keys = term_keys(space, x)
    for place, (kind, _) in enumerate(space.layout):
        if kind == "reduction":
            share(network.cells[place], place, store)
        else:
            for gene, key in keys.items():
                share(network.cells[place].ops[str(gene)], (place, key), store)
    return network.double()


def share(module, key, store):
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean):
                nn.init.normal_(tensor)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    module.load_state_dict(store.setdefault(key, module.state_dict()))


def assert_same_function(space, x, y):
    store = {}
    one, other = with_weights(space, x, store), with_weights(space, y, store)
    images = torch.randn(3, *space.input_shape, dtype=torch.float64)
    with torch.no_grad():
        for training in (True, False):
            a, b = one.train(training)(images), other.train(training)(images)
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


HAND_PICKED = [
    # dead output of node 1
    ([CONV3, CONV1, NONE, NONE, NONE, SKIP], [NONE, NONE, NONE, CONV1, NONE, NONE]),
    # fed by nothing
    ([NONE, NONE, CONV3, CONV1, CONV3, SKIP], [NONE, NONE, NONE, CONV1, NONE, NONE]),
    # a sum behind a skip is part of the next sum
    ([CONV3, CONV1, SKIP, NONE, NONE, SKIP], [CONV3, NONE, NONE, CONV1, SKIP, NONE]),
    # nodes 1 and 2 change places
    ([CONV3, CONV1, NONE, NONE, POOL, SKIP], [CONV1, CONV3, NONE, NONE, SKIP, POOL]),
    # the same term twice: once shared, once computed on its own
    ([CONV3, NONE, SKIP, NONE, SKIP, SKIP], [CONV3, CONV3, NONE, NONE, SKIP, SKIP]),
    ([NONE] * 6, [CONV3, POOL, SKIP, NONE, NONE, NONE]),
]


@pytest.mark.parametrize(("x", "y"), HAND_PICKED)
def test_one_class_one_function(nb201, small, x, y):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    C = nb201.canonical([x, y])
    np.testing.assert_array_equal(C[0], C[1])
    assert_same_function(small, x, y)


def test_one_class_one_function_at_random(small, nb201):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    X = small.sample(120, np.random.default_rng(1))
    C = small.canonical(X)
    for x, c in zip(X, C, strict=True):
        assert_same_function(small, x, c)
    for i in np.flatnonzero((X != C).any(axis=1))[:2]:
        assert_same_function(get_space("nb201", input_shape=(3, 8, 8)), X[i], C[i])


def test_an_operation_fed_by_nothing_passes_zero(small):
    x = [NONE, NONE, CONV3, NONE, CONV1, CONV3]
    network = small.build(x).eval()
    nothing = small.build([NONE] * 6).eval()
    for layer in network.cells.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.bias, 5)
    cell = network.cells[0]
    value = torch.randn(2, 3, 6, 6)
    assert torch.equal(cell(value), torch.zeros_like(value))
    nothing.load_state_dict(network.state_dict(), strict=False)
    images = torch.randn(2, 2, 6, 6)
    assert torch.equal(network(images), nothing(images))
    assert torch.equal(
        small.block(0, NONE)(torch.full((1, 3, 4, 4), torch.nan)), value.new_zeros(1, 3, 4, 4)
    )


def test_dead_operations_are_there_but_learn_nothing(small):
    network = small.build([CONV3, CONV1, NONE, NONE, NONE, SKIP])
    network(torch.randn(3, 2, 6, 6)).sum().backward()
    dead = list(network.cells[0].ops["0"].parameters())
    assert dead and all(p.grad is None for p in dead)
    assert all(p.grad is not None for p in network.cells[0].ops["1"].parameters())


def test_no_operation_changes_the_value_that_others_read(small):
    value = torch.randn(2, 3, 6, 6)
    for choice in range(5):
        before = value.clone()
        small.block(0, choice).train()(value)
        assert torch.equal(value, before)


def test_cell_forward_with_a_lookup_of_ones_own(nb201):
    bank = {(gene, c): nb201.block(gene, c) for gene in range(6) for c in range(5)}
    x = [CONV3, SKIP, CONV1, POOL, NONE, CONV3]
    edges = [(t, s, (gene, x[gene])) for t, s, gene in nb201.live(x)]
    value = torch.randn(2, 16, 4, 4)
    one = bank[0, CONV3](value)
    two = value + bank[2, CONV1](one)
    expected = bank[3, POOL](value) + bank[5, CONV3](two)
    torch.testing.assert_close(cell_forward(value, edges, bank.__getitem__), expected)


def test_restricted_classes(nb201, every):
    """Without "none" most dead cells cannot be written; the rule holds among the rest."""
    mask = nb201.allowed.copy()
    mask[1:, NONE] = False
    mask[2, CONV3] = False
    space = nb201.restrict(mask)
    X = np.indices(space.n_choices).reshape(space.n_var, -1).T
    lifted = space.lift(X)
    C = space.lift(space.canonical(X))
    params = nb201.params(lifted)
    best = {}
    for i in np.lexsort((np.arange(len(X)), params)):
        best.setdefault(nb201.decode(nb201.canonical(lifted[i : i + 1])[0]), lifted[i])
    names = [nb201.decode(c) for c in nb201.canonical(lifted)]
    np.testing.assert_array_equal(C, [best[name] for name in names])


def test_notation(nb201):
    text = "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
    x = [CONV3, POOL, NONE, SKIP, CONV1, NONE]
    np.testing.assert_array_equal(nb201.encode(text), x)
    assert nb201.decode(x) == f"nb201:{text}"
    for wrong in (text[:-1], text.replace("~2", "~1"), text.replace("none", "nil"), text[:16]):
        with pytest.raises(InputError):
            nb201.encode(wrong)


def test_other_nodes_and_operations():
    space = CellSpace(
        name="five",
        operations={"no": Zero(), "id": Identity(), "a": ReLUConv(1), "b": ReLUConv(1)},
        nodes=3,
        stages=1,
        cells_per_stage=2,
        num_classes=2,
        input_shape=(1, 4, 4),
    )
    assert space.n_var == 3 and space.size == 64
    # a and b are one operation under two labels
    np.testing.assert_array_equal(space.canonical([[3, 2, 3]]), [[2, 2, 2]])
    assert space.decode([0, 1, 2]) == "five:|no~0|+|id~0|a~1|"


def test_cells_that_cannot_be():
    given = {"num_classes": 2, "input_shape": (1, 4, 4), "name": "x"}
    conv = {"a": ReLUConv(1), "b": Conv(3), "c": Identity(), "d": Zero()}
    for wrong in ({"nodes": 1}, {"operations": {}}, {"stages": 0}, {"operations": {"a|b": Zero()}}):
        with pytest.raises(InputError):
            CellSpace(**({"operations": conv} | given | wrong))
    large = CellSpace(operations=conv, nodes=6, **given)
    with pytest.raises(InputError, match="too many"):
        large.canonical(large.sample(1, np.random.default_rng(0)))
    for gene, choice, stage in ((6, 0, 0), (0, 5, 0), (0, 0, 3)):
        with pytest.raises(InputError, match="no choice"):
            get_space("nb201").block(gene, choice, stage)
    with pytest.raises(InputError, match="no reduction"):
        get_space("nb201").reduction(0)


def test_width():
    space = get_space("nb201", num_classes=7)
    parts = [
        space.reduction(stage, 0.5) if kind == "reduction" else space.block(0, CONV3, stage, 0.5)
        for kind, stage in space.layout
    ]
    network = nn.Sequential(space.stem(0.5), *parts, space.head(0.5))
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert [m.out_features for m in network.modules() if isinstance(m, nn.Linear)] == [7]
