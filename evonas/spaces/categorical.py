"""Genomes that no network is built for: the genes of a table."""

from collections.abc import Sequence
from typing import NoReturn

import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.space import SearchSpace


class CategoricalSpace(SearchSpace):
    """Categorical genes and their names, and nothing behind them.

    What a genome costs is known to whoever measured it; this space counts and builds nothing.

    Args:
        n_choices: Choices of each gene, at least one each.
        name: In front of every genome's text.
        labels: A short name for each choice of each gene; by default their numbers.

    Raises:
        InputError: If an argument is out of range.
    """

    has_networks = False

    def __init__(
        self,
        n_choices: Sequence[int],
        *,
        name: str = "table",
        labels: Sequence[Sequence[str]] | None = None,
    ):
        """Checks the arguments and stores them."""
        super().__init__(name=name, n_choices=n_choices, num_classes=1, input_shape=(1, 1, 1))
        if labels is not None and [len(names) for names in labels] != self.n_choices.tolist():
            raise InputError(
                "labels do not fit n_choices; give a name for each choice of each gene"
            )
        self._labels = None if labels is None else tuple(tuple(names) for names in labels)

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """A short name for each choice of each gene."""
        return super().labels if self._labels is None else self._labels

    def count(self) -> NoReturn:
        """There is nothing to count.

        Raises:
            InputError: Always.
        """
        raise self._no_networks()

    def build(self, x: npt.ArrayLike) -> NoReturn:
        """There is nothing to build.

        Raises:
            InputError: Always.
        """
        raise self._no_networks()

    def _no_networks(self) -> InputError:
        return InputError(
            f"the space '{self.name}' is the genes of a table and has no networks; give the table "
            "the space that it was measured on"
        )
