"""Mutation that moves the genes with most to gain, to choices that a saliency table favours."""

import numbers
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from pymoo.core.population import Population
from pymoo.core.variable import get
from pymoo.util import default_random_state

from evonas.operators.choice_mutation import ChoiceMutation, mutate_choices
from evonas.operators.genomes import as_genomes, integer_bounds
from evonas.operators.saliency import fitted_tables, standardised, turning_prices

# Prices reach so far beyond those at which a choice changes, as a factor: there cost or saliency
# alone decides.
BEYOND = float(np.exp(2))


class Moved(NamedTuple):
    """What a mutation did.

    Attributes:
        X: the mutated genomes, int64 `(n, n_var)`.
        guided: which of them saliency moved, bool `(n,)`; the others moved uniformly.
        price: of a standard deviation of cost, in those of saliency, `(n,)`; NaN where nothing
            was guided.
    """

    X: np.ndarray
    guided: np.ndarray
    price: np.ndarray


def mutate_by_saliency(
    X: np.ndarray,
    xl: np.ndarray,
    xu: np.ndarray,
    table: np.ndarray,
    cost: np.ndarray | None = None,
    *,
    random_state: np.random.Generator,
    floor: float = 0.3,
    temperature: float = 0.3,
    prob_var: float | None = None,
) -> Moved:
    """Move some genes of every genome, mostly where a saliency table promises most.

    Table and cost are standardised: genes centred, one standard deviation for all. Each genome
    draws a price, and a choice is worth saliency - price * cost. The regret of a gene is how much
    its best choice is worth above the one that the genome has. A gene is drawn in proportion to
    exp(regret / temperature), and its new choice, among the others, to exp(worth / temperature).

    Prices are drawn from those at which the best choice of some gene changes (between two
    neighbours of them, and a bit beyond, log-uniformly): whatever the units, every trade-off that
    the tables know of comes up equally often, so that both ends of a front are reached.

    Args:
        X: int array `(n, n_var)`.
        xl: first choice of each gene, int `(n_var,)`.
        xu: last choice of each gene, int `(n_var,)`, inclusive.
        table: saliency of each choice `(n_var, max choices)`; higher is worth more.
        cost: of each choice, the same shape, in any unit; without one all prices are zero.
        random_state: numpy Generator.
        floor: share of genomes that move uniformly, as `mutate_choices` has it; with 1 the result
            is that of `mutate_choices`.
        temperature: in standard deviations of saliency; high ones make all moves alike.
        prob_var: as in `mutate_choices`, which draws the number of genes that move.

    Raises:
        ValueError: a genome lies outside the bounds, a table does not fit them or lacks a number,
            or a setting is out of range.
    """
    _check(floor, temperature)
    uniform = mutate_choices(X, xl, xu, random_state=random_state, prob_var=prob_var)
    X = as_genomes(X)
    n, n_var = X.shape
    guided, price = np.zeros(n, dtype=bool), np.full(n, np.nan)
    n_choices = np.asarray(xu) - xl + 1
    saliency, costs = map(standardised, fitted_tables(table, cost, n_choices))
    if floor == 1:
        return Moved(uniform, guided, price)
    guided = np.asarray(random_state.random(n) >= floor)
    price = np.where(guided, _prices(saliency, costs, n, random_state), np.nan)
    worth = saliency - np.nan_to_num(price)[:, None, None] * costs
    held = np.take_along_axis(worth, (X - xl)[:, :, None], axis=2)
    regret = np.nanmax(worth, axis=2) - held[:, :, 0]
    # The largest of log-weights plus Gumbel noise is a draw in proportion to the weights.
    key = np.where(n_choices > 1, regret / temperature + random_state.gumbel(size=X.shape), -np.inf)
    rank = (-key).argsort(axis=1).argsort(axis=1)
    moved = rank < (uniform != X).sum(axis=1)[:, None]
    drawn = np.nan_to_num(worth / temperature + random_state.gumbel(size=worth.shape), nan=-np.inf)
    np.put_along_axis(drawn, (X - xl)[:, :, None], -np.inf, axis=2)
    other = drawn.argmax(axis=2) + xl
    by_saliency = np.where(moved, other, X)
    return Moved(np.where(guided[:, None], by_saliency, uniform), guided, price)


def _prices(
    saliency: np.ndarray, cost: np.ndarray, n: int, random_state: np.random.Generator
) -> np.ndarray:
    turns = turning_prices(saliency, cost)
    if not len(turns):
        return np.zeros(n)
    knots = np.log([turns[0] / BEYOND, *turns, turns[-1] * BEYOND])
    places = random_state.uniform(0, len(knots) - 1, n)
    return np.exp(np.interp(places, np.arange(len(knots)), knots))


def _check(floor: float, temperature: float) -> None:
    for name, value in (("floor", floor), ("temperature", temperature)):
        if not isinstance(value, numbers.Real):
            raise ValueError(f"{name}={value!r} is no number")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor={floor} is no share; give a number from 0 to 1")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature={temperature}; give a number above 0")


class SaliencyMutation(ChoiceMutation):
    """Mutation guided by a table of saliency; see `mutate_by_saliency`.

    Each mutated individual says what moved it: `moved`, bool `(n_var,)`; `guided`, whether by
    saliency or uniformly; `price`, NaN where uniformly.
    """

    def __init__(
        self,
        table: Any,
        cost: Any = None,
        *,
        floor: float = 0.3,
        temperature: float = 0.3,
        prob_var: float | None = None,
        prob: float = 1.0,
    ) -> None:
        """Store the settings.

        Args:
            table: saliency of each choice of each gene, array-like `(n_var, max choices)`; higher
                is worth more; NaN where there is no choice.
            cost: of each choice, the same shape, such as `space.param_table()`.
            floor: share of offspring that move uniformly, in [0, 1].
            temperature: above 0, in standard deviations of saliency.
            prob_var: probability of each free gene to move; as in `ChoiceMutation`.
            prob: probability of a genome to be mutated at all.

        Raises:
            ValueError: a table is none, or the two have different shapes, or a setting lies
                outside its range.
        """
        _check(floor, temperature)
        super().__init__(prob_var, prob=prob)
        self.table, self.cost = fitted_tables(table, cost)
        self.floor, self.temperature = floor, temperature

    @default_random_state
    def do(
        self,
        problem: Any,
        pop: Population,
        inplace: bool = True,
        *args: Any,
        random_state: Any = None,
        **kwargs: Any,
    ) -> Population:
        """Mutate a population and note what moved; pymoo's interface."""
        if not inplace:
            pop = deepcopy(pop)
        before = as_genomes(pop.get("X"))
        after = self._mutated(problem, before, random_state)
        chosen = random_state.random(size=len(pop)) <= get(self.prob, size=len(pop))
        for i in np.flatnonzero(chosen):
            pop[i].set("X", after.X[i])
            pop[i].set("moved", after.X[i] != before[i])
            pop[i].set("guided", bool(after.guided[i]))
            pop[i].set("price", float(after.price[i]))
        return pop

    def _do(
        self,
        problem: Any,
        X: np.ndarray,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> np.ndarray:
        return self._mutated(problem, X, random_state).X

    def _mutated(self, problem: Any, X: np.ndarray, random_state: np.random.Generator) -> Moved:
        xl, xu = integer_bounds(problem)
        return mutate_by_saliency(
            X,
            xl,
            xu,
            self.table,
            self.cost,
            random_state=random_state,
            floor=self.floor,
            temperature=self.temperature,
            prob_var=None if self.prob_var is None else self.prob_var.get(),
        )
