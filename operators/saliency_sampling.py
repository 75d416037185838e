"""Initial genomes that a saliency table thinks best, for all prices of cost."""

from typing import Any

import numpy as np
from pymoo.core.sampling import Sampling

from evonas.operators.genomes import integer_bounds
from evonas.operators.saliency import best_genomes, fitted_tables
from evonas.operators.saliency_mutation import mutate_by_saliency


class SaliencySampling(Sampling):
    """Genomes of highest saliency - price * cost, spread over all prices.

    Where more are asked for than are best at some price, the others are neighbours of these, by
    `mutate_by_saliency`.
    """

    def __init__(self, table: Any, cost: Any) -> None:
        """Store the tables.

        Args:
            table: saliency of each choice of each gene, array-like `(n_var, max choices)`; higher
                is worth more; NaN where there is no choice.
            cost: of each choice, the same shape, such as `space.param_table()`.

        Raises:
            ValueError: one is no table, or they have different shapes.
        """
        super().__init__()
        self.table, self.cost = fitted_tables(table, cost)

    def _do(
        self,
        problem: Any,
        n_samples: int,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> np.ndarray:
        low, high = integer_bounds(problem)
        saliency, cost = fitted_tables(self.table, self.cost, high - low + 1)
        best = best_genomes(saliency, cost) + low
        if n_samples <= len(best):
            return best[np.linspace(0, len(best) - 1, n_samples).round().astype(int)]
        parents = best[random_state.integers(len(best), size=n_samples - len(best))]
        more = mutate_by_saliency(parents, low, high, saliency, cost, random_state=random_state)
        return np.concatenate([best, more.X])
