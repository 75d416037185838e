"""What a worker needs for trainings and scores: space, data and plugins, opened once a process."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas._version import __version__
from evonas.cluster.connection import NodeUnfit
from evonas.data.locate import VARIABLE
from evonas.errors import InputError
from evonas.plugins import Plugin, plugins
from evonas.spaces import SearchSpace

if TYPE_CHECKING:
    from evonas.data import SearchData

# Opened ones that a process keeps: a search has one, its retraining perhaps another.
KEPT = 2


@dataclass(frozen=True, eq=False)
class Kit:
    """Space and data of a problem, as they travel.

    Images that a name and a folder lead to are read by each machine from its own folder, and
    checked to be the same; others travel once, through Ray's object store.

    Attributes:
        version: of evonas.
        plugins: files of the user's own that were run.
        space: pickled.
        recipe: arguments of `get_data`; None where images travel.
        images: where images travel, a list of the one reference to them in the object store.
        checksum: of the data.
        images_seen: training and validation images, how many.
        device: "cpu" or "cuda".
        beside: processes of one machine that may open it, which share its memory.
    """

    version: str
    plugins: tuple[Plugin, ...]
    space: bytes
    recipe: Mapping[str, Any] | None
    images: list[Any]
    checksum: str
    images_seen: tuple[int, int]
    device: str
    beside: int = 1

    @classmethod
    def of(cls, space: SearchSpace, data: SearchData, device: str, *, beside: int = 1) -> Kit:
        """Pack; images without a recipe are put into the object store."""
        import ray
        from ray import cloudpickle

        arguments = data.arguments
        images = [] if arguments is not None else [ray.put(replace(data, recipe=None).to("cpu"))]
        stored = cloudpickle.dumps(space)  # classes of a notebook go with it
        seen = len(data.train), len(data.validation)
        known = arguments, images, data.checksum, seen
        return cls(__version__, plugins(), stored, *known, device, beside)

    @property
    def digest(self) -> str:
        """Equal for kits of the same content."""
        of = (self.recipe, self.checksum, self.images_seen, *map(str, self.images))
        told = repr((self.version, self.plugins, of, self.device))
        return hashlib.sha256(told.encode() + self.space).hexdigest()

    def open(self) -> tuple[SearchSpace, SearchData]:
        """Space and data, in a worker.

        Raises:
            NodeUnfit: this machine has another evonas, no such data, or other images.
        """
        digest = self.digest
        if digest not in _OPENED:
            check_version(self.version)
            for plugin in self.plugins:
                plugin.run_once()
            space = pickle.loads(self.space)
            data = self._data()
            while len(_OPENED) >= KEPT:
                _OPENED.pop(next(iter(_OPENED)))
            _OPENED[digest] = space, data
        return _OPENED[digest]

    def _data(self) -> SearchData:
        import torch

        from evonas.data import get_data
        from evonas.data.memory import default_limit

        if self.recipe is None:
            import ray

            return ray.get(self.images[0]).to(self.device)
        with _of_this_machine():
            given = local_recipe(self.recipe)
            if given["memory_limit"] is None:
                given["memory_limit"] = default_limit(torch.device(self.device)) // self.beside
            data = get_data(**given, device=self.device)
        check_images(data.checksum, self.checksum, data.name)
        if (len(data.train), len(data.validation)) != self.images_seen:
            raise _unfit(f"it splits '{data.name}' in another way; install the same evonas there")
        return data


_OPENED: dict[str, tuple[SearchSpace, SearchData]] = {}


def check_version(version: str) -> None:
    """See that this machine has the evonas of the run.

    Raises:
        NodeUnfit: it has another one.
    """
    if version != __version__:
        raise _unfit(f"it has evonas {__version__}, and the run {version}; install the same there")


def check_images(found: str, wanted: str, name: str) -> None:
    """Compare checksums of a data set.

    Raises:
        NodeUnfit: they differ.
    """
    if found != wanted:
        raise _unfit(f"its images of '{name}' are not those of the run; give it the same data")


def check_data(recipe: Mapping[str, Any], checksum: str, ran: tuple[Plugin, ...]) -> None:
    """See that this machine has the data of the run, without torch.

    Args:
        recipe: arguments of `get_data`.
        checksum: of the images.
        ran: plugins, one of which may have registered the data set.

    Raises:
        NodeUnfit: it has not.
    """
    from evonas.data.registry import find_data
    from evonas.data.source import Request

    with _of_this_machine():
        for plugin in ran:
            plugin.run_once()
        given = local_recipe(recipe)
        request = Request(data_dir=given["data_dir"], image_size=given["image_size"])
        part = find_data(given["name"]).read_search(request)
    check_images(part.checksum, checksum, given["name"])


def local_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with the data folder of this machine: the same one, or that of its EVONAS_DATA.

    Raises:
        NodeUnfit: there is neither.
    """
    folder = recipe["data_dir"]
    if folder is None or Path(folder).is_dir():
        return dict(recipe)
    if os.environ.get(VARIABLE):
        return {**recipe, "data_dir": None}
    raise _unfit(
        f"it has no data folder {folder}; mount it there, or set {VARIABLE} on that machine before "
        "`ray start`"
    )


@contextmanager
def _of_this_machine() -> Iterator[None]:
    """Errors of the input are errors of this machine: the run's own has read the same."""
    try:
        yield
    except NodeUnfit:
        raise
    except InputError as error:
        raise _unfit(str(error)) from None


def _unfit(why: str) -> NodeUnfit:
    return NodeUnfit(f"the machine {os.uname().nodename} of the cluster cannot work: {why}")
