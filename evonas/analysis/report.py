"""The report of a run: one page that needs nothing but a browser, and can be mailed."""

import base64
import io
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from evonas._version import __version__
from evonas.analysis.architecture import Diagram, GeneFrequencies
from evonas.analysis.choosing import non_dominated
from evonas.analysis.distributions import Distributions
from evonas.analysis.fidelity import RankFidelity
from evonas.analysis.front import Front, Member
from evonas.analysis.history import History
from evonas.analysis.pruning import PruningAccount
from evonas.analysis.quantities import costs_and_qualities, format_value, quantity
from evonas.analysis.report_chart import Chart, chart_of
from evonas.analysis.report_facts import facts_of, why_empty
from evonas.analysis.retrained import RetrainedNetworks
from evonas.analysis.saliency import Saliency
from evonas.atomic import write_text_atomic
from evonas.errors import InputError
from evonas.plugins import options_of, plugins
from evonas.runs import RunFolder, read_status, space_of
from evonas.spaces import SearchSpace

TEMPLATE = "report.html.jinja"
DPI = 130

# Of a page: what it may take, so that it can be mailed; what a member takes beside its name; and
# what everything takes beside members and figures.
LARGEST, BYTES_EACH, BYTES_BESIDE = 2_950_000, 200, 60_000


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Attributes:
        title: above it.
        note: beneath it.
        data: of the PNG, as a URL.
        alt: what it shows, for who cannot see it.
    """

    title: str
    note: str
    data: str
    alt: str


@dataclass(frozen=True, eq=False)
class Report:
    """What the page of a run shows; see `write_report`.

    Attributes:
        folder: the run.
        front: its front.
        state: "finished", "not finished", or "running".
        facts: what was searched, with what budget: names and texts.
        shown: rows of the front that the page lists: all, or evenly as many as it can carry.
        chart: the front as points in a picture; None for an empty front.
        picks: members worth a look with the reason: the ends and the knee.
        diagrams: of these, where the space is known.
        without_space: why there are none; "" where the space is known.
        empty: why the front is; "" where it is not.
        pictures: all other figures.
        retrained: networks that were trained alone; None where none was.
        settings: all of them, as JSON.
    """

    folder: RunFolder
    front: Front
    state: str
    facts: tuple[tuple[str, str], ...]
    shown: np.ndarray
    chart: Chart | None
    picks: tuple[tuple[str, Member], ...]
    diagrams: tuple[Picture, ...]
    without_space: str
    empty: str
    pictures: tuple[Picture, ...]
    retrained: RetrainedNetworks | None
    settings: str

    @classmethod
    def of(cls, folder: RunFolder, *, state: str | None = None) -> "Report":
        """Gather it from a run's folder.

        Args:
            folder: of the run.
            state: of it, where the caller knows better: a run cannot see itself end.

        Raises:
            InputError: the run has no front yet, or a file of it is broken.
        """
        front = Front.load(folder.path)
        described = _described(folder)
        picks = picks_of(front)
        retrained = RetrainedNetworks.load(folder.path) if folder.retrained.is_file() else None
        retrained = retrained or None  # an older evonas wrote tables without a row
        space, without_space = _space(folder)
        status = read_status(folder.path)
        chart = chart_of(front) if len(front) else None
        diagrams = tuple(_diagrams(picks, space))
        most = front.take(_shown(front, picks, LARGEST))
        pictures = tuple(_pictures(folder, front, most, space, retrained))
        taken = sum(len(picture.data) for picture in (*diagrams, *pictures)) + BYTES_BESIDE
        taken += 2 * len(chart.stairs) if chart else 0
        return cls(
            folder=folder,
            front=front,
            state=state or status.state,
            facts=tuple(facts_of(front, described, status, space)),
            shown=_shown(front, picks, LARGEST - taken),
            chart=chart,
            picks=picks,
            diagrams=diagrams,
            without_space=without_space,
            empty=why_empty(front, described, status.evaluations),
            pictures=pictures,
            retrained=retrained,
            settings=json.dumps(described, indent=2, ensure_ascii=False),
        )

    @property
    def costs(self) -> tuple[str, ...]:
        """Columns of the table, in order: objectives that measure quality, costs, the others."""
        costs, qualities = costs_and_qualities(self.front.objectives)
        first = (*qualities, *costs)
        return (*first, *(name for name in self.front.columns if name not in first))

    def render(self) -> str:
        """The page, as HTML."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("evonas.analysis"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
        columns = self.costs
        values = np.column_stack([self.front.column(name) for name in columns])[self.shown]
        run = shlex.quote(str(self.folder.path))
        # Those that whoever writes the page has run: a run folder names no code.
        with_plugins = options_of(plugin.path for plugin in plugins())
        return environment.get_template(TEMPLATE).render(
            report=self,
            title=self.front.name or self.folder.name,
            version=__version__,
            columns=[(name, quantity(name).label) for name in columns],
            rows=[
                [number(name, value) for name, value in zip(columns, row, strict=True)]
                for row in values.tolist()
            ],
            data={
                "values": [[_json(value) for value in row] for row in values.tolist()],
                "points": self.chart.points[self.shown].round(1).tolist() if self.chart else [],
                "run": f"{run}{with_plugins}",
                "picked": self.shown.tolist().index(self.picks[-1][1].index)
                if self.picks
                else None,
            },
            networks=[self.front.networks[row] for row in self.shown],
            colours=[self.chart.colours[row] for row in self.shown] if self.chart else [],
            dominated=_dominated(self.front),
            sentences=[str(member) for _, member in self.picks],
            run=run,
            plugins=with_plugins,
            retrained=_table_of(self.retrained, self.front),
        )


def write_report(folder: RunFolder, *, state: str | None = None) -> Path:
    """Write `report.html` of a run, atomically: front, architectures, history, settings.

    It holds all it needs: no network, no other file.

    Args:
        folder: of the run.
        state: see `Report.of`.

    Returns:
        Where it lies.

    Raises:
        InputError: the run has no front yet, a file of it is broken, or the disk is full.
    """
    write_text_atomic(folder.report, Report.of(folder, state=state).render())
    return folder.report


def picks_of(front: Front) -> tuple[tuple[str, Member], ...]:
    """Members worth a look: the best of each objective, and the knee; each once, the knee last."""
    if not len(front):
        return ()
    costs, qualities = costs_and_qualities(front.objectives)
    reasons: dict[int, list[str]] = {}
    for name in (*costs, *qualities):
        least = "fewest" if quantity(name).count else "least"
        reasons.setdefault(front.pick(by=name).index, []).append(f"{least} {_plain(name)}")
    if len(front) > 2:
        bend = front.knee().index
        reasons[bend] = [*reasons.pop(bend, []), "the knee"]
    return tuple((" and ".join(told), front.member(row)) for row, told in reasons.items())


def _shown(front: Front, picks: Sequence[tuple[str, Member]], room: int) -> np.ndarray:
    """Rows that fit into so many bytes, ascending and even over the front; with the picks."""
    each = [BYTES_EACH + len(escape(network)) for network in front.networks]
    most = max(1, int(len(front) * room / max(1, sum(each))))
    if most >= len(front):
        return np.arange(len(front))
    even = np.linspace(0, len(front) - 1, most).round().astype(int)
    return np.unique([*even, *(member.index for _, member in picks)])


def _dominated(front: Front) -> int:
    """Members that another one dominates: none, unless the table was edited by hand."""
    return len(front) - len(non_dominated(front.F))


def number(name: str, value: float) -> str:
    """A number of a table: counts with all their digits, in groups; others with four."""
    if np.isnan(value):
        return ""
    if quantity(name).count and float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _plain(name: str) -> str:
    return {"macs": "MACs"}.get(name, name.replace("_", " "))


def _json(value: float) -> float | None:
    if not np.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _described(folder: RunFolder) -> dict[str, Any]:
    try:
        described = json.loads(folder.config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{folder.config} cannot be read ({error}); restore it") from None
    return described if isinstance(described, dict) else {}


def _space(folder: RunFolder) -> tuple[SearchSpace | None, str]:
    """The run's space; or why there is none, such as that a plugin would have to make it."""
    try:
        return space_of(folder), ""
    except InputError as error:
        return None, str(error)


def _diagrams(picks: Sequence[tuple[str, Member]], space: SearchSpace | None) -> list[Picture]:
    from evonas.analysis.architecture_figure import diagram_size, draw_diagram

    if space is None:
        return []
    pictures = []
    for reason, member in picks:
        diagram = Diagram.of(member.network, space, title=member.network)
        data = _png(diagram_size(diagram), partial(draw_diagram, diagram))
        numbers = ", ".join(format_value(name, value) for name, value in member.values.items())
        pictures.append(Picture(reason, numbers, data, f"block diagram of {member.network}"))
    return pictures


def _pictures(
    folder: RunFolder,
    front: Front,
    some: Front,
    space: SearchSpace | None,
    retrained: RetrainedNetworks | None,
) -> list[Picture]:
    """All figures of the run beside the front itself; genes are those of some members."""
    from evonas.analysis import architecture_figure, choices_figure, distributions_figure
    from evonas.analysis.drawing import SIZE
    from evonas.analysis.fidelity_figure import draw_fidelity, fidelity_picture
    from evonas.analysis.history_figure import draw_history, history_picture
    from evonas.analysis.retrained_figure import draw_retrained

    pictures = []

    def add(title: str, note: str, size: tuple[float, float], draw: Callable[[Any], Any]) -> None:
        pictures.append(Picture(title, note, _png(size, draw), f"{title}: {note}"))

    if retrained is not None:
        add(
            "Networks trained alone",
            "true errors, of validation and test images, beside the front that the search saw",
            SIZE,
            lambda ax: draw_retrained(retrained, front, ax),
        )
    if folder.fidelity.is_file():
        fidelity = RankFidelity.load(folder.path)
        add(
            "How well the search ranks",
            fidelity.summary(),
            SIZE,
            lambda ax: draw_fidelity(fidelity_picture(fidelity, front), ax),
        )
    if folder.history.is_file():
        history = History.load(folder.path)
        add(
            "How the search went",
            "hypervolume that everything evaluated so far dominates",
            SIZE,
            lambda ax: draw_history(history_picture(history), ax),
        )
    if space is not None and len(front):
        genes = GeneFrequencies.of(some, space)
        add(
            "What the genes hold along the front",
            "share of the members that hold each choice, from the cheapest to the dearest",
            architecture_figure.frequencies_size(genes),
            lambda ax: architecture_figure.draw_frequencies(genes, ax),
        )
    if folder.saliency.is_file():
        table = Saliency.load(folder.path)
        add(
            "What each choice is worth",
            "saliency; colours compare the choices of a gene",
            choices_figure.saliency_size(table),
            lambda ax: choices_figure.draw_saliency(table, ax),
        )
    if folder.pruning.is_file():
        account = PruningAccount.load(folder.path)
        add(
            "What was pruned",
            account.sizes,
            choices_figure.pruning_size(account),
            lambda ax: choices_figure.draw_pruning(account, ax),
        )
    if folder.architectures.is_file() or folder.distributions.is_file():
        moved = Distributions.load(folder.path)
        add(
            "How the distributions moved",
            f"probabilities of each gene's choices, by {moved.counted}",
            distributions_figure.distributions_size(moved),
            lambda ax: distributions_figure.draw_distributions(moved, ax),
        )
    return pictures


def _png(size: tuple[float, float], draw: Callable[[Any], Any]) -> str:
    """A figure as the URL of its data."""
    from evonas.analysis.drawing import drawn

    figure = drawn(draw, size)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _table_of(retrained: RetrainedNetworks | None, front: Front) -> dict[str, Any] | None:
    """Rows with their place in the front, from 0, where they have one."""
    if retrained is None:
        return None
    several = (retrained.column("seeds") > 1).any()
    unsaid = ("epochs",) if several else ("epochs", "seeds")
    columns = [name for name in retrained.columns if name not in unsaid]
    places = {network: str(row) for row, network in enumerate(front.networks)}
    values = np.column_stack([retrained.column(name) for name in columns])
    return {
        "columns": [quantity(name).label for name in columns],
        "rows": [
            (
                places.get(network, ""),
                network,
                [number(n, v) for n, v in zip(columns, row, strict=True)],
                method,
            )
            for network, row, method in zip(
                retrained.networks, values.tolist(), retrained.methods, strict=True
            )
        ],
    }
