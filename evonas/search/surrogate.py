"""A model of one objective over categorical genomes, fitted to what has been evaluated."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from threadpoolctl import threadpool_limits

MOST_POINTS = 1_500  # of a Gaussian process, whose work grows with their third power
TREES = 100


def one_hot(X: np.ndarray, n_choices: np.ndarray) -> np.ndarray:
    """A column for each choice of each gene that has two or more.

    Args:
        X: int (n, n_var), counted from 0.
        n_choices: choices of each gene, int (n_var,).

    Returns:
        float (n, columns) of 0 and 1.
    """
    columns = [X[:, [j]] == np.arange(k) for j, k in enumerate(n_choices) if k > 1]
    return np.concatenate(columns or [np.zeros((len(X), 1))], axis=1).astype(float)


@dataclass(frozen=True)
class NormalScores:
    """Values as normal scores of their ranks, and back.

    Ranks are what a search compares. One network that learns nothing, with an error ten times that
    of the best, would otherwise decide how all others are modelled.

    Attributes:
        scores: of the distinct values, ascending (k,).
        values: the distinct values, ascending (k,).
    """

    scores: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray) -> tuple["NormalScores", np.ndarray]:
        """The map for values (n,), and their scores (n,); equal values have equal scores."""
        z = norm.ppf((rankdata(y) - 0.5) / len(y))
        scores, first = np.unique(z, return_index=True)
        return cls(scores, y[first]), z

    def back(self, z: np.ndarray) -> np.ndarray:
        """Values of scores of any shape: interpolated, and beyond the best with the slope there."""
        values = np.interp(z, self.scores, self.values)
        tenth = max(1, len(self.scores) // 10)
        if len(self.scores) <= tenth:
            return values
        rise = self.values[tenth] - self.values[0]
        slope = rise / (self.scores[tenth] - self.scores[0])
        beyond = np.minimum(z - self.scores[0], 0.0)
        return values + slope * beyond


@dataclass(frozen=True)
class Belief:
    """What a model says of genomes.

    Attributes:
        mean: normal score, (n,).
        deviation: its standard deviation, (n,).
        scale: from normal scores to values.
    """

    mean: np.ndarray
    deviation: np.ndarray
    scale: NormalScores

    def at(self, z: np.ndarray) -> np.ndarray:
        """Values so many standard deviations from the mean, (n, len(z))."""
        return self.scale.back(self.mean[:, None] + self.deviation[:, None] * z)


def predict(
    features: np.ndarray, y: np.ndarray, at: np.ndarray, theta: list[float] | None
) -> tuple[Belief, list[float]]:
    """Fit to evaluated genomes and say what others are worth.

    Up to 1,500 points a Gaussian process (constant times RBF, and noise) with hyperparameters by
    marginal likelihood; beyond, the spread of randomised trees (Geurts et al., 2006).

    Args:
        features: of the evaluated genomes, float (n, d).
        y: their values, finite (n,).
        at: features of the others, (m, d).
        theta: hyperparameters of an earlier fit, used as they are; None fits them.

    Returns:
        The belief about the others, and the hyperparameters (empty where there are none).
    """
    scale, z = NormalScores.of(y)
    if len(y) > MOST_POINTS:
        trees = ExtraTreesRegressor(TREES, random_state=0).fit(features, z)
        each = np.stack([tree.predict(at) for tree in trees.estimators_])
        return Belief(each.mean(axis=0), each.std(axis=0), scale), []
    model = _gaussian_process(theta)
    # Matrices are small: threads cost more than they give, and change the last bits.
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        # A hyperparameter at its bound is an answer like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, z)
        mean, deviation = model.predict(at, return_std=True)
    return Belief(mean, deviation, scale), model.kernel_.theta.tolist()


def _gaussian_process(theta: list[float] | None) -> Any:
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(2.0, (0.3, 30.0)) + WhiteKernel(
        1e-3, (1e-6, 0.3)
    )
    if theta is None:
        return GaussianProcessRegressor(kernel)
    return GaussianProcessRegressor(kernel.clone_with_theta(np.array(theta)), optimizer=None)
