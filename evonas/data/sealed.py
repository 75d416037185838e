"""The test images. Only retraining may import this module, and open them once, at its end.

No decision of a search may look at test accuracy. Therefore nothing that `get_data` returns leads
here, and a test scans the imports of the whole package.
"""

from __future__ import annotations

from pathlib import Path

from evonas.data.assemble import place_part
from evonas.data.images import Images
from evonas.data.record import SearchData
from evonas.data.registry import find_data
from evonas.data.source import DataSet, Request
from evonas.errors import InputError


def open_test(
    data: SearchData,
    *,
    data_set: DataSet | None = None,
    data_dir: str | Path | None = None,
    memory_limit: int | None = None,
    workers: int | None = None,
) -> Images:
    """The test images of the data set that a search worked on.

    They lie on the device of `data` and are normalised as its training images.

    Args:
        data: what the search saw. It is read again and compared by checksum first: where images
            were added to a folder, or other arrays are given, the split is another one, and
            images trained on would be test.
        data_set: the data set itself, where it is not in the registry: for a user's own arrays
            `tensor_data_set` with the arguments of `from_tensors`.
        data_dir: as in `get_data`.
        memory_limit: as in `get_data`.
        workers: as in `get_data`.

    Raises:
        InputError: if the data cannot be read, or is not what the search saw.
    """
    source = find_data(data.name) if data_set is None else data_set
    request = Request(data_dir=data_dir, image_size=data.input_shape[1])
    if source.read_search(request).checksum != data.checksum:
        raise InputError(
            f"the data set {data.name} is not the one that was searched on (another checksum), "
            "so its test images may have been trained on; name the unchanged data"
        )
    part = source.read_test(request)
    return place_part(part, data.train, memory_limit=memory_limit, workers=workers)
