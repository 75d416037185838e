"""What hierarchical pruning keeps, and what it does to the ranking, against published truth.

    pip install '.[benchmarks]'
    python benchmarks/pruning.py [--spaces macro nb201] [--seeds 1 2 3] [--work FOLDER]
        [--criteria main-effect rank-effect]

Of `macro`, for each seed a supernet is trained on CIFAR-10 without pruning, and one for each order
of pruning, all for the same number of steps: the 40 % before choices are first scored are the same
for all, and are trained once. Of `nb201`, whose supernet takes an hour, that of
`benchmarks/saliency.py` is pruned at once, without further training.

Of what is left: distinct networks; the mean excess error of the truly best of them, their share of
the best hypervolume, and the share of truly optimal networks that is left, all by published error;
Kendall's tau of the losses of all of them (at most 400) with published error, by the pruned
supernet and by the unpruned one on the same networks. For comparison: choices struck out at random,
down to the same size (a thousand times).

Writes pruning.csv and pruning.png into docs/; what is trained goes to the work folder, which a
repeated call goes on from. Needs EVONAS_DATA. On two cores a seed of `macro` takes about half an
hour, and `nb201` about ten minutes, or an hour more where `benchmarks/saliency.py` has not trained
its supernet yet.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from saliency import CASES, tables, trained
from scipy.stats import kendalltau
from search_quality import DOCS

from evonas.analysis import PruningAccount, kept_truth
from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.operators.spread import all_genomes
from evonas.problems import get_problem
from evonas.problems.defaults import defaults_for
from evonas.spaces import SearchSpace, get_space
from evonas.supernet import Supernet
from evonas.supernet.pruning import Pruner, prune
from evonas.supernet.struck import CRITERION, LOOK, ORDERS
from evonas.supernet.variants import OF_CHILDREN
from evonas.training import Checkpoint

# Genomes left of each space: of the distinct networks of `macro`, a tenth.
SIZES = {"macro": 396, "nb201": 1000}
AT_ONCE = ("nb201",)
# Networks that are ranked, and validation batches that they are ranked on.
RANKED, BATCHES = 400, {"macro": 16, "nb201": 4}
RANDOM = 1000

MEASURED = ("networks", "of", "excess", "hypervolume", "recall", "tau", "tau_unpruned")

LABELS = {"excess": "excess", "tau": "tau, pruned", "tau_unpruned": "tau, unpruned"}


class Arms:
    """Supernets of one space and seed, trained when they are asked for and kept on disk."""

    def __init__(
        self, name: str, seed: int, criterion: str, work: Path, paths: str, steps: int | None
    ) -> None:
        """Load the images."""
        self.criterion = criterion
        self.name, self.seed, self.work = name, seed, work
        case, defaults = CASES[name], defaults_for("cifar10", "cpu")
        self.data = get_problem(
            "cifar10-params", name, device="cpu", validation_images=defaults.validation_images
        ).data
        self.width = case.width
        settings = case.training | {"paths": paths} | ({"steps": steps} if steps else {})
        self.config: TrainingConfig = replace(defaults.training, **settings)  # type: ignore[arg-type]

    def new(self) -> Supernet:
        """An untrained one."""
        return Supernet(get_space(self.name), self.data, self.width, seed=self.seed)

    def path(self, arm: str, suffix: str) -> Path:
        """A file of one arm."""
        if arm in ORDERS:
            arm = f"{self.criterion}-{arm}"
        return self.work / f"{self.name}-{self.config.paths}-{self.seed}-{arm}.{suffix}"

    def pruner(self, supernet: Supernet, order: str) -> Pruner:
        """What strikes out, in an order."""
        return Pruner(
            supernet, self.config, order=order, criterion=self.criterion, size=SIZES[self.name],
            seed=self.seed,
        )  # fmt: skip

    def train(self, arm: str) -> None:
        """Train "unpruned" or an order, unless its weights are there."""
        if self.path(arm, "safetensors").is_file():
            return
        self._first_part()
        supernet = self.new()
        pruner = None if arm == "unpruned" else self.pruner(supernet, arm)
        if not self.path(arm, "training").is_file():
            begin = Checkpoint.load(self.path("begin", "training"))
            # what is struck out, and scored for it, is so later
            state = {"companion": pruner.state()} if pruner else {}
            Checkpoint(begin.tensors, begin.values | state).save(self.path(arm, "training"))
        supernet.train(
            self.config, seed=self.seed, checkpoint=self.path(arm, "training"), companion=pruner,
            on_step=self._teller(arm),
        )  # fmt: skip
        if pruner:
            pruned = pruner.result(finished=True)
            PruningAccount.of(pruned.before, pruned.struck).write(self.path(arm, "csv"))
        supernet.save(self.path(arm, "safetensors"))

    def _first_part(self) -> None:
        """What all arms have in common, up to the last epoch before choices are first scored."""
        begin = self.path("begin", "training")
        if begin.is_file():
            return
        trainer = self.new().trainer(
            self.config, seed=self.seed, checkpoint=begin.with_suffix(".part")
        )
        last = round(LOOK * trainer.steps) // trainer.steps_per_epoch * trainer.steps_per_epoch
        # the epoch's checkpoint is written after its last step, before the next one is made
        trainer.train(stop=lambda: trainer.step > last, on_step=self._teller("begin"))
        shutil.move(begin.with_suffix(".part"), begin)

    def _teller(self, arm: str):  # type: ignore[no-untyped-def]
        seen = 0

        def tell(steps: int, loss: float) -> None:
            nonlocal seen
            seen += steps
            if seen % 500 == 0:
                print(
                    f"{self.name} {self.seed} {arm}: {seen} steps more, loss {loss:.3f}", flush=True
                )

        return tell

    def load(self, arm: str) -> Supernet:
        """A trained one."""
        path, space = self.path(arm, "safetensors"), get_space(self.name)
        return Supernet.load(path, self.data, space=space)

    def measure(self, arm: str) -> dict[str, object]:
        """A row for one order."""

        def make() -> dict[str, object]:
            account = PruningAccount.load(self.path(arm, "csv"))
            supernets = {"tau": self.load(arm), "tau_unpruned": self.load("unpruned")}
            return row_of(self.name, self.seed, self.criterion, arm, account, supernets)

        return made_once(self.path(arm, "json"), make)


def made_once(path: Path, make: Callable[[], dict[str, object]]) -> dict[str, object]:
    """A row from its file, or made and kept there."""
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    row = make()
    path.write_text(json.dumps(row), encoding="utf-8")
    return row


def at_once(
    name: str, seed: int, criterion: str, order: str, works: tuple[Path, Path]
) -> dict[str, object]:
    """A row for one order of the supernet of `benchmarks/saliency.py`, without further training.

    Works are the folders of this benchmark, where the row is kept, and of that one.
    """

    def make() -> dict[str, object]:
        supernet, table = trained(name, seed, works[1]), tables(name, seed, works[1])[criterion]
        pruned = prune(supernet, order=order, criterion=table, size=SIZES[name], seed=seed)
        account = PruningAccount.of(pruned.before, pruned.struck)
        return row_of(name, seed, criterion, order, account, {"tau_unpruned": supernet})

    return made_once(works[0] / f"{name}-at-once-{seed}-{criterion}-{order}.json", make)


def row_of(
    name: str,
    seed: int,
    criterion: str,
    order: str,
    account: PruningAccount,
    supernets: dict[str, Supernet],
) -> dict[str, object]:
    """What is kept by published numbers, and how supernets rank it."""
    published = get_problem(CASES[name].table)
    space = published.space.restrict(account.allowed)
    X = genomes_of(space)
    if len(X) > RANKED:
        X = X[np.random.default_rng(0).choice(len(X), RANKED, replace=False)]
    error = published.evaluate(X, return_values_of="F")[:, 0]
    row: dict[str, object] = {
        "space": name,
        "seed": seed,
        "criterion": criterion,
        "order": order,
        "struck": len(account.struck),
    }
    row |= kept_truth(space, published)
    half = CASES[name].half_side
    for column, supernet in supernets.items():
        batches = range(min(BATCHES[name], supernet.validation_batches))
        losses = supernet.evaluate(
            supernet.space.lower(X), batches=batches, half_resolution=half
        ).loss
        row[column] = float(kendalltau(losses, error)[0])
    return row


def genomes_of(space: SearchSpace) -> np.ndarray:
    """All distinct networks of a restricted space in the numbering of its base."""
    genomes = all_genomes(np.zeros(space.n_var, np.int64), space.n_choices - 1)
    assert genomes is not None
    return space.lift(np.unique(space.canonical(genomes), axis=0))


def at_random(name: str) -> dict[str, object]:
    """What striking out at random, down to the same size, would keep."""
    table = get_problem(CASES[name].table)
    excess, networks = [], []
    for seed in range(RANDOM):
        random_state = np.random.default_rng(seed)
        allowed = table.space.allowed.copy()
        while allowed.sum(axis=1).prod() > SIZES[name]:
            free = np.argwhere(allowed & (allowed.sum(axis=1) > 1)[:, None])
            allowed[tuple(random_state.choice(free))] = False
        truth = kept_truth(table.space.restrict(allowed), table)
        excess.append(truth["excess"])
        networks.append(truth["networks"])
    return {
        "space": name,
        "order": "choices at random",
        "networks": round(float(np.mean(networks)), 1),
        "excess": round(float(np.median(excess)), 3),
        "best_twentieth": round(float(np.quantile(excess, 0.05)), 3),
    }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, a row for each space, criterion and order, the best first."""
    groups = rows.groupby(["space", "criterion", "order"], sort=False)
    means = groups[list(MEASURED)].mean()
    means.insert(0, "seeds", groups.size())
    means["largest_excess"] = groups["excess"].max()
    return means.sort_values(["space", "excess"]).round(4).reset_index()


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Excess error and tau of each order; a dot for each seed and criterion."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(rows["space"]))
    figure = Figure(figsize=(9, 0.8 + 3.2 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), 2, squeeze=False), names, strict=True):
        part = rows[rows["space"] == name]
        for (order, criterion), rows_of in part.groupby(["order", "criterion"]):
            place = ORDERS.index(order)
            for column, ax, colour, shift in (
                ("excess", axes[0], "#0072B2", 0.0),
                ("tau_unpruned", axes[1], "#7f7f7f", 0.15),
                ("tau", axes[1], "#D55E00", -0.15),
            ):
                if rows_of[column].isna().all():
                    continue
                ax.plot(
                    rows_of[column], [place + shift] * len(rows_of), "os"[criterion != CRITERION],
                    color=colour, mfc="none", label=f"{LABELS[column]}, {criterion}",
                )  # fmt: skip
        axes[0].axvline(0.1, color="#7f7f7f", linestyle=":")
        axes[0].set_xscale("symlog", linthresh=0.1)
        axes[0].set_xlim(left=0)
        axes[0].set_yticks(range(len(ORDERS)), ORDERS)
        axes[1].set_yticks(range(len(ORDERS)), [""] * len(ORDERS))
        axes[0].set(title=CASES[name].table, xlabel="mean excess error of what is kept [points]")
        axes[1].set(xlabel="Kendall's tau inside what is kept")
        for ax in axes:
            ax.set_ylim(-0.5, len(ORDERS) - 0.5)
            ax.grid(alpha=0.3)
            ax.title.set_fontsize("medium")
    labelled = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        labelled |= dict(zip(labels, handles, strict=True))
    figure.legend(
        labelled.values(), labelled.keys(), loc="outside upper center", ncols=3, frameon=False
    )
    figure.savefig(path, dpi=110)


def measured(name: str, arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """A row for each arm of a space, trained where it is not yet."""
    if name in AT_ONCE:
        works, seed = (arguments.work, arguments.saliency_work), arguments.supernet_seed
        trained(name, seed, works[1])
        criteria = () if arguments.train_only else arguments.criteria or OF_CHILDREN
        for criterion, order in product(criteria, arguments.orders):
            yield at_once(name, seed, criterion, order, works)
        return
    for seed, criterion in product(arguments.seeds, arguments.criteria or [CRITERION]):
        arms = Arms(name, seed, criterion, arguments.work, arguments.paths, arguments.steps)
        arms.train("unpruned")
        for order in arguments.orders:
            arms.train(order)
            yield arms.measure(order)


def main() -> int:
    """Train, measure, write, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="of macro")
    parser.add_argument("--orders", nargs="+", default=list(ORDERS), choices=ORDERS)
    parser.add_argument(
        "--criteria", nargs="+", choices=OF_CHILDREN,
        help="that choices are scored by; unless given the default, of nb201 both",
    )  # fmt: skip
    parser.add_argument("--paths", default="dropout", help="sampling strategy, of macro")
    parser.add_argument("--steps", type=int, help="of macro; by default those of CIFAR-10")
    parser.add_argument("--supernet-seed", type=int, default=1, help="of nb201")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("runs/pruning-benchmark"))
    parser.add_argument(
        "--saliency-work", type=Path, default=Path("runs/saliency-benchmark"),
        help="work folder of benchmarks/saliency.py",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=DOCS)
    parser.add_argument("--train-only", action="store_true", help="for a second process")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.saliency_work.mkdir(parents=True, exist_ok=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    try:
        for name in arguments.spaces:
            for row in measured(name, arguments):
                rows.append(row)
                print("; ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    except InputError as error:
        print(f"pruning: {error}", file=sys.stderr)
        return 2
    if arguments.train_only:
        return 0
    frame = pd.DataFrame(rows).reindex(
        columns=["space", "seed", "criterion", "order", "struck", *MEASURED]
    )
    table = pd.concat([summary(frame), pd.DataFrame(map(at_random, arguments.spaces))])
    print(table.to_string(index=False))
    table.to_csv(arguments.output / "pruning.csv", index=False, lineterminator="\n")
    draw(frame, arguments.output / "pruning.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
