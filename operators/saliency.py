"""Saliency tables as operators read them: checked, standardised, and against a price of cost.

A table has a number for each choice of each gene, `(n_var, max choices)`, NaN where a gene has
fewer choices. Higher saliency is worth more; higher cost is worse.
"""

from typing import Any

import numpy as np

from evonas.operators.genomes import one_hot


def checked_table(table: Any, name: str = "saliency table") -> np.ndarray:
    """A table as a float array of its own.

    Raises:
        ValueError: it has no genes, or a number in it is infinite.
    """
    try:
        values = np.array(table, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"the {name} holds something that is no number") from None
    if values.ndim != 2 or not values.size:
        raise ValueError(f"the {name} has shape {values.shape}; give (n_var, max choices)")
    if np.isinf(values).any():
        gene, choice = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"the {name} is infinite for gene {gene}, choice {choice}")
    return values


def fitted_table(
    table: np.ndarray, n_choices: np.ndarray, name: str = "saliency table"
) -> np.ndarray:
    """A table with NaN wherever a gene has no such choice.

    Args:
        table: `(n_var, max choices)`; what lies beyond a gene's choices is ignored.
        n_choices: choices of each gene, `(n_var,)`.
        name: for messages.

    Raises:
        ValueError: the shape is another one, or a choice has no number.
    """
    shape = (len(n_choices), int(np.max(n_choices)))
    if table.shape != shape:
        raise ValueError(
            f"the {name} has shape {table.shape}; the problem's genes and choices need {shape}"
        )
    there = np.arange(shape[1]) < np.asarray(n_choices)[:, None]
    missing = np.argwhere(there & np.isnan(table))
    if len(missing):
        gene, choice = missing[0]
        raise ValueError(f"the {name} has no number for gene {gene}, choice {choice}; give one")
    return np.where(there, table, np.nan)


def fitted_tables(
    table: Any, cost: Any, n_choices: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Tables of saliency and of cost, checked.

    Args:
        table: saliency, array-like `(n_var, max choices)`.
        cost: the same shape; None is zero for all.
        n_choices: choices of each gene `(n_var,)`, where they are known.

    Raises:
        ValueError: one is no table, or they do not fit each other or the genes.
    """
    saliency = checked_table(table)
    costs = np.zeros_like(saliency) if cost is None else checked_table(cost, "cost table")
    if costs.shape != saliency.shape:
        raise ValueError(
            f"the saliency table has shape {saliency.shape}, the cost table {costs.shape}; give "
            "both for the same genes and choices"
        )
    if n_choices is not None:
        saliency = fitted_table(saliency, n_choices)
        costs = fitted_table(costs, n_choices, "cost table")
    return saliency, costs


def main_effects(X: np.ndarray, values: np.ndarray, n_choices: np.ndarray) -> np.ndarray:
    """What each choice adds to values of genomes, by least squares on one-hot genes.

    Args:
        X: int `(n, n_var)`, counted from 0.
        values: of these genomes `(n,)`.
        n_choices: choices of each gene `(n_var,)`.

    Returns:
        float `(n_var, max choices)`, sum zero in each gene; NaN where there is no choice.

    Raises:
        ValueError: there are too few genomes to tell all choices apart.
    """
    design = np.hstack([np.ones((len(X), 1)), one_hot(X, n_choices)])
    if np.linalg.matrix_rank(design) < 1 + int(np.sum(n_choices - 1)):
        raise ValueError(
            f"{len(X)} genomes are too few to tell the effects of {int(np.sum(n_choices))} "
            "choices apart; give more"
        )
    table = np.full((len(n_choices), int(np.max(n_choices))), np.nan)
    there = np.arange(table.shape[1]) < np.asarray(n_choices)[:, None]
    table[there] = np.linalg.lstsq(design, np.asarray(values, float), rcond=None)[0][1:]
    return table - np.nanmean(table, axis=1, keepdims=True)


def standardised(table: np.ndarray) -> np.ndarray:
    """A table whose genes have mean zero each, and whose numbers have standard deviation one.

    What a whole gene is worth plays no part: its choices are compared with each other only.

    Args:
        table: `(n_var, max choices)`, NaN where there is no choice.
    """
    centred = table - np.nanmean(table, axis=1, keepdims=True)
    deviation = np.sqrt(np.nanmean(centred**2))
    return centred / deviation if deviation > 0 else centred


def turning_prices(saliency: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The prices of cost at which the best choice of some gene changes, ascending `(k,)`.

    At a price p the best choice of a gene is that of highest saliency - p * cost. Between two of
    these prices the best choices of all genes stay the same, so that k + 1 genomes are best at
    some price.

    Args:
        saliency: `(n_var, max choices)`, NaN where there is no choice.
        cost: the same shape.
    """
    prices: set[float] = set()
    for values, costs in zip(saliency, cost, strict=True):
        there = ~np.isnan(values)
        order = np.lexsort((-values[there], costs[there]))
        hull: list[tuple[float, float]] = []
        for c, v in zip(costs[there][order], values[there][order], strict=True):
            if hull and v <= hull[-1][1]:
                continue  # dearer, and worth no more
            while len(hull) > 1 and _slope(hull[-1], (c, v)) >= _slope(hull[-2], hull[-1]):
                hull.pop()
            hull.append((float(c), float(v)))
        prices.update(_slope(a, b) for a, b in zip(hull, hull[1:], strict=False))
    return np.array(sorted(prices))


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def best_genomes(saliency: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The genomes of highest saliency - price * cost, for every price above zero.

    Args:
        saliency: `(n_var, max choices)`, NaN where there is no choice.
        cost: the same shape.

    Returns:
        int64 `(k, n_var)`, counted from 0, each once: from the highest saliency to the lowest cost.
    """
    turns = turning_prices(saliency, cost)
    # never zero or infinite: of equal saliency the cheapest choice is best, and the other way round
    prices = [turns[0] / 2, *np.sqrt(turns[1:] * turns[:-1]), 2 * turns[-1]] if len(turns) else [1]
    X = [np.nanargmax(saliency - price * cost, axis=1) for price in prices]
    return np.array(list(dict.fromkeys(map(tuple, X))), dtype=np.int64)


PRICES = 64  # of cost, at which choices are compared

# Costs of a gene that differ by less than this share of their range count as equal: the price at
# which two of them turn is no price that anybody would pay.
GRAIN = 1e-3


def standing(saliency: np.ndarray, cost: np.ndarray | None = None) -> np.ndarray:
    """How well each choice of a gene stands against the others, at all prices of cost.

    At a price p a choice is worth saliency - p * cost. The standing of one that is best in its gene
    at some prices is what the gene would lose without it, as a mean over all prices; that of any
    other is below zero: what it lacks to the best where it comes closest. Prices are those at which
    the best choice of some gene changes, and a factor of 2 beyond, log-uniformly; where cost
    decides nothing the only price is 0. Costs of a gene within 0.1 % of their range are equal.

    Args:
        saliency: `(n_var, max choices)`, NaN where there is no choice.
        cost: the same shape; None is zero for all.

    Returns:
        float `(n_var, max choices)` in the unit of saliency; infinite for the only choice of a
        gene; NaN where there is no choice.
    """
    costs = np.zeros_like(saliency) if cost is None else _levelled(cost)
    turns = turning_prices(saliency, costs)
    prices = np.geomspace(turns[0] / 2, 2 * turns[-1], PRICES) if len(turns) else np.zeros(1)
    there = ~np.isnan(saliency)
    worth = np.where(there, saliency - prices[:, None, None] * costs, -np.inf)
    order = np.sort(worth, axis=2)
    best, second = order[:, :, -1:], order[:, :, -2:-1]
    if second.shape[2] == 0:
        second = np.full_like(best, -np.inf)
    first = worth.argmax(axis=2)[:, :, None] == np.arange(saliency.shape[1])
    with np.errstate(invalid="ignore"):  # where there is no choice
        ahead = worth - np.where(first, second, best)
        gain = np.where(first, ahead, 0).mean(axis=0)
        table = np.where(first.any(axis=0), gain, ahead.max(axis=0))
    return np.where(there, table, np.nan)


def _levelled(cost: np.ndarray) -> np.ndarray:
    """Costs of which those that hardly differ within a gene are made equal."""
    table = np.array(cost, dtype=float)
    for costs in table:
        order = np.argsort(costs)[: int(np.sum(~np.isnan(costs)))]
        grain = GRAIN * (costs[order[-1]] - costs[order[0]]) if len(order) else 0.0
        for before, place in zip(order, order[1:], strict=False):
            if costs[place] - costs[before] <= grain:
                costs[place] = costs[before]
    return table
