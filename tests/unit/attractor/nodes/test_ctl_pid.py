"""The controller against the discretised law and plants with known answers."""

import math

import pytest
import torch

from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ctl_pid import Pid


def tensor(value):
    return torch.tensor(float(value), dtype=torch.float64)


def measured(node, *values, **inputs):
    return [float(node(measurement=tensor(v), **inputs)["control"]) for v in values]


@pytest.mark.parametrize("h", [0.01, 0.05])
def test_step_response_in_closed_form(bench, h):
    """Constant measurement 0, set-point r: u_k = Kp·r + k·h·Ki·r; the derivative has nothing to say."""
    node = bench(Pid, Kp=2.0, Ki=0.5, Kd=0.3, setpoint=3.0, seconds=h)
    expected = [2.0 * 3.0 + k * h * 0.5 * 3.0 for k in range(20)]
    assert measured(node, *[0.0] * 20) == pytest.approx(expected, rel=1e-12)


def test_derivative_of_a_jump_decays_through_its_filter(bench):
    """After a jump of the measurement by Δ: D_k = −(Kd·N/(Td + Nh))·Δ·(Td/(Td + Nh))^k with Td = Kd/Kp."""
    kp, kd, n, h, jump = 2.0, 0.5, 8.0, 0.01, 1.5
    node = bench(Pid, Kp=kp, Ki=0.0, Kd=kd, d_filter=n)
    out = measured(node, 0.0, 0.0, *[jump] * 10)
    td = kd / kp
    decay = td / (td + n * h)
    expected = [-kp * jump - kd * n / (td + n * h) * jump * decay**k for k in range(10)]
    assert out[:2] == [0.0, 0.0]
    assert out[2:] == pytest.approx(expected, rel=1e-12)


def test_no_kick_from_the_setpoint_nor_at_the_start(bench):
    node = bench(Pid, Kp=1.0, Ki=0.0, Kd=10.0)
    out = measured(node, 5.0, 5.0)
    node.params = node.params | {"setpoint": 7.0}
    out += measured(node, 5.0)
    assert out == pytest.approx([-5.0, -5.0, 2.0])


def closed_loop(node, seconds, gain=2.0, constant=0.5, load=0.0, h=0.01, sign=1.0):
    """A first-order plant: constant·dy/dt = −y + gain·sign·u + load, exact from tick to tick."""
    decay = math.exp(-h / constant)
    y, path, controls = 0.0, [], []
    for _ in range(round(seconds / h)):
        u = float(node(measurement=tensor(y))["control"])
        y = decay * y + (1 - decay) * (gain * sign * u + load)
        path.append(y)
        controls.append(u)
    return path, controls


def test_a_first_order_plant_reaches_the_setpoint_against_a_load(bench):
    path, controls = closed_loop(bench(Pid, Kp=1.5, Ki=3.0, Kd=0.05, setpoint=1.25), 10.0, load=-0.6)
    assert path[-1] == pytest.approx(1.25, abs=1e-6)
    assert controls[-1] == pytest.approx((1.25 + 0.6) / 2.0, abs=1e-6)
    proportional, _ = closed_loop(bench(Pid, Kp=1.5, Ki=0.0, Kd=0.0, setpoint=1.25), 10.0, load=-0.6)
    assert proportional[-1] == pytest.approx((1.5 * 2.0 * 1.25 - 0.6) / (1 + 1.5 * 2.0), abs=1e-6)


def test_reverse_controls_a_plant_that_falls_when_the_control_rises(bench):
    kwargs = {"Kp": 1.5, "Ki": 3.0, "Kd": 0.05, "setpoint": 1.0, "low": -10.0, "high": 10.0}
    good, _ = closed_loop(bench(Pid, reverse=True, **kwargs), 10.0, sign=-1.0)
    bad, _ = closed_loop(bench(Pid, reverse=False, **kwargs), 10.0, sign=-1.0)
    assert good[-1] == pytest.approx(1.0, abs=1e-6)
    assert abs(bad[-1] - 1.0) > 5.0
    out = bench(Pid, reverse=True, **kwargs)(measurement=tensor(0.25))
    assert float(out["error"]) == pytest.approx(0.75)
    assert float(out["control"]) == pytest.approx(-1.5 * 0.75)


def overshoot_after_saturation(node):
    """An unreachable set-point for 20 s, then a reachable one: the seconds until y comes down to it."""
    node.params = node.params | {"setpoint": 5.0}
    _, controls = closed_loop(node, 20.0)
    node.params = node.params | {"setpoint": 0.5}
    decay, y, ticks = math.exp(-0.01 / 0.5), 2.0, 0
    while y > 0.55 and ticks < 5000:
        u = float(node(measurement=tensor(y))["control"])
        y = decay * y + (1 - decay) * 2.0 * u
        ticks += 1
    return controls[-1], ticks * 0.01


def test_saturation_does_not_wind_the_integral_up(bench):
    node = bench(Pid, Kp=1.0, Ki=2.0, Kd=0.0, low=-1.0, high=1.0)
    top, seconds = overshoot_after_saturation(node)
    assert top == 1.0
    assert seconds < 2.0

    class Winding(Pid):
        def step(self, state, inputs, params, ctx):
            new, out = super().step(state, inputs, params, ctx)
            error = params["setpoint"] - inputs["measurement"]
            return new | {"integral": state["integral"] + ctx.dt * params["Ki"] * error}, out

    _, wound = overshoot_after_saturation(bench(Winding, Kp=1.0, Ki=2.0, Kd=0.0, low=-1.0, high=1.0))
    assert wound > 10.0


def test_back_calculation_settles_where_it_must(bench):
    """At a constant error e beyond the limit: I∞ solves Ki·e + (u_max − Kp·e − I)/Tt = 0, Tt = Kp/Ki."""
    kp, ki, e = 1.0, 2.0, 3.0
    node = bench(Pid, Kp=kp, Ki=ki, Kd=0.0, low=-1.0, high=1.0, setpoint=e)
    measured(node, *[0.0] * 3000)
    assert float(node.state["integral"]) == pytest.approx(1.0 - kp * e + ki * e * kp / ki)


def test_limits_setpoint_port_and_silence(bench):
    node = bench(Pid, Kp=1.0, Ki=0.0, Kd=0.0, low=0.3, high=3.0, setpoint=1.0)
    assert node()["control"] is ABSENT
    assert not bool(node.state["started"])
    assert measured(node, -50.0, 50.0, -1.0) == pytest.approx([3.0, 0.3, 2.0])
    assert measured(node, 0.5, setpoint=tensor(2.0)) == pytest.approx([1.5])


def test_integral_only_and_derivative_only_are_finite(bench):
    integral = bench(Pid, Kp=0.0, Ki=2.0, Kd=0.0, setpoint=1.0, low=-0.5, high=0.5)
    assert measured(integral, *[0.0] * 100)[-1] == pytest.approx(0.5)
    derivative = bench(Pid, Kp=0.0, Ki=0.0, Kd=0.2)
    assert measured(derivative, 0.0, 1.0)[1] == pytest.approx(-0.2 * 10 / (0.2 + 10 * 0.01))


def test_a_batch_is_its_runs(bench):
    gains = [0.5, 0.0, 2.0]
    node = bench(Pid, Ki=1.0, Kd=0.1, setpoint=1.0, batch=(3,))
    node.params = node.params | {"Kp": torch.tensor(gains, dtype=torch.float64)}
    values = [[0.0, 0.5, 0.7], [0.2, 0.2, 0.1], [-1.0, 0.0, 2.0]]
    together = [node(measurement=torch.tensor(column).double())["control"] for column in zip(*values, strict=True)]
    for k in range(3):
        alone = measured(bench(Pid, Kp=gains[k], Ki=1.0, Kd=0.1, setpoint=1.0), *values[k])
        assert [float(out[k]) for out in together] == pytest.approx(alone)


def test_limits_must_leave_room():
    with pytest.raises(ShapeProblem) as refused:
        Pid.validate(Pid.defaults() | {"low": 1.0, "high": 1.0})
    assert refused.value.port == "high"
