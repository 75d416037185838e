"""Mutation of categorical genomes: a moved gene takes another choice, all equally likely."""

from typing import Any

import numpy as np
from pymoo.core.mutation import Mutation

from evonas.operators.genomes import as_genomes, integer_bounds


def mutate_choices(
    X: np.ndarray,
    xl: np.ndarray,
    xu: np.ndarray,
    *,
    random_state: np.random.Generator,
    prob_var: float | None = None,
) -> np.ndarray:
    """Move some genes of every genome to a different choice.

    The number of genes that move is binomial over the free genes (those with two choices or
    more), but at least one: an unchanged offspring would be a wasted one. Which genes move, and
    where to, is uniform; genes with one choice are left alone.

    Args:
        X: int array `(n, n_var)`.
        xl: first choice of each gene, int `(n_var,)`.
        xu: last choice of each gene, int `(n_var,)`, inclusive.
        random_state: numpy Generator.
        prob_var: probability of each free gene to move; by default one over their number.

    Returns:
        A new int64 array `(n, n_var)`; equal to `X` only where no gene is free.

    Raises:
        ValueError: a genome lies outside the bounds, or `prob_var` is no probability.
    """
    _check(prob_var)
    X = as_genomes(X)
    if ((X < xl) | (X > xu)).any():
        raise ValueError("a genome to mutate lies outside xl and xu")
    mutated = X.copy()
    free = np.flatnonzero(xu > xl)
    if len(free) == 0:
        return mutated
    shape = (len(X), len(free))
    n_choices = (xu - xl + 1)[free]

    probability = 1 / len(free) if prob_var is None else prob_var
    n_moved = np.maximum(1, random_state.binomial(len(free), probability, size=len(X)))
    rank = random_state.random(shape).argsort(axis=1).argsort(axis=1)
    moved = rank < n_moved[:, None]
    # a step of 1 .. k-1 around the circle of k choices: uniform among the others, never itself
    step = random_state.integers(1, n_choices, size=shape)
    other = (X[:, free] - xl[free] + step) % n_choices + xl[free]
    mutated[:, free] = np.where(moved, other, X[:, free])
    return mutated


def _check(prob_var: float | None) -> None:
    if prob_var is not None and not 0 < prob_var <= 1:
        raise ValueError(f"prob_var={prob_var} is no probability above 0")


class ChoiceMutation(Mutation):
    """Categorical mutation; see `mutate_choices`."""

    def __init__(self, prob_var: float | None = None, *, prob: float = 1.0) -> None:
        """Store the settings.

        Args:
            prob_var: probability of each free gene to move, in (0, 1]; by default one over the
                number of free genes. At least one gene always moves.
            prob: probability of a genome to be mutated at all.

        Raises:
            ValueError: a probability lies outside its range.
        """
        _check(prob_var)
        if not 0 <= prob <= 1:
            raise ValueError(f"prob={prob} is no probability")
        super().__init__(prob=prob, prob_var=prob_var)

    def _do(
        self,
        problem: Any,
        X: np.ndarray,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> np.ndarray:
        xl, xu = integer_bounds(problem)
        prob_var = None if self.prob_var is None else self.prob_var.get()
        return mutate_choices(X, xl, xu, random_state=random_state, prob_var=prob_var)
