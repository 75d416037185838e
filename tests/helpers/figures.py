"""Runs whose figures nobody looks at: to draw them is a third of the time of a small one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

EMPTY = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU"
    b"\0\0\0\nIDATx\x9cc\xf8\x0f\0\x01\x01\x01\0\xb18\xf6\x14\0\0\0\0IEND\xaeB`\x82"
)


def _save(self: Figure, file: Any, **options: Any) -> None:
    if isinstance(file, str | Path):
        Path(file).write_bytes(EMPTY)
    else:
        file.write(EMPTY)


@pytest.fixture(scope="module", autouse=True)
def empty_figures() -> Iterator[None]:
    """Figures of a test module that imports this are images of one pixel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _save)
        yield
