"""Search that evaluates only what a model of the dear objectives and the exact costs promise."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from moocore import is_nondominated
from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
from pymoo.core.algorithm import Algorithm
from pymoo.core.crossover import Crossover
from pymoo.core.evaluator import Evaluator
from pymoo.core.initialization import Initialization
from pymoo.core.mating import Mating
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.survival import Survival
from pymoo.operators.selection.rnd import RandomSelection
from pymoo.util.display.multi import MultiObjectiveOutput
from scipy.stats import qmc, t

from evonas.errors import InputError
from evonas.operators import SaliencySampling, SeenBefore
from evonas.operators.choice_mutation import mutate_choices
from evonas.operators.choice_sampling import sample_choices
from evonas.operators.genomes import as_genomes, genome_keys, integer_bounds
from evonas.problems.costs import Cost
from evonas.search.beforehand import Beforehand
from evonas.search.features import Features
from evonas.search.gain import choose
from evonas.search.mutations import guided_mutation, tables_of
from evonas.search.parts import POP_SIZE, canonical_of, check_settings, population_size, variation
from evonas.search.surrogate import Belief, Surrogate, is_stale
from evonas.search.widening import further

INITIAL = 8  # networks evaluated before the first model
CHOSEN = 4  # networks evaluated between two models
CANDIDATES = 2_000  # networks that a model is asked about
# Parents for each member of a population: a model screens the offspring, so that it pays to look
# around more networks than the best (NAS-Bench-201, 200 evaluations: recall 0.37 instead of 0.27).
PARENTS = 3
SAMPLES = 16  # of what a candidate may be worth
TAIL = (0.0, 0.002, 0.01, 0.03)  # between them lies luck that is rare, and pays
# Degrees of freedom of a model's errors: it is surer of itself than it should be, and with normal
# ones a search may never again look at large networks of which it met a few bad ones.
FREEDOM = 5
# Evaluations spent between the same two sizes, by which a gain there is worth less: where fifty
# brought nothing, the next is not likely to; of a few that says nothing.
FEW, SPENT = 5, 2.0
FURTHER = 2.5  # genes moved, on average, in the offspring that are no neighbours


class ScreenedSearch(Algorithm):
    """Many offspring are generated, few evaluated: those that promise the most hypervolume.

    Costs that are known beforehand are exact; each other objective is modelled over one-hot genes
    and costs, with its uncertainty, and so is the violation of constraints that are not known
    beforehand. Offspring of the best networks and genomes from anywhere are
    screened by the expected gain of hypervolume (Emmerich et al., 2006; the scoring of many by
    cheap estimates as in NSGANetV2, Lu et al., 2020), and the few best evaluated.

    Where networks race (a problem with `images_saved`), models learn from those that were scored on
    all images: estimates of the others teach them nothing.

    A resumed search needs no model of earlier steps: `search_state` and `replay` carry what it
    knows.

    It may be told of a part of what it asked for, and asked again: what is under way is not
    proposed anew, and taken to be as good as its mean (`ask_for`, an asynchronous search).

    Args:
        pop_size: a third of the networks that offspring are made of, the best of all evaluated.
        n_initial: networks evaluated before the first model.
        n_offsprings: networks evaluated between two models.
        n_candidates: networks screened for them.
        sampling: draws the initial networks.
        crossover: of two parents.
        mutation: of an offspring.
        survival: picks the parents from all evaluated; by default rank and crowding.
        cheap: index of an objective -> its function X (n, n_var) -> (n,), for a problem that has
            no `cheap_values`.
        eliminate_duplicates: knows equal genomes; by default by the problem's `canonical`.
        evaluator: pymoo's, or one that spends evaluations on new networks only.

    Raises:
        InputError: a setting is wrong; on set-up: `cheap` names no objective.
    """

    def __init__(
        self,
        *,
        pop_size: int = POP_SIZE,
        n_initial: int = INITIAL,
        n_offsprings: int = CHOSEN,
        n_candidates: int = CANDIDATES,
        sampling: Any = None,
        crossover: Crossover | None = None,
        mutation: Mutation | None = None,
        survival: Survival | None = None,
        cheap: Mapping[int, Cost] | None = None,
        eliminate_duplicates: SeenBefore | None = None,
        evaluator: Evaluator | None = None,
        **kwargs: Any,
    ) -> None:
        """Store the settings; operators left out are chosen for the problem on set-up."""
        check_settings(self, kwargs)
        super().__init__(output=MultiObjectiveOutput(), evaluator=evaluator, **kwargs)
        self.pop_size = population_size("pop_size", pop_size)
        self.n_initial = population_size("n_initial", n_initial)
        self.n_offsprings = population_size("n_offsprings", n_offsprings, least=1)
        self.n_candidates = population_size("n_candidates", n_candidates, least=10)
        self.sampling, self.crossover, self.mutation = sampling, crossover, mutation
        self.survival = survival or RankAndCrowdingSurvival()
        self.cheap = cheap
        self.eliminate_duplicates = eliminate_duplicates
        self.known: Population = Population.empty()
        self.pending: Population = Population.empty()  # asked for and not told
        self._wanted: int | None = None
        self._models: dict[int, Surrogate] = {}  # by objective; -1 models the violation
        self._fitted = 0
        self._replayed: np.ndarray | None = None

    # -- what a journal keeps ---------------------------------------------------------------

    def search_state(self) -> dict[str, Any]:
        """What the next step depends on beside archive and generator, as JSON can hold it."""
        return {
            "fitted": self._fitted,
            "theta": {str(j): model.theta for j, model in self._models.items()},
        }

    def replay(self, X: np.ndarray, state: Mapping[str, Any]) -> None:
        """Let the next `ask` give these genomes (n, n_var), and go on from `state` afterwards."""
        self._replayed = as_genomes(X)
        self._fitted = int(state.get("fitted", 0))
        self._models = {int(j): Surrogate(theta) for j, theta in state.get("theta", {}).items()}

    def start_from(self, population: Population) -> None:
        """Begin with evaluated networks instead of initial ones."""
        self.known = population

    def ask_for(self, n: int) -> Population | None:
        """As `ask`, of n networks, while others that were asked for may be under way.

        The first time it is as many as it begins with, where that is more.
        """
        self._wanted = n
        try:
            return self.ask()
        finally:
            self._wanted = None

    # -- pymoo's interface ------------------------------------------------------------------

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        if problem.n_obj < 2:
            raise InputError(
                "ScreenedSearch trades objectives off; give a problem with two or more"
            )
        parts = variation(
            problem, sampling=self.sampling, crossover=self.crossover, mutation=self.mutation
        )
        if self.eliminate_duplicates is None:
            self.eliminate_duplicates = SeenBefore(canonical_of(problem))
        self._mating = Mating(RandomSelection(), parts["crossover"], parts["mutation"])
        self._initialization = Initialization(
            parts["sampling"], eliminate_duplicates=self.eliminate_duplicates
        )
        self._low, self._high = integer_bounds(problem)
        self._known = Beforehand.of(problem, self.cheap)
        self._features = Features(self._known, self._low, self._high)

    def _initialize_infill(self) -> Population | None:
        if self._replayed is None and (len(self.known) or len(self.pending)):
            return self._infill()
        pop = self._given()
        return self._under_way(self._first() if pop is None else pop)

    def _first(self) -> Population:
        n = max(self.n_initial, self._wanted or 0)
        pop = self._initialization.do(
            self.problem, n, random_state=self.random_state, algorithm=self
        )
        if self._known.feasible is None:
            return pop
        pop = pop[np.asarray(self._known.feasible(as_genomes(pop.get("X"))), dtype=bool)]
        if len(pop) < n:
            more = Population.new(X=self._anywhere())
            more = self.eliminate_duplicates.do(more, pop)  # type: ignore[union-attr]
            pop = Population.merge(pop, more[: n - len(pop)])
        return pop

    def _under_way(self, infills: Population) -> Population:
        self.pending = Population.merge(self.pending, infills)
        return infills

    def _initialize_advance(self, infills: Any = None, **kwargs: Any) -> None:
        self._advance(infills)

    def _advance(self, infills: Any = None, **kwargs: Any) -> None:
        if infills is not None:
            told = infills[_feasible(infills)]
            if len(told):
                self._known.check(as_genomes(told.get("X")), told.get("F"))
            self.known = Population.merge(self.known, infills)
            told_keys = set(genome_keys(as_genomes(infills.get("X"))))
            waiting = genome_keys(as_genomes(self.pending.get("X"))) if len(self.pending) else []
            self.pending = self.pending[[key not in told_keys for key in waiting]]
        self.pop = self.known

    def _infill(self) -> Population | None:
        given = self._given()
        if given is not None:
            return self._under_way(given)
        n = self.n_offsprings if self._wanted is None else self._wanted
        valued = self._valued()
        lessons = self._lessons(valued)
        enough = np.count_nonzero(lessons) >= 2
        X = self._candidates(valued) if enough else self._anywhere()
        if enough and len(X) > n:
            X = X[self._screen(X, valued, lessons, n)]
        if not len(X):
            if not len(self.pending):
                self.termination.terminate()  # as pymoo's genetic algorithms do
            return None
        return self._under_way(Population.new(X=X[:n]))

    # -- the steps --------------------------------------------------------------------------

    def _given(self) -> Population | None:
        X, self._replayed = self._replayed, None
        return None if X is None else Population.new(X=X)

    def _valued(self) -> Population:
        """Evaluated networks that have values.

        Where feasibility is known beforehand, an infeasible one has none, nor has one that could
        not be evaluated.
        """
        there = ~np.isnan(self.known.get("F")).any(axis=1) & ~np.isnan(self.known.get("CV")[:, 0])
        if self._known.feasible is not None:
            there &= _feasible(self.known)
        tell = getattr(self.problem, "failures", None)
        if callable(tell) and len(self.known):
            there &= np.array([not why for why in tell(as_genomes(self.known.get("X")))])
        return self.known[there]

    def _lessons(self, valued: Population) -> np.ndarray:
        """Which of some networks models learn from, bool (n,): not estimates of a race."""
        tell = getattr(self.problem, "images_saved", None)
        if not callable(tell) or not len(valued):
            return np.ones(len(valued), dtype=bool)
        return np.asarray(tell(as_genomes(valued.get("X")))) == 0

    def _anywhere(self) -> np.ndarray:
        """New feasible genomes of the whole space, each network once."""
        n, random_state = self.n_candidates, self.random_state
        drawn = [sample_choices(n, self._low, self._high, random_state=random_state)]
        if self._known.genomes is not None:
            drawn.append(self._some_feasible(n))
        return self._new(np.concatenate(drawn))

    def _some_feasible(self, n: int) -> np.ndarray:
        genomes = as_genomes(self._known.genomes)
        return genomes[self.random_state.integers(len(genomes), size=n)]

    def _candidates(self, archive: Population) -> np.ndarray:
        """New feasible genomes, each network once: near the best, further off, and anywhere."""
        random_state = self.random_state
        parents = archive
        if len(archive) > PARENTS * self.pop_size:
            parents = self.survival.do(
                self.problem, archive, n_survive=PARENTS * self.pop_size, random_state=random_state
            )
        half, fifth = self.n_candidates // 2, self.n_candidates // 5
        near = self._mating.do(
            self.problem, parents, half, random_state=random_state, n_max_iterations=1
        )
        P = as_genomes(parents.get("X"))
        start = P[random_state.integers(len(P), size=self.n_candidates - half - fifth)]
        share = min(1.0, FURTHER / max(1, int(np.sum(self._high > self._low))))
        drawn = [
            as_genomes(near.get("X")),
            mutate_choices(start, self._low, self._high, random_state=random_state, prob_var=share),
            sample_choices(fifth, self._low, self._high, random_state=random_state),
        ]
        if self._known.genomes is not None:
            drawn.append(self._some_feasible(fifth))
        X = self._new(np.concatenate(drawn))
        for draw in further(self.problem, random_state):
            if len(X):
                break
            X = self._new(draw(start))
        return X

    def _new(self, X: np.ndarray) -> np.ndarray:
        """Feasible genomes that were not evaluated, each network once, in canonical form."""
        assert self.eliminate_duplicates is not None
        canonical = self.eliminate_duplicates.canonical
        X = X if canonical is None else as_genomes(canonical(X))
        X = X[np.sort(np.unique(X, axis=0, return_index=True)[1])]
        if self._known.feasible is not None:
            X = X[np.asarray(self._known.feasible(X), dtype=bool)]
        met = Population.merge(self.known, self.pending)
        seen = as_genomes(met.get("X")) if len(met) else X[:0]
        known = set(genome_keys(seen if canonical is None else canonical(seen)))
        return X[[key not in known for key in genome_keys(X)]]

    def _screen(
        self, X: np.ndarray, valued: Population, lessons: np.ndarray, wanted: int
    ) -> list[int]:
        """Positions of the candidates to evaluate.

        Args:
            X: candidates (n, n_var).
            valued: networks that have values.
            lessons: which of these models learn from.
            wanted: how many, at most.
        """
        F, feasible = valued.get("F"), _feasible(valued)
        features = self._features(as_genomes(valued[lessons].get("X")))
        m = len(X)
        if len(self.pending):
            X = np.concatenate([X, as_genomes(self.pending.get("X"))])
        others = self._features(X)
        exact, n = self._known.exact, len(features)
        if is_stale(self._fitted, n):
            self._models, self._fitted = {}, n

        def believe(j: int, y: np.ndarray) -> Belief:
            fitted = self._fitted if j in self._models else None
            model = self._models.setdefault(j, Surrogate())
            return model.predict(features, y[lessons], others, fitted)

        weights = np.ones(len(X))
        if not feasible.all():  # a constraint that only an evaluation tells
            violation = believe(-1, valued.get("CV")[:, 0])
            if not feasible.any():
                hoped = (violation.mean - violation.deviation)[:m]
                return np.argsort(hoped, kind="stable")[:wanted].tolist()
            z, shares = _deviations(1)
            weights = (violation.at(z[:, 0]) <= 0) @ shares
        dear = [j for j in range(F.shape[1]) if j not in exact]
        beliefs = {j: believe(j, F[:, j]) for j in dear}
        costs = {j: np.asarray(cost(X), float) for j, cost in exact.items()}

        def at(z: np.ndarray) -> np.ndarray:
            points = np.empty((len(X), len(z), F.shape[1]))
            for j, values in costs.items():
                points[:, :, j] = values[:, None]
            for column, j in enumerate(dear):
                points[:, :, j] = beliefs[j].at(z[:, column])
            return points

        n_dear = len(dear)
        expected = at(np.zeros((1, n_dear)))[m:, 0]  # of what is under way
        front = np.vstack([F[feasible], expected])
        front = front[is_nondominated(front)]
        cells = np.arange(m)
        weights = weights[:m]
        if exact:
            first = min(exact)
            spent = np.concatenate([F[:, first], costs[first][m:]])
            cells, worth = _cells(costs[first][:m], spent, front[:, first])
            weights = weights * worth
        deviations = _deviations(n_dear)
        chosen = choose(lambda z: at(z)[:m], *deviations, cells, front, wanted, weights, exact)
        if not chosen and dear:
            # Nothing can gain: look where least is known.
            unknown = np.sum([belief.deviation for belief in beliefs.values()], axis=0)[:m]
            chosen = np.argsort(-unknown, kind="stable")[:wanted].tolist()
        return chosen or list(range(wanted))


def _feasible(population: Population) -> np.ndarray:
    return np.asarray(population.get("FEAS"), dtype=bool).reshape(-1)


def _cells(
    sizes: np.ndarray, evaluated: np.ndarray, front: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Between which two sizes on the front candidates lie, and what a gain there is worth.

    Args:
        sizes: of the candidates (m,).
        evaluated: sizes of all evaluated networks (n,).
        front: sizes on the front (k,).

    Returns:
        Number of the cell (m,) and the factor of a gain in it (m,).
    """
    edges = np.unique(front)
    cells = np.searchsorted(edges, sizes, side="right")
    spent = np.bincount(np.searchsorted(edges, evaluated, side="right"), minlength=len(edges) + 1)
    return cells, 1.0 / (1.0 + spent[cells] / FEW) ** SPENT


def _deviations(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations of n independent objectives (s, n), and the share of each (s,)."""
    if n == 0:
        return np.zeros((1, 0)), np.ones(1)
    if n == 1:
        edges = np.concatenate([TAIL, np.linspace(TAIL[-1], 1.0, SAMPLES + 1)[1:]])
        return t.ppf((edges[1:] + edges[:-1]) / 2, FREEDOM)[:, None], np.diff(edges)
    sobol = qmc.Sobol(n, scramble=False).random(SAMPLES)
    z = t.ppf((sobol * SAMPLES + 0.5) / (SAMPLES + 1), FREEDOM)
    return z, np.full(SAMPLES, 1 / SAMPLES)


def screened(
    problem: Any,
    *,
    pop_size: int | None = None,
    n_initial: int | None = None,
    n_offsprings: int | None = None,
    n_candidates: int | None = None,
    sampling: Any = None,
    crossover: Crossover | None = None,
    mutation: Mutation | str | None = None,
    survival: Survival | None = None,
    cheap: Mapping[int, Cost] | None = None,
    saliency: Any = None,
) -> ScreenedSearch:
    """`ScreenedSearch` with categorical operators; settings as in `get_algorithm`.

    With a `saliency` table (n_var, max choices) the first networks are those that it thinks best,
    for all prices of cost, where no other `sampling` is given.
    """
    guided = isinstance(mutation, str) and mutation == "saliency"
    if guided or saliency is not None:
        tables = tables_of(problem, saliency)
        sampling = SaliencySampling(*tables) if sampling is None else sampling
        mutation = guided_mutation(problem, tables) if guided else mutation
    parts = variation(problem, sampling=sampling, crossover=crossover, mutation=mutation)
    given: dict[str, Any] = {
        "pop_size": pop_size,
        "n_initial": n_initial,
        "n_offsprings": n_offsprings,
        "n_candidates": n_candidates,
        "survival": survival,
        "cheap": cheap,
    }
    return ScreenedSearch(
        eliminate_duplicates=SeenBefore(canonical_of(problem)),
        **parts,
        **{name: value for name, value in given.items() if value is not None},
    )
