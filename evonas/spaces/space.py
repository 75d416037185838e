"""What every search space offers: genomes as integer arrays, exact counts, names, networks."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.outline import Block, Outline

if TYPE_CHECKING:
    from torch import nn

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Costs:
    """Exact counts of a space: a fixed part, and one number for each choice of each gene.

    Attributes:
        params: Learnable parameters of each choice, int64 ``(n_var, max choices)``; entries
            where a gene has no such choice are zero.
        macs: Multiply-adds of each choice for one image, same shape.
        fixed_params: Parameters of what no gene changes.
        fixed_macs: Multiply-adds of what no gene changes.
    """

    params: IntArray
    macs: IntArray
    fixed_params: int
    fixed_macs: int


class SearchSpace(ABC):
    """A set of networks, each named by a vector of categorical genes.

    Genomes are int64 arrays ``(n, n_var)`` with gene j in ``0..n_choices[j]-1``. A space is
    immutable: it may be shared, and ``copy.deepcopy`` returns the space itself.

    A subclass gives ``count`` and ``build``, and may override ``canonical_within`` and the
    notation (``parse``, ``write``). Where what a gene costs depends on others, it gives ``params``
    and ``macs`` instead of ``count``, and ``additive`` is False.

    Args:
        name: The name in the registry, and in front of every genome's text.
        n_choices: Choices of each gene, at least one each.
        num_classes: Classes that the networks tell apart.
        input_shape: Channels, height and width of an image.

    Raises:
        InputError: If an argument is out of range.
    """

    has_supernet: bool = False
    has_networks: bool = True
    additive: bool = True  # whether counts are sums over the genes, and there are tables of them

    def __init__(
        self, *, name: str, n_choices: Sequence[int], num_classes: int, input_shape: Sequence[int]
    ):
        """Checks the arguments and stores them."""
        shape = tuple(int(side) for side in input_shape)
        if not name or any(c in ":," or c.isspace() for c in name):
            raise InputError(f"a space cannot be named '{name}'; leave out ':', ',' and spaces")
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(
                f"input_shape {tuple(input_shape)} is no image; give (channels, height, width)"
            )
        if num_classes < 1:
            raise InputError(f"num_classes is {num_classes}; give at least 1")
        if len(n_choices) == 0 or min(n_choices) < 1:
            raise InputError(f"space '{name}' has a gene without a choice; give each at least one")
        self.name = name
        self.num_classes = int(num_classes)
        self.input_shape = cast(Shape, shape)
        self.n_choices: IntArray = np.array(n_choices, dtype=np.int64)
        self.n_choices.flags.writeable = False

    @property
    def n_var(self) -> int:
        """Number of genes."""
        return len(self.n_choices)

    @cached_property
    def size(self) -> int:
        """Number of genomes, exact."""
        return math.prod(self.n_choices.tolist())

    @property
    def base(self) -> "SearchSpace":
        """The space whose numbering is written to disk; the space itself unless restricted."""
        return self

    @cached_property
    def allowed(self) -> BoolArray:
        """Which choices of ``base`` this space holds, bool ``(n_var, max choices of base)``."""
        return _frozen(np.arange(self.n_choices.max()) < self.n_choices[:, None])

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """A short name for each choice of each gene."""
        return tuple(tuple(str(choice) for choice in range(n)) for n in self.n_choices)

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The genes of each level of the network, from shallow to deep.

        Here each gene is a level: genes stand in the order of layers, or of the edges of a cell.
        """
        return tuple((gene,) for gene in range(self.n_var))

    @property
    def level_of(self) -> IntArray:
        """The level of each gene, from 0, the shallowest; int64 ``(n_var,)``."""
        level = {gene: at for at, genes in enumerate(self.levels) for gene in genes}
        return np.array([level[gene] for gene in range(self.n_var)], dtype=np.int64)

    def check_data(self, num_classes: int, input_shape: Sequence[int]) -> None:
        """Refuses data that the networks are not made for.

        Raises:
            InputError: If the data has other classes or images.
        """
        if (num_classes, tuple(input_shape)) != (self.num_classes, self.input_shape):
            raise InputError(
                f"the space is made for {self.num_classes} classes and images of shape "
                f"{self.input_shape}, the data has {num_classes} and {tuple(input_shape)}; give "
                "get_space num_classes and input_shape of the data"
            )

    # -- genomes --------------------------------------------------------------------------

    def check(self, X: npt.ArrayLike) -> IntArray:
        """Returns genomes as an int64 array ``(n, n_var)``.

        Floats are taken where they are whole numbers, as some algorithms keep them.

        Raises:
            InputError: If the shape is wrong, a value is no integer, or a gene is out of range.
        """
        given = np.asarray(X)
        if given.ndim != 2 or given.shape[1] != self.n_var:
            raise InputError(
                f"genomes of shape {given.shape} do not fit space '{self.name}'; "
                f"give an integer array (n, {self.n_var})"
            )
        if given.dtype.kind not in "iu":
            given = self._whole_numbers(given)
        genomes = np.ascontiguousarray(given, dtype=np.int64)
        # One comparison for both ends: seen as unsigned, a negative gene is a huge one.
        wrong = genomes.view(np.uint64) >= self.n_choices.view(np.uint64)
        if wrong.any():
            row, gene = np.argwhere(wrong)[0]
            raise InputError(
                f"gene {gene} of genome {row} is {given[row, gene]}; "
                f"in space '{self.name}' it lies in 0..{self.n_choices[gene] - 1}"
            )
        return genomes

    def sample(self, n: int, random_state: np.random.Generator) -> IntArray:
        """Draws n genomes, every choice of every gene equally likely; int64 ``(n, n_var)``."""
        return random_state.integers(0, self.n_choices, size=(n, self.n_var), dtype=np.int64)

    def canonical(self, X: npt.ArrayLike) -> IntArray:
        """The representative of each genome's class of equal functions, int64 ``(n, n_var)``.

        Of a class it is the member with fewest parameters, then the first in order.
        """
        return self.canonical_within(self.check(X), self.allowed)

    def canonical_within(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """``canonical`` among the genomes that use allowed choices only.

        Override it where different genomes compute the same function; here none do.

        Args:
            X: Checked genomes ``(n, n_var)``, all of allowed choices.
            allowed: bool ``(n_var, max choices)``.
        """
        return X.copy()

    # -- counts ---------------------------------------------------------------------------

    @abstractmethod
    def count(self) -> Costs:
        """Counts what each choice costs; called once, when a count is first asked for."""

    @cached_property
    def costs(self) -> Costs:
        """The counts, made on first use."""
        return self.count()

    def take_costs(self, costs: Costs) -> None:
        """Use counts that are known from elsewhere, such as a published table, for all time.

        Counting loads torch and thop; a space that was counted already keeps its own.

        Args:
            costs: the same numbers that ``count`` would give.
        """
        self.__dict__.setdefault("costs", costs)

    def params(self, X: npt.ArrayLike) -> IntArray:
        """Learnable parameters of each genome as written, int64 ``(n,)``."""
        return add_up(self.costs.params, self.costs.fixed_params, self.check(X))

    def macs(self, X: npt.ArrayLike) -> IntArray:
        """Multiply-adds for one image of each genome as written, int64 ``(n,)``."""
        return add_up(self.costs.macs, self.costs.fixed_macs, self.check(X))

    def param_table(self) -> FloatArray:
        """Parameters of each choice ``(n_var, max choices)``; NaN where a gene has no choice."""
        return self._with_gaps(self.costs.params)

    def mac_table(self) -> FloatArray:
        """Multiply-adds of each choice ``(n_var, max choices)``; NaN where there is none."""
        return self._with_gaps(self.costs.macs)

    @property
    def fixed_params(self) -> int:
        """Parameters of what no gene changes."""
        return self.costs.fixed_params

    @property
    def fixed_macs(self) -> int:
        """Multiply-adds, for one image, of what no gene changes."""
        return self.costs.fixed_macs

    # -- networks and names ---------------------------------------------------------------

    @abstractmethod
    def build(self, x: npt.ArrayLike) -> "nn.Module":
        """The stand-alone network of one genome ``(n_var,)`` at full width, x as written."""

    def outline(self, x: npt.ArrayLike) -> Outline:
        """What the network of one genome ``(n_var,)`` looks like, for block diagrams.

        Override it where more is known than a label for each gene.
        """
        genome = self._one(x).tolist()
        labels = [names[choice] for names, choice in zip(self.labels, genome, strict=True)]
        every = dict.fromkeys(label for names in self.labels for label in names)
        blocks = tuple(Block(label, searched=True) for label in labels)
        return Outline(blocks, operations=tuple(every))

    def encode(self, text: str) -> IntArray:
        """Reads a genome ``(n_var,)`` from its text, with or without ``name:`` in front.

        Raises:
            InputError: If the text is no genome of this space.
        """
        # On one line, as errors are.
        text = " ".join(str(text).split())
        name, bare = self.named(text)
        if name not in (None, self.name):
            raise InputError(f"'{text}' is a genome of space '{name}', not of '{self.name}'")
        try:
            return self._one(self.parse(bare))
        except ValueError as error:
            example = self.write(np.zeros(self.n_var, dtype=np.int64))
            raise InputError(
                f"'{text}' is no genome of space '{self.name}' ({error}); "
                f"it looks like '{self.name}:{example}'"
            ) from None

    def decode(self, x: npt.ArrayLike) -> str:
        """Writes one genome ``(n_var,)`` as text, the space's name in front."""
        return f"{self.name}:{self.write(self._one(x))}"

    def named(self, text: str) -> tuple[str | None, str]:
        """The space's name in front of a text, if there is one, and the rest.

        Override it where the notation itself holds a ``:``.
        """
        name, colon, rest = text.partition(":")
        return (name, rest) if colon else (None, text)

    def completed(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """Genomes with an allowed choice for each gene that the notation does not tell.

        Override it where some genes may say nothing; here all are told.

        Args:
            X: Checked genomes ``(n, n_var)`` as ``parse`` gives them.
            allowed: bool ``(n_var, max choices)``.
        """
        return X

    def parse(self, text: str) -> IntArray:
        """Reads the notation without a name; raises ValueError where it cannot."""
        numbers = list(text) if self._digits else text.split("-")
        if not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError("a choice is not a number")
        return np.array([int(number) for number in numbers], dtype=np.int64)

    def write(self, x: IntArray) -> str:
        """Writes a checked genome without a name: digits, or numbers joined by ``-``."""
        return ("" if self._digits else "-").join(str(int(choice)) for choice in x)

    @property
    def _digits(self) -> bool:
        return bool(self.n_choices.max() <= 10)

    # -- restriction ----------------------------------------------------------------------

    def restrict(self, allowed: npt.ArrayLike) -> "SearchSpace":
        """The space without some choices, its genes renumbered; reversible through ``base``.

        Args:
            allowed: bool ``(n_var, max choices)`` in the numbering of ``base``; entries where a
                gene has no such choice do not matter. All true gives ``base``.

        Raises:
            InputError: If the shape or type is wrong, or a gene would keep no choice.
        """
        from evonas.spaces.restrict import restricted

        return restricted(self.base, allowed)

    def lift(self, X: npt.ArrayLike) -> IntArray:
        """Genomes of this space in the numbering of ``base``, int64 ``(n, n_var)``."""
        return self.check(X)

    def holds(self, X: npt.ArrayLike) -> BoolArray:
        """Which genomes in the numbering of ``base`` this space has, bool ``(n,)``."""
        inside = self.allowed[np.arange(self.n_var), self.base.check(X)]
        return np.asarray(inside.all(axis=1))

    def lower(self, X: npt.ArrayLike) -> IntArray:
        """Genomes in the numbering of ``base`` as genomes of this space.

        Raises:
            InputError: If a genome uses a choice that this space does not hold.
        """
        return self.check(X)

    def lift_table(self, table: npt.ArrayLike) -> FloatArray:
        """Numbers for this space's choices in the numbering of ``base``.

        Args:
            table: ``(n_var, max choices)`` of this space.

        Returns:
            float64 ``(n_var, max choices of base)``; NaN where this space holds no choice.

        Raises:
            InputError: If the shape is wrong.
        """
        return self._table(table, self)

    def lower_table(self, table: npt.ArrayLike) -> FloatArray:
        """Numbers for the choices of ``base`` in the numbering of this space.

        Args:
            table: ``(n_var, max choices of base)``.

        Returns:
            float64 ``(n_var, max choices)`` of this space; NaN where a gene has no choice.

        Raises:
            InputError: If the shape is wrong.
        """
        return self._table(table, self)

    def _table(self, table: npt.ArrayLike, of: "SearchSpace") -> FloatArray:
        """A table for a space's choices, NaN where it has none."""
        values = np.asarray(table, dtype=np.float64)
        held = np.arange(of.n_choices.max()) < of.n_choices[:, None]
        if values.shape != held.shape:
            raise InputError(
                f"a table of shape {values.shape} does not fit the space '{of.name}' with "
                f"{of.size} genomes; give {held.shape}: genes and choices"
            )
        return np.where(held, values, np.nan)

    # -- plumbing -------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> "SearchSpace":
        """Immutable, so a copy is the space itself."""
        return self

    def __copy__(self) -> "SearchSpace":
        """Immutable, so a copy is the space itself."""
        return self

    def __repr__(self) -> str:
        """Name, genes, number of genomes, classes and input shape."""
        return (
            f"<{type(self).__name__} {self.name}: {self.n_var} genes, {self.size} genomes, "
            f"{self.num_classes} classes, input {self.input_shape}>"
        )

    def _one(self, x: npt.ArrayLike) -> IntArray:
        genome = np.asarray(x)
        if genome.ndim != 1:
            raise InputError(
                f"one genome has shape ({self.n_var},), not {genome.shape}; give a single row"
            )
        return self.check(genome[None])[0]

    def _whole_numbers(self, given: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if given.size == 0:
            return np.empty(given.shape, dtype=np.int64)
        if given.dtype.kind in "fO":
            try:
                values = given.astype(np.float64)
            except (TypeError, ValueError):
                values = np.full(given.shape, np.nan)
            if np.isfinite(values).all() and (values == np.round(values)).all():
                return values.astype(np.int64)
        raise InputError(
            f"genomes of type {given.dtype} are no integers; give an integer array "
            f"(n, {self.n_var})"
        )

    def _with_gaps(self, table: IntArray) -> FloatArray:
        held = np.arange(table.shape[1]) < self.n_choices[:, None]
        return np.where(held, table.astype(np.float64), np.nan)


def add_up(table: npt.NDArray[Any], fixed: float, X: IntArray) -> npt.NDArray[Any]:
    """Sum of an additive table over the genes, plus a fixed part.

    Args:
        table: ``(n_var, max choices)``, int64 or float64.
        fixed: What every genome has.
        X: Genomes ``(n, n_var)``.

    Returns:
        ``(n,)`` of the table's type.
    """
    total = np.full(len(X), fixed, dtype=table.dtype)
    # Gene by gene: the working set is three vectors instead of two more arrays of X's size.
    for gene, row in enumerate(table):
        total += row.take(X[:, gene])
    return total


def _frozen(array: BoolArray) -> BoolArray:
    array.flags.writeable = False
    return array
