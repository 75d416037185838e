"""What a run's pruning struck out of its space, and what it kept of the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.analysis.choices import choice_names, labels_of
from evonas.analysis.tables import in_run, read_table, write_table
from evonas.errors import InputError
from evonas.supernet.struck import Struck

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evonas.problems import TabularProblem
    from evonas.spaces import SearchSpace

COLUMNS = ("gene", "choice", "level", "struck", "step", "score", "log10_before", "log10_after")


@dataclass(frozen=True, eq=False)
class PruningAccount:
    """The choices of a space, and which of them were struck out, when and why.

    Attributes:
        struck: what went, in order.
        kept: what stayed, (gene, choice) in the numbering of the base space.
        labels: the name of each choice of each gene; "" where there was none.
        levels: the level of each gene, from 0, the shallowest.
        name: of the run, for titles.
    """

    struck: tuple[Struck, ...]
    kept: tuple[tuple[int, int], ...]
    labels: tuple[tuple[str, ...], ...]
    levels: tuple[int, ...]
    name: str = ""

    @classmethod
    def of(
        cls, before: "SearchSpace", struck: Sequence[Struck], *, name: str = ""
    ) -> "PruningAccount":
        """The account of a pruning, given the space it began with."""
        base, gone = before.base, {(s.gene, s.choice) for s in struck}
        there = [(int(gene), int(choice)) for gene, choice in np.argwhere(before.allowed)]
        labels = tuple(
            tuple(text if before.allowed[gene, k] else "" for k, text in enumerate(texts))
            for gene, texts in enumerate(base.labels)
        )
        kept = tuple(place for place in there if place not in gone)
        return cls(tuple(struck), kept, labels, tuple(base.level_of.tolist()), name)

    @property
    def allowed(self) -> np.ndarray:
        """What is left, bool (n_var, max choices) in the numbering of the base space."""
        table = np.zeros((len(self.labels), max(map(len, self.labels))), dtype=bool)
        table[tuple(np.transpose(self.kept))] = True
        return table

    @property
    def columns(self) -> Sequence[str]:
        """A name for each choice: its operation where all genes agree, else its number."""
        return choice_names(self.labels, max(map(len, self.labels)))

    def mask(self, space: "SearchSpace") -> np.ndarray:
        """What is left, for `restrict`: bool (n_var, max choices of the base space).

        Args:
            space: the space, restricted or not, that the account is of.

        Raises:
            InputError: it is of another space.
        """
        shape, allowed = space.base.allowed.shape, self.allowed
        if len(allowed) != shape[0] or allowed.shape[1] > shape[1]:
            raise InputError(
                f"the account is of {allowed.shape[0]} genes with up to {allowed.shape[1]} choices;"
                f" the space '{space.name}' has {shape[0]} with up to {shape[1]}"
            )
        return np.pad(allowed, ((0, 0), (0, shape[1] - allowed.shape[1])))

    @property
    def log10_sizes(self) -> tuple[float, float]:
        """Decimal logarithms of the numbers of genomes before and after."""
        before = [sum(text != "" for text in row) for row in self.labels]
        after = self.allowed.sum(axis=1)
        return float(np.log10(before).sum()), float(np.log10(after).sum())

    @property
    def sizes(self) -> str:
        """How many genomes there were and are, in words."""
        logs = self.log10_sizes
        texts = [f"10^{log:.1f}" if logs[0] > 7 else f"{10**log:,.0f}" for log in logs]
        return " to ".join(texts) + " genomes"

    @property
    def order(self) -> np.ndarray:
        """When each choice went, float (n_var, max choices): 1 the first; NaN what did not."""
        table = np.full(self.allowed.shape, np.nan)
        for number, struck in enumerate(self.struck, start=1):
            table[struck.gene, struck.choice] = number
        return table

    @classmethod
    def load(cls, path: Path | str) -> "PruningAccount":
        """Read `pruning.csv`, or that of a run folder.

        Raises:
            InputError: there is no such file or run, or the file is broken.
        """
        path, name = in_run(path, "pruning", "run with --prune global")
        texts, columns, cells = read_table(
            path, text="operation", required=COLUMNS, ignored=("reason",)
        )
        column = {c: cells[:, columns.index(c)] for c in COLUMNS}
        places = np.stack([column[c] for c in ("gene", "choice", "level")], axis=1)
        gone = ~np.isnan(column["struck"])
        told = np.stack([column[c] for c in COLUMNS[4:]], axis=1)[gone]
        if (
            not len(places)
            or not (np.isfinite(places).all() and (places >= 0).all() and (places % 1 == 0).all())
            or not np.isfinite(told).all()
            or len(np.unique(places[:, :2], axis=0)) < len(places)
            or set(places[~gone, 0]) != set(np.arange(places[:, 0].max(initial=-1) + 1))
        ):
            raise InputError(f"{path} is no account of a pruning; restore the file")
        whole = places.astype(int)
        labels = labels_of(whole[:, :2], texts)
        levels = np.zeros(len(labels), dtype=int)
        levels[whole[:, 0]] = whole[:, 2]
        struck = [
            Struck(
                gene=int(whole[row, 0]),
                choice=int(whole[row, 1]),
                label=texts[row],
                level=int(whole[row, 2]),
                step=int(column["step"][row]),
                score=float(column["score"][row]),
                log10_before=float(column["log10_before"][row]),
                log10_after=float(column["log10_after"][row]),
            )
            for row in sorted(np.flatnonzero(gone), key=lambda row: column["struck"][row])
        ]
        kept = tuple((gene, choice) for gene, choice, _ in whole[~gone].tolist())
        return cls(tuple(struck), kept, labels, tuple(levels.tolist()), name)

    def write(self, path: Path | str) -> None:
        """Write a row for each choice: first what went, in order, then what stayed.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        gone = [
            (s.gene, s.choice, s.level, n, s.step, s.score, s.log10_before, s.log10_after)
            for n, s in enumerate(self.struck, start=1)
        ]
        stayed = [(j, k, self.levels[j], *[np.nan] * 5) for j, k in self.kept]
        texts = [s.label for s in self.struck] + [self.labels[j][k] for j, k in self.kept]
        reasons = [s.reason for s in self.struck] + [""] * len(stayed)
        write_table(
            path, COLUMNS, np.array(gone + stayed), texts=("operation", texts),
            notes=("reason", reasons),
        )  # fmt: skip

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw what went when, genes by choices; into `ax`, or into a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.choices_figure import draw_pruning, pruning_size
        from evonas.analysis.drawing import new_axes

        return draw_pruning(self, new_axes(pruning_size(self)) if ax is None else ax)


def kept_truth(space: "SearchSpace", problem: "TabularProblem") -> dict[str, float]:
    """How much of what is published a restricted space still holds.

    Args:
        space: a restriction of the table's space with at most a million genomes.
        problem: of the published table, over all of its space. What breaks its limits does not
            count.

    Returns:
        ``networks`` and ``of``: distinct ones of the table left and before; ``excess``: mean excess
        error of the best networks left, in points (of a problem with error and one cost);
        ``hypervolume``: share of the best one; ``recall``: share of the truly optimal networks that
        are left.

    Raises:
        InputError: the space is none of the table's, is too large to list, or holds no network of
            the table.
    """
    from evonas.operators.spread import all_genomes

    if getattr(space, "base", None) is not problem.space:
        raise InputError(
            f"{space!r} is no restriction of the space of the table; restrict problem.space"
        )
    genomes = all_genomes(np.zeros(space.n_var, np.int64), space.n_choices - 1)
    if genomes is None:
        raise InputError(f"{space.size} genomes are too many to look up")
    before, after = (_measured(problem, X) for X in (problem.genes, space.lift(genomes)))
    if not len(after):
        raise InputError("no network of the table is left")
    F: Any = problem.evaluate(after, return_values_of="F")
    truth = {
        "networks": len(after),
        "of": len(before),
        "hypervolume": problem.hypervolume(F) / problem.hypervolume(problem.pareto_front()),
        "recall": problem.recall(F),
    }
    if problem.n_obj == 2 and problem.objectives[0] == "error":
        truth["excess"] = problem.mean_excess_error(F)
    return truth


def _measured(problem: "TabularProblem", X: np.ndarray) -> np.ndarray:
    """Distinct networks that the table holds and that keep its limits, (n, n_var)."""
    distinct = np.unique(problem.canonical(X), axis=0)
    return distinct[np.asarray(problem.feasible(distinct), dtype=bool)]
