"""The reference orbits of the cells: exponents, ranges, periods, dimension, against the catalogue's check values."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.spatial import cKDTree
from torch.func import jvp

from attractor.integrators import rk4
from attractor.order_parameter import order_parameter
from attractor.oscillators import CELLS
from attractor.oscillators.halving_test import TOLERANCE, halving_error
from attractor.oscillators.vector_field import VectorField


def defaults(cell, **other):
    return {parameter.name: parameter.default for parameter in CELLS[cell].params} | other


def diode(x, m0=-1.143, m1=-0.714):
    return m1 * x + 0.5 * (m0 - m1) * (abs(x + 1) - abs(x - 1))


# The equations of the catalogue, written out, at their defaults and a force of 0.3.
EQUATIONS = {
    "chua": lambda x, y, z: (15.6 * (y - x - diode(x)) + 0.3, x - y + z, -28.0 * y),
    "lorenz": lambda x, y, z: (10 * (y - x) + 0.3, x * (28 - z) - y, x * y - 8 / 3 * z),
    "vanderpol": lambda x, v: (v, (1 - x * x) * v - x + 0.3),
    "rossler": lambda x, y, z: (-y - z + 0.3, x + 0.2 * y, 0.2 + z * (x - 5.7)),
}


@pytest.mark.parametrize("cell", list(CELLS))
def test_field_is_the_equation(cell):
    depth = len(CELLS[cell].components)
    s = 3 * torch.randn(depth, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    field = VectorField(CELLS[cell], defaults(cell), s, drive=torch.full((50,), 0.3, dtype=torch.float64))
    expected = np.array([EQUATIONS[cell](*column) for column in s.T.tolist()]).T
    np.testing.assert_allclose(field(s).numpy(), expected, rtol=1e-12, atol=1e-12)
    # The path on which autograd can record gives the same.
    np.testing.assert_allclose(field(s.clone().requires_grad_()).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("cell", "time"), [("chua", 4.0), ("lorenz", 4.0), ("vanderpol", 20.0), ("rossler", 20.0)])
def test_orbit_against_dop853(cell, time):
    start = CELLS[cell].start
    exact = solve_ivp(lambda t, s: EQUATIONS[cell](*s), (0, time), start, method="DOP853", rtol=1e-12, atol=1e-12)
    s = torch.tensor(start, dtype=torch.float64).unsqueeze(-1)
    field = VectorField(CELLS[cell], defaults(cell), s, drive=torch.full((1,), 0.3, dtype=torch.float64))
    for _ in range(round(time / 0.002)):
        s = rk4(field, s, 0.002)
    np.testing.assert_allclose(s[:, 0].numpy(), exact.y[:, -1], atol=1e-3)


def spectrum(cell, n, transient, time, dt, params=None, starts=None):
    """Lyapunov spectra by tangent QR (Benettin 1980), per time unit: (cells or parameter sets, D)."""
    depth = len(CELLS[cell].components)
    s = 0.1 * torch.randn(depth, n, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    if starts is not None:
        s = starts.clone()
    field = VectorField(CELLS[cell], params or defaults(cell), s)
    for _ in range(round(transient / dt)):
        s = rk4(field, s, dt)
    s = s.expand(depth, *s.shape).contiguous()
    q = torch.linalg.qr(torch.randn(n, depth, depth, dtype=torch.float64)).Q
    every, sums, counted = 10, 0.0, 0
    rounds = round(time / dt / every)
    for k in range(rounds):
        tangent = q.permute(2, 1, 0).contiguous()
        for _ in range(every):
            s, tangent = jvp(lambda s: rk4(field, s, dt), (s,), (tangent,))
        q, r = torch.linalg.qr(tangent.permute(2, 1, 0))
        if k >= rounds // 5:  # The frame turns into the directions first.
            sums = sums + r.diagonal(dim1=-2, dim2=-1).abs().log()
            counted += every
    return sums / (counted * dt), s[0]


@pytest.mark.slow
def test_chua_lyapunov_spectrum_and_ranges():
    exponents, s = spectrum("chua", 64, 40.0, 40.0, 0.01)
    measured = exponents.mean(0)
    # The catalogue's values come from one orbit of 300 time units, on which λ1 scatters by 0.03 and λ3 by 0.05; over
    # 25,000 units (256 cells, RK4 0.005) this field has (0.434 ± 0.003, 0.00, -4.234 ± 0.006).
    assert measured[0] == pytest.approx(0.46, abs=0.06)
    assert measured[1] == pytest.approx(0.0, abs=0.03)
    assert measured[2] == pytest.approx(-4.17, abs=0.12)
    assert (s[0] > 0).any()
    assert (s[0] < 0).any()


def test_chua_double_scroll_ranges_lobe_switches_and_dimension():
    n, dt = 400, 0.01
    field = VectorField(CELLS["chua"], defaults("chua"), torch.zeros(3, n, dtype=torch.float64))
    s = 0.1 * torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    for _ in range(5_000):
        s = rk4(field, s, dt)
    largest, switches, points = torch.zeros(3), 0, []
    side = s[0] > 0
    for k in range(3_000):
        s = rk4(field, s, dt)
        largest = torch.maximum(largest, s.abs().amax(-1))
        switches += int(((s[0] > 0) != side).sum())
        side = s[0] > 0
        if k % 120 == 0:
            points.append(s.T.clone())
    assert largest.tolist() == pytest.approx([2.27, 0.39, 3.64], rel=0.03)
    assert switches / (n * 3_000 * dt) == pytest.approx(0.3, abs=0.08)
    # Grassberger–Procaccia on 10⁴ points that are independent (cells apart, or 1.2 units later).
    cloud = torch.cat(points).numpy()
    tree = cKDTree(cloud)
    radii = np.geomspace(0.06, 0.3, 8)
    pairs = tree.count_neighbors(tree, radii) - len(cloud)
    assert np.polyfit(np.log(radii), np.log(pairs), 1)[0] == pytest.approx(1.95, abs=0.1)


def test_lorenz_exponents():
    exponents, _ = spectrum("lorenz", 128, 15.0, 30.0, 0.01)
    measured = exponents.mean(0)
    assert measured[0] == pytest.approx(0.906, abs=0.02)
    assert measured[1] == pytest.approx(0.0, abs=0.02)
    # The divergence of the field is constant: −(σ + 1 + β).
    assert float(measured.sum()) == pytest.approx(-(10 + 1 + 8 / 3), abs=1e-3)


def test_van_der_pol_exponents():
    exponents, _ = spectrum("vanderpol", 16, 60.0, 66.63 * 1.25, 0.05)
    assert exponents.mean(0).tolist() == pytest.approx([0.0, -1.060], abs=0.01)


def test_van_der_pol_period_and_amplitude():
    dt = 0.01
    s = torch.tensor([[2.0], [0.0]], dtype=torch.float64)
    field = VectorField(CELLS["vanderpol"], defaults("vanderpol"), s)
    orbit = [s := rk4(field, s, dt) for _ in range(12_000)]
    x = torch.stack(orbit)[6_000:, 0, 0].numpy()
    k = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
    crossings = (k - x[k] / (x[k + 1] - x[k])) * dt
    assert np.diff(crossings).mean() == pytest.approx(6.663, abs=1e-3)
    assert np.abs(x).max() == pytest.approx(2.009, abs=1e-3)


@pytest.mark.slow
def test_rossler_largest_exponent():
    exponents, _ = spectrum("rossler", 128, 100.0, 100.0, 0.04)
    assert exponents.mean(0)[0] == pytest.approx(0.071, abs=0.008)


@pytest.mark.slow
def test_chua_regimes_over_alpha():
    """λ1 at β = 28 from the catalogue: rest, periodic, chaotic."""
    alphas = [9.0, 12.0, 14.0, 15.0, 17.0]
    n = 60
    largest = []
    for value in alphas:
        starts = torch.tensor([[0.1], [0.0], [0.0]], dtype=torch.float64)
        starts = starts + 0.01 * torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        exponents, _ = spectrum("chua", n, 100.0, 50.0, 0.01, defaults("chua", alpha=value), starts)
        largest.append(float(exponents[:, 0].mean()))
    assert largest[0] < -0.01
    assert largest[1] == pytest.approx(0.0, abs=0.05)
    assert largest[2:] == pytest.approx([0.32, 0.36, 0.49], abs=0.06)


def test_chua_diverges_at_alpha_20():
    s = torch.tensor([[0.1], [0.0], [0.0]], dtype=torch.float64)
    field = VectorField(CELLS["chua"], defaults("chua", alpha=20.0), s)
    for _ in range(40_000):
        s = rk4(field, s, 0.005)
        if float(s.abs().max()) > 1e3:
            return
    pytest.fail("the orbit stayed bounded")


@pytest.mark.parametrize("cell", list(CELLS))
def test_default_step_passes_the_halving_test(cell):
    own = tuple(defaults(cell).items())
    assert halving_error(cell, own, "rk4", 0.005) < TOLERANCE / 10
    assert halving_error(cell, own, "dopri5", 0.005) < TOLERANCE / 10


def test_halving_test_refuses_a_coarse_step():
    assert halving_error("lorenz", tuple(defaults("lorenz").items()), "rk4", 0.02) > TOLERANCE
    assert (
        halving_error("vanderpol", tuple(defaults("vanderpol", mu=20.0, omega0=100.0).items()), "rk4", 0.02) > TOLERANCE
    )


@pytest.mark.parametrize(
    ("cell", "turn"),
    [("chua", None), ("lorenz", None), ("vanderpol", 2 * math.pi / 6.663), ("rossler", None)],
)
def test_phase_advances_with_the_orbit(cell, turn):
    """The lobe phase turns one way on (nearly) the whole attractor, apart from changes of lobe."""
    n, dt = 64, 0.01
    depth = len(CELLS[cell].components)
    s = 0.1 * torch.randn(depth, n, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    params = defaults(cell)
    field = VectorField(CELLS[cell], params, s)
    for _ in range(8_000):
        s = rk4(field, s, dt)
    steps = []
    before, side = None, s[0] > 0
    for _ in range(2_000):
        s = rk4(field, s, dt)
        a, b = CELLS[cell].phase_vector(s, params)
        angle = torch.atan2(b, a)
        if before is not None:
            step = torch.remainder(angle - before + math.pi, 2 * math.pi) - math.pi
            steps.append(step[(s[0] > 0) == side] if cell == "chua" else step)
        before, side = angle, s[0] > 0
    steps = torch.cat(steps)
    forward = max(float((steps > 0).double().mean()), float((steps < 0).double().mean()))
    assert forward > 0.97
    if turn is not None:
        assert abs(float(steps.mean())) / dt == pytest.approx(turn, rel=0.01)


def test_order_parameter():
    angle = torch.tensor([0.3, 2.0, -1.0, 4.0], dtype=torch.float64)
    vectors = torch.stack((torch.cos(angle), torch.sin(angle))) * torch.tensor([1.0, 5.0, 0.1, 2.0])
    expected = abs(np.exp(1j * angle.numpy()).mean())
    assert float(order_parameter(vectors)) == pytest.approx(expected)
    assert float(order_parameter(torch.ones(2, 7))) == pytest.approx(1.0)
    assert float(order_parameter(torch.zeros(2, 7))) == 0.0
