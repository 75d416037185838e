"""How well a search's estimated errors rank networks, compared with their true ones."""

import shlex
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.quantities import frozen, plural
from evonas.analysis.ranks import (
    Interval,
    Statistic,
    bootstrap_interval,
    in_words,
    kendall_tau,
    spearman,
    top_regret,
)
from evonas.analysis.tables import in_run, read_table, to_frame, write_table
from evonas.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from evonas.analysis.front import Front

ERRORS = ("estimated_error", "true_error")
SOURCE = "source"
TOPS = (1, 3)  # regrets that a summary names
SEED = 0  # of the resamples, so that log, file and figure name the same intervals


@dataclass(frozen=True, eq=False)
class RankFidelity:
    """A sample of networks with estimated and true errors; arrays are read-only.

    A sample that is spread over cost has a larger tau than networks drawn at random, since its
    order is easier (NAS-Bench-Macro with noise of tau 0.62 at random: 0.69 for 24 networks spread
    over params, 0.75 for 12): compare runs on samples of one size and kind. `cost_tau` says how
    far cost alone goes. Intervals take networks for drawn at random, so those of a spread sample
    are too wide rather than too narrow (there by 1.2 and 1.4, 97 and 98 % held the mean).

    Attributes:
        networks: k different texts, such as "macro:22212220".
        estimated_error: what the search saw, percent, float64 (k,).
        true_error: what they are, percent, float64 (k,).
        source: where the true errors come from, one line of text: "trained from scratch for 12
            epochs, 1 seed", "NAS-Bench-Macro".
        columns: names of costs, such as "params".
        costs: float64 (k, len(columns)).
        name: of the run, for titles.

    Raises:
        InputError: shapes that do not fit together, no network, one given twice, a number that is
            not finite, a source that is empty or no line, or a column named twice.
    """

    networks: tuple[str, ...]
    estimated_error: np.ndarray
    true_error: np.ndarray
    source: str
    columns: tuple[str, ...] = ()
    costs: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    name: str = ""

    def __post_init__(self) -> None:
        """Check and freeze."""
        k = len(self.networks)
        if not k:
            raise InputError("no network was compared; give at least one")
        costs = self.costs if np.size(self.costs) or self.columns else np.empty((k, 0))
        for attribute, value in (
            ("networks", tuple(self.networks)),
            ("columns", tuple(self.columns)),
            ("estimated_error", frozen(self.estimated_error)),
            ("true_error", frozen(self.true_error)),
            ("costs", frozen(costs)),
        ):
            object.__setattr__(self, attribute, value)
        shapes = (self.estimated_error.shape, self.true_error.shape, self.costs.shape)
        if shapes != ((k,), (k,), (k, len(self.columns))):
            raise InputError(
                f"estimated errors {shapes[0]}, true errors {shapes[1]} and costs {shapes[2]} do "
                f"not fit {k} networks and {len(self.columns)} columns; give (k,), (k,) and "
                "(k, columns)"
            )
        if len(set(self.networks)) < k:
            twice = max(self.networks, key=self.networks.count)
            raise InputError(f"network {twice} is there twice; give it once")
        names = ("network", *ERRORS, *self.columns, SOURCE)
        if len(set(names)) < len(names):
            raise InputError(f"columns {', '.join(names)}: give each column of costs another name")
        broken = ~np.isfinite(self._values).all(axis=1)
        if broken.any():
            raise InputError(
                f"network {self.networks[int(broken.argmax())]} has a number that is not finite; "
                "correct or remove it"
            )
        if self.source.splitlines() != [self.source] or not self.source.strip():
            raise InputError("source= says in one line where the true errors come from; give that")

    @classmethod
    def load(cls, path: Path | str) -> "RankFidelity":
        """Read `fidelity.csv`, or that of a run folder.

        Columns that are neither errors nor `network` and `source` are costs.

        Raises:
            InputError: there is no such file or run, or the file is broken.
        """
        remedy = f"measure it with: evonas fidelity {shlex.quote(str(path))}"
        path, name = in_run(path, "fidelity", remedy)
        networks, columns, values = read_table(
            path, text="network", required=ERRORS, ignored=(SOURCE,)
        )
        sources, _, _ = read_table(path, text=SOURCE, ignored=("network",))
        if len(set(sources)) > 1:
            raise InputError(
                f"{path} has true errors of {len(set(sources))} sources; keep the rows of one"
            )
        source = sources[0] if sources else ""
        table = dict(zip(columns, values.T, strict=True))
        estimated, true = (table.pop(column) for column in ERRORS)
        costs = np.column_stack([np.empty((len(networks), 0)), *table.values()])
        try:
            return cls(tuple(networks), estimated, true, source, tuple(table), costs, name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def write(self, path: Path | str) -> None:
        """Write a row for each network: both errors, costs, and the source, in every row.

        A column that repeats is what any reader of CSV takes; a comment above the header is not.

        Raises:
            InputError: the disk is full; the old file is unchanged.
        """
        write_table(
            path, (*ERRORS, *self.columns), self._values, texts=("network", self.networks),
            notes=(SOURCE, [self.source] * len(self)),
        )  # fmt: skip

    def to_frame(self) -> "pd.DataFrame":
        """A pandas DataFrame with the columns of the file; counts are integers."""
        frame = to_frame(self.networks, (*ERRORS, *self.columns), self._values)
        frame[SOURCE] = self.source
        return frame

    def __len__(self) -> int:
        """Number of networks."""
        return len(self.networks)

    @property
    def _values(self) -> np.ndarray:
        """Errors and costs, (k, 2 + len(columns))."""
        return np.column_stack([self.estimated_error, self.true_error, self.costs])

    @property
    def tau(self) -> float:
        """Kendall's tau of estimated and true errors; see `kendall_tau`."""
        return kendall_tau(self.estimated_error, self.true_error)

    @property
    def tau_interval(self) -> Interval:
        """95 % interval of tau; see `bootstrap_interval`."""
        return self._interval(kendall_tau)

    @property
    def spearman(self) -> float:
        """Spearman's rank correlation of estimated and true errors; see `spearman`."""
        return spearman(self.estimated_error, self.true_error)

    @property
    def spearman_interval(self) -> Interval:
        """95 % interval of Spearman's rank correlation; see `bootstrap_interval`."""
        return self._interval(spearman)

    def regret(self, top: int = 1) -> float:
        """Points of true error lost by looking only at the `top` networks that look best.

        The best true error among the `top` lowest estimates, minus the best of the sample; of ties
        for the last places the mean; see `top_regret`.

        Raises:
            InputError: `top` is not 1 to k.
        """
        return top_regret(self.estimated_error, self.true_error, top)

    def regret_interval(self, top: int = 1) -> Interval:
        """95 % interval of the regret, a rough one; see `bootstrap_interval`.

        Raises:
            InputError: `top` is not 1 to k.
        """
        return self._interval(_regret(top))

    def _interval(self, statistic: Statistic) -> Interval:
        errors = self.estimated_error, self.true_error
        return _interval_of(statistic, *(tuple(each.tolist()) for each in errors))

    def cost_tau(self, column: str) -> float:
        """Kendall's tau of ranking by one cost alone, the dearest first, without any training.

        Raises:
            InputError: there is no such column.
        """
        if column not in self.columns:
            raise InputError(f"no cost '{column}'; choose from {', '.join(self.columns) or 'none'}")
        return kendall_tau(-self.costs[:, self.columns.index(column)], self.true_error)

    def summary(self) -> str:
        """One line for a log: the numbers with their 95 % intervals, and what cost alone does."""
        numbers = [
            f"Kendall's tau {in_words(self.tau, self.tau_interval)}",
            f"Spearman {in_words(self.spearman, self.spearman_interval)}",
        ]
        for top in TOPS:
            if top < len(self):
                best = "the best" if top == 1 else f"the best {top}"
                regret = in_words(self.regret(top), self.regret_interval(top), " points")
                numbers.append(f"regret of {best} {regret}")
        numbers += [
            f"tau by {column} alone {in_words(self.cost_tau(column))}" for column in self.columns
        ]
        return f"{plural(len(self), 'network')}, {self.source}: {', '.join(numbers)}"

    def plot(self, ax: "Axes | None" = None, *, front: "Front | None" = None) -> "Axes":
        """Draw estimated against true errors; into `ax`, or into a new figure of pyplot's.

        Args:
            ax: to draw into.
            front: whose members are marked.

        Returns:
            The axes drawn into.
        """
        from evonas.analysis.drawing import new_axes
        from evonas.analysis.fidelity_figure import draw_fidelity, fidelity_picture

        return draw_fidelity(fidelity_picture(self, front), new_axes() if ax is None else ax)


@cache
def _regret(top: int) -> Statistic:
    """The same object each time, by which intervals are known again."""
    return partial(top_regret, top=top)


@lru_cache(maxsize=64)
def _interval_of(
    statistic: Statistic, estimated: tuple[float, ...], true: tuple[float, ...]
) -> Interval:
    """An interval, which a run tells several times and which takes a while."""
    return bootstrap_interval(
        statistic, np.array(estimated), np.array(true), random_state=np.random.default_rng(SEED)
    )
