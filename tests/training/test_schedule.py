import numpy as np
import pytest

from evonas.training.schedule import warmup_cosine


def test_rises_linearly_then_falls_to_zero():
    rates = [warmup_cosine(s, 100, peak=0.4, warmup=0.1) for s in range(100)]
    assert rates[0] == pytest.approx(0.4 / 11)
    assert rates[10] == pytest.approx(0.4)
    assert np.all(np.diff(rates[:11]) > 0) and np.all(np.diff(rates[10:]) < 0)
    assert 0 < rates[-1] < 0.001


def test_without_warmup_it_starts_at_the_peak():
    assert warmup_cosine(0, 10, peak=1.0, warmup=0.0) == 1.0


def test_a_single_step_learns():
    assert warmup_cosine(0, 1, peak=1.0, warmup=0.05) > 0
