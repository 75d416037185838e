"""A model of one objective over categorical genomes, fitted to what has been evaluated."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

MOST_POINTS = 1_500  # of a Gaussian process, whose work grows with their third power
TREES = 100
# Models are fitted anew when there are so many times more points: hyperparameters, and trees,
# which know nothing of later points.
REFIT, REGROWN = 1.15, 1.02


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


class Surrogate:
    """A model of one objective that is asked again and again while its points grow.

    Up to 1,500 points a Gaussian process (constant times Matérn 5/2, and noise): every point counts
    at once, hyperparameters are fitted by marginal likelihood from time to time. Beyond, the spread
    of randomised trees (Geurts et al., 2006), grown anew from time to time.

    Args:
        theta: hyperparameters of an earlier fit.

    Attributes:
        theta: hyperparameters of the last fit; empty where there are none.
    """

    def __init__(self, theta: Sequence[float] = ()) -> None:
        """Nothing is learnt yet."""
        self.theta = list(theta)
        self._trees: tuple[int, NormalScores, ExtraTreesRegressor] | None = None

    def predict(
        self, features: np.ndarray, y: np.ndarray, at: np.ndarray, fitted: int | None = None
    ) -> Belief:
        """Say what genomes are worth.

        Args:
            features: of the evaluated genomes, in the order of their evaluation, float (n, d).
            y: their values, finite (n,).
            at: features of the others, (m, d).
            fitted: to how many of the first points the model was fitted before; None fits it to
                all of them now.
        """
        if len(y) > MOST_POINTS:
            return self._by_trees(features, y, at, fitted or len(y))
        scale, z = NormalScores.of(y)
        model = _gaussian_process(self.theta if fitted else [])
        # Matrices are small: threads cost more than they give, and change the last bits.
        with threadpool_limits(1, "blas"), warnings.catch_warnings():
            # A hyperparameter at its bound is an answer like any other.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, z)
            mean, deviation = model.predict(at, return_std=True)
        self.theta = model.kernel_.theta.tolist()
        return Belief(mean, deviation, scale)

    def _by_trees(self, features: np.ndarray, y: np.ndarray, at: np.ndarray, n: int) -> Belief:
        if self._trees is None or self._trees[0] != n:
            scale, z = NormalScores.of(y[:n])
            trees = ExtraTreesRegressor(TREES, random_state=0).fit(features[:n], z)
            self._trees, self.theta = (n, scale, trees), []
        _, scale, trees = self._trees
        each = np.stack([tree.predict(at) for tree in trees.estimators_])
        return Belief(each.mean(axis=0), each.std(axis=0), scale)


def is_stale(fitted: int, n: int) -> bool:
    """Whether a model that was fitted to so many points should be fitted to n anew."""
    return n >= (REFIT if n <= MOST_POINTS else REGROWN) * fitted


def _gaussian_process(theta: list[float]) -> Any:
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(2.0, (0.3, 60.0), nu=2.5)
    kernel += WhiteKernel(1e-3, (1e-6, 0.3))
    if not theta:
        return GaussianProcessRegressor(kernel)
    return GaussianProcessRegressor(kernel.clone_with_theta(np.array(theta)), optimizer=None)
