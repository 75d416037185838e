"""The account of a pruning: its file, its figure, and what it kept of the truth."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from evonas.analysis import PruningAccount, kept_truth, save_pruning
from evonas.analysis.choices_figure import draw_pruning
from evonas.errors import InputError
from evonas.problems import TabularProblem
from evonas.runs import RunFolder
from evonas.spaces import CategoricalSpace
from evonas.supernet.struck import Struck

STRUCK = (
    Struck(1, 2, "pool", 1, 40, -0.125, np.log10(6), np.log10(4)),
    Struck(0, 0, "identity", 0, 50, 1 / 3, np.log10(4), np.log10(2)),
)


def account(name=""):
    return PruningAccount(
        struck=STRUCK,
        kept=((0, 1), (1, 0), (1, 1)),
        labels=(("identity", "conv", ""), ("identity", "conv", "pool")),
        levels=(0, 1),
        name=name,
    )


def test_write_and_load(tmp_path):
    path = tmp_path / "pruning.csv"
    account().write(path)
    lines = path.read_text().splitlines()
    assert lines[0] == (
        "operation,gene,choice,level,struck,step,score,log10_before,log10_after,reason"
    )
    assert lines[1].startswith("pool,1,2,1,1,40,-0.125,0.778151")
    assert lines[1].endswith("best at no price of cost; lacks 0.125 or more")
    assert lines[2].endswith('"its gene loses 0.333 without it, on average over prices of cost"')
    assert lines[3:] == ["conv,0,1,0,,,,,,", "identity,1,0,1,,,,,,", "conv,1,1,1,,,,,,"]
    loaded = PruningAccount.load(path)
    assert loaded.struck == STRUCK
    assert (loaded.kept, loaded.labels, loaded.levels) == (
        account().kept,
        account().labels,
        account().levels,
    )
    assert loaded.allowed.tolist() == [[False, True, False], [True, True, False]]
    assert loaded.log10_sizes == pytest.approx((np.log10(6), np.log10(2)))


def test_rows_may_come_in_any_order(tmp_path):
    path = tmp_path / "pruning.csv"
    account().write(path)
    first, *rows = path.read_text().splitlines()
    path.write_text("\n".join([first, *reversed(rows)]))
    loaded = PruningAccount.load(path)
    assert loaded.struck == STRUCK and set(loaded.kept) == set(account().kept)


@pytest.mark.parametrize(
    "rows",
    [
        "conv,0.5,1,0,,,,,,",
        "conv,0,1,0,,,,,,",
        "conv,0,2,0,3,,,,,",
        "conv,2,0,2,3,60,0.1,1,0,",
        "conv,3,0,2,,,,,,",
    ],
    ids=["no gene", "twice", "a number is missing", "nothing left of a gene", "a gene is missing"],
)
def test_a_broken_file(tmp_path, rows):
    path = tmp_path / "pruning.csv"
    account().write(path)
    path.write_text(path.read_text() + rows + "\n")
    with pytest.raises(InputError, match="no account of a pruning"):
        PruningAccount.load(path)


def test_an_empty_file(tmp_path):
    path = tmp_path / "pruning.csv"
    account().write(path)
    path.write_text(path.read_text().splitlines()[0])
    with pytest.raises(InputError, match="no account of a pruning"):
        PruningAccount.load(path)


def test_nothing_struck_out(tmp_path):
    path = tmp_path / "pruning.csv"
    whole = PruningAccount((), ((0, 0), (0, 1)), (("a", "b"),), (0,))
    whole.write(path)
    loaded = PruningAccount.load(path)
    assert loaded.struck == () and loaded.allowed.all()
    draw_pruning(loaded, Figure().subplots())


def test_a_run_without_one(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    with pytest.raises(InputError, match="no pruning.csv; run with --prune"):
        PruningAccount.load(folder.path)


def test_figure(tmp_path):
    folder = RunFolder.create(tmp_path, "toy")
    folder.config.write_text("{}")
    account().write(folder.pruning)
    assert save_pruning(folder).stat().st_size > 3000
    ax = draw_pruning(account("a run"), Figure().subplots())
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["1: step 40", "2: step 50"]
    assert ax.get_title(loc="left") == "a run · 6 to 2 genomes · green stays"


def test_what_is_kept_of_the_truth():
    genes = np.array([(a, b) for a in range(3) for b in range(2)])
    # the last choice of the first gene is the best one, and the dearest
    values = np.column_stack([10 - 3 * genes[:, 0] - genes[:, 1], 1 + genes.sum(1)])
    problem = TabularProblem(genes, values, ("error", "params"))
    space = problem.space
    mask = space.allowed.copy()
    whole = kept_truth(space.restrict(mask), problem)
    assert whole == {"networks": 6, "of": 6, "excess": 0.0, "hypervolume": 1.0, "recall": 1.0}
    partial = TabularProblem(genes[1:], values[1:], ("error", "params"), space)
    assert kept_truth(space, partial)["networks"] == kept_truth(space, partial)["of"] == 5
    three = TabularProblem(genes, np.column_stack([values, values[:, 1]]), ("error", "a", "b"))
    assert "excess" not in kept_truth(three.space, three)
    limited = TabularProblem(genes, values, ("error", "params"), space, constraints=["params<=2"])
    assert kept_truth(space, limited)["networks"] == 3
    with pytest.raises(InputError, match="no network of the table is left"):
        kept_truth(space.restrict(np.array([[0, 0, 1], [0, 1, 0]], bool)), limited)
    mask[0, 1] = False
    part = kept_truth(space.restrict(mask), problem)
    assert part["networks"] == 4 and part["excess"] > 0
    assert part["hypervolume"] < 1 and part["recall"] < 1
    with pytest.raises(InputError, match="no restriction of the space of the table"):
        kept_truth(CategoricalSpace(name="other", n_choices=[2, 2]), problem)


def test_a_mask_for_any_space_of_the_account():
    space = CategoricalSpace(name="toy", n_choices=[2, 3, 4])
    part = space.restrict(np.arange(4) < np.array([[2], [2], [2]]))
    told = PruningAccount.of(part, [Struck(0, 0, "0", 0, 1, 0.1, 0.9, 0.6)])
    assert told.allowed.shape == (3, 4) and told.mask(space).shape == (3, 4)
    assert space.restrict(told.mask(part)).n_choices.tolist() == [1, 2, 2]
    with pytest.raises(InputError, match="the account is of 3 genes"):
        told.mask(CategoricalSpace(name="other", n_choices=[2, 2]))


def test_a_figure_of_a_huge_space():
    labels = tuple(tuple("abcdefgh") for _ in range(400))
    kept = tuple((j, k) for j in range(400) for k in range(8) if (j, k) != (0, 0))
    huge = PruningAccount((Struck(0, 0, "a", 0, 1, 0.1, 361.3, 361.2),), kept, labels, (0,) * 400)
    ax = draw_pruning(huge, Figure().subplots())
    assert ax.get_title(loc="left").startswith("10^361.2 to 10^361.2 genomes")
