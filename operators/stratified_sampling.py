"""Initial genomes spread over the whole range of cost."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.core.sampling import Sampling

from evonas.operators.choice_mutation import mutate_choices
from evonas.operators.choice_sampling import sample_choices
from evonas.operators.genomes import as_genomes, integer_bounds
from evonas.operators.spread import (
    LISTED,
    Values,
    all_genomes,
    blend,
    choose_evenly,
    coordinate_descent,
    extreme_genomes,
)

STARTS = 16  # of a coordinate descent among feasible genomes
GROWTH_ROUNDS = 20  # mutations of the feasible genomes found, where they are few


class StratifiedSampling(Sampling):
    """Genomes spread evenly over the linear range of a cost, both ends included.

    Uniform genomes bunch in the middle of the cost (a sum of many genes); a front reaches from
    one end to the other. The ends are found by coordinate descent, exact for an additive cost;
    between them genomes are taken, one from each stratum of cost, from a pool of uniform genomes
    and of mixtures with and between the two ends. All are distinct as far as the space has them
    (repeats fill up where it has fewer than asked for). Where the problem has `feasible`
    (`X -> bool (n,)`) only feasible genomes are taken and the range is theirs, and where that are
    few, `feasible_genomes (k, n_var)` may name some to start from; where it has
    `canonical` (`X -> X`) genomes are canonical and distinct as such.

    Raises:
        ValueError: (on sampling) there is no cost, it is not finite or misshapen, or no feasible
            genome was found.
    """

    def __init__(self, cost: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        """Store the cost.

        Args:
            cost: `X -> (n,)`; by default the problem's own `cheap_values(X) -> (n, k)`, columns
                scaled to their range and averaged.
        """
        super().__init__()
        self.cost = cost

    def __deepcopy__(self, memo: dict[int, Any]) -> "StratifiedSampling":
        """A copy with the same cost function, not with a copy of what that belongs to."""
        return type(self)(self.cost)

    def _do(
        self,
        problem: Any,
        n_samples: int,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> np.ndarray:
        xl, xu = integer_bounds(problem)
        cost = self._cost_of(problem, xl, xu)
        feasible = getattr(problem, "feasible", None) or (lambda X: np.ones(len(X), dtype=bool))
        canonical = getattr(problem, "canonical", None) or (lambda X: X)

        def clean(X: np.ndarray) -> np.ndarray:
            X = np.unique(as_genomes(canonical(X)), axis=0)
            return X[np.asarray(feasible(X), dtype=bool)]

        listed = all_genomes(xl, xu)
        if listed is not None:
            pool = clean(listed)
        else:
            known = as_genomes(getattr(problem, "feasible_genomes", np.empty((0, len(xl)))))
            pool = _pool(cost, feasible, clean, n_samples, xl, xu, known, random_state)
        if len(pool) == 0:
            raise ValueError(
                "no feasible genome found to start from; loosen the constraint, or give feasible "
                "genomes as sampling"
            )
        chosen = choose_evenly(cost(pool), min(n_samples, len(pool)), random_state=random_state)
        shuffled = random_state.permutation(chosen)
        return pool[np.resize(shuffled, n_samples)]

    def _cost_of(self, problem: Any, xl: np.ndarray, xu: np.ndarray) -> Values:
        """The cost as one checked function `X -> float (n,)`."""
        if self.cost is not None:
            return _checked(self.cost)
        if not callable(getattr(problem, "cheap_values", None)):
            raise ValueError(
                "StratifiedSampling needs a cost: give StratifiedSampling(cost), a function "
                "X -> (n,), or a problem with cheap_values(X); else use ChoiceSampling"
            )
        n_columns = np.asarray(problem.cheap_values(xl[None, :])).size
        if n_columns == 0:
            raise ValueError(
                "StratifiedSampling needs a cost, and this problem has no cheap objective: give "
                "StratifiedSampling(cost), a function X -> (n,), or use ChoiceSampling"
            )
        columns = [_column(problem.cheap_values, j) for j in range(n_columns)]
        scaled = []
        for column in columns:
            low, high = column(extreme_genomes(column, xl, xu))
            if high > low:
                scaled.append((column, low, high - low))

        def combined(X: np.ndarray) -> np.ndarray:
            parts = [(column(X) - low) / width for column, low, width in scaled]
            return np.mean(parts, axis=0) if parts else np.zeros(len(X))

        return combined


def _pool(
    cost: Values,
    feasible: Callable[[np.ndarray], np.ndarray],
    clean: Values,
    n_samples: int,
    xl: np.ndarray,
    xu: np.ndarray,
    known: np.ndarray,
    random_state: np.random.Generator,
) -> np.ndarray:
    """Distinct feasible genomes over the whole range of cost, of a space too large to list."""
    size = max(LISTED, 10 * n_samples)
    uniform = sample_choices(size, xl, xu, random_state=random_state)

    def towards(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        below = blend(low, uniform, random_state=random_state)
        above = blend(uniform, high, random_state=random_state)
        return np.concatenate([[low, high], below, above])

    drawn = np.concatenate([known, uniform, towards(*extreme_genomes(cost, xl, xu))])
    pool = clean(drawn)
    if len(pool) and not np.all(feasible(drawn)):
        # the ends that count are those of the feasible genomes; look for them from all over
        places = np.linspace(0, len(pool) - 1, min(STARTS, len(pool))).astype(int)
        starts = pool[np.argsort(cost(pool), kind="stable")[places]]
        ends = []
        for sign in (1, -1):

            def value(X: np.ndarray, sign: int = sign) -> np.ndarray:
                return np.where(feasible(X), sign * cost(X), np.inf)

            found = coordinate_descent(value, starts, xl, xu)
            ends.append(found[value(found).argmin()])
        # where few uniform genomes are feasible, what lies between two that are often is
        between = blend(ends[0], np.resize(ends[1], uniform.shape), random_state=random_state)
        pool = clean(np.concatenate([pool, towards(*ends), between]))
    for _ in range(GROWTH_ROUNDS):
        if len(pool) == 0 or len(pool) >= 10 * n_samples:
            break
        near = mutate_choices(np.resize(pool, (size, len(xl))), xl, xu, random_state=random_state)
        pool = clean(np.concatenate([pool, near]))
    return pool


def _checked(cost: Callable[[np.ndarray], Any]) -> Values:
    def checked(X: np.ndarray) -> np.ndarray:
        values = np.asarray(cost(X), dtype=float)
        if values.shape != (len(X),):
            raise ValueError(f"a cost is X -> (n,); for n={len(X)} it gave shape {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError("a cost is finite; this one gave NaN or inf")
        return values

    return checked


def _column(values: Callable[[np.ndarray], Any], j: int) -> Values:
    return _checked(lambda X: np.asarray(values(X), dtype=float).reshape(len(X), -1)[:, j])
