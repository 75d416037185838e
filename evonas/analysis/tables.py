"""CSV files that read back exactly and are the same byte for byte when the numbers are."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evonas.analysis.quantities import quantity
from evonas.atomic import write_text_atomic
from evonas.errors import InputError
from evonas.runs import RunFolder

if TYPE_CHECKING:
    import pandas as pd


def write_table(
    path: Path | str,
    columns: Sequence[str],
    values: np.ndarray,
    *,
    texts: tuple[str, Sequence[str]] | None = None,
    notes: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Write a table, atomically.

    Whole-number quantities are written as such, others with as many digits as tell them apart
    from every other float; NaN is an empty cell.

    Args:
        path: the file.
        columns: names of the value columns.
        values: float (n, len(columns)).
        texts: name and cells (n) of a first column of text.
        notes: of a last one, for people.

    Raises:
        InputError: the disk is full; the old file is unchanged.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = [texts, notes]
    first, last = ([end[0]] if end else [] for end in ends)
    writer.writerow([*first, *columns, *last])
    for i, row in enumerate(np.asarray(values, dtype=float).tolist()):
        cells = [_cell(name, value) for name, value in zip(columns, row, strict=True)]
        first, last = ([end[1][i]] if end else [] for end in ends)
        writer.writerow([*first, *cells, *last])
    write_text_atomic(path, file.getvalue())


def _cell(name: str, value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if quantity(name).count and value.is_integer() else repr(value)


def read_table(
    path: Path | str,
    *,
    text: str | None = None,
    required: Sequence[str] = (),
    ignored: Sequence[str] = (),
) -> tuple[list[str], list[str], np.ndarray]:
    """Read a table; columns may stand in any order.

    Args:
        path: the file.
        text: name of the one column that is text; None: all are numbers.
        required: names of number columns that must be there.
        ignored: names of columns that are not read, such as notes.

    Returns:
        Cells of the text column (empty without one), names of the number columns in the file's
        order, and their values, float (n, number of columns); an empty cell is NaN.

    Raises:
        InputError: the file is missing, a column is, or a cell is no number; names line and column;
            or the last line has no end, and the file is one of a run or has an empty last cell.
    """
    path = Path(path)
    try:
        written = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(io.StringIO(written)))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}; check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path} as a table ({error}); give a CSV file") from error
    header = rows[0] if rows else []
    if "" in header:
        raise InputError(
            f"column {header.index('') + 1} of {path} has no name; write the table without an index"
        )
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError(f"{path} has the column '{twice}' twice; remove one")
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path} is separated by semicolons; write it with commas")
    for name in ([text] if text else []) + list(required):
        if name not in header:
            raise InputError(
                f"{path} has no column '{name}' (it has {', '.join(header) or 'none'}); restore "
                "the file, or resume its run to write it again"
            )
    of_run = RunFolder(path.parent).config.is_file()
    if not written.endswith("\n") and rows and (rows[-1][-1] == "" or of_run):
        # A number of which some digits are missing reads like any other.
        raise InputError(
            f"line {len(rows)} of {path}, its last, has no end: the file may be cut short; restore "
            "it, or resume its run to write it again"
        )
    names = [name for name in header if name != text and name not in ignored]
    texts: list[str] = []
    values = np.empty((len(rows) - 1, len(names)))
    for i, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise InputError(
                f"line {i + 2} of {path} has {len(row)} cells, not {len(header)}; correct it"
            )
        cells = dict(zip(header, row, strict=True))
        if text:
            texts.append(cells[text])
        for j, name in enumerate(names):
            try:
                values[i, j] = float(cells[name]) if cells[name] else np.nan
            except ValueError as error:
                raise InputError(
                    f"line {i + 2} of {path}: {name} is '{cells[name]}', no number; correct it"
                ) from error
    return texts, names, values


def in_run(path: Path | str, name: str, remedy: str) -> tuple[Path, str]:
    """The file of a record, and the name of its run; "" where the file itself was given.

    Args:
        path: of the file, or of a run folder.
        name: of the file, without its ending.
        remedy: what to do where the run has none.

    Raises:
        InputError: the run has none.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        return path, ""
    folder = RunFolder.open(path)
    file = folder.path / f"{name}.csv"
    if not file.is_file():
        raise InputError(f"{folder.path} has no {file.name}; {remedy}")
    return file, folder.name


def column(name: str, columns: Sequence[str], values: np.ndarray) -> np.ndarray:
    """One column of a table, float (n,).

    Raises:
        InputError: there is none of that name.
    """
    if name not in columns:
        raise InputError(f"no column '{name}'; choose from {', '.join(columns)}")
    return values[:, list(columns).index(name)]


def to_frame(networks: Sequence[str], columns: Sequence[str], values: np.ndarray) -> "pd.DataFrame":
    """A pandas DataFrame: `network`, then the columns; counts are integers.

    Args:
        networks: n texts.
        columns: names of the value columns.
        values: float (n, len(columns)).
    """
    import pandas as pd

    frame = pd.DataFrame({"network": list(networks)}, dtype=str)
    for name, column in zip(columns, np.asarray(values).T, strict=True):
        whole = quantity(name).count and np.isfinite(column).all()
        frame[name] = column.astype(np.int64) if whole else column
    return frame
