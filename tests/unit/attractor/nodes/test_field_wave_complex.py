"""The envelope against closed forms: Gaussian beam, solitons, dispersive pulse, saturated gain."""

import cmath
import itertools
import math

import pytest
import torch

from attractor.node import ShapeProblem
from attractor.nodes.field_wave_complex import ComplexEnvelope


def axis(n, spacing=1.0):
    return (torch.arange(n, dtype=torch.float64) - n // 2) * spacing


def launch(bench, u, **params):
    node = bench(ComplexEnvelope, size=list(u.shape), **params)
    node.state = {"u": u.to(torch.complex128)}
    return node


def width(u, x):
    """√2 times the standard deviation of |u|² along the first axis: w of a Gaussian beam is √2 of this."""
    weight = (u.abs() ** 2).sum(1)
    return math.sqrt(2 * float((weight * x**2).sum() / weight.sum()))


@pytest.mark.parametrize("steps", [1, 40])
def test_a_gaussian_beam_spreads_as_it_should(bench, steps):
    """w(z) = w0√(1 + (z/z_R)²), z_R = k·w0²/2; a free beam needs no small step."""
    n, k, w0, z = 128, 3.0, 8.0, 80.0
    x = axis(n)
    r2 = x.unsqueeze(1) ** 2 + x**2
    node = launch(bench, torch.exp(-r2 / w0**2), k=k, dt=z / steps, steps=steps)
    out = node()
    rayleigh = k * w0**2 / 2
    wide = w0 * math.sqrt(1 + (z / rayleigh) ** 2)
    assert math.sqrt(2) * width(out["field"], x) == pytest.approx(wide, rel=1e-6)
    q = w0**2 * (1 + 1j * z / rayleigh)
    exact = torch.exp(-r2 / q) / (1 + 1j * z / rayleigh)
    torch.testing.assert_close(out["field"], exact, atol=1e-6, rtol=0)
    assert float(out["power"]) == pytest.approx(math.pi * w0**2 / 2, rel=1e-9)


def test_a_spatial_soliton_keeps_its_shape(bench):
    """u = A·sech(A√(k·n2k)x)·exp(i·n2k·A²z/2); without the Kerr effect the same beam spreads."""
    k, n2k, height, z = 2.0, 0.5, 0.4, 20.0
    x = axis(128, 0.5)
    shape = (height / torch.cosh(height * math.sqrt(k * n2k) * x)).unsqueeze(1).expand(128, 16)
    kwargs = {"k": k, "dx": 0.5, "dt": 0.05, "steps": 400}
    out = launch(bench, shape, n2k=n2k, **kwargs)()["field"]
    phase = n2k * height**2 * z / 2
    torch.testing.assert_close(out, shape * complex(math.cos(phase), math.sin(phase)), atol=1e-4, rtol=0)
    spread = launch(bench, shape, n2k=0.0, **kwargs)()["field"]
    assert float(spread.abs().max()) < 0.8 * height


def test_the_splitting_is_of_second_order(bench):
    x = axis(64, 0.5)
    shape = (0.6 / torch.cosh(0.6 * x)).unsqueeze(1).expand(64, 16)
    kwargs = {"k": 1.0, "dx": 0.5, "n2k": 1.0, "gain": 0.1, "loss2": 0.3}
    exact = launch(bench, shape, dt=4.0 / 1024, steps=1024, **kwargs)()["field"]
    errors = [
        float((launch(bench, shape, dt=4.0 / n, steps=n, **kwargs)()["field"] - exact).abs().max())
        for n in (16, 32, 64)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert 3.5 < coarse / fine < 4.5


def test_a_pulse_disperses_along_time_only(bench):
    """T(z) = T0√(1 + (β2·z/T0²)²), Agrawal eq. 3.2.11, with both signs of β2; the beam's other axis stays."""
    tau = axis(256, 0.5)
    pulse = torch.exp(-(tau**2) / (2 * 4.0**2)).expand(16, 256)
    for beta2 in (-2.0, 2.0):
        node = launch(bench, pulse, axes="xt", dtau=0.5, beta2=beta2, dt=20.0)
        out = node()["field"]
        spread = 4.0 * math.sqrt(1 + (20.0 * beta2 / 16.0) ** 2)
        assert width(out.T, tau) == pytest.approx(spread, rel=1e-6)
        chirp = torch.exp(-(tau**2) / (2 * (16.0 - 1j * beta2 * 20.0))) * 4.0 / (16.0 - 1j * beta2 * 20.0) ** 0.5
        torch.testing.assert_close(out[3], chirp, atol=1e-6, rtol=0)


def test_a_temporal_soliton_needs_anomalous_dispersion(bench):
    tau = axis(256, 0.25)
    beta2, n2k = -1.0, 1.0
    pulse = (1 / torch.cosh(tau)).expand(16, 256)
    kwargs = {"axes": "xt", "dtau": 0.25, "n2k": n2k, "dt": 0.01, "steps": 500}
    kept = launch(bench, pulse, beta2=beta2, **kwargs)()["field"]
    torch.testing.assert_close(kept.abs(), pulse.double(), atol=1e-4, rtol=0)
    lost = launch(bench, pulse, beta2=-beta2, **kwargs)()["field"]
    assert float(lost.abs().max()) < 0.5


@pytest.mark.parametrize(("gain", "loss2"), [(0.7, 0.3), (-0.5, 0.4), (0.0, 0.5), (0.9, 0.0), (1e-7, 1e-7), (0.0, 0.0)])
def test_gain_saturates_by_the_logistic_law(bench, gain, loss2):
    """P' = gP − loss2·P², for a uniform field; the Kerr phase is n2k∫P dz, integrated here by scipy."""
    from scipy.integrate import solve_ivp

    start, z, n2k = 0.8, 3.0, 0.6
    node = launch(
        bench, torch.full((16, 16), start, dtype=torch.float64), gain=gain, loss2=loss2, n2k=n2k, dt=z / 10, steps=10
    )
    out = node()
    exact = solve_ivp(lambda _, y: [gain * y[0] - loss2 * y[0] ** 2, n2k * y[0]], (0, z), [start**2, 0.0],
                      rtol=1e-12, atol=1e-14).y[:, -1]  # fmt: skip
    assert float(out["power"]) == pytest.approx(256 * exact[0], rel=1e-9)
    assert cmath.phase(complex(out["field"][0, 0]) * cmath.exp(-1j * exact[1])) == pytest.approx(0.0, abs=1e-9)


def test_strong_gain_is_stable(bench):
    """Pitfall: gain makes an explicit scheme unstable; here P settles at g/loss2."""
    node = launch(bench, 1e-3 * torch.rand(32, 32, generator=torch.Generator().manual_seed(0)), gain=5.0, loss2=2.0)
    node.node.settings["steps"] = 500
    power = [float(out["power"]) for out in node.run(4)]
    assert power[-1] == pytest.approx(32 * 32 * 2.5, rel=0.05)


def test_the_gain_input_adds_to_the_gain(bench):
    u = torch.full((16, 16), 0.5)
    direct = launch(bench, u, gain=0.7, dt=0.5)()["field"]
    added = launch(bench, u, gain=0.2, dt=0.5)(gain_mod=torch.tensor(0.5, dtype=torch.float64))["field"]
    torch.testing.assert_close(added, direct)


def test_a_source_feeds_the_field(bench):
    """Uniform, without gain: u_z = S."""
    node = bench(ComplexEnvelope, size=[16, 16], dt=0.1, steps=10)
    source = torch.full((16, 16), 2.0 - 1.0j, dtype=torch.complex128)
    torch.testing.assert_close(node(source=source)["field"], source)


def test_an_initial_field_replaces_the_state(bench):
    node = bench(ComplexEnvelope, size=[16, 16])
    u = torch.full((16, 16), 1.0j, dtype=torch.complex128)
    torch.testing.assert_close(node(initial=u)["field"], u)
    torch.testing.assert_close(node()["field"], u)


@pytest.mark.parametrize("angle", [0.5, 1.0])
def test_the_layer_absorbs_a_tilted_beam(bench, angle):
    """A beam that walks out of the grid: next to nothing comes back, where the torus brings it round again."""
    n = 96
    x = axis(n)
    beam = torch.exp(-(x.unsqueeze(1) ** 2 + x**2) / 8.0**2) * torch.exp(1j * angle * x).unsqueeze(1)
    z = 1.6 * n / angle
    kwargs = {"dt": z / 40, "steps": 40}
    left = launch(bench, beam, boundary="pml", pml_width=16, **kwargs)
    start = math.pi * 32.0
    remaining = float(left()["power"]) / start
    assert remaining < 2e-2
    assert float(launch(bench, beam, **kwargs)()["power"]) / start == pytest.approx(1.0)
    # It stays gone: the exponential of the stretched operator grows nowhere.
    later = [float(out["power"]) / start for out in left.run(5)]
    assert max(later) <= remaining


def test_the_layer_leaves_the_inside_alone(bench):
    n = 96
    x = axis(n)
    beam = torch.exp(-(x.unsqueeze(1) ** 2 + x**2) / 8.0**2)
    kwargs = {"k": 3.0, "dt": 1.0, "steps": 20}
    free, layered = (launch(bench, beam, boundary=one, **kwargs)()["field"] for one in ("periodic", "pml"))
    torch.testing.assert_close(layered, free, atol=1e-5, rtol=0)


def test_single_precision_is_complex64(bench):
    node = bench(ComplexEnvelope, size=[16, 16], dtype=torch.float32)
    out = node(initial=torch.ones(16, 16, dtype=torch.complex64))
    assert out["field"].dtype == torch.complex64
    assert out["power"].dtype == torch.float32


def test_a_batch_equals_its_points(bench):
    u = torch.exp(-(axis(32).unsqueeze(1) ** 2 + axis(32) ** 2) / 30)
    kerr = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    many = bench(ComplexEnvelope, size=[32, 32], batch=(3,), dt=0.5, steps=3)
    many.params = {**many.params, "n2k": kerr}
    out = many(initial=u.to(torch.complex128))
    assert out["power"].shape == (3,)
    for b in range(3):
        alone = launch(bench, u, n2k=float(kerr[b]), dt=0.5, steps=3)()["field"]
        torch.testing.assert_close(out["field"][b], alone, atol=1e-14, rtol=1e-12)


def test_refuses_what_does_not_fit():
    defaults = ComplexEnvelope.defaults()
    with pytest.raises(ShapeProblem, match="local time"):
        ComplexEnvelope.validate({**defaults, "beta2": 1.0})
    with pytest.raises(ShapeProblem, match="no size"):
        ComplexEnvelope.validate({**defaults, "size": [16, 16, 16]})
    with pytest.raises(ShapeProblem, match="fewer than 4"):
        ComplexEnvelope.validate({**defaults, "size": [20, 64], "boundary": "pml"})
    with pytest.raises(ShapeProblem, match="meets a grid"):
        ComplexEnvelope.shapes(defaults, {"source": (3, 3)})


def test_gradients_reach_gain_loss_and_kerr(bench):
    u = torch.exp(-(axis(16).unsqueeze(1) ** 2 + axis(16) ** 2) / 20)
    look = torch.randn(16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(gain, loss2, n2k):
        node = launch(bench, u, dt=0.3, steps=3)
        node.params = {**node.params, "gain": gain, "loss2": loss2, "n2k": n2k}
        return (node()["field"].real * look).sum()

    inputs = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (0.3, 0.2, 0.8)]
    assert torch.autograd.gradcheck(loss, inputs)
