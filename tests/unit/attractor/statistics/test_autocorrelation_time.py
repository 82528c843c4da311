"""τ_int against closed forms of autoregressive series."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from attractor.statistics.autocorrelation_time import autocorrelation_time


def autoregressive(seed, chains, n, phi):
    """Unit variance, stationary from the start."""
    noise = np.random.default_rng(seed).standard_normal((chains, n + 400))
    return math.sqrt(1 - phi * phi) * lfilter([1.0], [1.0, -phi], noise, axis=-1)[:, 400:]


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9])
def test_autoregressive_series_of_first_order(phi):
    """ρ(t) = φ^t: τ_int = (1 + φ)/(1 − φ)."""
    exact = (1 + phi) / (1 - phi)
    found = float(autocorrelation_time(autoregressive(1, 8, 20_000, phi)))
    # Standard error √(2(2M + 1)/n)·τ (Sokal 1996, eq. 3.19), M ≈ 5τ/2; φ < 0 closes its window early.
    error = math.sqrt(2 * (5 * exact + 1) / 160_000) * exact
    bias = 2 * abs(phi) ** (1 + max(1, math.ceil(2.5 * exact))) / (1 - phi)
    assert abs(found - exact) < 4 * error + bias


def test_the_ar1_shortcut_is_not_the_integrated_time():
    """Half the variance is white, half slow: ρ(1) = 0.495, and the shortcut (1 + ρ)/(1 − ρ) misses most of it."""
    slow = autoregressive(2, 8, 50_000, 0.99)
    x = (slow + np.random.default_rng(3).standard_normal(slow.shape)) / math.sqrt(2)
    exact = 1 + 2 * 0.5 * 0.99 / 0.01
    rho = float((x[:, 1:] * x[:, :-1]).mean() / x.var())
    shortcut = (1 + rho) / (1 - rho)
    found = float(autocorrelation_time(x))
    assert shortcut < 4
    assert found == pytest.approx(exact, rel=0.12)


def test_the_variance_of_a_mean_is_what_it_says():
    """The definition: var(mean of n) = σ²·τ_int/n, over 4000 independent series."""
    x = autoregressive(4, 4000, 500, 0.8)
    direct = x.mean(-1).var() * 500
    assert float(autocorrelation_time(x)) == pytest.approx(direct, rel=0.08)


def test_the_window_follows_its_rule():
    """Against the sums written out as Sokal defines them."""
    x = autoregressive(5, 1, 2000, 0.7)[0]
    c = x - x.mean()
    rho = [float(c[: 2000 - t] @ c[t:] / (2000 - t) / (c @ c / 2000)) for t in range(1000)]
    half, m = 0.5, 0
    while m < 5 * half:
        m += 1
        half += rho[m]
    assert float(autocorrelation_time(x[None])) == pytest.approx(2 * half, rel=1e-9)


def test_chains_in_different_places_are_not_independent_draws():
    """About the common mean: chains that never meet have no time within which they would."""
    x = np.random.default_rng(6).standard_normal((4, 200)) + 10 * np.arange(4)[:, None]
    assert math.isnan(float(autocorrelation_time(x)))


def test_a_series_too_short_for_itself_has_none():
    assert math.isnan(float(autocorrelation_time(np.linspace(0, 1, 100)[None])))
    assert math.isnan(float(autocorrelation_time(np.ones((2, 100)))))


def test_quantities_one_by_one():
    x = np.stack([autoregressive(seed, 2, 1000, phi) for seed, phi in ((1, 0.0), (2, 0.8))])
    np.testing.assert_allclose(autocorrelation_time(x), [autocorrelation_time(q) for q in x])
