"""Networks that leave evonas: weights, and one Python file that needs nothing but torch.

`export_network` writes a folder of

- ``network.py``: the network as plain Python, with genome, class names and normalisation;
- ``weights.safetensors``: its state, under the names that the weights have in evonas;
- ``network.json``: what the network is, for programs in any language;
- ``network.pt2`` or ``network.onnx``, if asked for: a graph that takes the bytes of images, with
  the normalisation inside.

Importing this module loads no torch.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from evonas.errors import InputError, unknown
from evonas.exporting.record import FROM_SUPERNET, ExportedNetwork

__all__ = ["FORMATS", "FROM_SUPERNET", "ExportedNetwork", "export_network"]

FORMATS = ("safetensors", "torch-export", "onnx")


def export_network(
    exported: ExportedNetwork, folder: str | Path, *, format: str = "safetensors"
) -> list[Path]:
    """Write a network into a new folder, and check that what was written gives its logits.

    The folder appears when all is written and checked, or not at all.

    Args:
        exported: the network, and what is known of it.
        folder: made new; an empty one is taken.
        format: one of ``FORMATS``; the last two add a graph to what the first one writes.

    Returns:
        The files written.

    Raises:
        InputError: The folder holds something or cannot be written, the format is unknown or its
            packages are missing, or the network cannot be written with torch alone.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    from evonas.exporting.write import write

    with _new_folder(Path(folder).resolve()) as temporary:
        write(exported, temporary, format)
        names = sorted(path.name for path in temporary.iterdir())
    return [Path(folder) / name for name in names]


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends well.

    Raises:
        InputError: `folder` is there and not empty, or cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(
                f"{folder} is there already{_held(folder)}; name a new or an empty folder, or "
                "remove it"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        os.replace(temporary, folder)
    except OSError as error:
        raise InputError(
            f"cannot write {folder} ({error.strerror or error}); free some space, or name a folder "
            "that can be written"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _held(folder: Path) -> str:
    """Which network a folder holds, in words; "" where that is not known."""
    try:
        told = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        return f" with {told['genome']}, {told['weights']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
