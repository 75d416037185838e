"""Writes the files of an export into a folder, reads them back and compares."""

import copy
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from evonas._version import __version__
from evonas.errors import InputError
from evonas.exporting.graphs import GRAPHS, INPUT, OUTPUT, write_graph
from evonas.exporting.record import ExportedNetwork
from evonas.exporting.source import source
from evonas.exporting.tracing import Calls
from evonas.spaces.blocks import STEERED

# Largest difference of logits, as a share of the largest logit where that is above 1.
TOLERANCE = 1e-4
# Sizes of the batches that are compared; one is what code for batches trips over.
BATCHES = (3, 1)
# What the reader in the exported file knows.
TYPES = (torch.float32, torch.int64, torch.uint8, torch.bool)


@torch.no_grad()
def write(exported: ExportedNetwork, folder: Path, format: str) -> None:
    """Write all files of an export.

    Args:
        exported: what to write.
        folder: an empty one.
        format: ``safetensors``, or one of the graphs.

    Raises:
        InputError: The network cannot be written, or what was written gives other logits.
    """
    original = _plain_copy(exported.network)
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.randint(256, (n, *exported.input_shape), dtype=torch.uint8, generator=generator)
        for n in BATCHES
    ]
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (exported.mean, exported.std))
    normalised = [(images.float() - mean) / std for images in batches]
    wanted = [_logits(original, images, exported) for images in normalised]

    text = source(original, exported, Calls(original, normalised[0]))
    (folder / "network.py").write_text(text, encoding="utf-8")
    module = _imported(text, folder / "network.py")
    state = _state(_made(module), original)
    origin = {"genome": exported.genome, "weights": exported.weights}
    (folder / "weights.safetensors").write_bytes(save(state, metadata=origin))
    facts = json.dumps(_facts(exported, format), indent=2) + "\n"
    (folder / "network.json").write_text(facts, encoding="utf-8")

    network = module.load()
    _compare("network.py", [network(module.preprocess(images)) for images in batches], wanted)
    if format in GRAPHS:
        run = write_graph(format, network, exported, folder)
        _compare(format, [run(images) for images in batches], wanted)


def _plain_copy(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in float32 and in eval mode."""
    try:
        plain = copy.deepcopy(network).cpu().float().eval()
    except Exception as error:  # a module of a user may hold anything
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"the network cannot be copied ({type(error).__name__}: {why}); keep in it only what "
            "copy.deepcopy can copy"
        ) from error
    for module in plain.modules():
        if type(module) in STEERED:
            module.__class__ = nn.Conv2d
    return plain


def _logits(network: nn.Module, images: Tensor, exported: ExportedNetwork) -> Tensor:
    """What the network itself says.

    Raises:
        InputError: it is no logit for each class, or no number.
    """
    logits = network(images)
    shape = (len(images), len(exported.class_names))
    if not isinstance(logits, Tensor) or tuple(logits.shape) != shape:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"the network returns {got} for {shape[0]} images and {shape[1]} class names; "
            "give one name for each of its logits"
        )
    if not logits.isfinite().all():
        raise InputError("the network's logits are not finite; export it with trained weights")
    return logits


def _imported(text: str, path: Path) -> ModuleType:
    """The file as a module; importing it by its path would leave bytecode in the folder."""
    module = ModuleType("network")
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def _made(module: ModuleType) -> nn.Module:
    with torch.device("meta"):
        made: nn.Module = module.Network()
    return made


def _state(made: nn.Module, original: nn.Module) -> dict[str, Tensor]:
    """What the network in the file needs of the original's state, and of its constants.

    Raises:
        InputError: a tensor is of a type that the file cannot read.
    """
    state = {}
    for name in made.state_dict():
        owner, _, own = name.rpartition(".")
        tensor = getattr(original.get_submodule(owner), own).detach().contiguous()
        if tensor.dtype not in TYPES:
            raise InputError(
                f"the weight '{name}' is of type {tensor.dtype}; use float32, int64, uint8 or bool"
            )
        # Tensors that share memory are each written whole.
        state[name] = tensor.clone()
    return state


def _facts(exported: ExportedNetwork, format: str) -> dict[str, Any]:
    """What ``network.json`` holds."""
    channels, height, width = exported.input_shape
    facts: dict[str, Any] = {
        "genome": exported.genome,
        "weights": exported.weights,
        "numbers": dict(exported.numbers),
        "class_names": list(exported.class_names),
        "input_shape": [channels, height, width],
        "normalisation": {
            "formula": "(byte - mean) / std for each channel, bytes from 0 to 255",
            "mean": list(exported.mean),
            "std": list(exported.std),
        },
        "files": {
            "network.py": "class Network takes normalised float32 images; preprocess makes them",
            "weights.safetensors": "state of Network",
        },
        "evonas": __version__,
        "torch": str(torch.__version__),
    }
    if format in GRAPHS:
        facts["files"][GRAPHS[format][0]] = (
            f"takes {INPUT}, uint8 (n, {channels}, {height}, {width}), the bytes themselves: the "
            f"normalisation is in the graph; returns {OUTPUT}, float32 "
            f"(n, {len(exported.class_names)})"
        )
    return facts


def _compare(what: str, found: list[Tensor], wanted: list[Tensor]) -> None:
    """Refuse what gives other logits.

    Raises:
        InputError: They differ by more than `TOLERANCE`.
    """
    for got, logits in zip(found, wanted, strict=True):
        largest = max(1.0, logits.abs().max().item())
        if got.shape != logits.shape or not (got - logits).abs().max() <= TOLERANCE * largest:
            raise InputError(
                f"{what} gives other logits than the network: its forward depends on what torch.fx "
                "does not record, such as values of tensors or hooks; write it without to export it"
            )
