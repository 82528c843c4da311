"""The four single oscillators: equations, signals, inputs and check values, on the reference and on the kernel."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from attractor.errors import Diverged, NodeFailed
from attractor.node import ABSENT, Block
from attractor.nodes.osc_chua import ChuaOscillator
from attractor.nodes.osc_lorenz import LorenzSystem
from attractor.nodes.osc_rossler import RosslerSystem
from attractor.nodes.osc_vanderpol import VanDerPolOscillator

KINDS = (ChuaOscillator, LorenzSystem, VanDerPolOscillator, RosslerSystem)


def diode(x, m0=-1.143, m1=-0.714):
    return m1 * x + 0.5 * (m0 - m1) * (abs(x + 1) - abs(x - 1))


# The equations of the catalogue, written out, with parameters that are not the defaults, and a force f.
EQUATIONS = {
    ChuaOscillator: (
        {"alpha": 14.0, "beta": 25.0, "m0": -1.2, "m1": -0.7},
        lambda f, x, y, z: (14.0 * (y - x - diode(x, -1.2, -0.7)) + f, x - y + z, -25.0 * y),
    ),
    LorenzSystem: (
        {"sigma": 11.0, "rho": 25.0, "beta": 3.0},
        lambda f, x, y, z: (11.0 * (y - x) + f, x * (25.0 - z) - y, x * y - 3.0 * z),
    ),
    VanDerPolOscillator: ({"mu": 2.0, "omega0": 3.0}, lambda f, x, v: (v, 2.0 * (1 - x * x) * v - 9.0 * x + f)),
    RosslerSystem: (
        {"a": 0.25, "b": 0.3, "c": 5.0},
        lambda f, x, y, z: (-y - z + f, x + 0.25 * y, 0.3 + z * (x - 5.0)),
    ),
}


def names(cls):
    return [port.name for port in cls.outputs if port.name != "state"]


@pytest.fixture(params=[False, True], ids=["reference", "kernel"])
def oscillator(request, bench):
    def make(cls, **kwargs):
        node = bench(cls, **kwargs)
        node.ctx.kernels = request.param
        return node

    return make


def scalar(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.kind)
def test_signals_are_the_orbit_by_dop853(oscillator, cls):
    """Every sample of two ticks of 0.5 time units: between the steps as well as on them."""
    params, equation = EQUATIONS[cls]
    node = oscillator(cls, dt=0.002, speed=50.0, samples=313, **params)
    start = [node.params[name] for name in cls.starts]
    times = np.arange(1, 2 * 313 + 1) / 313 * 0.5
    exact = solve_ivp(
        lambda t, s: equation(0.3, *s), (0, 1), start, "DOP853", rtol=1e-12, atol=1e-12, t_eval=times
    ).y  # fmt: skip
    outputs = node.run(2, force=scalar(0.3))
    got = torch.cat([torch.stack([out[name] for name in names(cls)]) for out in outputs], dim=-1)
    np.testing.assert_allclose(got.numpy(), exact, atol=2e-6)
    assert outputs[0]["state"].shape == (1, len(start))
    torch.testing.assert_close(outputs[1]["state"][0], got[:, -1], atol=0, rtol=0)


@pytest.mark.parametrize(("steps", "samples"), [(4, 9), (7, 7), (10, 4)])
def test_samples_divide_the_tick_evenly(bench, steps, samples):
    """Fewer knots than samples, as many, and more: a harmonic oscillation in closed form, and the last sample is the
    state."""
    node = bench(VanDerPolOscillator, mu=0.0, dt=0.02, speed=2.0 * steps, samples=samples)
    out = node()
    time = torch.arange(1, samples + 1).double() / samples * 0.02 * steps
    torch.testing.assert_close(out["x"], torch.cos(time), atol=1e-9, rtol=0)
    torch.testing.assert_close(out["v"], -torch.sin(time), atol=1e-9, rtol=0)
    torch.testing.assert_close(out["state"][0], torch.stack((out["x"][-1], out["v"][-1])), atol=0, rtol=0)


def test_interpolation_is_of_fourth_order(bench):
    def worst(dt):
        out = bench(VanDerPolOscillator, mu=0.0, dt=dt, speed=8.0, samples=1000)()
        time = torch.arange(1, 1001).double() * 8e-5
        return float((out["x"] - torch.cos(time)).abs().max())

    assert math.log2(worst(0.02) / worst(0.01)) == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.kind)
def test_a_block_is_its_ticks(oscillator, cls):
    """With a force that begins to speak, a reset and a modulated speed and parameter: the same bits."""
    live = next(parameter.name for parameter in cls.params if parameter.live)
    whole, single = (oscillator(cls, dt=0.005, samples=20, speed=4.0) for _ in range(2))
    base = whole.params
    params = [base | {"speed": 4.0 if k < 3 else 5.0, live: base[live] * (1 + 0.01 * k)} for k in range(6)]
    force = [ABSENT, ABSENT, *torch.linspace(0, 1, 4).double()]
    reset = [ABSENT, ABSENT, torch.tensor(False), ABSENT, torch.tensor(True), ABSENT]
    ticks = []
    for k in range(6):
        single.params = params[k]
        ticks.append(single(force=force[k], reset=reset[k]))
    given = {port.name: Block.constant(ABSENT, 6) for port in cls.inputs}
    given |= {"force": Block(force), "reset": Block(reset)}
    with torch.no_grad():
        state, out = whole.node.step_block(whole.state, given, params, whole.ctx)
    for name, values in out.items():
        assert torch.equal(values.stacked(), torch.stack([tick[name] for tick in ticks])), name
    assert torch.equal(state["s"], single.state["s"])


def test_kernel_and_reference_agree(bench):
    for cls in KINDS:
        slow, fast = bench(cls, speed=30.0), bench(cls, speed=30.0)
        fast.ctx.kernels = True
        for a, b in zip(slow.run(3), fast.run(3), strict=True):
            for name, value in a.items():
                torch.testing.assert_close(value, b[name], atol=1e-10, rtol=1e-10)


def test_reset_goes_back_to_the_start(oscillator):
    node = oscillator(LorenzSystem, x0=2.0, y0=-1.0, z0=20.0, speed=20.0)
    first = node()
    node.run(3)
    again = node(reset=torch.tensor(True))
    for name, value in first.items():
        assert torch.equal(value, again[name])
    assert not torch.equal(node()["x"], first["x"])


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.kind)
def test_force_changes_the_orbit(oscillator, cls):
    free, driven = oscillator(cls, speed=50.0).run(2)[-1], oscillator(cls, speed=50.0).run(2, force=scalar(0.5))[-1]
    assert float((free["x"] - driven["x"]).abs().max()) > 1e-2


def test_alpha_mod_reaches_the_equation(oscillator):
    """α·(1 + alpha_mod), inside α's range."""
    modulated = oscillator(ChuaOscillator, alpha=14.0, speed=50.0).run(2, alpha_mod=scalar(0.1))[-1]
    other = oscillator(ChuaOscillator, alpha=15.4, speed=50.0).run(2)[-1]
    torch.testing.assert_close(modulated["x"], other["x"], atol=1e-10, rtol=1e-10)
    capped = oscillator(ChuaOscillator, alpha=14.0, speed=20.0).run(2, alpha_mod=scalar(3.0))[-1]
    most = oscillator(ChuaOscillator, alpha=18.0, speed=20.0).run(2)[-1]
    torch.testing.assert_close(capped["x"], most["x"])


def test_a_batch_is_its_runs_to_the_bit(oscillator):
    """Speeds that need different numbers of steps, parameters, forces and resets."""
    lists = {"speed": [3.0, 1.0, 40.0], "rho": [28.0, 20.0, 24.0]}
    swept = oscillator(LorenzSystem, samples=15, batch=(3,))
    swept.params = swept.params | {name: torch.tensor(v, dtype=torch.float64) for name, v in lists.items()}
    forces, resets = torch.tensor([0.1, 2.0, -3.0]).double(), torch.tensor([False, True, False])
    together = [swept(force=forces), swept(force=forces, reset=resets), swept(force=forces)]
    exact = bool(swept.ctx.kernels)
    for b in range(3):
        alone = oscillator(LorenzSystem, samples=15, **{name: v[b] for name, v in lists.items()})
        own = [alone(force=forces[b]), alone(force=forces[b], reset=resets[b]), alone(force=forces[b])]
        for a, c in zip(together, own, strict=True):
            for name, value in c.items():
                torch.testing.assert_close(a[name][b], value, **({"atol": 0, "rtol": 0} if exact else {}))


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.kind)
def test_gradients_are_those_of_finite_differences(bench, cls):
    live = [parameter.name for parameter in cls.params if parameter.live]
    # Off the speeds at which the number of steps jumps.
    node = bench(cls, speed=3.3, samples=5)

    def outcome(force, *values):
        given = dict.fromkeys((port.name for port in cls.inputs), ABSENT) | {"force": force}
        node.ctx.tick = 1
        _, out = node.node.step(node.state, given, node.params | dict(zip(live, values, strict=True)), node.ctx)
        return tuple(out.values())

    inputs = (scalar(0.2), *(scalar(node.params[name]) for name in live))
    assert torch.autograd.gradcheck(outcome, tuple(value.requires_grad_() for value in inputs))


def test_gradients_are_cut_after_bptt_ticks(bench):
    node = bench(RosslerSystem, bptt=3, samples=4)
    force = scalar(0.1).requires_grad_()
    node.tick = 1
    reach = [node(force=force if tick == 1 else force.detach())["state"].requires_grad for tick in range(1, 5)]
    assert reach == [True, True, False, False]


def test_divergence_is_refused_with_its_tick(oscillator):
    """Inside the range of α it takes a force. The state shown is the one that left the guard."""
    node = oscillator(ChuaOscillator, speed=50.0)
    node.run(2)
    with pytest.raises(Diverged) as caught:
        node.run(40, force=scalar(2000.0))
    assert caught.value.tick == node.tick >= 2
    assert caught.value.state.abs().max() > 1e3


def test_a_coarse_step_is_refused_before_the_first_tick(bench):
    with pytest.raises(NodeFailed, match="too coarse") as refused:
        bench(LorenzSystem, dt=0.02)
    assert "dopri5" in refused.value.mend
    bench(LorenzSystem, dt=0.02, method="dopri5")


def test_defaults_are_those_of_the_catalogue():
    expected = {
        ChuaOscillator: {"alpha": (15.6, 8, 18), "beta": (28, 10, 40), "m0": (-1.143, -2, 0), "m1": (-0.714, -2, 0)},
        LorenzSystem: {"sigma": (10, 0, 30), "rho": (28, 0, 100), "beta": (8 / 3, 0.1, 10)},
        VanDerPolOscillator: {"mu": (1, 0, 20), "omega0": (1, 0.01, 100)},
        RosslerSystem: {"a": (0.2, 0, 1), "b": (0.2, 0, 2), "c": (5.7, 1, 20)},
    }
    steps = {ChuaOscillator: 0.005, LorenzSystem: 0.005, VanDerPolOscillator: 0.01, RosslerSystem: 0.01}
    for cls, parameters in expected.items():
        for name, (default, low, high) in parameters.items():
            declared = cls.parameter(name)
            assert (declared.default, declared.min, declared.max, declared.live) == (default, low, high, True)
        assert cls.parameter("dt").default == steps[cls]
        assert cls.parameter("speed").live


def test_van_der_pol_period_and_amplitude_from_its_signal(bench):
    node = bench(VanDerPolOscillator, speed=1000.0, samples=1000)
    node.ctx.kernels = True
    x = torch.cat([out["x"] for out in node.run(20)[8:]]).numpy()
    k = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
    crossings = (k - x[k] / (x[k + 1] - x[k])) * 0.01
    assert np.diff(crossings).mean() == pytest.approx(6.663, abs=1e-3)
    assert np.abs(x).max() == pytest.approx(2.009, abs=1e-3)


def test_chua_ranges_and_lobe_switches_from_its_signals(bench):
    """The catalogue's values at the defaults, over 4000 time units."""
    node = bench(ChuaOscillator, speed=10_000.0, samples=4096)
    node.ctx.kernels = True
    outputs = node.run(41)[1:]
    x, y, z = (torch.cat([out[name] for out in outputs]) for name in "xyz")
    assert [float(v.abs().max()) for v in (x, y, z)] == pytest.approx([2.27, 0.39, 3.64], rel=0.03)
    switches = int(((x[1:] > 0) != (x[:-1] > 0)).sum())
    assert switches / 4000 == pytest.approx(0.3, abs=0.05)


def test_chua_regimes_over_alpha(bench):
    """β = 28: a rest point at α = 8 and 10, a cycle at 12, chaos from 14 on, as the spread of the maxima of x shows."""
    kinds = []
    for alpha in (9.0, 12.0, 15.6):
        node = bench(ChuaOscillator, alpha=alpha, speed=5000.0, samples=4000)
        node.ctx.kernels = True
        x = torch.cat([out["x"] for out in node.run(14)[10:]])
        peaks = x[1:-1][(x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])]
        span = float(x.max() - x.min())
        kinds.append("rest" if span < 1e-3 else "cycle" if float(peaks.std()) < 0.05 * span else "chaos")
    assert kinds == ["rest", "cycle", "chaos"]


def test_cost_grows_with_the_work():
    for cls in KINDS:
        small, large = (cls.cost(cls.defaults() | {"speed": speed}, {}) for speed in (1.0, 10_000.0))
        assert large.flops > 20 * small.flops
