"""The base of all problems: genomes in, objectives out, nothing evaluated twice."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pymoo.core.problem import Problem

from evonas.errors import InputError, unknown
from evonas.operators import extreme_genomes
from evonas.operators.spread import all_genomes, blend, coordinate_descent
from evonas.problems.constraints import Constraint, format_bound
from evonas.problems.costs import AdditiveCost, Cost, fitted_cost_table
from evonas.problems.scale import Scale
from evonas.spaces import SearchSpace

# The worst error there is: what a genome gets that no network is built for. It never reaches a
# front, because its constraint is violated too.
INFEASIBLE = 100.0

# Descents from anywhere, and from between the ends of a cost, that look for a feasible genome.
DESCENTS = 32


class ArchitectureProblem(Problem):
    """A search space with objectives, as a pymoo problem with integer variables.

    Costs (params, macs, and functions of one's own) are exact and free; the other objectives are
    dear and come from `_score`, which is asked once for each distinct network that keeps all
    limits. Genomes that are equal functions are one network: its canonical genome is evaluated,
    and costs are those of the canonical genome.

    Args:
        space: what can be built.
        objectives: two or three names, all minimised.
        constraints: limits on costs, as text or `Constraint`; one that every network keeps is
            dropped, so that a plain problem stays plain for every algorithm.
        costs: more costs by name: vectorised functions X (n, n_var) -> (n,).
        canonical: X (n, n_var) -> X (n, n_var), instead of the space's own.
        name: for messages and run folders.

    Attributes:
        canonical: X (n, n_var) -> X (n, n_var), the genome that stands for all equal networks.
        cheap: objectives that are known without evaluation.
        evaluated: networks evaluated so far, each counted once.
        feasible_genomes: some feasible ones (k, n_var), for samplings to start from; there only
            where something can be infeasible.

    Raises:
        InputError: an objective is unknown or given twice, fewer than two are given, or no network
            keeps a limit.
    """

    dear: tuple[str, ...] = ("error", "loss")
    partial: bool = False  # whether there are genomes without values, which are infeasible

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[str] = ("error", "params"),
        *,
        constraints: Sequence[str | Constraint] = (),
        costs: Mapping[str, Cost] | None = None,
        canonical: Cost | None = None,
        name: str | None = None,
    ) -> None:
        """Settle objectives and constraints before anything is evaluated."""
        self.space = space
        # Bound to the space, not to the problem: operators keep it, and may outlive the problem.
        self.canonical: Cost = canonical or space.canonical
        self.objectives = tuple(objectives)
        self._ranges: dict[str, tuple[float, float]] = {}
        counts = {"params": space.params, "macs": space.macs} if space.has_networks else {}
        self.costs: dict[str, Cost] = {**counts, **(costs or {})}
        known = (*self.dear, *self.costs)
        for objective in self.objectives:
            if objective not in known:
                raise unknown("objective", objective, known)
        if len(self.objectives) < 2 or len(set(self.objectives)) < len(self.objectives):
            raise InputError(
                f"objectives are {', '.join(self.objectives) or 'none'}; give two or three "
                f"different ones of {', '.join(known)}"
            )
        self.cheap = tuple(o for o in self.objectives if o in self.costs)
        if isinstance(constraints, str):
            constraints = (constraints,)
        self.constraints = tuple(c for c in map(self._parsed, constraints) if self._binds(c))
        self.evaluated = 0
        self._cache: dict[bytes, tuple[float, ...]] = {}
        super().__init__(
            n_var=space.n_var,
            n_obj=len(self.objectives),
            n_ieq_constr=len(self.constraints) + self.partial,
            xl=np.zeros(space.n_var, dtype=np.int64),
            xu=np.asarray(space.n_choices, dtype=np.int64) - 1,
            vtype=int,
        )
        if self.has_constraints():
            self.feasible_genomes = self._find_feasible()
        self.label = name or f"{space.name}-{'-'.join(self.objectives[1:])}"

    @abstractmethod
    def _score(self, X: np.ndarray) -> Mapping[str, np.ndarray]:
        """Dear objectives of distinct canonical genomes.

        Args:
            X: int (n, n_var), canonical, distinct, feasible.

        Returns:
            Name -> finite float (n,), at least for each dear name in ``objectives``.
        """

    def cheap_values(self, X: np.ndarray) -> np.ndarray:
        """Costs among the objectives, known without evaluation.

        Args:
            X: int (n, n_var).

        Returns:
            float64 (n, len(cheap)).
        """
        C = self.canonical(X)
        columns = [np.asarray(self.costs[name](C), float) for name in self.cheap]
        return np.stack(columns, axis=1) if columns else np.empty((len(C), 0))

    def cost_columns(self, X: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """All costs, those among the objectives first.

        Args:
            X: canonical genomes, int (n, n_var).

        Returns:
            Names (k), and values, float64 (n, k).
        """
        names = tuple(dict.fromkeys([*self.cheap, *self.costs]))
        return names, np.column_stack([np.asarray(self.costs[name](X), float) for name in names])

    def cost_table(self, name: str | None = None) -> np.ndarray:
        """What each choice of each gene adds to a cost.

        Exact for costs that add up over the genes. Of any other it is the main effects, by least
        squares over random genomes, or over those that a partial table holds.

        Args:
            name: of the cost; by default the first of ``cheap``.

        Returns:
            float64 (n_var, max choices) in the numbering of the problem's space; NaN where a gene
            has no such choice.

        Raises:
            InputError: there is no such cost, or a table has too few rows to tell.
        """
        if name is None and not self.cheap:
            raise InputError(
                f"none of the objectives {', '.join(self.objectives)} is a cost that is known "
                "without evaluation; name one of " + ", ".join(self.costs)
            )
        name = self.cheap[0] if name is None else name
        if name not in self.costs:
            raise unknown("cost", name, self.costs)
        cost = self.costs[name]
        if isinstance(cost, AdditiveCost):
            return self.space.lower_table(cost.table)
        if self.space.has_networks and self.space.additive and name in ("params", "macs"):
            return self.space.param_table() if name == "params" else self.space.mac_table()
        known = self.feasible_genomes if self.partial else None
        return fitted_cost_table(lambda X: cost(self.canonical(X)), self.space.n_choices, known)

    def feasible(self, X: np.ndarray) -> np.ndarray:
        """Whether genomes keep all limits, bool (n,); known without evaluation."""
        return np.all(self._violations(self.canonical(X)) <= 0, axis=1)

    def violation(self, X: np.ndarray) -> np.ndarray:
        """By how much genomes break limits, all together, (n,): 0 where they keep them."""
        return np.asarray(np.maximum(self._violations(self.canonical(X)), 0.0).sum(axis=1))

    def remember(self, X: np.ndarray, F: np.ndarray) -> None:
        """Put known objectives into the cache, so that these networks are not evaluated again.

        Args:
            X: int (n, n_var).
            F: (n, n_obj), as `evaluate` returned them; infeasible genomes are passed over.
        """
        X = self.space.check(X)
        keep = self.feasible(X)
        at = [self.objectives.index(name) for name in self._dear_objectives]
        for row, values in zip(self.canonical(X[keep]), np.asarray(F)[keep][:, at], strict=True):
            self._cache[row.tobytes()] = tuple(map(float, values))

    @property
    def ideal(self) -> np.ndarray:
        """Best conceivable value of each objective, (n_obj,): error and loss 0, least cost."""
        return np.array([self._range(name)[0] for name in self.objectives])

    @property
    def nadir(self) -> np.ndarray:
        """Worst value worth having, (n_obj,): error and loss of a blind guess, largest cost."""
        return np.array([self._range(name)[1] for name in self.objectives])

    @property
    def scale(self) -> Scale:
        """What `hypervolume` measures with."""
        return Scale(tuple(self.ideal), tuple(self.nadir))

    def hypervolume(self, F: np.ndarray) -> float:
        """Dominated hypervolume, comparable between runs of one problem.

        Objectives are scaled from ``ideal`` .. ``nadir`` to 0 .. 1; the reference point is 1.1 in
        each; the result is the dominated share of the box between ideal and reference.

        Args:
            F: (n, n_obj); no member need be non-dominated.

        Returns:
            0 (nothing better than the reference) to 1.

        Raises:
            InputError: another number of objectives, or a NaN.
        """
        return self.scale.hypervolume(self._objectives(F))

    def _objectives(self, F: np.ndarray) -> np.ndarray:
        """Points as a checked float array (n, n_obj); one point may be a row."""
        points = np.asarray(F, float)
        points = points.reshape(-1, self.n_obj) if points.size == 0 else np.atleast_2d(points)
        if points.ndim != 2 or points.shape[1] != self.n_obj or np.isnan(points).any():
            raise InputError(
                f"points of shape {np.shape(F)} are no objectives {', '.join(self.objectives)}; "
                f"give numbers (n, {self.n_obj})"
            )
        return points

    def _evaluate(self, X: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        C = self.canonical(self.space.check(np.asarray(X)))
        violations = self._violations(C)
        feasible = (violations <= 0).all(axis=1)
        keys = [row.tobytes() for row in C]
        if self._dear_objectives:
            new: dict[bytes, int] = {}
            for i in np.flatnonzero(feasible):
                if keys[i] not in self._cache:
                    new.setdefault(keys[i], int(i))
            if new:
                self._fill(C[list(new.values())], list(new))
        F = np.tile([self._worst(name) for name in self.objectives], (len(C), 1))
        for j, name in enumerate(self.objectives):
            if name in self.costs:
                F[:, j] = self.costs[name](C)
            else:
                at = self._dear_objectives.index(name)
                F[feasible, j] = [self._cache[keys[i]][at] for i in np.flatnonzero(feasible)]
        out["F"] = F
        if self.has_constraints():
            out["G"] = violations

    def _fill(self, X: np.ndarray, keys: Sequence[bytes]) -> None:
        scores = self._score(X)
        values = np.stack([np.asarray(scores[n], float) for n in self._dear_objectives], axis=1)
        if not np.isfinite(values).all():
            bad = X[~np.isfinite(values).all(axis=1)][0]
            raise InputError(f"{self.space.decode(bad)} has an objective that is no finite number")
        for key, row in zip(keys, values, strict=True):
            self._cache[key] = tuple(map(float, row))
        self.evaluated += len(X)

    @property
    def _dear_objectives(self) -> tuple[str, ...]:
        return tuple(o for o in self.objectives if o not in self.costs)

    def _violations(self, C: np.ndarray) -> np.ndarray:
        columns = [c.violation(np.asarray(self.costs[c.cost](C), float)) for c in self.constraints]
        if self.partial:
            columns.append(np.where(self._has_values(C), 0.0, 1.0))
        return np.stack(columns, axis=1) if columns else np.zeros((len(C), 0))

    def _has_values(self, C: np.ndarray) -> np.ndarray:
        """Whether canonical genomes (n, n_var) have values, bool (n,); asked where `partial`."""
        return np.ones(len(C), dtype=bool)

    def _worst(self, name: str) -> float:
        """The value of an objective where nothing is evaluated; costs are known all the same."""
        return INFEASIBLE

    def _parsed(self, constraint: str | Constraint) -> Constraint:
        if isinstance(constraint, Constraint):
            return constraint
        return Constraint.parse(constraint, self.costs)

    def _binds(self, constraint: Constraint) -> bool:
        least, most = self._range(constraint.cost)
        if (
            constraint.upper
            and constraint.bound < least
            or (not constraint.upper and constraint.bound > most)
        ):
            raise InputError(
                f"no network keeps {constraint}; the space '{self.space.name}' has "
                f"{self._span_text(constraint.cost)}"
            )
        return constraint.bound < most if constraint.upper else constraint.bound > least

    def _find_feasible(self) -> np.ndarray:
        """Genomes that keep all limits, so that a search has somewhere to start from, (n, n_var).

        All of a small space. Of a larger one what descents of the violation reach, from both ends
        of every limited cost, from between these, and from anywhere.
        """
        xl, xu = np.asarray(self.xl, np.int64), np.asarray(self.xu, np.int64)
        found = all_genomes(xl, xu)
        if found is None:
            random_state = np.random.default_rng(0)
            uniform = self.space.sample(DESCENTS, random_state)
            starts = [uniform]
            for name in dict.fromkeys(c.cost for c in self.constraints):
                ends = self._ends(name)
                low, high = ends
                between = blend(low, np.resize(high, uniform.shape), random_state=random_state)
                starts += [ends, between]
            found = coordinate_descent(self.violation, np.concatenate(starts), xl, xu)
        found = found[self.feasible(found)]
        if not len(found):
            limits = " and ".join(map(str, self.constraints))
            ranges = " and ".join(
                self._span_text(cost) for cost in dict.fromkeys(c.cost for c in self.constraints)
            )
            raise InputError(
                f"no network was found that keeps {limits}; loosen one (the space "
                f"'{self.space.name}' has {ranges})"
            )
        return np.unique(self.canonical(found), axis=0)

    def _ends(self, name: str) -> np.ndarray:
        """The genomes of least and of largest cost, (2, n_var)."""
        cost = self.costs[name]
        xl, xu = np.zeros(self.space.n_var, np.int64), np.asarray(self.space.n_choices) - 1
        return extreme_genomes(lambda X: cost(self.canonical(X)), xl, xu)

    def _span_text(self, name: str) -> str:
        least, most = self._range(name)
        return f"{name} from {format_bound(least)} to {format_bound(most)}"

    def _range(self, name: str) -> tuple[float, float]:
        if name == "error":
            return 0.0, 100.0 * (1 - 1 / self.space.num_classes)
        if name == "loss":
            return 0.0, math.log(self.space.num_classes)
        if name not in self._ranges:
            low, high = np.asarray(self.costs[name](self.canonical(self._ends(name))), float)
            self._ranges[name] = (float(low), float(high))
        return self._ranges[name]
