"""What records of the choices of a space have in common: the names of choices."""

from collections.abc import Sequence

import numpy as np


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
