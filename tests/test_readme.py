"""The Python of the README and of docs/, as written, with shorter budgets."""

import itertools
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from manual import PAGES, python_blocks

from evonas.cli import main

WITH_PYTHON = [page for page in PAGES if python_blocks(page)]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_every_block_of_python_runs(page, tmp_path, monkeypatch, own_registries):
    monkeypatch.chdir(tmp_path)
    folder = ""
    if page.name == "README.md":
        run = ["run", "--training.steps", "40", "--evaluations", "40", "--threads", "1", "--quiet"]
        assert main(run) == 0
        (folder,) = (path.name for path in (tmp_path / "runs").iterdir())
        rows = [
            f"{d},{k},{40 - 3 * d - k},{10 * d + k}" for d, k in itertools.product(range(5), (3, 5))
        ]
        text = "depth,kernel,error,params\n" + "\n".join(rows) + "\n"
        (tmp_path / "table.csv").write_text(text)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (200, 3, 8, 8)).astype(np.uint8)
        np.savez("my_images.npz", images=images, labels=rng.integers(0, 2, 200))
    names: dict = {"__name__": "readme"}
    for block in python_blocks(page):
        exec(compile(_shorter(block, folder), str(page), "exec", dont_inherit=True), names)
        names["replace"] = replace
    plt.close("all")


def _shorter(block: str, folder: str) -> str:
    block = re.sub(r'"runs/[a-z0-9-]+-\d{8}-\d{6}"', repr(f"runs/{folder}"), block)
    block = block.replace('train("30s")', "train(steps=40)").replace("steps=400", "steps=40")
    block = re.sub(r'\("n_eval", (\d+)\)', _fewer, block)
    block = block.replace("ScratchConfig(epochs=5)", "ScratchConfig(epochs=1)")
    return block.replace("problem.training\n", "replace(problem.training, steps=100)\n")


def _fewer(found: re.Match) -> str:
    return f'("n_eval", {min(int(found[1]), 60)})'
