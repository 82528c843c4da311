"""Period finding against numpy and known periods."""

import math

import numpy as np
import pytest
import torch

from attractor.autocorrelation import autocorrelation, first_period


def series(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def test_autocorrelation_is_the_unbiased_definition():
    x = np.random.default_rng(0).normal(size=75) + 3.0
    c = x - x.mean()
    expected = [(c[: 75 - k] @ c[k:]) / (75 - k) / (c @ c / 75) for k in range(38)]
    np.testing.assert_allclose(autocorrelation(series(x)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("period", [8.0, 13.7, 25.0, 40.0])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_period_of_a_sine_whatever_its_offset(period, offset):
    t = np.arange(200)
    found = first_period(series(np.sin(2 * math.pi * t / period + 0.3) + offset))
    assert found is not None
    assert found[0] == pytest.approx(period, rel=0.02)
    assert found[1] > 0.95


def test_the_first_significant_peak_not_the_largest():
    """A slowly modulated wave is most like itself a whole modulation later; its period is still the short one."""
    t = np.arange(400)
    x = np.sin(2 * math.pi * t / 20) * (1 + 0.5 * np.sin(2 * math.pi * t / 80))
    r = autocorrelation(series(x))
    assert float(r[75:85].max()) > float(r[18:23].max())
    found = first_period(series(x))
    assert found is not None
    assert found[0] == pytest.approx(20, abs=0.5)


def test_a_parabola_refines_between_the_samples():
    t = np.arange(2000)
    found = first_period(series(np.sin(2 * math.pi * t / 12.3)))
    assert found is not None
    assert found[0] == pytest.approx(12.3, abs=0.03)


@pytest.mark.parametrize("x", [np.full(100, 7.3), np.zeros(100), np.linspace(0, 5, 100)])
def test_what_does_not_recur_has_no_period(x):
    assert first_period(series(x)) is None


def test_white_noise_is_rarely_taken_for_periodic():
    rng = np.random.default_rng(1)
    found = [first_period(series(rng.normal(size=200))) for _ in range(300)]
    assert sum(f is not None for f in found) <= 300 * 0.09
    assert all(f is None or f[1] < 0.6 for f in found)
