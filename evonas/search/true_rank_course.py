"""The course of a true-rank search: which candidate is next, given what those before reached.

Siddiqui, Kyrkou and Theocharides, CAIP 2023; rules as their published search log has them, or as
their published script. Accuracies are compared in whole images of the evaluation set: a comparison
of percentages would hang on their last digits.
"""

import math
import numbers
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean, variance

from evonas.errors import InputError, unknown
from evonas.spaces import PlainArchitecture, PlainSpace
from evonas.spaces.plain import FULL, SEPARABLE
from evonas.spaces.space import BoolArray

PHASES = ("depth", "width", "operations", "kernels")

# Two differences in three lie within one standard deviation by chance alone, 19 of 20 within two.
DEVIATIONS = 2.0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All thresholds, in points of accuracy.

    Attributes:
        depth_gain: what a deeper network has to be better by, at least, to be kept.
        depth_loss: what it may be worse by, at most, for the search to try a still deeper one.
        target: accuracy in percent of the network kept at which the depth phase ends.
        fitted: whether it also ends at 100 % training accuracy of that network, where the problem
            tells it.
        width_loss: what a narrower network may be worse by, at most, than the depth kept.
        gain: what a full convolution or a larger kernel has to be better by, to be kept; more than
            this.
        layers: share of the layers, from the first on, whose operations and kernels are searched.
    """

    depth_gain: float
    depth_loss: float
    target: float
    fitted: bool
    width_loss: float
    gain: float
    layers: float


# The log of the published search and the published script disagree.
RULES = {
    "log": Rules(
        depth_gain=0.25,
        depth_loss=0.15,
        target=99.0,
        fitted=False,
        width_loss=0.5,
        gain=0.10,
        layers=2 / 3,
    ),
    "published": Rules(
        depth_gain=0.25,
        depth_loss=0.15,
        target=98.5,  # 99 less a half
        fitted=True,
        width_loss=0.5,
        gain=0.0,
        layers=1.0,
    ),
}


def get_rules(name: str, **thresholds: float | bool | None) -> Rules:
    """Rules by name, with some thresholds put over them; ``None`` leaves one as it is.

    Raises:
        InputError: There are no such rules, or a threshold is out of range.
    """
    if not isinstance(name, str) or name not in RULES:
        raise unknown("rules", name, RULES)
    given = {key: value for key, value in thresholds.items() if value is not None}
    for field in fields(Rules):
        value = given.get(field.name, 0.0)
        if field.name == "fitted":
            if value not in (True, False):
                raise InputError(f"fitted is {value!r}; give True or False")
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise InputError(f"{field.name} is {value!r}; give a number")
        if not math.isfinite(value) or value < 0:
            raise InputError(f"{field.name} is {value}; give a number of at least 0")
    rules = replace(RULES[name], **given)  # type: ignore[arg-type]
    if rules.layers > 1:
        raise InputError(f"layers is {rules.layers}; give a share of all layers, from 0 to 1")
    return rules


@dataclass(frozen=True)
class Candidate:
    """A network to be trained, and in which phase."""

    phase: str
    architecture: PlainArchitecture


@dataclass(frozen=True)
class Measured:
    """What a candidate reached.

    Attributes:
        correct: images told right, on average over its trainings; None where it is infeasible.
        fitted: whether it reached 100 % on the images that it was trained on.
        each: images told right by each of its trainings, where that is known.
    """

    correct: float | None
    fitted: bool = False
    each: tuple[float, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What was made of one candidate.

    Attributes:
        phase: one of `PHASES`.
        architecture: the candidate.
        outcome: "kept", "rejected", "passed" (a deeper network that is not kept, but may lead to a
            better one) or "infeasible".
        correct: images that it told right; NaN where it is infeasible.
        reference: images that the network told right with which it was compared; NaN for the
            first one.
        margin: images that the decision hangs on: had the candidate told so many more or fewer
            right, the outcome would have been another one. NaN where nothing was compared.
        noise: images within which two equally good networks differ in 95 % of cases: by their
            binomial spread, or, where that is larger, by how far apart trainings of one network
            were, of all candidates so far.
    """

    phase: str
    architecture: PlainArchitecture
    outcome: str
    correct: float
    reference: float
    margin: float
    noise: float

    @property
    def exceeds_noise(self) -> bool:
        """Whether the decision hangs on more than noise."""
        return self.margin > self.noise


Course = Generator[Candidate, Measured, None]


class Walk:
    """One walk through the four phases; decisions are added as candidates are measured.

    Args:
        space: the unrestricted space.
        allowed: choices that candidates may have, bool ``(n_var, max choices)``.
        rules: all thresholds.
        images: of the evaluation set.
        trainings: of each network, whose images told right are averaged.
    """

    def __init__(
        self, space: PlainSpace, allowed: BoolArray, rules: Rules, images: int, trainings: int
    ) -> None:
        """Nothing is measured yet."""
        self.space, self.allowed, self.rules = space, allowed, rules
        self.images, self.trainings = images, trainings
        self.decisions: list[Decision] = []
        self.best: tuple[PlainArchitecture, float] | None = None
        self._spread: list[float] = []  # of trainings of each candidate, in images squared

    def __iter__(self) -> Course:
        """Candidates; each is answered with what it reached."""
        self.decisions, self.best = [], None
        self._spread = []
        yield from self._depth()
        if self.best is None:
            return
        yield from self._width(*self.best)
        layers = math.floor(self.rules.layers * self.best[0].depth + 1e-9)
        yield from self._operations(range(layers))
        yield from self._kernels(range(layers))

    def _depth(self) -> Course:
        depths = self._allowed(0, self.space.depths)
        widest_first = self._allowed(1, self.space.widths)[::-1]
        for width in widest_first:
            # The first network that keeps the limits is begun with: the widest, where it does.
            first = self._initial(depths[0], width)
            measured = yield Candidate("depth", first)
            if measured.correct is not None:
                break
            self._decide("depth", first, measured, "infeasible")
        else:
            return
        self._decide("depth", first, measured, "kept")
        kept, correct = measured, measured.correct
        for depth in depths[1:]:
            # By the network kept, as the script has it: one that is passed over tells nothing.
            if self._reached_target(kept):
                return
            deeper = self._initial(depth, first.width)
            measured = yield Candidate("depth", deeper)
            if measured.correct is None:
                self._decide("depth", deeper, measured, "infeasible")
                return
            least, most = self._images(-self.rules.depth_loss), self._images(self.rules.depth_gain)
            better = measured.correct - correct
            outcome = "kept" if better >= most else "passed" if better >= least else "rejected"
            margin = min(abs(better - least), abs(better - most))
            self._decide("depth", deeper, measured, outcome, correct, margin)
            if outcome == "rejected":
                return
            if outcome == "kept":
                kept, correct = measured, measured.correct

    def _width(self, kept: PlainArchitecture, correct: float) -> Course:
        for width in self._allowed(1, self.space.widths)[::-1]:
            if width >= kept.width:
                continue
            narrower = kept._replace(width=width)
            measured = yield Candidate("width", narrower)
            if measured.correct is None:
                self._decide("width", narrower, measured, "infeasible")
                return
            # Against the depth that was kept, however many steps ago.
            spare = round(measured.correct - correct + self._images(self.rules.width_loss), 6)
            outcome = "kept" if spare >= 0 else "rejected"
            self._decide("width", narrower, measured, outcome, correct, abs(spare))
            if outcome == "rejected":
                return

    def _operations(self, layers: Sequence[int]) -> Course:
        for layer in layers:
            assert self.best is not None
            held = self.best[0].operations
            if held[layer] == FULL or not self.allowed[self.space.operation_genes[layer], FULL]:
                continue
            changed = self.best[0]._replace(operations=_with(held, layer, FULL))
            yield from self._try("operations", changed)

    def _kernels(self, layers: Sequence[int]) -> Course:
        assert self.best is not None
        initial = self.best[0].kernels
        for layer in layers:
            for side in self._allowed(self.space.kernel_genes[layer], self.space.kernels):
                if side == initial[layer]:
                    continue
                kernels = _with(self.best[0].kernels, layer, side)
                yield from self._try("kernels", self.best[0]._replace(kernels=kernels))

    def _try(self, phase: str, changed: PlainArchitecture) -> Course:
        """A candidate that takes the place of the best one if it is better by enough."""
        assert self.best is not None
        measured = yield Candidate(phase, changed)
        if measured.correct is None:
            self._decide(phase, changed, measured, "infeasible")
            return
        held = self.best[1]
        spare = round(measured.correct - held - self._images(self.rules.gain), 6)
        outcome = "kept" if spare > 0 else "rejected"
        self._decide(phase, changed, measured, outcome, held, abs(spare))

    def _decide(
        self,
        phase: str,
        architecture: PlainArchitecture,
        measured: Measured,
        outcome: str,
        reference: float = math.nan,
        margin: float = math.nan,
    ) -> None:
        correct = math.nan if measured.correct is None else measured.correct
        if outcome == "kept":
            self.best = architecture, correct
        if len(measured.each) > 1:
            self._spread.append(variance(measured.each))
        noise = DEVIATIONS * math.sqrt(self._variance(correct) + self._variance(reference))
        self.decisions.append(
            Decision(phase, architecture, outcome, correct, reference, round(margin, 6), noise)
        )

    def _variance(self, correct: float) -> float:
        """Of the images told right by one network, on average, in images squared."""
        right = correct / self.images
        binomial = self.images * right * (1 - right)
        seen = fmean(self._spread) if self._spread else 0.0
        # A NaN, of what was not compared, stays one.
        return (seen if seen > binomial else binomial) / self.trainings

    def _images(self, points: float) -> float:
        """Points of accuracy as images; rounded, for a threshold of 0.1 is no binary fraction."""
        return round(points / 100 * self.images, 6)

    def _reached_target(self, measured: Measured) -> bool:
        assert measured.correct is not None
        reached = measured.correct >= self._images(self.rules.target)
        return reached or (self.rules.fitted and measured.fitted)

    def _allowed(self, gene: int, values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(v for choice, v in enumerate(values) if self.allowed[gene, choice])

    def _initial(self, depth: int, width: int) -> PlainArchitecture:
        """Separable convolutions of the first kernel throughout, where they are allowed."""
        separable = self.allowed[list(self.space.operation_genes), SEPARABLE]
        first = self.allowed[list(self.space.kernel_genes)].argmax(axis=1)
        return PlainArchitecture(
            depth,
            width,
            tuple(SEPARABLE if separable[layer] else FULL for layer in range(depth)),
            tuple(self.space.kernels[first[layer]] for layer in range(depth)),
        )


def _with(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*values[:place], value, *values[place + 1 :])
