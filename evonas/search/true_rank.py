"""True-rank search: depth, width, operations and kernels in turn, each candidate trained.

Siddiqui, Kyrkou and Theocharides, "True Rank Guided Efficient Neural Architecture Search for End to
End Low-Complexity Network Discovery", CAIP 2023.
"""

import math
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.core.termination import NoTermination
from pymoo.util.display.multi import MultiObjectiveOutput

from evonas.errors import InputError
from evonas.search.evaluator import DistinctEvaluator
from evonas.search.parts import canonical_of, check_settings
from evonas.search.true_rank_course import PHASES, Candidate, Decision, Measured, Walk, get_rules
from evonas.spaces import PlainSpace

IMAGES = 10_000  # of the evaluation set, where a problem does not state its size


class TrueRankSearch(Algorithm):
    """The four phases of TRG-NAS on any problem over a `PlainSpace`; one candidate an iteration.

    From the shallowest network of the widest, all separable with the smallest kernels:

    - depth: one step deeper each time; kept if better by `depth_gain`, passed over if not worse by
      more than `depth_loss`, else the phase ends, as it does where the network kept is at `target`;
    - width: one step narrower each time, as long as not worse than the depth kept by more than
      `width_loss`;
    - operations: layer by layer a full convolution, kept if better by more than `gain`;
    - kernels: layer by layer the larger ones, likewise.

    Everything is decided by the objective "error" in percent, compared in whole images of the
    evaluation set. Every candidate is a point of the front: the result is not only the last one
    kept. No random number is drawn.

    Args:
        rules: "log", which reproduces the published search log, or "published", as the script has
            it: all layers are searched, any gain counts, and the depth phase ends half a point
            before the target, or at 100 % training accuracy.
        depth_gain: points of accuracy; this and the following are put over the rules.
        depth_loss: points of accuracy.
        target: accuracy in percent.
        fitted: whether 100 % training accuracy of the network kept ends the depth phase (asked of
            ``problem.training_accuracy(X) -> (n,)``, where it has that).
        width_loss: points of accuracy.
        gain: points of accuracy.
        layers: share of the layers, from the first on, whose operations and kernels are searched.
        images: of the evaluation set; by default ``problem.evaluation_images``, else 10,000.

    The last candidate kept is held by ``problem.hold(X)``, where it has that, so that its weights
    stay even if a candidate before it dominates it.

    How far apart trainings of one network are is asked of ``problem.training_errors(X) -> (n,
    trainings)``, in percent, where it has that and ``problem.trainings`` is more than one.

    Attributes:
        decisions: what was made of each candidate, and by what margin.
        architecture: the genome (n_var,) of the last candidate kept; None before one was.

    Raises:
        InputError: there are no such rules or settings, or a number is out of range; where the
            search begins: the problem is not one of a `PlainSpace`, or has no error.
    """

    def __init__(
        self,
        rules: str = "log",
        *,
        depth_gain: float | None = None,
        depth_loss: float | None = None,
        target: float | None = None,
        fitted: bool | None = None,
        width_loss: float | None = None,
        gain: float | None = None,
        layers: float | None = None,
        images: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Store the settings."""
        check_settings(self, kwargs)
        # It ends by itself: pymoo's default would look for a front that no longer moves.
        kwargs.setdefault("termination", NoTermination())
        super().__init__(output=MultiObjectiveOutput(), **kwargs)
        self.rules = get_rules(
            rules,
            depth_gain=depth_gain,
            depth_loss=depth_loss,
            target=target,
            fitted=fitted,
            width_loss=width_loss,
            gain=gain,
            layers=layers,
        )
        whole = isinstance(images, int | np.integer) and not isinstance(images, bool)
        if images is not None and not (whole and images >= 1):
            raise InputError(f"images is {images}; give the number of images of the evaluation set")
        self.images = images
        self.known: Population = Population.empty()
        self.decisions: tuple[Decision, ...] = ()
        self.architecture: np.ndarray | None = None
        self._measured: list[Measured] = []

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        space = check_problem(problem)
        self._error = _objectives(problem).index("error")
        images = self.images or getattr(problem, "evaluation_images", None) or IMAGES
        trainings = getattr(problem, "trainings", 1)
        self._walk = Walk(space, problem.space.allowed, self.rules, images, trainings)

    def _next(self) -> Candidate | None:
        """Walk again over what is known; a generator under way could not be copied."""
        course = iter(self._walk)
        try:
            candidate = next(course)
            for measured in self._measured:
                candidate = course.send(measured)
        except StopIteration:
            return None
        finally:
            self.decisions = tuple(self._walk.decisions)
            best = self._walk.best
            self.architecture = None if best is None else self._genome(best[0])
        return candidate

    def _genome(self, architecture: Any) -> np.ndarray:
        """In the numbering of the problem's space."""
        space = self.problem.space
        told = space.base.genome(architecture)[None]
        return space.lower(space.base.completed(told, space.allowed))[0]

    def _initialize_infill(self) -> Population | None:
        return self._infill()

    def _infill(self) -> Population | None:
        candidate = self._next()
        if candidate is None:
            self.termination.terminate()
            return None
        return Population.new(X=self._genome(candidate.architecture)[None])

    def _initialize_advance(self, infills: Any = None, **kwargs: Any) -> None:
        self._advance(infills)

    def _advance(self, infills: Any = None, **kwargs: Any) -> None:
        if infills is not None:
            self._measured.append(self._measure(infills[0]))
            self.known = Population.merge(self.known, infills)
        self.pop = self.known
        if self._next() is None:
            self.termination.terminate()
        hold = getattr(self.problem, "hold", None)
        if callable(hold) and self.architecture is not None:
            # The network that was decided for may be dominated by one before it.
            hold(self.architecture[None])

    def _measure(self, individual: Any) -> Measured:
        if not np.all(individual.FEAS):
            return Measured(None)
        accuracy = 100.0 - float(individual.F[self._error])
        # A mean over trainings is a whole number of images for each of them.
        images, trainings = self._walk.images, self._walk.trainings
        correct = round(accuracy / 100 * images * trainings) / trainings
        return Measured(correct, self._fitted(individual), self._each(individual))

    def _fitted(self, individual: Any) -> bool:
        tell = getattr(self.problem, "training_accuracy", None)
        return self.rules.fitted and callable(tell) and bool(tell(individual.X[None])[0] >= 100.0)

    def _each(self, individual: Any) -> tuple[float, ...]:
        """Images told right by each training; none where one failed, or there is only one."""
        tell = getattr(self.problem, "training_errors", None)
        if self._walk.trainings == 1 or not callable(tell):
            return ()
        errors = tell(individual.X[None])[0]
        if np.isnan(errors).any():
            return ()
        return tuple(np.round((100.0 - errors) / 100 * self._walk.images).tolist())

    def search_details(self) -> dict[str, float]:
        """The last decision in numbers, for the journal and the history; see `numbers_of`.

        What is not defined is left out.
        """
        if not self.decisions:
            return {}
        numbers = numbers_of(self.decisions[-1])
        return {name: value for name, value in numbers.items() if not math.isnan(value)}


def numbers_of(decision: Decision) -> dict[str, float]:
    """A decision in numbers by name; NaN where one is not defined.

    ``phase`` counts from 1 (depth) to 4 (kernels); ``kept`` is 1 or 0; ``correct``, ``reference``,
    ``margin`` and ``noise`` are images (see `Decision`), ``exceeds_noise`` is 1 or 0.
    """
    compared = not math.isnan(decision.margin)
    return {
        "phase": PHASES.index(decision.phase) + 1.0,
        "kept": float(decision.outcome == "kept"),
        "correct": decision.correct,
        "reference": decision.reference,
        "margin": decision.margin,
        "noise": decision.noise,
        "exceeds_noise": float(decision.exceeds_noise) if compared else math.nan,
    }


def plain_space_of(problem: Any) -> PlainSpace:
    """The unrestricted space of a problem of plain chains.

    Raises:
        InputError: it has another space, or none.
    """
    space = getattr(problem, "space", None)
    base = getattr(space, "base", None)
    if not isinstance(base, PlainSpace):
        has = f"the space '{space.name}'" if space is not None else "no space"
        raise InputError(
            f"true-rank search goes through depth, width, operations and kernels of the space "
            f"'plain', and the problem has {has}; give --space plain, or another algorithm"
        )
    return base


def check_problem(problem: Any) -> PlainSpace:
    """Refuse a problem that a true-rank search cannot decide on; its unrestricted space.

    Raises:
        InputError: it is not one of plain chains, has no error, or some of its networks are trained
            longer than others.
    """
    space, names = plain_space_of(problem), _objectives(problem)
    if "error" not in names:
        raise InputError(
            f"true-rank search decides by the error, and the objectives are {', '.join(names)}"
        )
    if not getattr(problem, "equal_footing", True):
        raise InputError(
            "true-rank search compares networks that are trained equally long; leave "
            "--scratch.promotion out"
        )
    return space


def _objectives(problem: Any) -> tuple[str, ...]:
    return tuple(getattr(problem, "objectives", ("error",)))


def most_candidates(space: PlainSpace) -> int:
    """Candidates that a search trains at most, whatever its rules."""
    return len(space.depths) + len(space.widths) - 1 + space.layers * len(space.kernels)


def true_rank(
    problem: Any,
    *,
    rules: str = "log",
    depth_gain: float | None = None,
    depth_loss: float | None = None,
    target: float | None = None,
    fitted: bool | None = None,
    width_loss: float | None = None,
    gain: float | None = None,
    layers: float | None = None,
    images: int | None = None,
) -> TrueRankSearch:
    """`TrueRankSearch`; settings as there."""
    space = check_problem(problem)
    # It ends by itself, and asks for nothing twice: many in a row may break a limit, and one that
    # keeps it come after them.
    evaluator = DistinctEvaluator(canonical_of(problem), patience=most_candidates(space) + 1)
    return TrueRankSearch(
        rules,
        depth_gain=depth_gain,
        depth_loss=depth_loss,
        target=target,
        fitted=fitted,
        width_loss=width_loss,
        gain=gain,
        layers=layers,
        images=images,
        evaluator=evaluator,
    )
