"""By which weights the errors of a run were estimated."""

import hashlib
from pathlib import Path

from evonas.config import load
from evonas.errors import InputError


def supernet_of(path: Path | str) -> str | None:
    """Digest of the weights that estimated the errors of a run; None where none did, or unknown."""
    folder, passed = Path(path).expanduser(), set[Path]()
    if folder.name == "front.csv":
        folder = folder.parent
    while (folder / "config.json").is_file() and folder.resolve() not in passed:
        passed.add(folder.resolve())
        try:
            config = load(folder / "config.json")
        except InputError:  # of another version; the front was read all the same
            return None
        if config.from_scratch:
            return None
        weights = folder / "supernet" / "weights.safetensors"
        if weights.is_file():
            with weights.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        if not config.supernet:
            return None
        folder = Path(config.supernet).expanduser()
    return None
