"""What the lines of a journal mean.

Kinds of line, in the order in which they come:

- `search`: a search begins; its `seed`, `evaluations` (the budget) and `objectives` (names), and
  `scale`, what its hypervolumes are measured with, where the problem has one; `asynchronous`, where
  it does not wait for whole generations: see below.
- `ask`: before evaluation; `generation` (from 1), `genomes` in order, and `random_state`, the
  state of the algorithm's numpy generator after it asked; `state`, what else an algorithm
  goes on from, where it has something (`ScreenedSearch`).
- `result`: `generation`, `genome`, `network` (canonical, in the space's notation, if it has one),
  `objectives` by name, `constraints` and `equalities` (pymoo's G and H, where there are any),
  `feasible`, `seconds` (its share of the batch), `images_saved` (of a network that was out of a
  race before it had seen all validation images: its objectives are estimates), `race` (what else a
  race knows of it, by name), `failed` (of a network that could not be evaluated, however often that
  was tried: the last error, in a line; it is infeasible).
- `generation`: all results of the generation are there; `evaluations` and `seconds` so far,
  `hypervolume` of everything so far (null where the problem has none); `details`, numbers of the
  algorithm's own by name, where it has some (`MultiDistributionSearch`).
- `end`: the search spent `evaluations`, its budget, or found nothing new to ask for.
- `budget`: a run goes on with more `evaluations`.
- `restart`: a new search begins that knows all results so far; fields as in `search`.

In an asynchronous search results come in the order of arrival, and may be of any earlier ask. A
generation is what the algorithm was told at once: the results since the one before, mostly one. The
`generation` of an `ask` line is the one that it came after, from 0.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evonas.errors import InputError
from evonas.problems.scale import Scale
from evonas.runs.folder import RunFolder
from evonas.runs.journal import read_lines


@dataclass(frozen=True)
class Result:
    """One evaluated genome.

    Attributes:
        generation: the generation that asked for it, from 1.
        genome: choice per gene, in the numbering of the base space.
        objectives: values in the order of the search's objective names; all minimised.
        feasible: whether it meets every constraint.
        seconds: its share of the time of its batch.
        network: the canonical network in the space's notation; None for a problem without space.
        constraints: pymoo's G, met where <= 0.
        equalities: pymoo's H.
        images_saved: validation images it was not scored on; above 0 its objectives are estimates.
        race: what else a race knows of it, by name; as `SupernetProblem.race_records` tells.
        failed: why it could not be evaluated, in a line; "" where it could.
    """

    generation: int
    genome: tuple[float, ...]
    objectives: tuple[float, ...]
    feasible: bool
    seconds: float
    network: str | None = None
    constraints: tuple[float, ...] = ()
    equalities: tuple[float, ...] = ()
    images_saved: int = 0
    race: Mapping[str, float] = field(default_factory=dict, hash=False)
    failed: str = ""

    @property
    def key(self) -> str:
        """Equal for results of one network: its canonical text, else its genome."""
        return self.network or "genome:" + "-".join(str(gene) for gene in self.genome)

    def to_line(self, names: Sequence[str]) -> dict[str, Any]:
        """The journal's line, with objectives under their names."""
        line: dict[str, Any] = {
            "kind": "result",
            "generation": self.generation,
            "genome": list(self.genome),
        }
        if self.network is not None:
            line["network"] = self.network
        line["objectives"] = dict(zip(names, self.objectives, strict=True))
        if self.constraints:
            line["constraints"] = list(self.constraints)
        if self.equalities:
            line["equalities"] = list(self.equalities)
        line |= {"feasible": self.feasible, "seconds": self.seconds}
        if self.images_saved:
            line["images_saved"] = self.images_saved
        if self.race:
            line["race"] = dict(self.race)
        if self.failed:
            line["failed"] = self.failed
        return line

    @classmethod
    def from_line(cls, line: Mapping[str, Any], names: Sequence[str]) -> "Result":
        """The inverse of `to_line`; a KeyError names a field that is missing."""
        return cls(
            generation=int(line["generation"]),
            genome=tuple(line["genome"]),
            objectives=tuple(float(line["objectives"][name]) for name in names),
            feasible=bool(line["feasible"]),
            seconds=float(line["seconds"]),
            network=line.get("network"),
            constraints=tuple(line.get("constraints", ())),
            equalities=tuple(line.get("equalities", ())),
            images_saved=int(line.get("images_saved", 0)),
            race={str(name): float(value) for name, value in line.get("race", {}).items()},
            failed=str(line.get("failed", "")),
        )


@dataclass
class Generation:
    """One ask and what came of it; `evaluations` is None until all results are there."""

    number: int
    genomes: list[list[float]]
    random_state: dict[str, Any]
    results: list[Result] = field(default_factory=list)
    evaluations: int | None = None
    hypervolume: float | None = None
    seconds: float | None = None
    state: dict[str, Any] | None = None
    details: dict[str, float] = field(default_factory=dict)


@dataclass
class Ask:
    """What an asynchronous search asked for, after so many generations."""

    after: int
    genomes: list[list[float]]
    random_state: dict[str, Any]
    state: dict[str, Any] | None = None

    def to_line(self) -> dict[str, Any]:
        """The journal's line."""
        return {
            "kind": "ask",
            "generation": self.after,
            "genomes": self.genomes,
            "random_state": self.random_state,
            "state": self.state,
        }


@dataclass
class Search:
    """A search as recorded: from a `search` or `restart` line to the next `restart`.

    Attributes:
        seed: the seed given to the algorithm.
        evaluations: the budget, the latest one where it was extended.
        objectives: names, in order.
        restart: whether it began with the results of the searches before.
        generations: in order, from 1; the last may be incomplete.
        ended: the budget at which it ended; None while it has not.
        scale: what its hypervolumes are measured with; None where unknown.
        asynchronous: whether it does not wait for whole generations; what it asked for is then in
            ``asks``, and the genomes of a generation are those that it was told.
        asks: of an asynchronous search, in order.
    """

    seed: int
    evaluations: int
    objectives: tuple[str, ...]
    restart: bool = False
    generations: list[Generation] = field(default_factory=list)
    ended: int | None = None
    scale: Scale | None = None
    asynchronous: bool = False
    asks: list[Ask] = field(default_factory=list)
    _waiting: Counter[tuple[float, ...]] = field(default_factory=Counter, repr=False)

    def to_line(self) -> dict[str, Any]:
        """The journal's line that it begins with."""
        line = {
            "kind": "restart" if self.restart else "search",
            "seed": self.seed,
            "evaluations": self.evaluations,
            "objectives": list(self.objectives),
        }
        line |= {"asynchronous": True} if self.asynchronous else {}
        return line | ({"scale": self.scale.to_record()} if self.scale else {})

    @property
    def waiting(self) -> list[list[float]]:
        """Genomes that an asynchronous search asked for, and that have no result."""
        return [list(genome) for genome in self._waiting.elements()]

    def ask(self, ask: Ask) -> None:
        """Take what an asynchronous search asks for."""
        self.asks.append(ask)
        self._waiting.update(map(tuple, ask.genomes))

    def answer(self, generation: Generation, result: Result) -> None:
        """Take a result of an asynchronous search into a generation.

        Raises:
            ValueError: it was not asked for, or has a result.
        """
        if not self._waiting[result.genome]:
            raise ValueError("a result of a genome that was not asked for, or had one")
        self._waiting[result.genome] -= 1
        generation.genomes.append(list(result.genome))
        generation.results.append(result)

    @property
    def finished(self) -> bool:
        """Whether the present budget is spent, or nothing new was found to ask for."""
        return self.ended is not None and self.ended >= self.evaluations


def searches_of(folder: RunFolder) -> list[Search]:
    """The searches of a run; none where there is no journal.

    Raises:
        InputError: its journal is broken.
    """
    return read_searches(read_lines(folder.journal)[0], folder.journal)


def read_searches(lines: Iterable[Mapping[str, Any]], path: Path | str) -> list[Search]:
    """The searches recorded in a journal; more than one after `--restart-search`.

    Args:
        lines: as `evonas.runs.journal.read_lines` gives them.
        path: the file, for error messages.

    Raises:
        InputError: a line makes no sense where it stands; names its number.
    """
    searches: list[Search] = []
    for number, line in enumerate(lines, start=1):
        try:
            _take(searches, line)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise InputError(
                f"line {number} of {path} does not fit there ({error}); restore the file from a "
                "copy, or delete that line and all below it to search on from there"
            ) from error
    return searches


def _take(searches: list[Search], line: Mapping[str, Any]) -> None:
    kind = line["kind"]
    if kind in ("search", "restart"):
        if (kind == "restart") != bool(searches):
            raise ValueError(f"a {kind} line")
        objectives = tuple(line["objectives"])
        if searches and objectives != searches[0].objectives:
            raise ValueError("other objectives than before")
        searches.append(
            Search(
                int(line["seed"]),
                int(line["evaluations"]),
                objectives,
                kind == "restart",
                scale=Scale.from_record(line["scale"]) if "scale" in line else None,
                asynchronous=bool(line.get("asynchronous", False)),
            )
        )
        return
    if not searches:
        raise ValueError(f"a {kind} line before any search line")
    search = searches[-1]
    if kind in ("budget", "end"):
        if kind == "budget":
            search.evaluations = int(line["evaluations"])
        else:
            search.ended = int(line["evaluations"])
    elif search.asynchronous and kind in ("ask", "result"):
        _take_asynchronous(search, line)
    elif kind == "ask":
        if search.generations and search.generations[-1].evaluations is None:
            raise ValueError("an ask before the results of the one before")
        if int(line["generation"]) != len(search.generations) + 1:
            raise ValueError(f"generation {line['generation']} out of order")
        search.generations.append(
            Generation(
                int(line["generation"]),
                [list(g) for g in line["genomes"]],
                dict(line["random_state"]),
                state=line.get("state"),
            )
        )
    elif kind in ("result", "generation"):
        generation = search.generations[-1]
        if int(line["generation"]) != generation.number or generation.evaluations is not None:
            raise ValueError(f"a {kind} line of generation {line['generation']} out of order")
        count = len(generation.results)
        if kind == "result":
            result = Result.from_line(line, search.objectives)
            if list(result.genome) != generation.genomes[count]:
                raise ValueError("a result of a genome that was not asked for next")
            generation.results.append(result)
        elif count != len(generation.genomes):
            raise ValueError(f"{count} results for {len(generation.genomes)} genomes")
        else:
            generation.evaluations = int(line["evaluations"])
            generation.hypervolume = line["hypervolume"]
            generation.seconds = float(line["seconds"])
            generation.details = {k: float(v) for k, v in line.get("details", {}).items()}
    else:
        raise ValueError(f"unknown kind '{kind}', perhaps of a newer evonas")


def _take_asynchronous(search: Search, line: Mapping[str, Any]) -> None:
    open_generation = bool(search.generations) and search.generations[-1].evaluations is None
    number = len(search.generations) - open_generation
    if line["kind"] == "ask":
        if open_generation or int(line["generation"]) != number:
            raise ValueError(f"an ask after generation {line['generation']} out of order")
        genomes = [list(g) for g in line["genomes"]]
        random_state = dict(line["random_state"])
        search.ask(Ask(number, genomes, random_state, line.get("state")))
        return
    if int(line["generation"]) != number + 1:
        raise ValueError(f"a result of generation {line['generation']} out of order")
    if not open_generation:
        search.generations.append(Generation(number + 1, [], {}))
    search.answer(search.generations[-1], Result.from_line(line, search.objectives))


def distinct_results(searches: Iterable[Search]) -> list[Result]:
    """Every network's first result, in the order of evaluation."""
    found: dict[str, Result] = {}
    for search in searches:
        for generation in search.generations:
            for result in generation.results:
                found.setdefault(result.key, result)
    return list(found.values())
