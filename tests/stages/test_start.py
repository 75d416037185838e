"""Networks that start a search: their texts through files."""

import numpy as np
import pytest

from evonas.analysis import Front
from evonas.errors import InputError
from evonas.problems import TabularProblem
from evonas.spaces import get_space
from evonas.stages.start import read_networks, write_networks


@pytest.mark.parametrize("name", ["darts", "nb201", "macro"])
def test_texts_survive_files(name, tmp_path):
    """A genotype of DARTS holds commas, spaces, quotes, brackets and an equals sign."""
    space = get_space(name)
    X = space.sample(5, np.random.default_rng(0))
    networks = [space.decode(x) for x in X]
    write_networks(tmp_path / "start.csv", networks)
    assert read_networks(tmp_path / "start.csv") == networks

    values = [[float(i), 10.0 - i] for i in range(len(X))]
    front = Front.from_arrays(networks, values, columns=["error", "cost"])
    front.write(tmp_path / "front.csv")
    assert read_networks(tmp_path / "front.csv") == list(front.networks)
    again = Front.load(tmp_path / "front.csv", objectives=["error", "cost"])
    assert again.networks == front.networks and set(again.networks) == set(networks)

    front.to_frame().to_csv(tmp_path / "pandas.csv", index=False)
    assert read_networks(tmp_path / "pandas.csv") == list(front.networks)
    table = TabularProblem.from_csv(
        tmp_path / "pandas.csv", objectives=["error", "cost"], space=space
    )
    assert {tuple(x) for x in table.genes.tolist()} == {tuple(x) for x in X.tolist()}


def test_a_genotype_that_a_file_does_not_quote_is_one_line(tmp_path):
    space = get_space("darts")
    text = space.decode(space.sample(1, np.random.default_rng(0))[0])
    (tmp_path / "start.csv").write_text(f"network\n{text}\n")
    with pytest.raises(InputError, match="cannot be read") as caught:
        space.encode(read_networks(tmp_path / "start.csv")[0])
    assert "\n" not in str(caught.value)
