"""Several categorical distributions side by side, and the natural-gradient steps they learn by."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from evonas.operators.genomes import as_genomes

ALPHA = 1.5  # how much steadier than noise a direction must be for the steps to grow
FIRST_STEP = 1.0  # length of the first step, in the Fisher norm
NOTHING = 1e-300  # squared length of a gradient below which there is none


class CategoricalDistributions:
    """M distributions over genomes, each a product of independent categorical ones.

    They learn from each other's samples by importance weights (Noda, Saito, Shirakawa, ICANN 2022;
    Shirakawa et al., 2018), and each moves by its own natural gradient, in steps whose lengths
    adapt as in ASNG (Akimoto et al., ICML 2019). Every method works on all M at once. A gene with
    one choice is fixed and counts nowhere.

    Args:
        n_choices: choices of each gene, int (n_var,), from 1 on.
        n_distributions: M, from 1 on; all are uniform at first.
        probabilities: (M, n_var, max choices) to begin with instead; what lies beyond a gene's
            choices is ignored, the rest scaled to sum to 1.

    Attributes:
        n_choices: int (n_var,).
        probabilities: float (M, n_var, max choices); 0 where a gene has no such choice.
        floor: probability below which no step takes a choice, (n_var,): 1 / (free genes (K - 1));
            half of the uniform probability where that leaves no room.

    Raises:
        ValueError: a gene without choices, no distribution, or probabilities of another shape,
            negative, or without any weight for a gene.
    """

    def __init__(
        self,
        n_choices: np.ndarray,
        n_distributions: int = 1,
        *,
        probabilities: np.ndarray | None = None,
    ) -> None:
        """Begin with uniform or given distributions, and no direction yet."""
        self.n_choices = np.asarray(n_choices, dtype=np.int64)
        if self.n_choices.ndim != 1 or not len(self.n_choices) or (self.n_choices < 1).any():
            raise ValueError("n_choices holds the number of choices of each gene, from 1 on")
        if n_distributions < 1:
            raise ValueError(f"n_distributions={n_distributions}; give at least 1")
        self._there = np.arange(self.n_choices.max()) < self.n_choices[:, None]
        self._last = self.n_choices - 1
        free = self._last > 0
        floor = 1.0 / np.maximum(1, free.sum() * self._last)
        # One gene, or two of two choices, would leave a distribution nowhere to move.
        floor = np.where(floor * self.n_choices < 1, floor, 0.5 / self.n_choices)
        self.floor = np.where(free, floor, 0.0)
        if probabilities is None:
            uniform = self._there / self.n_choices[:, None]
            probabilities = np.tile(uniform, (n_distributions, 1, 1))
        self.probabilities = self._checked(probabilities)
        self.dimensions = int(self._last.sum())
        self._path = np.zeros_like(self.probabilities)
        self._gamma = np.zeros(len(self))
        self._divisor = np.ones(len(self))

    def __len__(self) -> int:
        """M."""
        return len(self.probabilities)

    # -- samples ------------------------------------------------------------------------------

    def sample(self, n: int, random_state: np.random.Generator) -> np.ndarray:
        """Draw n genomes from each distribution, int (M, n, n_var)."""
        draws = random_state.random((len(self), n, len(self.n_choices)))
        edges = np.cumsum(self.probabilities, axis=2)[:, None]
        return np.minimum((draws[..., None] >= edges).sum(axis=3), self._last)

    def sample_among(
        self, X: np.ndarray, of: np.ndarray, random_state: np.random.Generator
    ) -> np.ndarray:
        """Draw from given genomes only, each as likely as a distribution makes it.

        Args:
            X: int (n, n_var), one or more.
            of: the distribution that each draw is of, int (k,), from 0.
            random_state: draws.

        Returns:
            int (k, n_var).
        """
        X = self._genomes(X)
        logs = self.log_probability(X)
        top = logs.max(axis=1, keepdims=True)
        relative = np.exp(logs - np.where(np.isfinite(top), top, 0.0))
        # where a distribution rules all of them out, they are equally likely
        edges = np.cumsum(np.where(np.isfinite(top), relative, 1.0), axis=1)
        draws = random_state.random(len(of))
        drawn = [
            np.searchsorted(edges[m], draw * edges[m, -1], side="right")
            for m, draw in zip(of, draws, strict=True)
        ]
        return X[np.minimum(np.array(drawn, dtype=np.int64), len(X) - 1)]

    def log_probability(self, X: np.ndarray) -> np.ndarray:
        """Log probability of genomes under each distribution.

        Args:
            X: int (n, n_var).

        Returns:
            float (M, n); -inf for what a given distribution rules out.

        Raises:
            ValueError: X holds no genomes of these genes and choices.
        """
        X = self._genomes(X)
        with np.errstate(divide="ignore"):
            logs = np.log(self.probabilities)
        return logs[:, np.arange(X.shape[1]), X].sum(axis=2)

    def importance(self, X: np.ndarray) -> np.ndarray:
        """Probability of samples of all under each distribution, over that under their mixture.

        Args:
            X: int (n, n_var), as many of each distribution.

        Returns:
            float (M, n), from 0 to M; the M of a sample have the mean 1.
        """
        logs = self.log_probability(X)
        top = logs.max(axis=0)
        top = np.where(np.isfinite(top), top, 0.0)
        relative = np.exp(logs - top)
        mean = relative.mean(axis=0)
        return relative / np.where(mean > 0, mean, 1.0)

    # -- learning -----------------------------------------------------------------------------

    def gradient(self, X: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Natural gradient, in expectation parameters, of the mean of weighted samples.

        Args:
            X: int (n, n_var).
            weights: utility of each sample to each distribution, times its importance, (M, n).

        Returns:
            float (M, n_var, max choices); sums to 0 over the choices of a gene.
        """
        hot = self._genomes(X)[:, :, None] == np.arange(self._there.shape[1])
        mean = np.einsum("mi,ijk->mjk", weights, hot, optimize=True) / len(X)
        return mean - weights.mean(axis=1)[:, None, None] * self.probabilities

    def cost_gradient(self, table: np.ndarray) -> np.ndarray:
        """Natural gradient of the expected sum of a cost that each gene has by itself.

        Args:
            table: cost of each choice, (n_var, max choices); what is beyond a gene's choices is
                ignored.

        Returns:
            float (M, n_var, max choices); sums to 0 over the choices of a gene.
        """
        table = np.where(self._there, table, 0.0)
        expected = (self.probabilities * table).sum(axis=2, keepdims=True)
        return self.probabilities * (table - expected)

    def asng_step(self, gradient: np.ndarray, stretch: np.ndarray | float = 1.0) -> np.ndarray:
        """Move up gradients, each in a step as long as its direction has proved steady.

        Args:
            gradient: (M, n_var, max choices), summing to 0 over the choices of a gene.
            stretch: what the lengths are multiplied by, (M,) or a number. How lengths adapt does
                not depend on it.

        Returns:
            Lengths in the Fisher norm, (M,); 0 where a gradient is zero, and nothing moves.
        """
        v = self._fisher_root(gradient)
        squared = (v**2).sum(axis=(1, 2))
        moves = squared > NOTHING
        norm = np.sqrt(np.where(moves, squared, 1.0))
        length = np.where(moves, FIRST_STEP / self._divisor, 0.0)
        # a long step ahead would still turn the path over: its rate is at most 1
        beta = np.minimum(length / np.sqrt(max(1, self.dimensions)), 1.0)
        length = length * stretch
        self._move((length / norm)[:, None, None] * gradient)
        rate = beta * (2.0 - beta)
        self._path *= (1.0 - beta)[:, None, None]
        self._path += (np.sqrt(rate) / norm)[:, None, None] * v
        self._gamma = (1.0 - beta) ** 2 * self._gamma + rate
        steadiness = (self._path**2).sum(axis=(1, 2)) / ALPHA
        self._divisor *= np.exp(beta * (self._gamma - steadiness))
        return length

    def fixed_step(self, gradient: np.ndarray) -> np.ndarray:
        """Move up gradients by one over the number of all free choices; returns lengths, (M,)."""
        rate = 1.0 / max(1.0, float(self.n_choices[self._last > 0].sum()))
        norm = np.sqrt((self._fisher_root(gradient) ** 2).sum(axis=(1, 2)))
        self._move(rate * gradient)
        return rate * norm

    # -- what was learnt ----------------------------------------------------------------------

    def entropy(self) -> np.ndarray:
        """Entropy of each distribution in nats, (M,)."""
        p = self.probabilities
        return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=(1, 2)))

    def argmax(self) -> np.ndarray:
        """The likeliest genome of each distribution, int (M, n_var); the first of equals."""
        return self.probabilities.argmax(axis=2)

    def likeliest(self, n: int) -> np.ndarray:
        """The n likeliest genomes of each distribution, from the likeliest on.

        Exact: gene by gene, what begins a genome among the n likeliest is among the n likeliest
        beginnings.

        Args:
            n: from 1 on.

        Returns:
            int (M, min(n, number of genomes), n_var); what a distribution rules out comes last.
        """
        with np.errstate(divide="ignore"):
            logs = np.log(self.probabilities)
        total = np.zeros((len(self), 1))
        X = np.zeros((len(self), 1, 0), dtype=np.int64)
        for gene, K in enumerate(self.n_choices):
            longer = (total[:, :, None] + logs[:, None, gene, :K]).reshape(len(self), -1)
            best = np.argsort(-longer, axis=1, kind="stable")[:, :n]
            total = np.take_along_axis(longer, best, axis=1)
            begun = np.take_along_axis(X, (best // K)[:, :, None], axis=1)
            X = np.concatenate([begun, (best % K)[:, :, None]], axis=2)
        return X

    def state(self) -> dict[str, Any]:
        """All that a later step depends on, as JSON can hold it."""
        return {
            "probabilities": self.probabilities.tolist(),
            "path": self._path.tolist(),
            "gamma": self._gamma.tolist(),
            "divisor": self._divisor.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, to the last bit.

        Raises:
            ValueError: it is of other genes or another number of distributions.
        """
        shape = self.probabilities.shape
        probabilities = np.array(state["probabilities"], dtype=float)
        path = np.array(state["path"], dtype=float)
        if probabilities.shape != shape or path.shape != shape:
            raise ValueError(
                f"a state of shape {probabilities.shape} is none of distributions {shape}"
            )
        self.probabilities, self._path = probabilities, path
        self._gamma = np.array(state["gamma"], dtype=float)
        self._divisor = np.array(state["divisor"], dtype=float)

    # -- inside -------------------------------------------------------------------------------

    def _fisher_root(self, gradient: np.ndarray) -> np.ndarray:
        """A root of the Fisher matrix times gradients, over the first K - 1 choices of each gene.

        Which root it is changes how steps adapt; this one is of the authors' code.
        """
        p = self.probabilities
        last = p[:, np.arange(p.shape[1]), self._last][:, :, None]
        choices = np.arange(p.shape[2]) < self._last[:, None]
        G = np.where(choices, gradient, 0.0)
        root = np.sqrt(np.where(choices & (p > 0), p, 1.0))
        divisor = np.where(last > 0, last + np.sqrt(last), 1.0)
        v = G / root + root * G.sum(axis=2, keepdims=True) / divisor
        return np.where(choices, v, 0.0)

    def _move(self, change: np.ndarray) -> None:
        """Add, clip at the floor, and take what is too much from what stands above it."""
        floor = np.where(self._there, self.floor[:, None], 0.0)
        above = np.where(self._there, np.maximum(self.probabilities + change - floor, 0.0), 0.0)
        total = above.sum(axis=2, keepdims=True)
        room = 1.0 - floor.sum(axis=1)[:, None]
        still = np.all(change == 0, axis=(1, 2), keepdims=True)
        self.probabilities = np.where(still, self.probabilities, floor + above * (room / total))

    def _genomes(self, X: np.ndarray) -> np.ndarray:
        X = as_genomes(X)
        if X.shape[1] != len(self.n_choices) or (X < 0).any() or (X > self._last).any():
            raise ValueError(
                f"genomes of these distributions have {len(self.n_choices)} genes, counted from 0"
            )
        return X

    def _checked(self, probabilities: np.ndarray) -> np.ndarray:
        given = np.asarray(probabilities, dtype=float)
        if given.ndim != 3 or given.shape[1:] != self._there.shape or not len(given):
            raise ValueError(
                f"probabilities have the shape {given.shape}, not (M, {self._there.shape[0]}, "
                f"{self._there.shape[1]})"
            )
        given = np.where(self._there, given, 0.0)
        total = given.sum(axis=2, keepdims=True)
        if not (np.isfinite(given).all() and (given >= 0).all() and (total > 0).all()):
            raise ValueError("probabilities are not negative, and each gene has some")
        return given / total


def quantile_utility(
    keys: np.ndarray, importance: np.ndarray, *, normalised: bool = True
) -> np.ndarray:
    """What samples are worth by their rank: +1 in the best quarter, -1 in the worst, else 0.

    A sample takes as much of the scale from 0 to 1 as its importance, and gets the mean over it;
    samples of equal keys share theirs (Shirakawa et al., 2018).

    Args:
        keys: what each distribution minimises, (M, n).
        importance: of each sample to each distribution, not negative, (M, n).
        normalised: whether the importances of a distribution are scaled to the mean 1 first.
            Without that its scale ends before or beyond 1.

    Returns:
        float (M, n), from -1 to 1.
    """
    n = keys.shape[1]
    total = importance.sum(axis=1, keepdims=True)
    share = importance / (np.where(total > 0, total, 1.0) if normalised else float(n))
    order = np.argsort(keys, axis=1, kind="stable")
    ranked = np.take_along_axis(keys, order, axis=1)
    reached = np.zeros((len(keys), n + 1))
    np.cumsum(np.take_along_axis(share, order, axis=1), axis=1, out=reached[:, 1:])
    differs = ranked[:, 1:] > ranked[:, :-1]
    edge = np.ones((len(keys), 1), dtype=bool)
    positions = np.arange(n)
    first = np.where(np.hstack([edge, differs]), positions, 0)
    first = np.maximum.accumulate(first, axis=1)
    last = np.where(np.hstack([differs, edge]), positions + 1, n)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    low = np.take_along_axis(reached, first, axis=1)
    high = np.take_along_axis(reached, last, axis=1)
    width = high - low
    empty = width < 1e-12  # an importance that has vanished
    area = _worth_up_to(high) - _worth_up_to(low)
    at = np.where(low < 0.25, 1.0, np.where(low > 0.75, -1.0, 0.0))
    utility = np.where(empty, at, area / np.where(empty, 1.0, width))
    result = np.empty_like(utility)
    np.put_along_axis(result, order, utility, axis=1)
    return result


def _worth_up_to(q: np.ndarray) -> np.ndarray:
    """The integral of the worth of quantiles from 0 to q."""
    return np.minimum(q, 0.25) - np.maximum(q - 0.75, 0.0)


def effective_sample_size(importance: np.ndarray) -> np.ndarray:
    """As how many equally important samples (M, n) count for each distribution, (M,)."""
    squares = (importance**2).sum(axis=1)
    return importance.sum(axis=1) ** 2 / np.where(squares > 0, squares, 1.0)
