"""What importing evonas loads, and what it must not."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "thop")
BLOCK = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
sys.meta_path.insert(0, Absent())
"""
LIGHT = ["", ".operators", ".spaces", ".data", ".problems", ".search", ".runs", ".analysis",
         ".config", ".cli", ".run", ".stages", ".latency", ".training", ".supernet",
         ".export", ".fidelity"]  # fmt: skip


def run_without_torch(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + program], capture_output=True, text=True, timeout=120
    )


def test_all_packages_import_where_torch_is_not_installed():
    program = "\n".join(f"import evonas{name}" for name in LIGHT)
    done = run_without_torch(program)
    assert done.returncode == 0, done.stderr


def test_spaces_and_command_line_work_where_torch_is_not_installed():
    done = run_without_torch(
        """
from evonas.cli import main
from evonas.spaces import get_space
import numpy as np
space = get_space("macro")
assert space.decode(space.encode("22210210")) == "macro:22210210"
assert main(["problems"]) == 0
assert main(["--help"]) == 0
"""
    )
    assert done.returncode == 0, done.stderr
    assert "cifar10-params-macs" in done.stdout


def test_what_needs_torch_says_so_in_one_line():
    done = run_without_torch(
        "from evonas.cli import main; sys.exit(main(['run', '--problem', 'digits-params']))"
    )
    assert done.returncode == 2
    assert "torch" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["problems", "operators"])
def test_nobody_imports_the_top_level_folders(name):
    root = Path(__file__).parent.parent
    own = [root / "evonas", root / "problems", root / "operators", root / "benchmarks",
           root / "tests"]  # fmt: skip
    files = [f for folder in own for f in folder.rglob("*.py")]
    assert len(files) > 100
    for file in files:
        for line in file.read_text().splitlines():
            assert not line.strip().startswith((f"import {name}", f"from {name}")), file
