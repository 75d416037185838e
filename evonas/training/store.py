"""What was trained: a record and weights for each training, in a folder or in memory.

A training is one file: its weights, and in their metadata what they are and how good. It is
written once, whole, when the training has ended; a killed process loses what was under way only.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from evonas.config import ScratchConfig, to_dict
from evonas.training.checkpoint import Checkpoint

# What does not change what a training leads to.
NO_MATTER = ("seeds", "promotion", "at_once", "compile")


@dataclass(frozen=True)
class Training:
    """The record of one training.

    Attributes:
        network: in the notation of its space.
        seed: of first weights and order of images.
        epochs: that it lasted.
        error: misclassified validation images of the last epoch, in percent.
        loss: their mean cross-entropy in nats.
        training_accuracy: training images told right in the end, in percent.
        seconds: that it took.
    """

    network: str
    seed: int
    epochs: int
    error: float
    loss: float
    training_accuracy: float
    seconds: float


def training_key(network: str, seed: int, config: ScratchConfig, data: dict[str, Any]) -> str:
    """A file name for one training: readable, and another one for whatever changes its result.

    Args:
        network: in the notation of its space.
        seed: of first weights and order of images.
        config: settled settings.
        data: what the training and the validation images are.
    """
    settings = {k: v for k, v in to_dict(config).items() if k not in NO_MATTER}
    told = json.dumps([network, seed, settings, data], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", network)[:80].strip("-")
    return f"{readable}-e{config.epochs}-s{seed}-{digest}"


class TrainingStore:
    """Finished trainings by key.

    Args:
        folder: where they are kept, made when the first one is; None keeps them in memory.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        """Nothing is read yet."""
        self.folder = None if folder is None else Path(folder)
        self._records: dict[str, Training] = {}
        self._weights: dict[str, dict[str, Tensor]] = {}

    def get(self, key: str) -> Training | None:
        """The record of a training; None where there is none.

        Raises:
            InputError: its file is torn.
        """
        if key not in self._records and self.folder is not None and self._file(key).is_file():
            values = Checkpoint.load(self._file(key), tensors=False).values
            self._records[key] = Training(**values["training"])
        return self._records.get(key)

    def put(self, key: str, training: Training, weights: dict[str, Tensor]) -> None:
        """Keep a finished training.

        Raises:
            InputError: the file cannot be written.
        """
        if self.folder is None:
            self._weights[key] = weights
        else:
            Checkpoint(weights, {"training": asdict(training)}).save(self._file(key))
        self._records[key] = training

    def weights(self, key: str) -> dict[str, Tensor] | None:
        """The weights of a training; None where they were not kept."""
        if self.folder is None:
            return self._weights.get(key)
        if not self._file(key).is_file():
            return None
        return dict(Checkpoint.load(self._file(key)).tensors) or None

    def has_weights(self, key: str) -> bool:
        """Whether the weights of a training were kept."""
        if self.folder is None or not self._file(key).is_file():
            return key in self._weights
        return bool(Checkpoint.names(self._file(key)))

    def forget_weights(self, keys: Iterable[str]) -> None:
        """Keep the records of some trainings only."""
        for key in keys:
            self._weights.pop(key, None)
            training = self.get(key)
            if self.folder is not None and training is not None and self.has_weights(key):
                Checkpoint({}, {"training": asdict(training)}).save(self._file(key))

    def checkpoint(self, key: str) -> Path | None:
        """The file for the state of a training under way."""
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{key}.part"

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.safetensors"
