"""Published benchmark tables, read from the user's data folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evonas.data.locate import HOW_TO_NAME, named_folder
from evonas.errors import InputError
from evonas.spaces import Costs, SearchSpace, get_space
from evonas.spaces.space import add_up


@dataclass(frozen=True)
class Measured:
    """The columns of a published table.

    Attributes:
        genes: int (n, n_var).
        columns: error in percent, params and macs, each (n,).
    """

    genes: np.ndarray
    columns: dict[str, np.ndarray]


@dataclass(frozen=True)
class PublishedTable:
    """A table of trained networks, and where it is published.

    Attributes:
        file: name of the file in the data folder.
        title: as papers call it.
        source: who publishes it.
        data: name of the data set that its networks were trained and tested on.
        space: name of the search space.
        num_classes: of the images that it was measured on.
        input_shape: of these images.
        read: reads the file; may raise anything if it is damaged.
        first_is_nothing: whether the first choice of each gene has no parameters and no
            multiply-adds, so that a complete table tells what each choice costs.
    """

    file: str
    title: str
    source: str
    data: str
    space: str
    num_classes: int
    input_shape: tuple[int, int, int]
    read: Callable[[Path], Measured]
    first_is_nothing: bool = False

    def get_space(self) -> SearchSpace:
        """The space that was measured."""
        return get_space(self.space, self.num_classes, self.input_shape)

    def is_in(self, data_dir: str | Path | None) -> bool:
        """Whether its file is in a folder; False where that is None or missing."""
        return data_dir is not None and (Path(data_dir).expanduser() / self.file).is_file()

    def load(self, data_dir: str | Path | None) -> Measured:
        """Read the table.

        Args:
            data_dir: the folder; else EVONAS_DATA names it.

        Raises:
            InputError: the folder or the file is missing, or the file is damaged.
        """
        folder = named_folder(data_dir)
        if folder is None:
            raise InputError(f"{self.file} is published by {self.source}; {HOW_TO_NAME}")
        path = folder / self.file
        if not path.exists():
            raise InputError(f"there is no {path}; it is published by {self.source}, put it there")
        try:
            measured = self.read(path)
            if self.first_is_nothing:
                self.get_space().take_costs(counted(measured))
            return measured
        except OSError as error:
            raise InputError(f"cannot read {path} ({error.strerror}); make it readable") from None
        except Exception as error:
            raise InputError(
                f"{path} is damaged or incomplete ({type(error).__name__}); replace it by a fresh "
                f"copy from {self.source}"
            ) from error


def counted(measured: Measured) -> Costs:
    """What each choice costs, by the networks that differ from one of first choices in one gene.

    Raises:
        ValueError: params or macs of the table are no sums over the genes.
    """
    genes = measured.genes
    tables, fixed = [], []
    for column in (measured.columns["params"], measured.columns["macs"]):
        alone = (genes > 0).sum(axis=1) <= 1
        nothing = float(column[~genes.any(axis=1)][0])
        table = np.zeros((genes.shape[1], genes.max() + 1), dtype=np.int64)
        gene = genes[alone].argmax(axis=1)
        table[gene, genes[alone].max(axis=1)] = column[alone] - nothing
        if not np.array_equal(add_up(table, nothing, genes), column):
            raise ValueError("its counts do not add up")
        tables.append(table)
        fixed.append(int(nothing))
    return Costs(tables[0], tables[1], fixed[0], fixed[1])


def _macro(path: Path) -> Measured:
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    genes = np.array([[int(choice) for choice in code] for code in table])
    entries = list(table.values())
    return Measured(
        genes,
        {
            "error": np.array([100.0 - entry["mean_acc"] for entry in entries]),
            "params": np.array([float(entry["params"]) for entry in entries]),
            "macs": np.array([float(entry["flops"]) for entry in entries]),
        },
    )


def _nb201(data: str, num_classes: int) -> Callable[[Path], Measured]:
    def read(path: Path) -> Measured:
        with np.load(path, allow_pickle=False) as file:
            accuracy = file[f"test_acc_{data}"].astype(float)
            return Measured(
                file["ops"].astype(np.int64),
                {
                    # Stored as float32: the digits beyond are no measurement.
                    "error": np.round(100.0 - accuracy, 4),
                    "params": file[f"params_{data}"].astype(float),
                    # Published "FLOPs" also count the bias of the classifier.
                    "macs": file[f"flops_{data}"].astype(float) - num_classes,
                },
            )

    return read


_NB201_SOURCE = (
    "NATS-Bench (github.com/D-X-Y/NATS-Bench), as one npz of arrays (15625, ...): ops, and "
    "test_acc_, params_ and flops_ of each data set"
)


def _nb201_table(data: str, num_classes: int, side: int) -> PublishedTable:
    return PublishedTable(
        file="nas-bench-201.npz",
        title="NAS-Bench-201",
        source=_NB201_SOURCE,
        data=data.replace("_", "-"),
        space="nb201",
        num_classes=num_classes,
        input_shape=(3, side, side),
        read=_nb201(data, num_classes),
        first_is_nothing=True,
    )


TABLES: dict[str, PublishedTable] = {
    "nasbench-macro": PublishedTable(
        file="nas-bench-macro_cifar10.json",
        title="NAS-Bench-Macro",
        source="the repository xiusu/NAS-Bench-Macro",
        data="cifar10",
        space="macro",
        num_classes=10,
        input_shape=(3, 32, 32),
        read=_macro,
    ),
    "nasbench201-cifar10": _nb201_table("cifar10", 10, 32),
    "nasbench201-cifar100": _nb201_table("cifar100", 100, 32),
    "nasbench201-imagenet16-120": _nb201_table("imagenet16_120", 120, 16),
}


def table_of(data: str, space: str) -> str | None:
    """Name of the published table of a data set and a space; None where there is none."""
    names = [name for name, t in TABLES.items() if (t.data, t.space) == (data, space)]
    return names[0] if names else None
