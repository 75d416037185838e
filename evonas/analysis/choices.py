"""What records of the choices of a space have in common: where they lie, and their names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evonas.errors import InputError
from evonas.runs import RunFolder


def in_run(path: Path | str, name: str, options: str) -> tuple[Path, str]:
    """The file of a record, and the name of its run; "" where the file itself was given.

    Args:
        path: of the file, or of a run folder.
        name: of the file, without its ending.
        options: those that make a run write it.

    Raises:
        InputError: the run has none.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        return path, ""
    folder = RunFolder.open(path)
    file = folder.path / f"{name}.csv"
    if not file.is_file():
        raise InputError(f"{folder.path} has no {file.name}; run with {options}")
    return file, folder.name


def labels_of(places: np.ndarray, texts: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """A text for each choice of each gene; "" where there is none.

    Args:
        places: gene and choice of each text, int (n, 2).
        texts: n of them.
    """
    genes, choices = places.max(axis=0) + 1
    labels = [[""] * choices for _ in range(genes)]
    for (gene, choice), text in zip(places.tolist(), texts, strict=True):
        labels[gene][choice] = text
    return tuple(map(tuple, labels))


def choice_names(labels: Sequence[Sequence[str]], choices: int) -> list[str]:
    """A name for each choice: its operation where all genes agree, else its number."""
    names = []
    for k in range(choices):
        texts = {row[k] for row in labels if k < len(row) and row[k]}
        names.append(texts.pop() if len(texts) == 1 else str(k))
    return names
