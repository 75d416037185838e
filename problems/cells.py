"""CSV files of a user's own, read as text first, so that an error can name the cell."""

from __future__ import annotations

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
        InputError: the file is missing or no CSV.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no {kind} {path}; check the path") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {path} as a {kind} ({reason}); give a CSV file") from None


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
