"""Exported networks compute what the network in evonas computes, and need no evonas."""

import importlib.util
import json
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import thop
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from evonas.errors import InputError
from evonas.export import FORMATS, FROM_SUPERNET, ExportedNetwork, export_network
from evonas.spaces import get_space, list_spaces

SHAPES = {"tiny": (1, 8, 8), "darts": (3, 8, 8), "mobile-imagenet": (3, 32, 32)}
# Importing evonas raises, as does all that is beside torch and what torch itself imports.
BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("evonas", "safetensors", "torchvision", "thop", "pymoo", "onnx"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Absent())
"""


def settled(network, shape, passes=3):
    """The network after some passes in train mode: no statistic is at its start any more."""
    generator = torch.Generator().manual_seed(1)
    network.train()
    with torch.no_grad():
        for _ in range(passes):
            network(torch.randn(4, *shape, generator=generator) * 2 + 1)
    return network


def exportable(network, shape=(3, 8, 8), classes=10, **changes):
    facts = {
        "genome": "own:01",
        "mean": [100.0 + channel for channel in range(shape[0])],
        "std": [50.0 + channel for channel in range(shape[0])],
        "class_names": [f"class {i}" for i in range(classes)],
        "weights": "trained from scratch for 2 epochs",
        "numbers": {"test error (%)": 5.25, "params": 1234},
    }
    return ExportedNetwork(network=network, input_shape=shape, **(facts | changes))


def of_space(name, text=None, **changes):
    shape = SHAPES.get(name, (3, 16, 16))
    space = get_space(name, 10, shape)
    x = space.sample(1, np.random.default_rng(3))[0] if text is None else space.encode(text)
    torch.manual_seed(0)
    return exportable(settled(space.build(x), shape), shape, genome=space.decode(x), **changes)


def imported(folder):
    spec = importlib.util.spec_from_file_location("exported_network", folder / "network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bytes_of(exported, n=5):
    generator = torch.Generator().manual_seed(7)
    return torch.randint(256, (n, *exported.input_shape), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def logits_of(exported, images):
    """The network's own, normalised here."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (exported.mean, exported.std))
    return exported.network.eval()((images.float() - mean) / std)


@torch.no_grad()
def check(exported, folder):
    """Export, load the file, compare; the module of the file and its network."""
    export_network(exported, folder)
    module = imported(folder)
    network = module.load()
    images = bytes_of(exported)
    torch.testing.assert_close(
        network(module.preprocess(images)), logits_of(exported, images), rtol=1e-5, atol=1e-5
    )
    return module, network


# -- spaces -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_spaces())
def test_every_space(name, tmp_path):
    exported = of_space(name)
    _, network = check(exported, tmp_path / "out")
    own = exported.network.state_dict()
    assert set(network.state_dict()) <= set(own), "weights keep the names that they have in evonas"
    for key, value in load_file(tmp_path / "out" / "weights.safetensors").items():
        assert torch.equal(value, own[key])


def test_it_runs_where_there_is_torch_and_no_evonas(tmp_path):
    exported = of_space("nb201", canonical_cell())
    folder = tmp_path / "out"
    export_network(exported, folder)
    images = bytes_of(exported)
    torch.save(images, tmp_path / "images.pt")
    program = BLOCK + (
        """
try:
    import evonas
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("evonas is there")
import torch
import network
images = torch.load("../images.pt", weights_only=True)
with torch.no_grad():
    torch.save(network.load()(network.preprocess(images)), "../logits.pt")
assert not {m for m in sys.modules if m.split(".")[0] in ("evonas", "safetensors")}
"""
    )
    done = run_python("-c", program, cwd=folder)
    assert done.returncode == 0, done.stderr
    logits = torch.load(tmp_path / "logits.pt", weights_only=True)
    torch.testing.assert_close(logits, logits_of(exported, images), rtol=1e-4, atol=1e-4)
    # -I: neither the folder of the file nor the environment is searched for modules.
    done = run_python("-I", "network.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(exported.genome)


def run_python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, cwd=cwd
    )


def canonical_cell():
    return "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|none~2|"


def test_dead_operations_stay_behind(tmp_path):
    # Node 2 leads nowhere; as written, the network runs its convolutions all the same.
    exported = of_space("nb201", canonical_cell())
    assert any(".ops.1." in key for key in exported.network.state_dict())
    module, network = check(exported, tmp_path / "out")
    assert not any(f".ops.{gene}." in key for key in network.state_dict() for gene in (1, 2, 5))
    text = (tmp_path / "out" / "network.py").read_text()
    assert 'self.ops["1"]' not in text and "no_grad" not in text


def test_a_cell_of_nothing(tmp_path):
    text = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    module, network = check(of_space("nb201", text), tmp_path / "out")
    assert "torch.zeros_like(x)" in (tmp_path / "out" / "network.py").read_text()
    assert not any(".ops." in key for key in network.state_dict())


def test_what_profilers_leave_is_not_exported(tmp_path):
    exported = of_space("tiny")
    thop.profile(exported.network, inputs=(torch.zeros(1, 1, 8, 8),), verbose=False)
    exported.network.register_buffer("total_ops", torch.zeros(1, dtype=torch.float64))
    exported.network.layers[0].register_buffer("total_params", torch.zeros(1))
    assert any("total_ops" in key for key in exported.network.state_dict())
    _, network = check(exported, tmp_path / "out")
    keys = {*network.state_dict(), *load_file(tmp_path / "out" / "weights.safetensors")}
    assert not any("total" in key for key in keys)
    assert "total" not in (tmp_path / "out" / "network.py").read_text()


def test_the_file_reads_well(tmp_path):
    check(of_space("nb201", canonical_cell()), tmp_path / "out")
    text = (tmp_path / "out" / "network.py").read_text()
    cell = """
class Cell(nn.Module):
    def __init__(self, ops):
        super().__init__()
        self.ops = ops

    def forward(self, x):
        ops_0 = self.ops["0"](x)
        return self.ops["3"](x) + self.ops["4"](ops_0)
"""
    made = """
def cell(channels):
    return Cell(nn.ModuleDict({
        "0": relu_conv_bn(channels, channels, stride=1),
        "3": nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
        "4": relu_conv_bn(channels, channels, stride=1),
    }))
"""
    assert cell in text and made in text
    assert "            cell(16),\n            reduction(16, 32),\n            cell(32),\n" in text
    lines = text.splitlines()
    assert max(map(len, lines[lines.index("class Cell(nn.Module):") :])) <= 100
    assert len(lines) < 170


# -- what the files say -------------------------------------------------------------------

NAMES = ["it's", 'a "cat"', "Käfer", "\\", "猫", "new\nline", "'''\"\"\"", "a, b", "", "\u202e"]


def test_names_of_any_kind(tmp_path):
    genome, origin = 'own:"""\\x|é', 'said """so"""\nby \\N{nobody}, the "last"'
    exported = exportable(
        settled(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), (3, 8, 8)),
        class_names=NAMES,
        genome=genome,
        weights=origin,
        numbers={'err"""': 1.5},
    )
    module, _ = check(exported, tmp_path / "out")
    assert genome == module.GENOME and origin == module.WEIGHTS
    assert list(module.CLASS_NAMES) == NAMES
    facts = json.loads((tmp_path / "out" / "network.json").read_text())
    assert facts["class_names"] == NAMES and facts["genome"] == genome


def test_many_class_names_keep_their_spaces(tmp_path):
    names = [f"class  number {i}, and\u00a0more" for i in range(100)]
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 100))
    module, _ = check(exportable(network, class_names=names), tmp_path / "out")
    assert list(module.CLASS_NAMES) == names


def test_facts_are_in_file_and_json(tmp_path):
    exported = of_space("tiny", weights=FROM_SUPERNET)
    module, _ = check(exported, tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "network.json").read_text())
    assert facts["weights"] == module.WEIGHTS == FROM_SUPERNET
    assert "supernet, not retrained" in module.__doc__
    assert module.GENOME == exported.genome and module.INPUT_SHAPE == (1, 8, 8)
    assert module.MEAN == (100.0,) and facts["normalisation"]["std"] == [50.0]
    assert facts["numbers"] == {"test error (%)": 5.25, "params": 1234}
    assert "test error (%): 5.25" in module.__doc__


def test_normalisation_keeps_every_bit(tmp_path):
    mean = torch.tensor([125.30691528, 0.1, 1 / 3])
    exported = exportable(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), mean=mean)
    module, _ = check(exported, tmp_path / "out")
    assert torch.equal(torch.tensor(module.MEAN), mean)
    assert len(str(module.MEAN[0])) < 12


def test_preprocess_refuses_what_is_no_image(tmp_path):
    module, _ = check(of_space("tiny"), tmp_path / "out")
    for wrong in (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 9, 8, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="uint8 images of shape"):
            module.preprocess(wrong)


def test_the_network_stays_as_it_is(tmp_path):
    exported = of_space("tiny")
    exported.network.train()
    before = {key: value.clone() for key, value in exported.network.state_dict().items()}
    export_network(exported, tmp_path / "out")
    assert exported.network.training
    assert all(torch.equal(v, before[k]) for k, v in exported.network.state_dict().items())
    half = replace(exported, network=exported.network.to(torch.bfloat16))
    export_network(half, tmp_path / "half")
    assert half.network.head[-1].weight.dtype == torch.bfloat16


# -- folders ------------------------------------------------------------------------------


def test_folders(tmp_path):
    exported = of_space("tiny")
    paths = export_network(exported, tmp_path / "a" / "b")
    assert paths == sorted((tmp_path / "a" / "b").iterdir()) and len(paths) == 3
    (tmp_path / "empty").mkdir()
    export_network(exported, tmp_path / "empty")
    for taken in (tmp_path / "a", tmp_path / "a" / "b" / "network.py"):
        before = taken.stat().st_mtime_ns
        with pytest.raises(InputError, match="there already"):
            export_network(exported, taken)
        assert taken.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty"]


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(InputError, match="No space left") as error:
        export_network(of_space("tiny"), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_format(tmp_path):
    with pytest.raises(InputError, match="did you mean onnx"):
        export_network(of_space("tiny"), tmp_path / "out", format="onx")
    assert FORMATS == ("safetensors", "torch-export", "onnx")


# -- graphs -------------------------------------------------------------------------------


def test_torch_export(tmp_path):
    exported = of_space("nb201", canonical_cell())
    paths = export_network(exported, tmp_path / "out", format="torch-export")
    assert "network.pt2" in [path.name for path in paths]
    extra = {"network.json": ""}
    graph = torch.export.load(tmp_path / "out" / "network.pt2", extra_files=extra).module()
    assert json.loads(extra["network.json"])["genome"] == exported.genome
    for n in (1, 2, 7):
        images = bytes_of(exported, n)
        torch.testing.assert_close(graph(images), logits_of(exported, images), rtol=0, atol=1e-4)
    facts = json.loads((tmp_path / "out" / "network.json").read_text())
    assert "normalisation is in the graph" in facts["files"]["network.pt2"]


@pytest.mark.parametrize("name", ["tiny", "nb201"])
def test_onnx(name, tmp_path, capsys):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    exported = of_space(name)
    export_network(exported, tmp_path / "out", format="onnx")
    assert capsys.readouterr().out == ""
    path = str(tmp_path / "out" / "network.onnx")
    onnx.checker.check_model(path, full_check=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.type) == ("images", "tensor(uint8)")
    assert given.shape == ["batch", *exported.input_shape]
    for n in (1, 2, 7):
        images = bytes_of(exported, n)
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        np.testing.assert_allclose(logits, logits_of(exported, images), rtol=0, atol=1e-4)
    about = session.get_modelmeta().custom_metadata_map["network.json"]
    assert json.loads(about)["class_names"] == list(exported.class_names)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_onnx_is_not_installed(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'evonas\[onnx\]'") as error:
        export_network(of_space("tiny"), tmp_path / "out", format="onnx")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


# -- modules of one's own -----------------------------------------------------------------


class Scaled(nn.Module):
    """A parameter of its own, and a buffer that is not in the state."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, channels)[:, None, None])
        self.register_buffer("shift", torch.linspace(-1, 1, channels)[:, None, None], False)
        self.steps = torch.arange(channels)

    def forward(self, x):
        order = self.steps.flip(0)
        return (x * self.scale - self.shift)[:, order]


class Shuffle(nn.Module):
    """Arithmetic on sizes."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Odd(nn.Module):
    """Decides by sizes, as code for any size of image does."""

    def __init__(self):
        super().__init__()
        self.first = nn.AvgPool2d(2)

    def forward(self, x):
        if x.shape[-1] % 2 == 1:
            raise NotImplementedError
        x = x if x.size(1) > 2 and len(x.shape) == 4 and x.dim() == 4 else x + 1
        return self.first(x).expand(x.shape[0], -1, -1, -1)


class Dense(nn.Sequential):
    """A sequence whose layers are no chain."""

    def forward(self, x):
        for layer in self:
            x = torch.cat([x, layer(x)], 1)
        return x


class OwnConv(nn.Conv2d):
    """A layer that is none of torch's."""

    def forward(self, x):
        return super().forward(x) * 0.5 + F.max_pool2d(x, 3, 1, padding=1).mean(1, keepdim=True)


class Optional(nn.Module):
    """Arguments that are mostly left out."""

    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))

    def forward(self, x, mask=None, *, power=2.0, **unused):
        if mask is not None:
            x = x * mask
        return x * self.gate(x).sigmoid() ** power


class Twice(nn.Module):
    """One layer in two places, two attributes of one layer, and work in place between them."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.same = self.conv
        self.act = nn.ReLU(inplace=True)
        self.paths = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(3))

    def forward(self, x):
        y = self.conv(x)
        self.act(y)
        z = y + 0
        z.mul_(2).add_(1)
        z += self.same(x)
        tied = F.conv2d(x, self.conv.weight[:, :, 1:2, 1:2])
        return sum(path(z) for path in self.paths) - (x - tied) ** 2 / (1 + y.abs()) - -z


class Attention(nn.Module):
    """A layer that returns more than one thing."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, 2, batch_first=True)

    def forward(self, x):
        n, c, h, w = x.shape
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return x + mixed.transpose(1, 2).reshape(n, c, h, w)


class Nested(nn.Module):
    """Reaches into its parts."""

    def __init__(self, channels):
        super().__init__()
        self.parts = nn.ModuleDict(
            {"a b": nn.ModuleList([nn.Identity(), nn.Sequential(nn.Conv2d(channels, channels, 1))])}
        )
        self.rows = nn.Sequential(
            nn.Hardtanh(-2.0, 3.0), nn.GELU(), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x):
        x = self.parts["a b"][1][0](x)
        return self.rows[2](self.rows[0](x)) + {"x": x}["x"].new_zeros((x.size(0), 1, 1, 1))


OWN = {
    "scaled": lambda: Scaled(6),
    "shuffle": Shuffle,
    "odd": Odd,
    "dense": lambda: Dense(nn.Conv2d(6, 4, 1), nn.Conv2d(10, 4, 3, padding=1)),
    "own-conv": lambda: OwnConv(6, 6, (3, 1), padding=(1, 0), padding_mode="reflect"),
    "optional": lambda: Optional(6),
    "twice": lambda: Twice(6),
    "attention": lambda: Attention(6),
    "nested": lambda: Nested(6),
    "named": lambda: nn.Sequential(
        OrderedDict(conv=nn.Conv2d(6, 6, 1), act=nn.LeakyReLU(0.2))
    ),
    "layers": lambda: nn.Sequential(
        nn.ConvTranspose2d(6, 6, 2, stride=2), nn.GroupNorm(3, 6), nn.PReLU(6), nn.Dropout(0.3),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.InstanceNorm2d(6), nn.SiLU(inplace=True),
        nn.ZeroPad2d(1), nn.Hardswish(), nn.BatchNorm2d(6, eps=1e-3, affine=False), nn.ReLU6(),
        nn.MaxPool2d((2, 1), ceil_mode=True), nn.Conv2d(6, 6, 3, padding="same", bias=True),
    ),
}  # fmt: skip


class Around(nn.Module):
    """A network with a middle."""

    def __init__(self, *middle):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.middle = nn.ModuleList(middle)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(10))

    def forward(self, images):
        x = self.stem(images)
        for part in self.middle:
            x = part(x)
        return self.head(x)


@pytest.mark.parametrize("name", OWN)
def test_modules_of_ones_own(name, tmp_path):
    torch.manual_seed(0)
    network = settled(Around(OWN[name]()), (3, 8, 8))
    check(exportable(network), tmp_path / "one")
    if name not in ("dense", "layers", "odd"):
        # As often as it takes for the code to be shared.
        network = settled(Around(*(OWN[name]() for _ in range(6))), (3, 8, 8))
        check(exportable(network), tmp_path / "six")


def test_a_network_that_is_a_sequence(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    module, exported = check(exportable(network), tmp_path / "out")
    assert isinstance(exported, nn.Sequential)
    assert set(exported.state_dict()) == {"1.weight", "1.bias"}


def test_blocks_that_differ_in_numbers_share_a_function(tmp_path):
    blocks = [
        nn.Sequential(nn.Conv2d(6, hidden, k, padding=k // 2), nn.ReLU(), nn.Conv2d(hidden, 6, 1))
        for hidden, k in ((8, 3), (12, 3), (8, 5))
    ]
    check(exportable(settled(Around(*blocks), (3, 8, 8))), tmp_path / "out")
    text = (tmp_path / "out" / "network.py").read_text()
    assert "def conv_relu_conv(hidden_channels, kernel_size, padding):" in text
    assert "            conv_relu_conv(12, kernel_size=3, padding=1),\n" in text


class ByValue(nn.Module):
    def forward(self, x):
        return x * 2 if x.mean() > 0 else x


class Foreign(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.tanh(x.detach().numpy()))


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Conv2d(6, 6, 1)]

    def forward(self, x):
        return self.layers[0](x)


def hooked():
    layer = nn.ReLU()
    layer.register_forward_hook(lambda module, args, output: output + 1)
    return layer


class Unremembered(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 8)

    def forward(self, x):
        return x + self.rnn(x.flatten(0, 1))[0].reshape_as(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ByValue, "'middle.0', a ByValue"),
        (Foreign, "'middle.0', a Foreign"),
        (Hidden, "'middle.0', a Hidden"),
        (hooked, "other logits"),
        (Unremembered, "'middle.0.rnn', a torch.nn.LSTM"),
    ],
)
def test_what_cannot_be_exported(make, message, tmp_path):
    network = settled(Around(make()), (3, 8, 8), passes=1)
    with pytest.raises(InputError, match=message) as error:
        export_network(exportable(network), tmp_path / "out")
    assert "\n" not in str(error.value) and "to export it" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_logits_and_names_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="one name for each of its logits"):
        export_network(exportable(Around(), classes=9), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": [1.0]}, "one for each of the 3 channels"),
        ({"std": [1.0, 0.0, 1.0]}, "std above 0"),
        ({"numbers": {"error": float("nan")}}, "leave out what is not known"),
        ({"class_names": []}, "give all three"),
        ({"weights": " "}, "give all three"),
        ({"input_shape": (3, 8)}, "no image"),
    ],
)
def test_facts_that_do_not_fit(changes, message):
    with pytest.raises(InputError, match=message):
        replace(exportable(Around()), **changes)
