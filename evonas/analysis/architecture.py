"""Architectures as records: the outline of one network, and what the genes of a front hold."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.choices import choice_names
from evonas.analysis.front import Front
from evonas.analysis.quantities import costs_and_qualities, frozen
from evonas.errors import InputError
from evonas.spaces import Outline, SearchSpace, get_space

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Diagram:
    """A network as blocks and cells.

    Attributes:
        network: in its space's notation, such as "macro:22212220".
        outline: what it looks like.
        title: of the figure; the network by default.
    """

    network: str
    outline: Outline
    title: str = ""

    @classmethod
    def of(cls, network: str, space: SearchSpace | None = None, *, title: str = "") -> "Diagram":
        """The diagram of a network in text.

        Args:
            network: such as "macro:22212220".
            space: that it is of, such as ``Run.load(RUN).space``; by default the registered one of
                the name in front, for 10 classes and images of 3 x 32 x 32.
            title: of the figure.

        Raises:
            InputError: there is no such space, or the text is no genome of it.
        """
        if space is None:
            space = get_space(network.partition(":")[0])
        return cls(network, space.base.outline(space.base.encode(network)), title)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the blocks in a row, and the cells above; into `ax` or a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.architecture_figure import diagram_size, draw_diagram
        from evonas.analysis.drawing import new_axes

        return draw_diagram(self, new_axes(diagram_size(self)) if ax is None else ax)


@dataclass(frozen=True, eq=False)
class GeneFrequencies:
    """Which choices the members of a front hold, from its cheap end to its dear one.

    Attributes:
        genomes: int64 (n, n_var) in the numbering of the base space, by growing cost, read-only.
        labels: the name of each choice of each gene.
        cost: name of the first cost.
        costs: of the members, float64 (n,), read-only.
        name: of the run, for titles.
    """

    genomes: np.ndarray
    labels: tuple[tuple[str, ...], ...]
    cost: str
    costs: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "genomes", frozen(self.genomes, np.int64))
        object.__setattr__(self, "costs", frozen(self.costs))
        if self.genomes.shape != (len(self.costs), len(self.labels)) or not len(self.costs):
            raise InputError(
                f"genomes {self.genomes.shape} do not fit {len(self.costs)} members of "
                f"{len(self.labels)} genes; give one or more members, and a row of genes for each"
            )

    @classmethod
    def of(cls, front: Front, space: SearchSpace) -> "GeneFrequencies":
        """Those of a front.

        Args:
            front: with one member or more.
            space: that its networks are of, such as ``Run.load(RUN).space``.

        Raises:
            InputError: the front is empty, or a network is no genome of the space.
        """
        if not len(front):
            raise InputError("an empty front has no genes; loosen the constraint and search again")
        base = space.base
        costs, qualities = costs_and_qualities(front.objectives)
        cost = (costs or qualities)[0]
        order = np.argsort(front.column(cost), kind="stable")
        genomes = np.array([base.encode(front.networks[i]) for i in order])
        return cls(genomes, base.labels, cost, front.column(cost)[order], front.name)

    def frequencies(self, members: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Share of members that hold each choice, float (n_var, max choices); NaN: no such choice.

        Args:
            members: rows of `genomes`; all by default.
        """
        held, most = self.genomes[members], max(map(len, self.labels))
        table = np.stack([(held == choice).mean(axis=0) for choice in range(most)], axis=1)
        there = np.arange(most) < np.array([[len(names)] for names in self.labels])
        return np.where(there, table, np.nan)

    def groups(self, most: int = 24) -> list[np.ndarray]:
        """Rows of members that stand side by side, at most so many groups of equal size."""
        return np.array_split(np.arange(len(self.costs)), min(most, len(self.costs)))

    @property
    def columns(self) -> list[str]:
        """A name for each choice: its operation where all genes agree, else its number."""
        return choice_names(self.labels, max(map(len, self.labels)))

    def common(self, most: int) -> tuple[str, ...]:
        """Names that the members hold most often, the most frequent first, at most so many."""
        counts = Counter(
            self.labels[gene][choice]
            for genome in self.genomes.tolist()
            for gene, choice in enumerate(genome)
        )
        return tuple(name for name, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:most])

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame with a row for each choice: gene, choice, operation, frequency."""
        import pandas as pd

        table = self.frequencies()
        rows = [
            (gene, choice, name, table[gene, choice])
            for gene, names in enumerate(self.labels)
            for choice, name in enumerate(names)
        ]
        return pd.DataFrame(rows, columns=["gene", "choice", "operation", "frequency"])

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw a band for each gene, along the front; into `ax` or a new figure of pyplot's.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.architecture_figure import draw_frequencies, frequencies_size
        from evonas.analysis.drawing import new_axes

        return draw_frequencies(self, new_axes(frequencies_size(self)) if ax is None else ax)
