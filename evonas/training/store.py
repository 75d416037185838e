"""What was trained: a record and weights for each training, in a folder or in memory.

A training is one file: its weights, and in their metadata what they are and how good. It is
written once, whole, when the training has ended; a killed process loses what was under way only.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from evonas.atomic import file_stem, make_folder
from evonas.config import ScratchConfig, to_dict
from evonas.errors import InputError
from evonas.training.checkpoint import Checkpoint
from evonas.training.recipes import NO_MATTER


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
        diverged: whether its loss became no number; error, loss and accuracy are then those of a
            guess, and it has no weights.
        failed: why it came to no end, in a line, or "": error and loss are then the worst there
            are, and it has no weights.
    """

    network: str
    seed: int
    epochs: int
    error: float
    loss: float
    training_accuracy: float
    seconds: float
    diverged: bool = False
    failed: str = ""

    @property
    def lost(self) -> bool:
        """Whether there never are weights of it."""
        return self.diverged or bool(self.failed)


def training_key(network: str, seed: int, config: ScratchConfig, data: dict[str, Any]) -> str:
    """A file name for one training: readable, and another one for whatever changes its result.

    Args:
        network: in the notation of its space.
        seed: of first weights and order of images.
        config: settled settings.
        data: what the training and the validation images are, and what they stand.
    """
    settings = {k: v for k, v in to_dict(config).items() if k not in NO_MATTER}
    told = json.dumps([network, seed, settings, data], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    return f"{file_stem(network)}-e{config.epochs}-s{seed}-{digest}"


class TrainingStore:
    """Finished trainings by key.

    Args:
        folder: where they are kept, made by `check`; None keeps them in memory.
        read_only: only read the folder, and keep in memory what comes.
    """

    def __init__(self, folder: str | Path | None = None, *, read_only: bool = False) -> None:
        """Nothing is read yet."""
        self.folder = None if folder is None else Path(folder)
        self.writes = self.folder is not None and not read_only
        self._records: dict[str, Training] = {}
        self._weights: dict[str, dict[str, Tensor]] = {}

    def check(self) -> None:
        """Make the folder, where there is one to write into.

        Raises:
            InputError: it cannot be made or written.
        """
        if self.folder and self.writes:
            make_folder(self.folder)

    def get(self, key: str) -> Training | None:
        """The record of a training; None where there is none.

        Raises:
            InputError: its file is torn, or none of a training.
        """
        if key not in self._records and self._is_file(key):
            self._records[key] = _record(self._file(key))
        return self._records.get(key)

    def put(self, key: str, training: Training, weights: dict[str, Tensor]) -> None:
        """Keep a finished training; the state that it could have been gone on from is removed.

        Args:
            key: as of `training_key`.
            training: its record.
            weights: its weights; may be empty.

        Raises:
            InputError: the file cannot be written.
        """
        if self.writes:
            Checkpoint(weights, {"training": asdict(training)}).save(self._file(key))
            self._state(key).unlink(missing_ok=True)
        elif weights:
            self._weights[key] = weights
        self._records[key] = training

    @property
    def empty(self) -> bool:
        """Whether nothing was ever kept here."""
        if self._records:
            return False
        return self.folder is None or not any(self.folder.glob("*.safetensors"))

    def weights(self, key: str) -> dict[str, Tensor] | None:
        """The weights of a training; None where they were not kept."""
        if key in self._weights:
            return self._weights[key]
        return (
            dict(Checkpoint.load(self._file(key)).tensors) or None if self._is_file(key) else None
        )

    def has_weights(self, key: str) -> bool:
        """Whether the weights of a training were kept."""
        return key in self._weights or (
            self._is_file(key) and bool(Checkpoint.names(self._file(key)))
        )

    def forget_weights(self, keys: Iterable[str]) -> None:
        """Keep the records of some trainings only; of a folder that is only read both stay."""
        for key in keys:
            self._weights.pop(key, None)
            training = self.get(key)
            if self.writes and training is not None and self.has_weights(key):
                Checkpoint({}, {"training": asdict(training)}).save(self._file(key))

    def checkpoint(self, key: str) -> Path | None:
        """The file for the state of a training under way; None where none is written."""
        return self._state(key) if self.writes else None

    def __deepcopy__(self, memo: dict[int, Any]) -> "TrainingStore":
        """The store itself: pymoo copies problems, and weights are heavy."""
        return self

    def _is_file(self, key: str) -> bool:
        return self.folder is not None and self._file(key).is_file()

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.safetensors"

    def _state(self, key: str) -> Path:
        return self._file(key).with_suffix(".part")


def _record(file: Path) -> Training:
    values = Checkpoint.load(file).values
    try:
        return Training(**values["training"])
    except (KeyError, TypeError):
        raise InputError(f"{file} is no record of a training; delete it to train again") from None
