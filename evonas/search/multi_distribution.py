"""One search for several architectures of different complexity, which learn from each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.sampling import Sampling
from pymoo.util.display.column import Column
from pymoo.util.display.multi import MultiObjectiveOutput

from evonas.errors import InputError
from evonas.operators import CategoricalDistributions, SeenBefore
from evonas.operators.genomes import as_genomes, genome_keys, integer_bounds
from evonas.problems.costs import Cost
from evonas.search.beforehand import Beforehand
from evonas.search.distribution_settings import SAMPLES, DistributionSettings
from evonas.search.evaluator import DistinctEvaluator
from evonas.search.learner import Learnt, checked_coefficients
from evonas.search.parts import (
    Elite,
    canonical_of,
    check_settings,
    choose_sampling,
    population_size,
)
from evonas.search.registry import DISTRIBUTIONS

# Without learning, so many of the likeliest genomes of each distribution are looked through.
DEEPEST = 4096


class DistributionsOutput(MultiObjectiveOutput):
    """pymoo's columns, and how the distributions do."""

    def __init__(self) -> None:
        """Three more columns."""
        super().__init__()
        self.effective = Column("eff_samples")
        self.entropy = Column("entropy")
        self.step = Column("step")
        self.columns += [self.effective, self.entropy, self.step]

    def update(self, algorithm: Any) -> None:
        """Means over the distributions after a generation."""
        super().update(algorithm)
        learnt = algorithm.learnt
        if learnt is not None:
            self.effective.set(float(learnt.effective_samples.mean()))
            self.entropy.set(float(learnt.entropy.mean()))
            self.step.set(float(learnt.step.mean()))


class MultiDistributionSearch(Algorithm):
    """M categorical distributions, each for a trade-off of its own, learn from one pool of samples.

    Each minimises error plus its coefficient times cost, by natural gradient (ASNG: Akimoto et al.,
    ICML 2019), from the samples of all, by importance weights (Noda, Saito, Shirakawa, ICANN 2022).
    What evonas chose where the paper leaves it open: how coefficients are spaced; ranks are shares
    of all importance of a distribution (`self_normalised`); a step is as many times longer as the
    pool counts for more samples than its own (`stretched`; nothing changes for one distribution).

    What violates a limit ranks last. Where most of a pool does, and the problem names feasible
    genomes (`feasible_genomes`), these are drawn instead, as likely as the distributions make them.

    Networks that are drawn again are served from what was evaluated. Of a budget `("n_eval", n)`
    the last evaluations are kept for likeliest architectures that were never drawn.

    Args:
        distributions: M.
        samples_per_distribution: drawn from each in a generation, from 2 on: one has no rank.
        pooled: whether each learns from the samples of all, or from its own only.
        variant: "a" ranks by error plus penalty; "b" by error, and follows the gradient of the
            penalty, which needs a cost that is known beforehand (two objectives).
        step: "asng", or "fixed": one over the number of all choices.
        coefficients: of the second objective in units of the first, ascending, (M,); of "b" those
            of the cost as share of the largest that a choice adds, against a utility from -1 to 1.
            Or a vector of weights for each distribution, (M, n_obj), which multiply the objectives
            as they are. By default spaced over the range of cost.
        self_normalised: see above.
        stretched: see above; a number makes all steps so many times longer.
        probabilities: (M, n_var, max choices) to begin with, or `CategoricalDistributions`; uniform
            by default.
        learning: False leaves distributions as they are: their likeliest networks are evaluated,
            in turn the likeliest left of each that keeps the limits; where none of them is among
            the 4096 likeliest, samples. For what `JointLearning` has learnt.
        sampling: genomes (n, n_var) or a Population to evaluate first; they teach nothing.
        cheap: index of an objective -> its function X (n, n_var) -> (n,), for a problem that has no
            `cheap_values`.
        evaluator: pymoo's; by default one that spends evaluations on new networks only.

    Attributes:
        distributions: the `CategoricalDistributions`, once set up.
        architectures: the likeliest genome of each distribution, int (M, n_var); where that
            violates a limit, the likeliest of all evaluated that do not.
        coefficients: as used: (M,) for two objectives, of the second in units of the first; else
            weights (M, n_obj); of variant "b" as given there. None as long as the first generations
            have to tell the range of an objective.
        learnt: `Learnt` of the last generation; None before the first.

    Raises:
        InputError: a setting is wrong; on set-up: the problem has one objective, coefficients are
            not for its objectives, or "b" has no cost that is known beforehand; later: an objective
            is no finite number, or not what `cheap` says.
    """

    def __init__(
        self,
        distributions: int = DISTRIBUTIONS,
        samples_per_distribution: int = SAMPLES,
        pooled: bool = True,
        variant: str = "a",
        step: str = "asng",
        *,
        coefficients: Any = None,
        self_normalised: bool = True,
        stretched: bool | float = True,
        probabilities: np.ndarray | CategoricalDistributions | None = None,
        learning: bool = True,
        sampling: Any = None,
        cheap: Mapping[int, Cost] | None = None,
        evaluator: Evaluator | None = None,
        **kwargs: Any,
    ) -> None:
        """Check and store the settings."""
        check_settings(self, kwargs)
        super().__init__(output=DistributionsOutput(), evaluator=evaluator, **kwargs)
        self.settings = DistributionSettings(
            distributions,
            samples_per_distribution,
            pooled,
            variant,
            step,
            coefficients,
            self_normalised,
            stretched,
            probabilities,
        )
        self.n_distributions = self.settings.distributions
        self.samples_per_distribution = self.settings.samples_per_distribution
        self.n_offsprings = self.n_distributions * self.samples_per_distribution
        self.learning = bool(learning)
        self.sampling, self.cheap = sampling, cheap
        self.learnt: Learnt | None = None
        self._own_evaluator = evaluator is None
        self._replayed: np.ndarray | None = None
        self._learns = True  # from the generation under way

    @property
    def distributions(self) -> CategoricalDistributions:
        """As they stand."""
        return self._learner.distributions

    @property
    def architectures(self) -> np.ndarray:
        """The likeliest genome of each distribution that violates no limit, int (M, n_var)."""
        X = self._low + self.distributions.argmax()
        violating = {key for key, genome in self._seen.items() if genome is None}
        wrong = ~self._feasible(X) | [key in violating for key in self._keys(X)]
        good = [genome for genome in self._seen.values() if genome is not None]
        if wrong.any() and good:
            likeliest = self.distributions.log_probability(good - self._low).argmax(axis=1)
            X[wrong] = np.array(good)[likeliest[wrong]]
        return X

    @property
    def least_evaluations(self) -> int:
        """Of a budget: one for each architecture, and before them one pool to learn from."""
        return self.n_distributions + (self.n_offsprings if self.learning else 0)

    @property
    def coefficients(self) -> np.ndarray | None:
        """Of cost in units of error, (M,), or weights (M, n_obj) of more than two objectives."""
        return self.settings.coefficients_of(self._learner)

    # -- what a journal keeps -----------------------------------------------------------------

    def search_state(self) -> dict[str, Any]:
        """What the next step depends on beside archive and generator, as JSON can hold it."""
        return {"learns": self._learns, **self._learner.state()}

    def search_details(self) -> dict[str, float]:
        """Numbers of the last generation for the history; none where nothing was learnt."""
        if self.learnt is None or not self._learns:
            return {}
        return self.learnt.numbers()

    def replay(self, X: np.ndarray, state: Mapping[str, Any]) -> None:
        """Let the next `ask` give these genomes (n, n_var), and go on from `state` afterwards."""
        self._replayed = as_genomes(X)
        if state:
            self._learns = bool(state["learns"])
            self._learner.restore(state)

    def start_from(self, population: Population) -> None:
        """Begin with evaluated networks."""
        self._keep(population)

    # -- pymoo's interface --------------------------------------------------------------------

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        self._low, _ = integer_bounds(problem)
        self.eliminate_duplicates = SeenBefore(canonical_of(problem))
        if self._own_evaluator and kwargs.get("evaluator") is None:
            self.evaluator = DistinctEvaluator(canonical_of(problem))
        self._elite = Elite()
        # What was evaluated: its genome, or None where that violates a limit.
        self._seen: dict[bytes, np.ndarray | None] = {}
        self._least_wrong = Population.empty()
        self._first = None if self.sampling is None else _genomes(problem, self.sampling)
        known = Beforehand.of(problem, self.cheap)
        self._known = None if self.cheap is None else known  # else there is nothing to check
        self._feasible_genomes = None if known.genomes is None else as_genomes(known.genomes)
        if not self.learning and self.settings.probabilities is None:
            raise InputError("learning=False needs probabilities that were learnt before")
        self._learner = self.settings.learner(problem, known, self.random_state)

    def _initialize_infill(self) -> Population:
        first = [] if self._first is None else [self._first]
        if not self.learning:
            first.insert(0, self._likeliest(self.n_distributions))
        if not sum(map(len, first)) or self._replayed is not None:
            return self._infill()
        self._learns = False
        return Population.new(X=np.concatenate(first))

    def _infill(self) -> Population:
        if self._replayed is not None:
            X, self._replayed = self._replayed, None
            return Population.new(X=X)
        left = self._evaluations_left()
        if not self.learning:
            self._learns = False
            X = self._likeliest(self.n_offsprings)
            if len(X):
                return Population.new(X=X[:left])
        X = self._low + self._learner.draw(self.samples_per_distribution, self.random_state)
        X = self._mostly_feasible(X)
        self._learns = self.learning
        if left is None:
            return Population.new(X=X)
        kept, new = self.n_distributions, self._new(X)
        if left <= kept:
            likeliest = self._new(self.architectures)
            # Those that were never drawn; where there is none, what is left goes to samples.
            X = next((some[:left] for some in (likeliest, new) if len(some)), X)
            self._learns = False
        elif len(new) > left - kept:
            X = new[: left - kept]
            self._learns = False
        return Population.new(X=X)

    def _likeliest(self, n: int) -> np.ndarray:
        """The next n genomes that would be evaluations: in turn the likeliest left of each.

        Fewer, or none, where there are no more among the `DEEPEST` likeliest of each.
        """
        M, deep = self.n_distributions, n
        while True:
            ranked = self.distributions.likeliest(deep)
            X = self._low + ranked.reshape(-1, ranked.shape[2])
            own = np.repeat(np.arange(M), ranked.shape[1])
            logs = self.distributions.log_probability(X - self._low)[own, np.arange(len(X))]
            keys, unseen = self._unseen(X)
            fit = unseen & np.isfinite(logs)
            left = [iter(np.flatnonzero(fit & (own == m)).tolist()) for m in range(M)]
            taken: dict[bytes, int] = {}
            while len(taken) < n and left:
                for queue in list(left):
                    i = next((i for i in queue if keys[i] not in taken), None)
                    if i is None:
                        left.remove(queue)
                    elif len(taken) < n:
                        taken[keys[i]] = i
            if len(left) == M or ranked.shape[1] < deep or deep >= DEEPEST:
                return X[list(taken.values())]
            deep = min(4 * deep, DEEPEST)

    def _mostly_feasible(self, X: np.ndarray) -> np.ndarray:
        """A pool in which genomes that were not evaluated yet replace too many infeasible ones."""
        genomes = self._feasible_genomes
        if genomes is None:
            return X

        def unseen() -> np.ndarray:
            new = self._new(genomes)
            return (new if len(new) else genomes) - self._low

        return self._low + self._learner.mostly_feasible(
            X - self._low, self._feasible(X), unseen, self.random_state
        )

    def _initialize_advance(self, infills: Any = None, **kwargs: Any) -> None:
        self._advance(infills)

    def _advance(self, infills: Any = None, **kwargs: Any) -> None:
        if infills is None or not len(infills):
            return
        X = as_genomes(infills.get("X"))
        F = np.asarray(infills.get("F"), dtype=float)
        violation = np.asarray(infills.get("CV"), dtype=float)[:, 0]
        self._check(X, F, violation <= 0)
        self._keep(infills)
        if self._learns:
            self.learnt = self._learner.learn(X - self._low, F, violation)
        best = Population.create(*self._elite) if len(self._elite) else self._least_wrong
        self.pop = Population.merge(best, infills)

    def _check(self, X: np.ndarray, F: np.ndarray, met: np.ndarray) -> None:
        bad = met & ~np.isfinite(F).all(axis=1)
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"the objectives of the genome {X[i].tolist()} are {F[i].tolist()}; give finite "
                "numbers, or make it violate a constraint"
            )
        if self._known is not None and met.any():
            self._known.check(X[met], F[met])

    def _set_optimum(self) -> None:
        """The non-dominated of everything evaluated; where nothing is feasible, pymoo's choice."""
        if len(self._elite):
            self.opt = Population.create(*self._elite)
        else:
            super()._set_optimum()

    # -- what was evaluated -------------------------------------------------------------------

    def _keep(self, population: Population) -> None:
        """Take what is new into the set of all evaluated, and into the front if it belongs."""
        new: dict[bytes, int] = {}
        for i, key in enumerate(self._keys(as_genomes(population.get("X")))):
            if key not in self._seen:
                new.setdefault(key, i)
        members = population[list(new.values())]
        if not len(members):
            return
        met = np.asarray(members.get("FEAS"), dtype=bool).reshape(-1)
        X = as_genomes(members.get("X"))
        for key, genome, fits in zip(new, X, met, strict=True):
            self._seen[key] = genome if fits else None
        if met.any():
            self._elite = self._elite.add(members[met])
        elif not len(self._elite):
            wrong = Population.merge(self._least_wrong, members)
            self._least_wrong = wrong[[int(np.argmin(wrong.get("CV")[:, 0]))]]

    def _keys(self, X: np.ndarray) -> list[bytes]:
        canonical = self.eliminate_duplicates.canonical
        return genome_keys(X if canonical is None else canonical(X))

    def _feasible(self, X: np.ndarray) -> np.ndarray:
        feasible = getattr(self.problem, "feasible", None)
        if not callable(feasible) or not self.problem.has_constraints():
            return np.ones(len(X), dtype=bool)
        return np.asarray(feasible(X), dtype=bool)

    def _new(self, X: np.ndarray) -> np.ndarray:
        """The genomes that would be evaluations, each network once."""
        keys, unseen = self._unseen(X)
        first: dict[bytes, int] = {}
        for i in np.flatnonzero(unseen):
            first.setdefault(keys[i], int(i))
        return X[list(first.values())]

    def _unseen(self, X: np.ndarray) -> tuple[list[bytes], np.ndarray]:
        """Keys of genomes, and whether each violates no limit and is not evaluated yet, (n,)."""
        keys = self._keys(X)
        new = np.array([key not in self._seen for key in keys], dtype=bool)
        return keys, self._feasible(X) & new

    def _evaluations_left(self) -> int | None:
        """Of a budget in evaluations; None where the search ends by something else."""
        most = getattr(self.termination, "n_max_evals", None)
        if most is None or not np.isfinite(most):
            return None
        return max(0, int(most) - int(self.evaluator.n_eval))


def _genomes(problem: Any, sampling: Any) -> np.ndarray:
    """Genomes that were given to begin with, (n, n_var)."""
    chosen = choose_sampling(problem, sampling)
    if isinstance(chosen, Sampling):
        raise InputError(
            "multi-distribution samples from its distributions; give genomes as sampling, or "
            "probabilities"
        )
    return as_genomes(chosen.get("X") if isinstance(chosen, Population) else chosen)


def multi_distribution(
    problem: Any,
    *,
    pop_size: int | None = None,
    distributions: int | None = None,
    samples_per_distribution: int | None = None,
    pooled: bool | None = None,
    variant: str | None = None,
    step: str | None = None,
    coefficients: Any = None,
    self_normalised: bool | None = None,
    stretched: bool | float | None = None,
    probabilities: np.ndarray | CategoricalDistributions | None = None,
    learning: bool | None = None,
    sampling: Any = None,
    cheap: Mapping[int, Cost] | None = None,
) -> MultiDistributionSearch:
    """`MultiDistributionSearch`; settings as in `get_algorithm`.

    Where nothing else is said, `pop_size` is the size of the pool: as many samples of each
    distribution as it holds, and two at least.
    """
    size = population_size("pop_size", pop_size)
    if distributions is not None:
        distributions = population_size("distributions", distributions, least=1)
    if samples_per_distribution is None:
        given = checked_coefficients(coefficients)
        M = distributions or (DISTRIBUTIONS if given is None else len(given))
        samples_per_distribution = max(SAMPLES, size // M)
    if sampling is not None:
        _genomes(problem, sampling)
    settings: dict[str, Any] = {
        "distributions": distributions,
        "pooled": pooled,
        "variant": variant,
        "step": step,
        "self_normalised": self_normalised,
        "stretched": stretched,
        "learning": learning,
    }
    return MultiDistributionSearch(
        samples_per_distribution=samples_per_distribution,
        coefficients=coefficients,
        probabilities=probabilities,
        sampling=sampling,
        cheap=cheap,
        **{name: value for name, value in settings.items() if value is not None},
    )
