"""The file that defines one network with nothing but torch."""

import textwrap
from typing import Any

from torch import nn

from evonas._version import __version__
from evonas.exporting.expressions import Call, items, literal, printed
from evonas.exporting.modules import INDENT, RESERVED, Class, Writer
from evonas.exporting.record import ExportedNetwork
from evonas.exporting.sharing import share
from evonas.exporting.tracing import Calls


def source(network: nn.Module, record: ExportedNetwork, calls: Calls) -> str:
    """The text of ``network.py``.

    Args:
        network: in eval mode.
        record: what the file says beside the layers.
        calls: what the network's modules were called with.

    Raises:
        InputError: the network holds what cannot be written with torch alone.
    """
    writer = Writer(calls)
    kind, parts = writer.written(network, "")
    root, functions = share(items("Network", parts), {*RESERVED, *writer.classes})
    classes = [_class(name, kind) for name, kind in writer.classes.items()]
    made = [f"def {f.name}({', '.join(f.params)}):\n{INDENT}return {printed(f.body, 4, lead=7)}\n"
            for f in functions]  # fmt: skip
    defined = "\n\n".join([*classes, *made, _network(kind, root, record)])
    imports = ["import json\n"]
    imports += ["from collections import OrderedDict\n"] * ("OrderedDict(" in defined)
    imports += ["from pathlib import Path\n\nimport torch\nfrom torch import nn\n"]
    imports += ["from torch.nn import functional as F\n"] * (" F." in defined or "(F." in defined)
    return "\n".join(
        [_docstring(record) + "".join(imports), _constants(record), "", defined, _TAIL]
    )


def _class(name: str, kind: Class) -> str:
    lines = [f"class {name}({kind.base}):\n"]
    if kind.parts:
        lines.append(f"{INDENT}def __init__(self, {', '.join(kind.parts)}):\n")
        lines.append(f"{INDENT * 2}super().__init__()\n")
        lines += [kind.keep(part, part) for part in kind.parts]
        lines.append("\n")
    return "".join(lines) + (kind.forward() or f"{INDENT}pass\n")


def _network(kind: Class, root: Call, record: ExportedNetwork) -> str:
    shape = ", ".join(map(str, record.input_shape))
    lines = [f"class Network({kind.base}):\n"]
    lines.append(
        f'{INDENT}"""Images from preprocess, float32 (n, {shape}), to logits '
        f'(n, {len(record.class_names)})."""\n\n{INDENT}def __init__(self):\n'
    )
    if kind.base == "nn.Sequential":
        layers = printed(Call("super().__init__", root.arguments), 8)
        lines.append(f"{INDENT * 2}{layers}\n")
    else:
        lines.append(f"{INDENT * 2}super().__init__()\n")
        for part, argument in zip(kind.parts, root.arguments, strict=True):
            value = printed(argument.value, 8, lead=len(f"self.{part} = "))
            lines.append(kind.keep(part, value))
    if kind.statements:
        lines += ["\n", kind.forward()]
    return "".join(lines)


def _constants(record: ExportedNetwork) -> str:
    return "".join(
        [
            _assigned("GENOME", record.genome),
            "# Where the weights come from.\n",
            _assigned("WEIGHTS", record.weights),
            _assigned("CLASS_NAMES", record.class_names),
            "# Channels, height and width of an image.\n",
            _assigned("INPUT_SHAPE", record.input_shape),
            "# Of each channel, for bytes from 0 to 255.\n",
            _assigned("MEAN", record.mean),
            _assigned("STD", record.std),
        ]
    )


def _assigned(name: str, value: Any) -> str:
    line = f"{name} = {literal(value)}\n"
    if len(line) <= 100 or not isinstance(value, tuple):
        return line
    filled = textwrap.fill(
        # Spaces within a text must not be broken at, nor be lost.
        ", ".join(literal(part).replace(" ", "\0") for part in value) + ",",
        width=96,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{name} = (\n{textwrap.indent(filled, INDENT)}\n)\n".replace("\0", " ")


def _docstring(record: ExportedNetwork) -> str:
    """What the file is and how it is used."""
    channels, height, width = record.input_shape
    head = f"The network {record.genome}, exported by evonas {__version__}."
    about = [f"Weights: {record.weights.rstrip('.')}."]
    about += [f"{name}: {number:.10g}" for name, number in record.numbers.items()]
    used = textwrap.indent(
        "from network import CLASS_NAMES, load, preprocess\n\n"
        "network = load()  # with the weights beside this file, ready to classify\n"
        f"logits = network(preprocess(images))  # bytes (n, {channels}, {height}, {width}) -> "
        f"(n, {len(record.class_names)})\n"
        "names = [CLASS_NAMES[best] for best in logits.argmax(dim=1)]\n",
        INDENT,
    )
    text = "\n".join(
        [_safe(head), "", *map(_safe, about), "", "It needs torch and nothing else:", "", used]
    )
    return f'"""{text}"""\n\n'


def _safe(text: str) -> str:
    """A line of any text that can stand in a docstring."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


_TAIL = '''
def preprocess(images):
    """Images as the network takes them: uint8 (n, *INPUT_SHAPE) -> float32, normalised."""
    if images.dtype != torch.uint8 or tuple(images.shape[1:]) != INPUT_SHAPE:
        raise ValueError(
            f"give uint8 images of shape (n, {', '.join(map(str, INPUT_SHAPE))}), "
            f"not {images.dtype} of shape {tuple(images.shape)}"
        )
    mean = torch.tensor(MEAN, device=images.device).view(-1, 1, 1)
    std = torch.tensor(STD, device=images.device).view(-1, 1, 1)
    return (images.float() - mean) / std


def read_weights(path):
    """The tensors of a safetensors file: length of the header, header as JSON, numbers."""
    data = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    types = {"F32": torch.float32, "I64": torch.int64, "U8": torch.uint8, "BOOL": torch.bool}
    weights = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        dtype = types[entry["dtype"]]
        numbers = torch.frombuffer(data[begin:end], dtype=dtype) if end > begin else torch.empty(0)
        weights[name] = numbers.to(dtype).reshape(entry["shape"])
    return weights


def load(path=Path(__file__).with_name("weights.safetensors")):
    """The network with its weights, on the CPU and in eval mode."""
    network = Network()
    network.load_state_dict(read_weights(path))
    return network.eval()


if __name__ == "__main__":
    parameters = sum(parameter.numel() for parameter in load().parameters())
    print(f"{GENOME}: {parameters} parameters, {len(CLASS_NAMES)} classes; weights {WEIGHTS}")
'''
