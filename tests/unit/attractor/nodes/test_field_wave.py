"""The wave field as a node: what reaches its ports, what it refuses, and the pitfalls of its specification."""

import math

import pytest
import torch

from attractor import Axis, GraphRejected, GraphSpec, Plan, Sweep
from attractor.errors import NodeFailed
from attractor.node import ShapeProblem
from attractor.nodes.field_wave import WaveField


def standing(n):
    """The lowest mode between zero edges, which stand just outside the n cells."""
    x = torch.sin(math.pi * torch.arange(1, n + 1, dtype=torch.float64) / (n + 1))
    return x.unsqueeze(1) * x


def ring(bench, p, **params):
    """A wave field that starts at rest from p."""
    node = bench(WaveField, size=list(p.shape), dims=p.dim(), boundary="reflecting", **params)
    node.state = {"p": p, "d": torch.zeros_like(p)}
    return node


@pytest.mark.parametrize("boundary", ["periodic", "reflecting", "mur1", "pml"])
def test_a_plane_wave_travels_at_the_speed_c(bench, boundary):
    """A long pulse along one axis of a strip: its crest moves by c·t."""
    c, t = 2.0, 30.0
    node = bench(WaveField, size=[256, 32], dt=0.1, c=c, gamma=0.0, steps=int(t / 0.1), boundary="periodic")
    x = torch.arange(256, dtype=torch.float64).unsqueeze(1).expand(256, 32)
    # p(x, 0) = f(x), p(x, −dt) = f(x + c·dt): a wave that moves to larger x only.
    f = lambda x: torch.exp(-((x - 80) ** 2) / (2 * 8.0**2))  # noqa: E731
    node.state = {"p": f(x), "d": f(x) - f(x + c * 0.1)}
    out = node()["field"]
    torch.testing.assert_close(out[:, 5], f(x - c * t)[:, 5], atol=0.02, rtol=0)
    assert int(out[:, 5].argmax()) == pytest.approx(80 + c * t, abs=1)


def test_the_standing_mode_of_64_cells_has_its_published_frequency_and_damping(bench):
    """ω0 = .068 on a 64² interior, and at γ = 0.01 the mode rings: it does not creep as under 100-fold damping."""
    omega = 2 * math.sqrt(2) * math.sin(math.pi / 130)
    assert omega == pytest.approx(0.068, abs=5e-4)
    shape = standing(64)
    node = ring(bench, shape, dt=0.01, gamma=0.01, steps=2500)
    for t in (25, 50, 75, 100):
        found = float((node()["field"] * shape).sum() / (shape * shape).sum())
        rate = math.sqrt(omega**2 - 0.005**2)
        exact = math.exp(-0.005 * t) * (math.cos(rate * t) + 0.005 / rate * math.sin(rate * t))
        assert found == pytest.approx(exact, abs=5e-4)  # it was at rest half a step before t = 0
        if t == 50:
            assert found < -0.7, "with a damping one dt short it would still be at +.64"


def test_energy_stays_in_a_closed_field_and_decays_by_damping(bench):
    shape = standing(32)
    closed = [float(out["energy"]) for out in ring(bench, shape, gamma=0.0, steps=50).run(8)]
    assert max(closed) - min(closed) < 1e-11 * closed[0]
    damped = [float(out["energy"]) for out in ring(bench, shape, gamma=0.5, steps=1000).run(3)]
    assert damped[0] > damped[1] > damped[2] > 0
    # Averaged over a period a weakly damped mode loses energy at the rate γ.
    weak = ring(bench, shape, gamma=0.05, dt=0.05, steps=920).run(2)
    assert math.log(float(weak[0]["energy"] / weak[1]["energy"])) == pytest.approx(0.05 * 46, rel=0.05)


def test_energy_takes_no_absolute_value(bench):
    """∇p·∇p⁻ is negative where the fastest wave of the grid turns its sign, and enters with its sign."""
    p = torch.ones(16, 16, dtype=torch.float64)
    p[::2] *= -1
    p[:, ::2] *= -1
    node = bench(WaveField, size=[16, 16], dt=0.7, gamma=0.0)
    node.state = {"p": p, "d": torch.zeros_like(p)}
    out = node()
    d = node.state["d"]
    last = out["field"] - d
    gradients = sum(
        ((out["field"] - out["field"].roll(1, axis)) * (last - last.roll(1, axis))).sum() for axis in (0, 1)
    )
    assert float(gradients) < 0
    assert float(out["energy"]) == pytest.approx(0.5 * (float((d * d).sum()) / 0.49 + float(gradients)), rel=1e-12)


def test_three_dimensions_are_three(bench):
    """A point spreads alike along all three axes, and reaches no further than one cell a step."""
    node = bench(WaveField, dims=3, size=[17, 17, 17], dt=0.5, gamma=0.0, steps=5)
    p = torch.zeros(17, 17, 17, dtype=torch.float64)
    p[8, 8, 8] = 1.0
    node.state = {"p": p, "d": torch.zeros_like(p)}
    out = node()["field"]
    assert out.shape == (17, 17, 17)
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        torch.testing.assert_close(out.permute(order), out, atol=1e-15, rtol=0)
    assert float(out[8, 8, 13].abs()) > 0
    assert float(out[8, 8, 14].abs()) == 0


def test_a_source_pushes_by_dt_squared(bench):
    """At rest and without a gradient, a constant source S gives p = S·t²/2 of the leapfrog: S·dt²·n(n + 1)/2."""
    node = bench(WaveField, size=[16, 16], dt=0.1, gamma=0.0)
    source = torch.full((16, 16), 3.0, dtype=torch.float64)
    for n in range(1, 5):
        out = node(source=source)["field"]
        torch.testing.assert_close(out, source * 0.01 * n * (n + 1) / 2)


def test_modulations_act_on_speed_and_damping(bench):
    p = standing(16)
    plain, faster, damped = (ring(bench, p, dt=0.1, gamma=0.1, c=1.0) for _ in range(3))
    direct = ring(bench, p, dt=0.1, gamma=0.1, c=1.5)
    strong = ring(bench, p, dt=0.1, gamma=0.3, c=1.0)
    half, two = torch.tensor(0.5, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    for _ in range(5):
        base, quick, slow = plain(), faster(c_mod=half), damped(gamma_mod=two)
        assert torch.equal(quick["field"], direct()["field"])
        torch.testing.assert_close(slow["field"], strong()["field"], atol=1e-15, rtol=1e-13)
    assert not torch.equal(base["field"], quick["field"])
    assert float(quick["cfl"]) == pytest.approx(0.15)
    assert float(base["cfl"]) == pytest.approx(0.1)


def test_a_batch_of_speeds_equals_single_runs(bench):
    p = standing(16)
    speeds = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    many = bench(WaveField, size=[16, 16], dt=0.1, boundary="pml", pml_width=4, batch=(3,), steps=7)
    many.state = {**many.state, "p": p.expand(3, 16, 16).clone()}
    many.params = {**many.params, "c": speeds}
    out = many()
    assert out["energy"].shape == out["cfl"].shape == (3,)
    for b, c in enumerate(speeds):
        one = bench(WaveField, size=[16, 16], dt=0.1, boundary="pml", pml_width=4, steps=7, c=float(c))
        one.state = {**one.state, "p": p.clone()}
        alone = one()
        for port in ("field", "energy", "cfl"):
            assert torch.equal(alone[port], out[port][b])


@pytest.mark.parametrize("boundary", ["periodic", "reflecting", "mur1", "pml"])
def test_the_kernel_gives_the_same_field(bench, boundary):
    found = []
    source = torch.zeros(24, 20)
    source[10, 10] = 1.0
    for kernels in (False, True):
        node = bench(WaveField, size=[24, 20], dt=0.3, boundary=boundary, pml_width=4, steps=3, dtype=torch.float32)
        node.ctx.kernels = kernels
        found.append(node.run(6, source=source)[-1])
    assert torch.equal(found[0]["field"], found[1]["field"])
    torch.testing.assert_close(found[0]["energy"], found[1]["energy"], rtol=1e-5, atol=0)


def rejected(**params):
    with pytest.raises(GraphRejected) as error:
        Plan.of(GraphSpec.parse({"nodes": [{"id": "w", "kind": "field.wave", "params": params}], "edges": []}))
    return [(problem.place, problem.message) for problem in error.value.problems]


def test_every_entry_checks_the_courant_number(bench):
    [(place, message)] = rejected(c=10.0, dt=0.08)
    assert place == "nodes.w.params.dt"
    assert "c·dt/dx = 0.8 is beyond the limit 1/√2 = 0.7071" in message
    Plan.of(
        GraphSpec.parse({"nodes": [{"id": "w", "kind": "field.wave", "params": {"c": 10.0, "dt": 0.07}}], "edges": []})
    )
    assert rejected(dims=3, size=[16, 16, 16], c=10.0, dt=0.06)
    node = bench(WaveField, size=[16, 16], dt=0.07, c=5.0)
    with pytest.raises(NodeFailed, match="beyond the limit"):
        node(c_mod=torch.tensor(1.5))
    node.params = {**node.params, "c": 11.0}  # as a modulation route would set it
    with pytest.raises(NodeFailed, match="beyond the limit"):
        node()


def test_refuses_a_negative_speed_and_a_negative_damping(bench):
    for name in ("c_mod", "gamma_mod"):
        with pytest.raises(NodeFailed, match="above −1"):
            bench(WaveField, size=[16, 16])(**{name: torch.tensor(-1.5)})


@pytest.mark.parametrize(
    "params",
    [
        {"size": [128]}, {"size": [15, 20]}, {"size": [20, 513]}, {"size": [20.5, 20]}, {"size": [[20], 20]},
        {"dims": 3}, {"dims": 3, "size": [16, 16, 129]}, {"size": [16, 16, 16]},
    ],
)  # fmt: skip
def test_refuses_sizes_that_are_none(params):
    [(place, _)] = rejected(**params)
    assert place == "nodes.w.params.size"


def test_refuses_a_layer_that_fills_the_grid():
    [(place, _)] = rejected(size=[64, 27], boundary="pml")
    assert place == "nodes.w.params.pml_width"


def test_refuses_a_source_of_another_shape():
    with pytest.raises(ShapeProblem, match=r"\[20, 20\] drives a grid of \[128, 128\]"):
        WaveField.shapes(WaveField.defaults(), {"source": (20, 20)})


def test_gradients_reach_speed_damping_and_source(bench):
    node = bench(WaveField, size=[16, 16], dt=0.2, steps=4, boundary="mur1")
    start = standing(16)

    def loss(c, gamma, source):
        node.state = {"p": start, "d": torch.zeros_like(start)}
        node.params = {**node.params, "c": c, "gamma": gamma}
        return (node(source=source)["field"] * start).sum()

    inputs = [torch.tensor(1.1, dtype=torch.float64), torch.tensor(0.2, dtype=torch.float64), start.clone()]
    assert torch.autograd.gradcheck(loss, [one.requires_grad_() for one in inputs], fast_mode=True)


def test_a_modulated_speed_of_a_sweep_is_that_of_its_runs():
    """c·(1 + c_mod) of 1.1 and 0.3 is another number in single precision than in double."""
    document = {
        "nodes": [
            {"id": "mod", "kind": "gen.value", "params": {"value": 0.3}},
            {"id": "w", "kind": "field.wave", "params": {"size": [16, 16], "dt": 0.3, "boundary": "mur1"}},
        ],
        "edges": [
            {"src": "mod.value", "dst": "w.c_mod"}, {"src": "mod.value", "dst": "w.gamma_mod"},
            {"src": "w.field", "dst": "w.source", "delay": 1, "init": 0.5},
        ],
    }  # fmt: skip
    sweep = Sweep(GraphSpec.parse(document), [Axis("w.gamma", (0.07, 0.19)), Axis("w.c", (1.1, 0.9))], ticks=6)
    outcomes = sweep.run()
    assert len(sweep.parts) == 1
    for outcome in outcomes:
        assert outcome.result.result_hash == sweep.session(outcome.point.index).run().result_hash
