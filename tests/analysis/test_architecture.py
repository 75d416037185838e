"""Diagrams of networks, and the genes of a front: numbers exactly, and figures of all shapes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from evonas.analysis import Diagram, Front, GeneFrequencies
from evonas.errors import InputError
from evonas.spaces import get_space, list_spaces


def front_of(space, n, random_state):
    X = np.unique(space.sample(n, random_state), axis=0)
    networks = [space.decode(x) for x in X]
    params = X.sum(axis=1) * 1000.0 + np.arange(len(X))
    values = np.column_stack([50 - params / 1000, params])
    return Front(tuple(networks), ("error", "params"), values, ("error", "params"), "toy")


@pytest.mark.parametrize("name", list_spaces())
def test_diagrams_and_genes_of_every_space(name, random_state, tmp_path):
    space = get_space(name)
    front = front_of(space, 7, random_state)
    figure = Figure(figsize=(8, 5), layout="constrained")
    first, second = figure.subplots(2)
    diagram = Diagram.of(front.networks[0], space)
    assert diagram.plot(first) is first
    said = {text.get_text() for text in first.texts}
    assert {block.label for block in diagram.outline.blocks} <= said
    assert GeneFrequencies.of(front, space).plot(second) is second
    figure.savefig(tmp_path / "figure.png")


def test_the_space_is_found_by_the_name_in_front():
    diagram = Diagram.of("macro:22212220")
    assert diagram.outline == get_space("macro").outline([2, 2, 2, 1, 2, 2, 2, 0])
    with pytest.raises(InputError, match="is no genome of space 'macro'"):
        Diagram.of("macro:92212220")
    with pytest.raises(InputError, match="unknown space 'micro'"):
        Diagram.of("micro:2")


def test_frequencies_of_a_front():
    space = get_space("macro")
    networks = ("macro:00000000", "macro:20000000", "macro:22000001")
    values = np.array([[50.0, 3], [40, 1], [30, 2]])
    front = Front(networks, ("error", "params"), values, ("error", "params"), "toy")
    genes = GeneFrequencies.of(front, space)
    assert genes.costs.tolist() == [1, 2, 3] and genes.cost == "params"
    assert genes.genomes[:, 0].tolist() == [2, 2, 0] and genes.genomes[:, 1].tolist() == [0, 2, 0]
    table = genes.frequencies()
    assert table[0].tolist() == [1 / 3, 0, 2 / 3] and table[7].tolist() == [2 / 3, 1 / 3, 0]
    assert genes.frequencies(slice(2, 3))[0].tolist() == [1, 0, 0]
    assert genes.common(2) == ("identity", "mbconv-e6-k5")
    assert genes.columns == ["identity", "mbconv-e3-k3", "mbconv-e6-k5"]
    assert [len(rows) for rows in genes.groups(2)] == [2, 1] and len(genes.groups()) == 3
    frame = genes.to_frame()
    assert frame.shape == (24, 4) and frame["frequency"].sum() == pytest.approx(8)


def test_genes_with_different_numbers_of_choices():
    genes = GeneFrequencies(np.array([[0, 2]]), (("a", "b"), ("a", "b", "c")), "params", [1.0])
    assert np.isnan(genes.frequencies()[0, 2]) and genes.frequencies()[1, 2] == 1


def test_no_members():
    front = Front((), ("error", "params"), np.empty((0, 2)), ("error", "params"))
    with pytest.raises(InputError, match="an empty front has no genes"):
        GeneFrequencies.of(front, get_space("macro"))
    with pytest.raises(InputError, match="do not fit"):
        GeneFrequencies(np.zeros((2, 3)), (("a",),) * 3, "params", [1.0])


def test_a_long_name_is_wrapped():
    space = get_space("darts")
    text = space.decode(np.zeros(space.n_var, dtype=int))
    ax = Diagram.of(text, space).plot(Figure().subplots())
    assert "\n" in ax.get_title(loc="left")
