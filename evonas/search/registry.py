"""Algorithms by name. A new one is a file with a builder function, and one line here."""

from collections.abc import Callable
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from pymoo.core.algorithm import Algorithm

from evonas.errors import InputError, unknown
from evonas.search.mutations import mutation_of

MULTI_DISTRIBUTION = "multi-distribution"
SALIENCY = "saliency"
TRUE_RANK = "true-rank"
DISTRIBUTIONS = 8  # of it, where nothing is said

# name -> "module:function"; imported on first use, for some are slow to import (numba)
_BUILDERS = {
    "nsga2": "evonas.search.nsga2:nsga2",
    "nsga3": "evonas.search.nsga3:nsga3",
    "sms-emoa": "evonas.search.sms_emoa:sms_emoa",
    "moead": "evonas.search.moead:moead",
    "age-moea": "evonas.search.age_moea:age_moea",
    "screened": "evonas.search.screened:screened",
    MULTI_DISTRIBUTION: "evonas.search.multi_distribution:multi_distribution",
    SALIENCY: "evonas.search.saliency:saliency_search",
    TRUE_RANK: "evonas.search.true_rank:true_rank",
    "random": "evonas.search.random_search:random_search",
}


def list_algorithms() -> list[str]:
    """Names that `get_algorithm` knows."""
    return list(_BUILDERS)


def get_algorithm(name: str, problem: Any, **settings: Any) -> Algorithm:
    """A pymoo algorithm with operators for categorical genomes, ready for `minimize`.

    It reads sizes from the problem and keeps no reference to it. Its evaluator counts only
    networks not evaluated before, so `("n_eval", 200)` means 200 networks; where no new ones can
    be found it ends by itself.

    Args:
        name: one of `list_algorithms()`.
        problem: any pymoo problem with integer bounds `xl`, `xu`. Three methods are used where
            it has them: `canonical(X) -> X` (equal genomes for equal networks),
            `cheap_values(X) -> (n, k)` and `feasible(X) -> bool (n,)` (the default sampling).
        **settings: pymoo's names, keyword only. All algorithms but "true-rank" take `pop_size`
            (20) and `sampling` (an operator, genomes `(n, n_var)` or a Population); most take
            `crossover`, `mutation` (`"uniform"`, `"saliency"` or an operator), `n_offsprings`,
            `selection`; for the rest see the builder in the algorithm's module. `saliency` is the
            table of `mutation="saliency"`, (n_var, max choices); by default that of the problem's
            trained supernet. `None` means the default.

    Returns:
        A new algorithm, not set up yet; it can be minimised any number of times.

    Raises:
        InputError: unknown algorithm or setting, or one that this problem or algorithm cannot
            take.
    """
    if name not in _BUILDERS:
        raise unknown("algorithm", name, _BUILDERS)
    module, function = _BUILDERS[name].split(":")
    build: Callable[..., Algorithm] = getattr(import_module(module), function)
    known = [
        p.name for p in signature(build).parameters.values() if p.kind is Parameter.KEYWORD_ONLY
    ]
    if settings.get("mutation") == "saliency" and "mutation" in known and "saliency" not in known:
        table = settings.pop("saliency", None)
        settings["mutation"] = mutation_of(problem, "saliency", table)
    for setting in settings:
        if setting not in known:
            if setting == "saliency" and "mutation" in known:
                raise InputError(
                    f"algorithm '{name}' takes a saliency table for its mutation; give "
                    "mutation='saliency' with it"
                )
            raise InputError(
                f"algorithm '{name}' has no setting '{setting}'; it takes {', '.join(known)}"
            )
    return build(problem, **settings)
