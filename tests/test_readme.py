"""The Python of the README, as written, with shorter budgets."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

from evonas.cli import main

README = Path(__file__).parent.parent / "README.md"


def test_every_block_of_python_runs(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("evonas.spaces.registry._FACTORIES", dict(_factories()))
    run = ["run", "--training.steps", "40", "--evaluations", "40", "--threads", "1", "--quiet"]
    assert main(run) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    rows = [
        f"{d},{k},{40 - 3 * d - k},{10 * d + k}" for d, k in itertools.product(range(5), (3, 5))
    ]
    (tmp_path / "table.csv").write_text("depth,kernel,error,params\n" + "\n".join(rows) + "\n")
    names: dict = {"__name__": "readme", "replace": replace}
    for block in blocks:
        block = re.sub(r'"runs/[a-z0-9-]+-\d{8}-\d{6}"', repr(f"runs/{folder.name}"), block)
        block = block.replace('train("30s")', "train(steps=40)").replace("steps=400", "steps=40")
        block = re.sub(r'\("n_eval", (\d+)\)', _shorter, block)
        block = block.replace("TrainingConfig(steps=200)", "TrainingConfig(steps=20)")
        block = block.replace("ScratchConfig(epochs=5)", "ScratchConfig(epochs=1)")
        block = block.replace("problem.training", "replace(problem.training, steps=100)")
        exec(compile(block, str(README), "exec", dont_inherit=True), names)
    plt.close("all")
    assert "mine:" in capsys.readouterr().out


def _shorter(found: re.Match) -> str:
    return f'("n_eval", {min(int(found[1]), 60)})'


def _factories():
    from evonas.spaces import registry

    return registry._FACTORIES
