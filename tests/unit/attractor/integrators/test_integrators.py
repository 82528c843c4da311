"""The integrators against scipy and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import RK45, solve_ivp

from attractor.integrators import dopri5, rk4, stochastic_heun


def lorenz(s):
    x, y, z = s
    return (10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z)


class Field:
    def __init__(self, f):
        self.f = f

    def __call__(self, s, k=None, alpha=0.0):
        s = s if k is None else s + alpha * k
        return torch.stack(self.f(s))


START = (1.0, 1.0, 1.0)


def after(step, h, time=1.0):
    s = torch.tensor(START, dtype=torch.float64)
    for _ in range(round(time / h)):
        s = step(Field(lorenz), s, h)
    return s.numpy()


@pytest.mark.parametrize(("step", "order"), [(rk4, 4), (dopri5, 5)])
def test_order_of_convergence_against_dop853(step, order):
    exact = solve_ivp(lambda t, s: lorenz(s), (0, 1), START, method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    steps = [1 / 200, 1 / 400, 1 / 800]
    errors = [np.abs(after(step, h) - exact).max() for h in steps]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(abs(measured - order) < 0.25 for measured in orders), orders


def test_dopri5_is_one_step_of_scipys_rk45():
    h = 0.01
    solver = RK45(lambda t, s: np.array(lorenz(s)), 0.0, np.array(START), 1.0, first_step=h, max_step=h, rtol=1, atol=1)
    solver.step()
    assert solver.t == h
    np.testing.assert_allclose(after(dopri5, h, h), solver.y, rtol=1e-14)


def test_rk4_of_a_linear_field_is_the_taylor_polynomial():
    h, rate = 0.3, -1.7
    out = rk4(Field(lambda s: (rate * s[0],)), torch.ones(1, dtype=torch.float64), h)
    assert float(out) == pytest.approx(sum((rate * h) ** k / math.factorial(k) for k in range(5)), rel=1e-15)


def test_stochastic_heun_has_the_stationary_variance_of_ornstein_uhlenbeck():
    """ds = −λ s dt + σ dW: the scheme's own variance in closed form, which tends to σ²/2λ."""
    rate, sigma, h, n = 1.0, 0.7, 0.2, 200_000
    generator = torch.Generator().manual_seed(3)
    s = torch.zeros(1, n, dtype=torch.float64)
    for _ in range(60):
        z = torch.randn(1, n, dtype=torch.float64, generator=generator)
        s = stochastic_heun(lambda s, k=None, alpha=0.0: -rate * (s if k is None else s + alpha * k), s, h, sigma, z)
    keep = 1 - rate * h + (rate * h) ** 2 / 2
    variance = sigma**2 * h * (1 - rate * h / 2) ** 2 / (1 - keep**2)
    error = variance * math.sqrt(2 / n)
    assert abs(float(s.var()) - variance) < 5 * error
    assert variance == pytest.approx(sigma**2 / (2 * rate), rel=0.02)
    euler = sigma**2 * h / (1 - (1 - rate * h) ** 2)
    assert abs(float(s.var()) - euler) > 20 * error


def test_stochastic_heun_without_noise_is_heuns_method():
    h = 0.1
    out = stochastic_heun(
        Field(lambda s: (-s[0] * s[0],)), torch.tensor([2.0], dtype=torch.float64), h, 0.0, torch.zeros(1).double()
    )
    predicted = 2.0 - h * 4.0
    assert float(out) == pytest.approx(2.0 + h / 2 * (-4.0 - predicted**2), rel=1e-14)
