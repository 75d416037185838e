"""Additive costs: sums by hand, and tables that are not what they should be."""

import numpy as np
import pytest

from evonas.errors import InputError
from evonas.problems import AdditiveCost
from evonas.spaces import get_space


@pytest.fixture(scope="module")
def tiny():
    return get_space("tiny", 10, (1, 8, 8))


@pytest.fixture(scope="module")
def numbers(tiny):
    table = np.random.default_rng(0).random(tiny.allowed.shape)
    return np.where(tiny.allowed, table, np.nan)


@pytest.fixture
def write(tmp_path, tiny, numbers):
    """Writes the table with other rows put over it; returns the file."""

    def written(column="latency", change=None, *, constant="0.5", more="", header=""):
        rows = {(g, c): repr(float(numbers[g, c])) for g, c in np.argwhere(tiny.allowed).tolist()}
        rows |= change or {}
        lines = [f"gene,choice,label,{column},batch_size{header}"]
        lines += [f",,stem,{constant},1"] if constant else []
        lines += [f"{g},{c},x,{value},1" for (g, c), value in rows.items() if value is not None]
        path = tmp_path / "cost.csv"
        path.write_text("\n".join(lines) + "\n" + more)
        return path

    return written


def by_hand(numbers, X):
    return 0.5 + sum(numbers[gene, X[:, gene]] for gene in range(X.shape[1]))


@pytest.mark.parametrize("column", ["latency", "cost", "ms"])
def test_it_is_the_sum_over_the_genes(tiny, numbers, write, column):
    cost = AdditiveCost.from_csv(write(column), tiny, "latency")
    X = tiny.sample(100, np.random.default_rng(1))
    np.testing.assert_allclose(cost(X), by_hand(numbers, X))
    assert cost(X[:0]).shape == (0,)


def test_a_restricted_space_is_lifted_and_needs_its_own_choices_only(tiny, numbers, write):
    allowed = tiny.allowed.copy()
    allowed[:, 0] = False
    part = tiny.restrict(allowed)
    cost = AdditiveCost.from_csv(write(change={(0, 0): "nan", (1, 0): None}), part, "latency")
    X = part.sample(50, np.random.default_rng(1))
    np.testing.assert_allclose(cost(X), by_hand(numbers, part.lift(X)))


def test_no_constant_part_is_none(tiny, numbers, write):
    cost = AdditiveCost.from_csv(write(constant=""), tiny, "latency")
    assert cost.constant == 0 and cost(np.zeros((1, 6), int))[0] == numbers[:, 0].sum()


def test_a_table_that_excel_has_saved(tiny, write):
    path = write()
    plain = AdditiveCost.from_csv(path, tiny, "latency")
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert AdditiveCost.from_csv(path, tiny, "latency").checksum == plain.checksum


def test_the_checksum_is_one_of_the_numbers_that_matter(tiny, write):
    def checksum(path, space=tiny):
        return AdditiveCost.from_csv(path, space, "latency").checksum

    first = checksum(write())
    assert checksum(write("cost", constant="0.50")) == first
    assert len({first, checksum(write(constant="0.6")), checksum(write(change={(5, 3): "9"}))}) == 3
    allowed = tiny.allowed.copy()
    allowed[5, 3] = False
    part = tiny.restrict(allowed)
    assert checksum(write(change={(5, 3): "9"}), part) == checksum(write(), part) != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(change={(3, 2): None}), r"has no row for gene 3, choice 2 \(conv-k3\) of the space"),
        (dict(change={(3, 2): "nan"}), r"has no finite number for gene 3, choice 2 \(conv-k3\)"),
        (dict(change={(3, 2): ""}), r"has no finite number for gene 3, choice 2 \(conv-k3\)"),
        (dict(change={(3, 2): "inf"}), r"has no finite number for gene 3, choice 2 \(conv-k3\)"),
        (dict(change={(3, 2): "3,5"}), "cannot read .* as a table of latency"),
        (dict(change={(3, 2): "fast"}), "line 16 of .*: latency is 'fast', no number"),
        (dict(change={(6, 0): "1"}), "line 25 of .*: gene 6, choice 0 is none of the space 'tiny'"),
        (dict(change={(0, 3): "1"}), "gene 0, choice 3 is none of the space 'tiny'"),
        (dict(change={(0.5, 0): "1"}), "gene 0.5, choice 0 is none of the space"),
        (dict(change={(0, ""): "1"}), "gene 0, choice nan is none of the space"),
        (dict(more="2,1,x,4,1\n"), r"has two rows for gene 2, choice 1"),
        (dict(more=",,,4,1\n"), "has 2 rows without gene and choice; add them up"),
        (dict(constant="nan"), "the constant part of latency is nan"),
        (dict(column="energy,price"), "has no column 'latency' or 'cost', and "),
        (dict(column="threads"), "and no other one of numbers"),
    ],
)
def test_a_wrong_table_is_one_line(tiny, write, change, message):
    if "," in change.get("column", ""):
        change = change | {"change": {(g, c): "1,2" for g, c in np.argwhere(tiny.allowed).tolist()}}
        change["constant"] = "1,2"
    with pytest.raises(InputError, match=message) as error:
        AdditiveCost.from_csv(write(**change), tiny, "latency")
    assert "\n" not in str(error.value)


def test_a_table_of_another_space_or_of_nothing(tiny, write, tmp_path):
    with pytest.raises(InputError, match="gene 1, choice 3 is none of the space 'macro'"):
        AdditiveCost.from_csv(write(), get_space("macro"), "latency")
    path = write()
    path.write_text(path.read_text().replace("label", "space").replace(",x,", ",macro,"))
    with pytest.raises(InputError, match="is a table of the space (stem|macro), not of tiny"):
        AdditiveCost.from_csv(path, tiny, "latency")
    path.write_text(write(more="").read_text().replace("label", "input_shape"))
    with pytest.raises(InputError, match="table of the input_shape (stem|x), not of 1x8x8; give"):
        AdditiveCost.from_csv(path, tiny, "latency")
    with pytest.raises(InputError, match="there is no table of latency .*nowhere.csv"):
        AdditiveCost.from_csv(tmp_path / "nowhere.csv", tiny, "latency")
    path.write_text("network,latency\ntiny:000000,3\n")
    with pytest.raises(InputError, match="no column 'gene' .it has network, latency.; give a row"):
        AdditiveCost.from_csv(path, tiny, "latency")


def test_from_python_the_table_is_checked_as_well(tiny, numbers):
    with pytest.raises(InputError, match=r"has shape \(2, 2\); the space 'tiny' needs \(6, 4\)"):
        AdditiveCost(tiny, np.zeros((2, 2)))
    with pytest.raises(InputError, match="no finite number for gene 0, choice 0"):
        AdditiveCost(tiny, np.full((6, 4), np.nan))
