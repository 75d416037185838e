"""Ready-made problems by name: "<data>-<cost>"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.config import ScratchConfig, inherit, load, space_settings
from evonas.data import get_data, list_data
from evonas.device import kind_of, resolve_device
from evonas.errors import InputError, unknown
from evonas.problems.constraints import Constraint
from evonas.problems.costs import Cost
from evonas.problems.defaults import default_settings, defaults_for
from evonas.problems.own_costs import make_costs, names_of, registered_costs
from evonas.problems.published import TABLES
from evonas.problems.scratch import ScratchProblem
from evonas.problems.supernet import SupernetProblem
from evonas.problems.tabular import TabularProblem
from evonas.spaces import SearchSpace
from evonas.spaces.registry import space_with

if TYPE_CHECKING:
    from evonas.data import SearchData
    from evonas.supernet import Supernet

# Of the ready-made problems; costs of one's own come in addition.
COSTS = ("params", "macs", "params-macs")


def list_problems() -> list[str]:
    """Names of all registered problems: data sets first, then published tables."""
    return [f"{data}-{cost}" for data in (*list_data(), *TABLES) for cost in COSTS]


def data_of(name: str) -> str:
    """Data set, or published table, of a problem's name; its costs are not looked at.

    Raises:
        InputError: no problem has that name; the message has the nearest names.
    """
    fitting = [data for data in (*list_data(), *TABLES) if name.startswith(f"{data}-")]
    if not fitting:
        raise unknown("problem", name, list_problems())
    return max(fitting, key=len)


def split_name(name: str, costs: Iterable[str] = ()) -> tuple[str, tuple[str, ...]]:
    """Data set, or published table, and objectives of a problem.

    Args:
        name: "<data>-<cost>" or "<data>-<cost>-<cost>".
        costs: names of costs of one's own, beside those that were registered.

    Raises:
        InputError: no problem has that name; the message has the nearest names, or says how to
            give a cost that is missing.
    """
    data = data_of(name)
    own = (*costs, *registered_costs())
    known = ("params", "macs", *own)
    parts = name.removeprefix(f"{data}-").split("-")
    for part in parts:
        if part.isidentifier() and not get_close_matches(part, known, cutoff=0.5):
            raise InputError(
                f"'{name}' names the cost '{part}', which nobody gave; give --cost {part}=FILE "
                "with a table of it (or --plugin FILE that registers it), or name one of "
                f"{', '.join(known)}"
            )
    if set(parts) <= set(known) and len(set(parts)) == len(parts) <= 2:
        return data, ("error", *parts)
    raise unknown("problem", name, [*list_problems(), *(f"{data}-{cost}" for cost in own)])


def published_problem(
    name: str,
    *,
    space: SearchSpace | str | None = None,
    data_dir: str | Path | None = None,
    constraints: Sequence[str | Constraint] = (),
    costs: Mapping[str, str | Path | Cost] | None = None,
) -> TabularProblem:
    """A published table as a problem; arguments as for `get_problem`.

    Equal networks have equal costs of one's own, also where the table holds a training of each.

    Raises:
        InputError: the name is unknown, the table is missing or damaged, or the space is another
            one.
    """
    table_name, objectives = split_name(name, names_of(costs))
    if table_name not in TABLES:
        raise unknown("published table", table_name, TABLES)
    table = TABLES[table_name]
    measured = table.get_space()
    chosen = measured if space is None or space == measured.name else space
    if isinstance(chosen, str) or chosen.base is not measured:
        other = chosen if isinstance(chosen, str) else chosen.name
        raise InputError(
            f"'{name}' is a table of the space '{measured.name}', not of '{other}'; leave the "
            "space out, or give a restriction of it"
        )
    loaded = table.load(data_dir)
    own = make_costs(costs, chosen)
    genes, columns = loaded.genes, dict(loaded.columns)
    if own:
        inside = chosen.holds(genes)
        genes, columns = genes[inside], {c: v[inside] for c, v in columns.items()}
        canonical = chosen.canonical(chosen.lower(genes))
        columns |= {cost: function(canonical) for cost, function in own.items()}
    return TabularProblem(
        genes,
        np.column_stack([columns[o] for o in objectives]),
        objectives,
        chosen,
        costs={c: v for c, v in columns.items() if c not in ("error", *objectives)},
        constraints=constraints,
        name=name,
    )


def get_problem(
    name: str,
    space: SearchSpace | str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    supernet: Supernet | str | Path | None = None,
    *,
    constraints: Sequence[str | Constraint] = (),
    costs: Mapping[str, str | Path | Cost] | None = None,
    width: float | None = None,
    train_images: int | None = None,
    validation_images: int | None = None,
    image_size: int | None = None,
    scratch: ScratchConfig | bool | None = None,
    folder: str | Path | None = None,
    seed: int = 1,
    settings: Mapping[str, Sequence[int]] | None = None,
    racing: str = "off",
    trained_on: str | None = None,
) -> SupernetProblem | ScratchProblem | TabularProblem:
    """A ready-made problem.

    Args:
        name: "<data>-<cost>", such as "cifar10-params" (or with two costs), or "<table>-<cost>",
            such as "nasbench-macro-params", for which only `space` (a restriction of the
            table's), `data_dir`, `constraints` and `costs` mean anything; see `list_problems`.
        space: a search space or the name of one; the data set has a default.
        data_dir: folder of the data set; else EVONAS_DATA, else a download into the user's cache.
        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1".
        supernet: a trained `Supernet`, which scores on the images that it was made with, or a run
            folder whose supernet is loaded. Of one that was pruned, what is left is the space of
            the problem, unless a restricted one is given.
        constraints: limits on costs, such as "params<=500000".
        costs: costs of one's own by name, such as "latency": a CSV file (see
            `AdditiveCost.from_csv`), or a vectorised function of canonical genomes X (n, n_var) ->
            (n,). They can be objectives, as in "cifar10-latency", and be limited.
        width: width of a supernet trained by `SupernetProblem.train`.
        train_images: images that it is trained on; by default all.
        validation_images: images that score a network.
        image_size: side of the images of a "folder" problem, in pixels.
        scratch: how networks are trained from scratch (True: by default numbers) instead of being
            scored by shared weights; of a space without a supernet they always are.
        folder: where a `ScratchProblem` keeps its trainings, of which it makes none twice.
        seed: of these trainings, and of the order of images in a race.
        settings: what else the space, where it is named, can be told, such as ``depth`` and
            ``width`` of "plain" (see `get_space`); the data set may have defaults.
        racing: whether networks that cannot matter any more are scored on fewer images: "off",
            "exact" or "confident", as of `SupernetProblem`.
        trained_on: class of the device that trains networks from scratch, where it is not
            ``device``; as of `ScratchProblem`.

    Returns:
        The problem, with its data loaded; of a published table a `TabularProblem`, of a space
        without a supernet, or with `scratch`, a `ScratchProblem`.

    Raises:
        InputError: a name is unknown, or data, space and supernet do not fit each other.
    """
    if not isinstance(scratch, ScratchConfig | bool | None):
        raise InputError(
            f"scratch is {scratch!r}; give a ScratchConfig such as ScratchConfig(epochs=30), or "
            "True"
        )
    data_name, objectives = split_name(name, names_of(costs))
    if data_name in TABLES:
        meaningless = {
            "supernet": supernet,
            "width": width,
            "train_images": train_images,
            "validation_images": validation_images,
            "image_size": image_size,
            "scratch": scratch or None,
            "folder": folder,
            "settings": settings or None,
            "racing": None if racing == "off" else racing,
        }
        for setting, value in meaningless.items():
            if value is not None:
                raise InputError(
                    f"'{name}' is a table of measured networks and trains none; leave {setting} out"
                )
        return published_problem(
            name, space=space, data_dir=data_dir, constraints=constraints, costs=costs
        )
    if isinstance(supernet, str | Path):
        given: dict[str, Any] = {
            "space": space,
            "width": width,
            "train_images": train_images,
            "validation_images": validation_images,
            "image_size": image_size,
            "data_dir": data_dir,
        }
        other = Path(supernet) / "config.json"
        if other.exists():
            # The images that a supernet has not seen are those that its run set aside.
            told = load(other)
            inherited = inherit(given, told)
            if settings is None and isinstance(inherited["space"], str):
                settings = space_settings(told.space_settings)
            if scratch and width is None:
                inherited["width"] = None  # that of the shared weights, which tell it themselves
            return get_problem(
                name,
                device=device,
                supernet=Path(supernet) / "supernet" / "weights.safetensors",
                constraints=constraints,
                costs=costs,
                scratch=scratch,
                folder=folder,
                seed=seed,
                settings=settings,
                racing=racing,
                trained_on=trained_on,
                **inherited,
            )
    device = resolve_device(device)
    defaults = defaults_for(data_name, kind_of(device))
    data = get_data(
        data_name,
        data_dir=data_dir,
        device=device,
        validation=validation_images or defaults.validation_images,
        train_images=train_images or defaults.train_images,
        image_size=image_size,
    )
    if space is None or isinstance(space, str):
        space = named_space(space or defaults.space, data_name, data, device, settings)
    elif settings:
        raise InputError(
            f"the space '{space.name}' is made already; give its name with settings, or leave them "
            "out"
        )
    from_scratch = bool(scratch) or not space.has_supernet
    if from_scratch and racing != "off":
        raise _no_supernet(space, "racing")
    if from_scratch and supernet is not None and not space.has_supernet:
        raise _no_supernet(space, "supernet")
    if from_scratch and width is not None:
        raise _no_supernet(space, "width")
    if not from_scratch and folder is not None:
        raise InputError(
            f"the networks of '{space.name}' are scored by shared weights here: there are no "
            "trainings that a folder could keep; give scratch=True, or leave folder out"
        )
    if isinstance(supernet, str | Path):
        from evonas.supernet import Supernet

        supernet = Supernet.load(supernet, data, space=space)
    if supernet is not None:
        space = _searched(space, supernet.space)
    if from_scratch:
        return ScratchProblem(
            space,
            data,
            objectives,
            config=None if isinstance(scratch, bool) else scratch,
            supernet=supernet,
            folder=folder,
            constraints=constraints,
            costs=make_costs(costs, space),
            seed=seed,
            trained_on=trained_on,
            name=name,
        )
    problem = SupernetProblem(
        space,
        data,
        objectives,
        constraints=constraints,
        costs=make_costs(costs, space),
        training=defaults.training,
        width=width or defaults.width,
        name=name,
        racing=racing,
        seed=seed,
    )
    problem.supernet = supernet
    return problem


def named_space(
    name: str,
    data_name: str,
    data: SearchData,
    device: str,
    settings: Mapping[str, Sequence[int]] | None = None,
) -> SearchSpace:
    """A space by name for a data set, with the settings that this one has by default.

    Args:
        name: of the space.
        data_name: of the data set.
        data: the data set.
        device: resolved.
        settings: of the space, over the defaults.

    Raises:
        InputError: the name or a setting is unknown.
    """
    default = default_settings(name, data_name, kind_of(device))
    return space_with(name, data.num_classes, data.input_shape, {**default, **(settings or {})})


def _no_supernet(space: SearchSpace, setting: str) -> InputError:
    why = (
        "has no supernet: its networks are trained one by one"
        if not space.has_supernet
        else "is not scored by shared weights here, but trained from scratch"
    )
    return InputError(f"the space '{space.name}' {why}; leave {setting} out")


def _searched(space: SearchSpace, trained: SearchSpace) -> SearchSpace:
    """The space of a problem with a trained supernet: what its pruning has left, if there was one.

    Raises:
        InputError: the supernet is one of another space.
    """
    same = (trained.base.name, trained.num_classes, trained.input_shape)
    if trained.base is not space.base and same != (
        space.base.name,
        space.num_classes,
        space.input_shape,
    ):
        raise InputError(
            f"the supernet is one of the space '{same[0]}' with {same[1]} classes, not of "
            f"'{space.base.name}' with {space.num_classes}; give the space it was trained for"
        )
    return space.restrict(trained.allowed) if space is space.base else space
