"""Graphs that run without the Python of the network: torch.export and ONNX.

The normalisation is part of them. They take the bytes of images, uint8, and refuse everything else:
somebody who has nothing but the file cannot forget to normalise, or do it twice.
"""

import inspect
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evonas.errors import InputError
from evonas.exporting.record import ExportedNetwork

INPUT, OUTPUT = "images", "logits"
BATCHES = {INPUT: {0: torch.export.Dim("batch")}}  # of any size
Run = Callable[[Tensor], Tensor]


class FromBytes(nn.Module):
    """A network with its normalisation in front: uint8 ``(n, c, h, w)`` to logits.

    Args:
        network: takes normalised images.
        mean: of each channel, in the units of the bytes.
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor):
        """Keeps the numbers as buffers."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.view(-1, 1, 1))
        self.register_buffer("std", std.view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Bytes to logits."""
        return self.network((images.float() - self.mean) / self.std)


def write_torch_export(network: nn.Module, record: ExportedNetwork, path: Path, facts: str) -> Run:
    """Write ``network.pt2``, which ``torch.export.load`` reads; any size of batch.

    Args:
        network: takes bytes.
        record: what it is a network of.
        path: the file.
        facts: the text of ``network.json``, kept in the file.

    Returns:
        The file as a function, read back.
    """
    torch.export.save(_program(network, record), path, extra_files={"network.json": facts})
    read: Run = torch.export.load(path).module()
    return read


def write_onnx(network: nn.Module, record: ExportedNetwork, path: Path, facts: str) -> Run:
    """Write ``network.onnx``, checked by the onnx package; any size of batch.

    Args:
        network: takes bytes.
        record: what it is a network of.
        path: the file.
        facts: the text of ``network.json``, kept in the file.

    Returns:
        The file as a function, run by onnxruntime.

    Raises:
        InputError: Packages are missing.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter writes through it
    except ImportError as error:
        raise InputError(
            f"an export to ONNX needs {error.name or 'a package'}, which is not installed; "
            "pip install 'evonas[onnx]'"
        ) from None
    settings: dict[str, Any] = {"input_names": [INPUT], "output_names": [OUTPUT], "verbose": False}
    # Where the new exporter is not torch's default yet, it fails on batch normalisation (seen with
    # torch 2.5.1 and 2.6.0 and onnxscript 0.7.2), and the old one writes the same network.
    if inspect.signature(torch.onnx.export).parameters["dynamo"].default is True:
        program = torch.onnx.export(
            _program(network, record), external_data=False, dynamic_shapes=BATCHES, **settings
        )
        assert program is not None
        program.save(str(path))
    else:
        images, batch = torch.zeros((2, *record.input_shape), dtype=torch.uint8), {0: "batch"}
        axes = {INPUT: batch, OUTPUT: batch}
        torch.onnx.export(network, (images,), str(path), dynamic_axes=axes, **settings)
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"network.json": facts})
    onnx.save(model, str(path))
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


def _program(network: nn.Module, record: ExportedNetwork) -> torch.export.ExportedProgram:
    # With a batch of one, the tracer would take the one for a constant.
    images = torch.zeros((2, *record.input_shape), dtype=torch.uint8)
    return torch.export.export(network, (images,), dynamic_shapes=BATCHES)


# By format: the file, and what writes it.
GRAPHS = {"torch-export": ("network.pt2", write_torch_export), "onnx": ("network.onnx", write_onnx)}


def write_graph(format: str, network: nn.Module, record: ExportedNetwork, folder: Path) -> Run:
    """Write a graph beside the other files.

    Args:
        format: one of ``GRAPHS``.
        network: takes normalised images; on the CPU, in eval mode.
        record: what it is a network of.
        folder: with ``network.json`` in it.

    Returns:
        The file as a function of bytes.

    Raises:
        InputError: The format's exporter cannot, or a package is missing.
    """
    name, write = GRAPHS[format]
    facts = json.dumps(json.loads((folder / "network.json").read_text()))
    whole = FromBytes(network, torch.tensor(record.mean), torch.tensor(record.std)).eval()
    try:
        with warnings.catch_warnings():
            # Of torch's own internals; what matters is compared afterwards.
            warnings.simplefilter("ignore")
            return write(whole, record, folder / name, facts)
    except (InputError, OSError):
        raise
    except Exception as error:  # the exporters have errors of many kinds
        why = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:200]
        raise InputError(
            f"the network cannot be written as {format} ({type(error).__name__}: {why}); "
            "export it as safetensors"
        ) from error
