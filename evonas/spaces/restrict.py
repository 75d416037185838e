"""A space with some choices struck out."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evonas.errors import InputError
from evonas.spaces.outline import Outline
from evonas.spaces.space import BoolArray, Costs, FloatArray, IntArray, SearchSpace

if TYPE_CHECKING:
    from torch import nn


def restricted(base: SearchSpace, allowed: npt.ArrayLike) -> SearchSpace:
    """``base`` without the choices that ``allowed`` marks false; see ``SearchSpace.restrict``."""
    mask = np.asarray(allowed)
    if mask.dtype != np.bool_ or mask.shape != base.allowed.shape:
        raise InputError(
            f"the mask of allowed choices is {mask.dtype} {mask.shape}; "
            f"space '{base.name}' needs bool {base.allowed.shape}"
        )
    mask = mask & base.allowed
    empty = np.flatnonzero(~mask.any(axis=1))
    if len(empty):
        raise InputError(f"gene {empty[0]} would have no choice left; keep at least one of each")
    return base if (mask == base.allowed).all() else RestrictedSpace(base, mask)


class RestrictedSpace(SearchSpace):
    """The genomes of ``base`` that use allowed choices only, genes renumbered ``0..k-1``.

    Text is always in the numbering of ``base``, so that a genome has one name.

    Args:
        base: An unrestricted space.
        allowed: bool ``(n_var, max choices of base)``, at least one true in each row.
    """

    def __init__(self, base: SearchSpace, allowed: BoolArray):
        """Numbers the choices that are left."""
        kept = allowed.sum(axis=1)
        super().__init__(
            name=base.name,
            n_choices=kept.tolist(),
            num_classes=base.num_classes,
            input_shape=base.input_shape,
        )
        self.has_supernet = base.has_supernet
        self.has_networks = base.has_networks
        self.additive = base.additive
        self._base = base
        self._allowed = allowed.copy()
        self._allowed.flags.writeable = False
        # Stable: allowed choices first, in order; what follows is never looked up.
        self._up: IntArray = np.argsort(~allowed, axis=1, kind="stable")[:, : kept.max()]
        self._down: IntArray = np.where(allowed, np.cumsum(allowed, axis=1) - 1, -1)

    @property
    def base(self) -> SearchSpace:
        """The unrestricted space."""
        return self._base

    @cached_property
    def allowed(self) -> BoolArray:
        """Which choices of ``base`` are left, bool ``(n_var, max choices of base)``."""
        return self._allowed

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """A short name for each choice of each gene."""
        return tuple(
            tuple(names[choice] for choice in up[:n])
            for names, up, n in zip(self._base.labels, self._up, self.n_choices, strict=True)
        )

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The base's."""
        return self._base.levels

    def lift(self, X: npt.ArrayLike) -> IntArray:
        """Genomes of this space in the numbering of ``base``, int64 ``(n, n_var)``."""
        return self._up[np.arange(self.n_var), self.check(X)]

    def outline(self, x: npt.ArrayLike) -> Outline:
        """The base's."""
        return self._base.outline(self.lift(self._one(x)[None])[0])

    def lower(self, X: npt.ArrayLike) -> IntArray:
        """Genomes in the numbering of ``base`` as genomes of this space.

        Raises:
            InputError: If a genome uses a choice that was struck out.
        """
        genomes = self._base.check(X)
        lowered = self._down[np.arange(self.n_var), genomes]
        if (lowered < 0).any():
            row, gene = np.argwhere(lowered < 0)[0]
            raise InputError(
                f"{self._base.decode(genomes[row])} is outside the restricted space: choice "
                f"{genomes[row, gene]} of gene {gene} was struck out"
            )
        return lowered

    def lift_table(self, table: npt.ArrayLike) -> FloatArray:
        """Numbers for this space's choices in the numbering of ``base``; NaN where it has none."""
        values = self._table(table, self)
        lifted = np.take_along_axis(values, np.maximum(self._down, 0), axis=1)
        return np.where(self._allowed, lifted, np.nan)

    def lower_table(self, table: npt.ArrayLike) -> FloatArray:
        """Numbers for the choices of ``base`` in the numbering of this space."""
        values = self._table(table, self._base)
        return self._table(np.take_along_axis(values, self._up, axis=1), self)

    def canonical_within(self, X: IntArray, allowed: BoolArray) -> IntArray:
        """The base's rule among the members held here; ``allowed`` is in base numbering."""
        return self.lower(self._base.canonical_within(self.lift(X), allowed))

    def count(self) -> Costs:
        """The base's counts, columns renumbered."""
        counts = self._base.costs
        held = np.arange(self._up.shape[1]) < self.n_choices[:, None]
        return Costs(
            params=np.where(held, np.take_along_axis(counts.params, self._up, axis=1), 0),
            macs=np.where(held, np.take_along_axis(counts.macs, self._up, axis=1), 0),
            fixed_params=counts.fixed_params,
            fixed_macs=counts.fixed_macs,
        )

    def params(self, X: npt.ArrayLike) -> IntArray:
        """Learnable parameters of each genome as written, int64 ``(n,)``."""
        return super().params(X) if self.additive else self._base.params(self.lift(X))

    def macs(self, X: npt.ArrayLike) -> IntArray:
        """Multiply-adds for one image of each genome as written, int64 ``(n,)``."""
        return super().macs(X) if self.additive else self._base.macs(self.lift(X))

    def build(self, x: npt.ArrayLike) -> "nn.Module":
        """The stand-alone network of one genome ``(n_var,)``."""
        return self._base.build(self.lift(self._one(x)[None])[0])

    def encode(self, text: str) -> IntArray:
        """Reads a genome ``(n_var,)`` from its text in the numbering of ``base``."""
        told = self._base.encode(text)[None]
        return self.lower(self._base.completed(told, self._allowed))[0]

    def decode(self, x: npt.ArrayLike) -> str:
        """Writes one genome ``(n_var,)`` as text in the numbering of ``base``."""
        return self._base.decode(self.lift(self._one(x)[None])[0])
