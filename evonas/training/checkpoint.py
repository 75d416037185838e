"""Checkpoints as safetensors: weights, momentum and generator states in one file.

One file, written to a temporary name and renamed, so that a killed process or a full disk leaves
the last good checkpoint whole. Nothing in it can execute code.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from evonas.atomic import cannot_write, write_bytes_atomic
from evonas.errors import InputError


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors and plain values.

    Attributes:
        tensors: name -> tensor, on the CPU.
        values: anything that JSON can hold.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write the file, atomically.

        Raises:
            InputError: the disk is full or the folder cannot be written; an older file is kept.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        write_bytes_atomic(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        tensors = {k: v.detach().contiguous().cpu() for k, v in self.tensors.items()}
        return save(tensors, metadata={"evonas": json.dumps(self.values)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """What `to_bytes` gave."""
        # The library reads metadata from files alone: a length, and so many bytes of JSON.
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return cls(load(data), json.loads(header["__metadata__"]["evonas"]))

    @classmethod
    def load(cls, path: str | Path, *, tensors: bool = True) -> "Checkpoint":
        """Read a file written by `save`.

        Args:
            path: the file.
            tensors: whether tensors are read as well, or plain values only.

        Raises:
            InputError: the file is missing, torn, or none of evonas's.
        """
        try:
            with safe_open(str(path), framework="pt", device="cpu") as file:
                names = file.keys() if tensors else ()
                read = {name: file.get_tensor(name) for name in names}
                values = json.loads((file.metadata() or {})["evonas"])
        except FileNotFoundError:
            raise InputError(f"there is no checkpoint {path}; train first") from None
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise InputError(
                f"{path} is no whole checkpoint of evonas ({error}); delete it to train again"
            ) from None
        return cls(read, values)

    @staticmethod
    def names(path: str | Path) -> tuple[str, ...]:
        """Names of the tensors in a file written by `save`, which are not read.

        Raises:
            InputError: the file is missing or torn.
        """
        try:
            with safe_open(str(path), framework="pt", device="cpu") as file:
                return tuple(file.keys())
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} cannot be read ({error}); delete it") from None
