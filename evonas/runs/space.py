"""The search space of a run, from its folder; no torch, and no data."""

import json

from evonas.config import load, space_settings
from evonas.errors import InputError
from evonas.runs.folder import RunFolder
from evonas.spaces import SearchSpace
from evonas.spaces.registry import space_with


def space_of(folder: RunFolder) -> SearchSpace:
    """The space that a run's networks are of, without what a pruning struck out.

    Raises:
        InputError: its `config.json` is broken or does not say what images are like, or the space
            is one of a plugin that has not run.
    """
    config = load(folder.config)
    data = json.loads(folder.config.read_text(encoding="utf-8")).get("data", {})
    shape, classes = data.get("input_shape"), data.get("num_classes")
    if config.space is None or not shape or not classes:
        raise InputError(
            f"{folder.config} does not say what its images are like; it is of an older evonas, so "
            "give the space yourself: get_space(NAME, num_classes, input_shape)"
        )
    return space_with(config.space, classes, shape, space_settings(config.space_settings))
