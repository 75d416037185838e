"""CSV files of a user's own, read as text first, so that an error can name the cell."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def read_cells(path: Path, kind: str = "table") -> pd.DataFrame:
    """A CSV file with a header, every cell as it is written.

    Args:
        path: the file.
        kind: what it should be, for messages.

    Raises:
        InputError: the file is missing or no CSV, a line has more or fewer cells than the header,
            or a column has no name of its own.
    """
    import pandas as pd

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = []
            for row in reader:
                if row and len(row) != len(header):
                    raise InputError(
                        f"line {reader.line_num} of {path} has {len(row)} cells, and the header "
                        f"{len(header)}; correct one of them"
                    )
                rows += [row] if row else []
    except FileNotFoundError:
        raise InputError(f"there is no {kind} {path}; check the path") from None
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {path} as a {kind} ({reason}); give a CSV file") from None
    if not header:
        raise InputError(f"cannot read {path} as a {kind} (it is empty); give a CSV file")
    for i, name in enumerate(header):
        if not name:
            raise InputError(
                f"column {i + 1} of {path} has no name; name it, or leave it out (pandas writes "
                "such a one without index=False)"
            )
        if name in header[:i]:
            raise InputError(f"{path} has two columns '{name}'; rename one")
    return pd.DataFrame(rows, columns=header, dtype=str)


def numbers(path: Path, cells: Sequence[str], name: str, *, gaps: bool = False) -> np.ndarray:
    """A column as numbers, float (n,); an empty cell is NaN where gaps are allowed.

    Raises:
        InputError: a cell is no number; names its line.
    """
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if gaps and not cell.strip():
            continue
        try:
            values[i] = float(cell)
        except ValueError:
            raise InputError(
                f"line {i + 2} of {path}: {name} is '{cell}', no number; correct it"
            ) from None
    return values
