"""What a page says in words: what was searched, how, and for how long."""

from collections.abc import Mapping
from typing import Any

from evonas.analysis.front import Front
from evonas.analysis.quantities import many, plural
from evonas.runs import RunStatus
from evonas.runs.progress import format_seconds
from evonas.spaces import SearchSpace

SIZES = {"train": "training images", "validation": "validation images", "rows": "rows"}


def facts_of(
    front: Front, described: Mapping[str, Any], status: RunStatus, space: SearchSpace | None
) -> list[tuple[str, str]]:
    """What the folder tells, names and texts, and nothing where it does not.

    Args:
        front: of the run.
        described: its `config.json`.
        status: how it stands.
        space: that its networks are of, where it is known.
    """
    settings, data = (described.get(name) or {} for name in ("settings", "data"))
    facts = [("problem", str(settings.get("problem", "")))]
    sizes = [f"{data[k]:,} {text}" for k, text in SIZES.items() if k in data]
    facts.append(("data", ", ".join([str(data.get("name", "")), *sizes])))
    if settings.get("space"):
        size = f", {many(space.size)} genomes of {space.n_var} genes" if space else ""
        facts.append(("space", f"{settings['space']}{size}"))
    facts.append(("evaluation", _evaluation(settings)))
    spent = f"{status.evaluations}"
    if status.budget is not None and status.budget != status.evaluations:
        spent += f" of {status.budget}"
    spent += " networks evaluated"
    facts.append(("search", ", ".join(filter(None, [settings.get("algorithm"), spent]))))
    if settings.get("constraint"):
        facts.append(("constraints", ", ".join(settings["constraint"])))
    facts.append(("budget", str(settings.get("budget") or "")))
    if front.scale and len(front):
        facts.append(("dominated hypervolume", f"{front.hypervolume():.4f}"))
    facts.append(("seed", str(settings.get("seed", ""))))
    device = str(settings.get("device") or "")
    if device == "cpu" and settings.get("threads"):
        device += f", {plural(settings['threads'], 'thread')}"
    facts.append(("device", device))
    took = [
        f"{stage.name} {format_seconds(stage.seconds)}"
        for stage in status.stages
        if stage.seconds is not None and stage.name != "report"
    ]
    facts.append(("time", ", ".join(took)))
    return [(name, text) for name, text in facts if text.strip(", ")]


def _evaluation(settings: Mapping[str, Any]) -> str:
    """How networks were scored; "" where the settings are not there."""
    training, scratch = (settings.get(name) or {} for name in ("training", "scratch"))
    if not settings:
        return ""
    if settings.get("from_scratch"):
        return f"each network trained alone, {scratch.get('epochs')} epochs"
    if settings.get("supernet"):
        return f"the supernet of {settings['supernet']}"
    if training.get("steps"):
        width = f" at width {settings['width']:g}" if settings.get("width") else ""
        return (
            f"a supernet{width}, trained for {training['steps']:,} steps of "
            f"{training.get('batch_size')} images"
        )
    return "looked up in a table"


def why_empty(front: Front, described: Mapping[str, Any], evaluations: int) -> str:
    """Why a front has no member, and what to do; "" where it has some."""
    if len(front):
        return ""
    if not evaluations:
        return "No network has been evaluated yet."
    if (described.get("settings") or {}).get("constraint"):
        return (
            "No network that was evaluated keeps the constraints: loosen them, or search on with "
            "more --evaluations."
        )
    return "No network that was evaluated is feasible."
