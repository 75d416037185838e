"""Measuring, with networks that sleep, and on the command line with real ones."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from evonas.cli import main
from evonas.config import LatencyConfig
from evonas.errors import InputError
from evonas.latency import Agreement, measure_latency
from evonas.latency.measure import space_of
from evonas.latency.timing import PASSES, build_all, time_all
from evonas.problems import AdditiveCost, get_problem
from evonas.spaces import Costs, SearchSpace, get_space
from evonas.spaces.registry import _FACTORIES


class Sleep(nn.Module):
    def __init__(self, milliseconds):
        super().__init__()
        self.seconds = milliseconds / 1e3

    def forward(self, images):
        assert not torch.is_grad_enabled() and not self.training and torch.get_num_threads() == 1
        time.sleep(self.seconds)
        return images


class Sleeping(SearchSpace):
    """Nine networks that sleep 2 ms and 1 to 6 for each gene."""

    def __init__(self, num_classes, input_shape):
        super().__init__(
            name="sleeping", n_choices=[3, 3], num_classes=num_classes, input_shape=input_shape
        )

    def count(self):
        macs = np.array([[0, 1, 2], [0, 3, 6]])
        return Costs(params=macs, macs=macs, fixed_params=0, fixed_macs=2)

    def build(self, x):
        return Sleep(2 + x[0] + 3 * x[1])


@pytest.fixture
def sleeping(monkeypatch):
    monkeypatch.setitem(_FACTORIES, "sleeping", Sleeping)
    return LatencyConfig(space="sleeping", networks=4, rounds=3, device="cpu")


def test_a_table_of_the_milliseconds_slept(sleeping):
    latency = measure_latency(sleeping)
    np.testing.assert_allclose(latency.cost.table, [[0, 1, 2], [0, 3, 6]], atol=0.6)
    assert latency.cost.constant == pytest.approx(2, abs=0.6)
    assert latency.adds_up.tau == 1 and latency.adds_up.error < 0.15 and not latency.warning
    assert (latency.fitted, len(latency.checked)) == (5, 4)
    assert latency.measured.max() > 10 - 0.1
    assert "Kendall's tau 1.00" in str(latency) and "batch size 1, threads 1" in str(latency)


def test_what_adds_up_badly_is_said(sleeping):
    latency = measure_latency(sleeping)
    bad, good = Agreement(0.3, 0.5), Agreement(0.99, 0.01)
    assert "no sum over its choices" in str(replace(latency, adds_up=bad, repeats=good))
    assert "do not even repeat" in str(replace(latency, adds_up=bad, repeats=bad))
    assert "badly" in replace(latency, adds_up=Agreement(float("nan"), 0.01)).warning


def test_the_file_is_read_back_as_a_cost(sleeping, tmp_path):
    latency = measure_latency(sleeping)
    latency.write(tmp_path / "table.csv")
    frame = pd.read_csv(tmp_path / "table.csv")
    assert len(frame) == 1 + 6 and frame["gene"].isna().tolist() == [True] + [False] * 6
    (how,) = {tuple(row) for row in frame[["unit", "batch_size", "threads", "rounds"]].values}
    assert how == ("ms", 1, 1, 3)
    space = get_space("sleeping")
    cost = AdditiveCost.from_csv(tmp_path / "table.csv", space, "latency")
    np.testing.assert_allclose(cost(latency.checked), latency.cost(latency.checked), rtol=1e-4)
    with pytest.raises(InputError, match="table of the input_shape 3x32x32, not of 3x8x8"):
        AdditiveCost.from_csv(tmp_path / "table.csv", get_space("sleeping", 10, (3, 8, 8)), "ms")


def test_networks_share_memory_with_each_other_and_not_within():
    space = get_space("macro")
    X = np.array([[1] * 8, [1] * 8, [2] * 8])
    built: list[int] = []
    networks = build_all(space, X, torch.zeros(1, 3, 32, 32), built.append)
    places = [[p.data_ptr() for p in network.parameters()] for network in networks]
    assert built == [1, 1, 1] and places[0] == places[1] and set(places[0]) & set(places[2])
    assert all(len(set(p)) == len(p) for p in places)
    counted = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counted == space.params(X).tolist()
    random_state = np.random.default_rng(0)
    images = torch.zeros(2, 3, 32, 32)
    visits: list[int] = []
    seconds = time_all(networks, images, rounds=2, random_state=random_state, advance=visits.append)
    assert seconds.shape == (2, PASSES, 3) and (seconds > 0).all() and len(visits) == 6


def test_the_space_is_the_problems_for_its_images():
    def named(**settings):
        space = space_of(LatencyConfig(**settings))
        return space.name, space.num_classes, space.input_shape

    assert named(problem="digits-latency") == ("tiny", 10, (1, 8, 8))
    assert named(problem="nasbench201-imagenet16-120-params") == ("nb201", 120, (3, 16, 16))
    assert named(space="macro") == ("macro", 10, (3, 32, 32))
    given = dict(space="macro", num_classes=7, input_shape=(3, 64, 64))
    assert named(**given) == ("macro", 7, (3, 64, 64))
    assert named(problem="digits-params", space="macro")[::2] == ("macro", (1, 8, 8))
    with pytest.raises(InputError, match="give --space, or --problem"):
        named()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(networks=2), "networks is 2; give a number of at least 3"),
        (dict(rounds=1), "rounds is 1"),
        (dict(threads=0), "threads is 0"),
        (dict(threads=10_000), "give at most 1024"),
        (dict(batch_size=0), "batch_size is 0"),
        (dict(output=""), "output is empty"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        LatencyConfig(space="tiny", **settings)


def test_the_command_writes_a_table_and_never_over_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["measure-latency", "--problem", "digits-params", "--rounds", "2", "--networks", "5"]
    assert main([*words, "--output", "my.csv", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "Kendall's tau" in said and "with 5 other networks measured whole" in said
    assert "--problem digits-latency --space tiny --cost latency=my.csv" in said
    problem = get_problem("digits-latency", costs={"latency": "my.csv"})
    assert problem.cheap == ("latency",) and problem.ideal[1] > 0
    before = (tmp_path / "my.csv").read_bytes()
    for more, message in (
        (["--output", "my.csv"], "there is a my.csv already; name another"),
        (["--output", "no/my.csv"], "cannot write into the folder no"),
        (["--space", "macr"], "unknown space 'macr'"),
        (["--plugin", "nowhere.py"], "the plugin nowhere.py cannot be run"),
    ):
        assert main([*words, *more]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error
    assert (tmp_path / "my.csv").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
