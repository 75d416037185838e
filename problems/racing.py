"""Stopping the evaluation of networks that cannot matter any more; numpy alone.

Validation images come batch by batch, in a random order of the batches that is fixed for a race. A
network is out of it as soon as one that costs no more, and is known on all images, is better:
surely (`exact`: even if all images left were told right), or at a stated confidence (`confident`:
by the paired differences on the images seen).

Networks with shared weights stumble over the same images, the more so the more alike they are, and
of those that are known on all images we know how hard the images left are. So a difference is told
by the regression estimator of survey sampling (Cochran, Sampling Techniques, 1977, chapter 7), with
the rival and the nearest known networks as auxiliary variables. Of near-optimal networks of
NAS-Bench-Macro it leaves 0.37 of the variance of plain paired differences.

Two networks alike differ on images that both are unsure of, by a toss. The smoothed error takes the
toss out and leaves less than half of that variance again, but is not quite the error: the rest
between both is told as well, from the images seen and from what it is of known networks, each as
far as it can be relied on (empirical Bayes).

`confident` looks a few times only, each time at the same critical value, which is such that all
looks together keep the confidence (a group-sequential test: Pocock, Biometrika 64, 1977). It is for
means of more and more images; what smoothed errors add makes looks more alike than these, so that
the confidence is kept all the more.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from moocore import is_nondominated

from evonas.errors import InputError, unknown

RACING = ("off", "exact", "confident")
# Probability that a network that is as good as its rival is at no look told worse. Of one that is
# better by a standard error of what all images tell of the difference it is then 0.96, by two 0.98.
# In 25 simulated searches of CIFAR-10 (`screened`, 200 evaluations on 4,000 images, five on each of
# five supernets) 0.72, 0.8 and 0.85 leave 0.40, 0.42 and 0.44 of the images to score, for 0.019,
# 0.018 and 0.014 points of the fronts' mean excess error.
CONFIDENCE = 0.85
# Looks of a confident race, and the share of the images at the last one.
LOOKS, LAST_LOOK = 6, 3 / 4
# Batches between the looks of an exact race: two may be scored at once.
EXACT_EVERY = 2
# Of many networks, those that are scored before all others; and of the first ones of all, where
# they are `FEW` or more, half.
FIRST, FEW = 16, 8
# Images, and share of all where that is less, that every network is scored on before the first
# look. With 375 a race takes 3 % more work at the same excess error.
COMMON, COMMON_SHARE = 250, 1 / 4
# Known networks beside the rival by which a difference is told.
NEIGHBOURS = 16
# Images of one unit's difference that say a network is like its rival, whatever its neighbours are.
LIKE_ITS_RIVAL = 0.25
# References from which on they say how far a difference of smoothed outcomes is off.
ENOUGH = 4
# Squared units by which more seems to be left of differences than was seen: where few images
# differ, that says little.
AT_LEAST_LEFT = 0.1

# Of the integrals of `critical_value`: nodes, and standard errors below which nothing lies.
QUADRATURE, LEAST = 128, 8.0

Path = tuple[int, ...]
# What networks make of the images of some batches, and the same smoothed, which may be equal to it:
# (paths, batches) -> (n, 2, images), of all networks in the same order of images.
Outcomes = Callable[[Sequence[Path], Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Score:
    """What is known of a network.

    Attributes:
        value: mean outcome of all images, or an estimate.
        saved: images that it was not scored on; above 0 the value is an estimate.
        smoothed: mean smoothed outcome of all images, where it was scored on all.
    """

    value: float
    saved: int = 0
    smoothed: float = math.nan

    def to_record(self) -> dict[str, float]:
        """`smoothed`, where it is known."""
        return {} if math.isnan(self.smoothed) else {"smoothed": self.smoothed}

    @classmethod
    def from_record(cls, value: float, saved: int, record: Mapping[str, float]) -> "Score":
        """The inverse of `to_record`."""
        return cls(value, saved, record.get("smoothed", math.nan))


# Of a network that was not in the race.
UNKNOWN = Score(math.nan)


@dataclass(eq=False)
class Rival:
    """A network that is known on all images.

    Attributes:
        cost: everything it is compared by beside the value, (k,); less is better.
        value: mean outcome over all images; less is better.
        path: the network.
        smoothed: mean smoothed outcome over all images; NaN where it is not at hand.
        outcomes: of the parts of a race, by their numbers, as far as they are at hand; (2, images).
    """

    cost: np.ndarray
    value: float
    path: Path
    smoothed: float = math.nan
    outcomes: dict[int, np.ndarray] = field(default_factory=dict)


class Difference:
    """Mean outcome of a network minus that of its rival over all images, told by some of them.

    Args:
        references: networks that are known on all images, the rival first.
        unit: the largest difference between two outcomes of an image, or a typical one.
        images: all there are.
        rest: what smoothed outcomes probably leave of the difference over all images: mean and
            variance, which is infinite where nobody knows.

    Attributes:
        seen: images so far.
    """

    def __init__(
        self,
        references: Sequence[Rival],
        unit: float,
        images: int,
        rest: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        """No image was seen yet."""
        self.references, self.unit, self.images, self.rest = references, unit, images, rest
        self.seen = 0
        smoothed = np.array([reference.smoothed for reference in references])
        self._means = smoothed, np.array([one.value for one in references]) - smoothed
        # Of 1; the smoothed outcomes of references, and their difference; what these leave of the
        # outcomes, and of their difference: sums of all products.
        self._products = np.zeros((2 * len(references) + 3,) * 2)

    def add(self, row: np.ndarray, known: np.ndarray) -> None:
        """See more images.

        Args:
            row: outcomes of the network, plain and smoothed, (2, images).
            known: those of the references, (references, 2, images).
        """
        ones = np.ones((1, row.shape[1]))
        plain, smoothed = np.moveaxis(np.concatenate([known, row[None]]).astype(np.float64), 1, 0)
        columns = [ones]
        for values in (smoothed, plain - smoothed):
            columns += [values[:-1], values[-1:] - values[:1]]
        all_of_it = np.vstack(columns)
        # Not by BLAS, whose threads would wait for those that score networks.
        self._products += np.einsum("in,jn->ij", all_of_it, all_of_it)
        self.seen += row.shape[1]

    def told(self) -> tuple[float, float]:
        """The difference, and the variance of what is told of it."""
        n, k, sums = self.seen, len(self.references), self._products[0]
        covariances = self._products / n - np.outer(sums, sums) / n**2
        least = LIKE_ITS_RIVAL * self.unit**2 / n * np.eye(k)
        means, residuals, levers = np.empty(2), *np.zeros((2, 2, len(sums)))
        for i, known in enumerate(self._means):
            target = (i + 1) * (k + 1)
            some = slice(target - k, target)
            off = known - sums[some] / n
            sides = np.column_stack([covariances[some, target], off])
            slopes, levers[i, some] = np.linalg.solve(covariances[some, some] + least, sides).T
            means[i] = sums[target] / n + slopes @ off
            residuals[i, some], residuals[i, target] = -slopes, 1.0
        left = n * residuals @ covariances @ residuals.T
        left[0, 0] += AT_LEAST_LEFT * self.unit**2
        # Images that networks differ on are those that both draw a slope most and leave most: each
        # slope counts twice (MacKinnon and White, Journal of Econometrics 29, 1985).
        left /= max(1, n - 2 * k - 1)
        # Of a mean of images of which none is put back, and of slopes that the same images tell.
        left *= 1 / n - 1 / self.images + levers @ covariances @ levers.T / n
        share, (probable, spread) = 1.0, self.rest
        if math.isfinite(spread):
            whole = spread + left[1, 1]
            share = min(max((spread - left[0, 1]) / whole, 0.0), 1.0) if whole else 0.0
        variance = left[0, 0] + 2 * share * left[0, 1] + share**2 * left[1, 1]
        if share < 1:
            variance += (1 - share) ** 2 * spread
        return float(means[0] + share * means[1] + (1 - share) * probable), float(variance)


def probable_rest(references: Sequence[Rival]) -> tuple[float, float]:
    """What smoothed outcomes leave of the difference between a network and its rival.

    The rival's own part is known; the network's is taken for a draw from those of its neighbours.

    Args:
        references: as of `Difference`; their smoothed means are at hand.

    Returns:
        Mean and variance; this is infinite where there are too few of them to tell.
    """
    own, *others = (one.value - one.smoothed for one in references)
    if len(others) + 1 < ENOUGH:
        return 0.0, math.inf
    return float(np.mean(others) - own), float(np.var(others, ddof=1) * (1 + 1 / len(others)))


class Race:
    """Networks that are scored part by part, until they cannot matter.

    Args:
        mode: "exact" or "confident".
        outcomes: tells what networks make of batches.
        sizes: images of each batch.
        order: in which batches are scored, each once; by default as they come.
        confidence: of being told worse only where a network is, over all looks at it together.
        unit: the largest difference between two outcomes of an image, or a typical one.

    Attributes:
        rivals: the non-dominated of those that are known on all images.
        images: in all batches.
        parts: batches that are scored before it looks who is out.
        known: what is known of each network.

    Raises:
        InputError: there is no such mode, or the confidence is not above 0.5 and below 1.
    """

    def __init__(
        self,
        mode: str,
        outcomes: Outcomes,
        *,
        sizes: Sequence[int],
        order: Sequence[int] | None = None,
        confidence: float = CONFIDENCE,
        unit: float = 1.0,
    ) -> None:
        """No rivals yet."""
        check_mode(mode)
        if not 0.5 < confidence < 1:
            raise InputError(f"a confidence of {confidence:g}; give one above 0.5 and below 1")
        self.mode, self.confidence, self.unit = mode, confidence, unit
        self.images = images = sum(sizes)
        common = min(COMMON, COMMON_SHARE * images)
        batches = list(range(len(sizes)) if order is None else order)
        ends = np.cumsum([sizes[i] for i in batches])
        if mode == "exact":
            parts = parts_of(ends, ends[ends >= common][::EXACT_EVERY])
        else:
            parts = parts_of(ends, looks_of(common, images))
            seen = ends[[part.stop - 1 for part in parts[:-1]]]
            self.critical = critical_value(clock(seen, images), 1 - confidence)
        self.parts = [batches[part.start : part.stop] for part in parts]
        self._outcomes = outcomes
        self.rivals: list[Rival] = []
        self._whole: list[Rival] = []  # all that are known on all images
        self.known: dict[Path, Score] = {}

    def score(self, paths: Sequence[Path], costs: np.ndarray) -> np.ndarray:
        """Mean outcomes of networks that are not known yet, or estimates of them, (n,).

        Args:
            paths: distinct networks.
            costs: what they are compared by beside that, (n, k).
        """
        for some in first_and_rest(costs, 2 * FIRST if self._whole else FEW):
            self._heat([paths[i] for i in some], costs[some])
        return np.array([self.known[path].value for path in paths])

    def remember(self, paths: Sequence[Path], costs: np.ndarray, scores: Sequence[Score]) -> None:
        """Take in what is known of networks, as `known` had it."""
        self.known.update(zip(paths, scores, strict=True))
        self.add(
            [
                Rival(cost, score.value, path, score.smoothed)
                for path, cost, score in zip(paths, costs, scores, strict=True)
                if not score.saved
            ]
        )

    def add(self, rivals: Sequence[Rival]) -> None:
        """Take more networks in that are known on all images."""
        self._whole += rivals
        every = [*self.rivals, *rivals]
        if every:
            points = np.array([[*rival.cost, rival.value] for rival in every])
            self.rivals = [every[i] for i in np.flatnonzero(is_nondominated(points))]

    def rival(self, cost: np.ndarray) -> Rival | None:
        """The best one of those that cost no more in any respect."""
        cheaper = [rival for rival in self.rivals if np.all(rival.cost <= cost)]
        return min(cheaper, key=lambda rival: rival.value, default=None)

    def out(
        self,
        sums: np.ndarray,
        differences: np.ndarray,
        variances: np.ndarray,
        values: np.ndarray,
    ) -> np.ndarray:
        """Whether networks need not be seen any further, bool (n,).

        Args:
            sums: of their outcomes so far, (n,).
            differences: from the rivals, as `Difference` tells them, (n,).
            variances: of these, as `Difference` tells them, (n,).
            values: mean outcomes of the rivals over all images, (n,).
        """
        if self.mode == "exact":
            return sums / self.images > values
        return differences > self.critical * np.sqrt(variances)

    def _references(self, path: Path, rival: Rival) -> list[Rival]:
        """Networks by which a difference from a rival is told: it, and the nearest known ones."""
        others = [one for one in self._whole if one is not rival]
        if not others:
            return [rival]
        distances = (np.array([one.path for one in others]) != np.array(path)).sum(axis=1)
        # In an order that does not depend on who was known first.
        near = np.flatnonzero(distances <= np.sort(distances)[:NEIGHBOURS][-1]).tolist()
        near.sort(key=lambda i: (distances[i], others[i].path))
        return [rival, *(others[i] for i in near[:NEIGHBOURS])]

    def _difference(self, path: Path, rival: Rival | None) -> Difference | None:
        """From a rival, where there is one."""
        if rival is None:
            return None
        references = self._references(path, rival)
        for one in references:
            if math.isnan(one.smoothed):  # it was remembered without
                each = [self._of([one], part)[0, 1] for part in range(len(self.parts))]
                one.smoothed = float(np.concatenate(each).mean(dtype=np.float64))
        return Difference(references, self.unit, self.images, probable_rest(references))

    def _of(self, references: Sequence[Rival], part: int) -> np.ndarray:
        """Outcomes of a part, (references, 2, images); what is not at hand is found out."""
        lacking = [one for one in references if part not in one.outcomes]
        if lacking:
            rows = self._outcomes([one.path for one in lacking], self.parts[part])
            for one, row in zip(lacking, rows, strict=True):
                one.outcomes[part] = row
        return np.stack([one.outcomes[part] for one in references])

    def _heat(self, paths: Sequence[Path], costs: np.ndarray) -> None:
        """Score networks against those of before, each on as many parts as it takes."""
        n = len(paths)
        order = sorted(range(n), key=paths.__getitem__)  # those that start alike are neighbours
        rivals = [self.rival(cost) for cost in costs]
        values = np.array([math.inf if rival is None else rival.value for rival in rivals])
        against = [self._difference(*each) for each in zip(paths, rivals, strict=True)]
        sums, smoothed, differences, variances = np.zeros((4, n))
        outcomes: list[dict[int, np.ndarray]] = [{} for _ in paths]
        seen = 0
        for part, batches in enumerate(self.parts):
            new = self._outcomes([paths[i] for i in order], batches)
            seen += new.shape[2]
            for i, row in zip(order, new, strict=True):
                outcomes[i][part] = row
            sums[order] += new[:, 0].sum(axis=1, dtype=np.float64)
            smoothed[order] += new[:, 1].sum(axis=1, dtype=np.float64)
            if seen == self.images:
                break
            at = np.array(order)
            for i in at[np.isfinite(values[at])].tolist():
                told = against[i]
                assert told is not None
                told.add(outcomes[i][part], self._of(told.references, part))
                differences[i], variances[i] = told.told()
            out = np.isfinite(values[at]) & self.out(
                sums[at], differences[at], variances[at], values[at]
            )
            for i in at[out].tolist():
                # No better than what is sure, and worse than the rival.
                estimate = max(
                    values[i] + differences[i],
                    sums[i] / self.images,
                    np.nextafter(values[i], math.inf),
                )
                self.known[paths[i]] = Score(float(estimate), self.images - seen)
            order = at[~out].tolist()
            if not order:
                break
        whole = []
        for i in order:
            value, smooth = sums[i] / self.images, smoothed[i] / self.images
            self.known[paths[i]] = Score(float(value), smoothed=float(smooth))
            whole.append(Rival(costs[i], float(value), paths[i], float(smooth), outcomes[i]))
        self.add(whole)


def check_mode(mode: str) -> None:
    """Refuse what is no way to race.

    Raises:
        InputError: there is no such mode.
    """
    if mode not in RACING[1:]:
        raise unknown("racing", mode, RACING)


def first_and_rest(costs: np.ndarray, least: int = 2 * FIRST) -> list[np.ndarray]:
    """Which of many networks are scored first, for the others to race against, and which then.

    Args:
        costs: (n, k).
        least: networks that are many.

    Returns:
        Positions: some that are spread over the first cost, half or `FIRST` of them, and the
        others; all, of fewer than `least`.
    """
    order = np.argsort(costs[:, 0], kind="stable")
    if len(order) < least:
        return [np.sort(order)]
    spread = np.linspace(0, len(order) - 1, min(FIRST, len(order) // 2))
    first = order[spread.round().astype(int)]
    return [np.sort(first), np.setdiff1d(order, first)]


def order_of(batches: int, seed: int) -> list[int]:
    """A random order of batches, so that races of different seeds do not share the luck of one.

    By PCG64's raw stream, which numpy guarantees never to change.

    Args:
        batches: how many there are.
        seed: of the order.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(batches), kind="stable").tolist()


def looks_of(first: float, images: int) -> np.ndarray:
    """Numbers of images after which a confident race looks, so that each look tells as much more.

    Args:
        first: images before the first look.
        images: of which it sees `LAST_LOOK` before the last.

    Returns:
        Whole numbers (LOOKS,), about evenly spaced on the logarithm of `clock`.
    """
    begin, end = clock(np.array([first, max(first, LAST_LOOK * images)]), images).tolist()
    ticks = np.geomspace(begin, end, LOOKS)
    return np.asarray(np.rint(ticks / (1 + ticks / images)))


def parts_of(ends: np.ndarray, looks: np.ndarray) -> list[range]:
    """Places in the order, cut where a look is due: after the batch in which so many were seen.

    Args:
        ends: images up to the end of each batch.
        looks: numbers of images, rising.
    """
    after = np.searchsorted(ends, looks) + 1
    cuts = [0, *np.unique(after[after < len(ends)]).tolist(), len(ends)]
    return [range(*pair) for pair in pairwise(cuts)]


def clock(seen: np.ndarray, images: int) -> np.ndarray:
    """How much a mean of images that are not put back tells of all: it is the inverse variance."""
    return np.asarray(seen / (1 - seen / images))


def critical_value(clocks: np.ndarray, alpha: float) -> float:
    """By how many standard errors a mean may exceed the truth at any of several looks.

    The estimates' probability of having stayed below it is handed on from look to look, on nodes of
    a Gauss-Legendre quadrature (Armitage, McPherson and Rowe, Repeated significance tests on
    accumulating data, 1969).

    Args:
        clocks: inverse variances at the looks, rising, (looks,).
        alpha: probability that a mean ever does, above 0 and below 0.5.
    """
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)

    def crossed(z: float) -> float:
        half = (z + LEAST) / 2
        at, w = half * (nodes + 1) - LEAST, half * weights
        density = _normal(at, 1.0)
        for before, now in pairwise(clocks):
            kept = math.sqrt(before / now)
            density = _normal(at[:, None] - kept * at, math.sqrt(1 - before / now)) @ (w * density)
        return 1 - float(w @ density)

    low, high = 0.0, 8.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if crossed(middle) > alpha else (low, middle)
    return high


def _normal(x: np.ndarray, deviation: float) -> np.ndarray:
    return np.asarray(np.exp(-((x / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi)))
