"""Gradients through a graph against closed forms and finite differences, and fits that find known parameters."""

from __future__ import annotations

import pytest
import torch
from sample_nodes import REGISTRY, edge, node

from attractor import AttractorError, GraphRejected, GraphSpec, Plan
from attractor.fitting import LossGradient, fit
from attractor.loss import Loss, squared_error

RAMP = GraphSpec.parse({"nodes": [node("r", "t.ramp", slope=0.5)]})


def gradient(graph, params, loss, registry=REGISTRY, **more):
    plan = Plan.of(graph if isinstance(graph, GraphSpec) else GraphSpec.parse(graph), registry)
    return LossGradient(plan, params, loss, **{"dtype": torch.float64, **more})


@pytest.mark.parametrize("window", [20, 6, 1])
def test_the_gradient_of_a_sum_in_closed_form_whole_and_truncated(window):
    """value_t = slope·(t + 1); cut every w ticks the slope has acted only since the cut: t mod w + 1 times."""
    at = gradient(RAMP, ["r.slope"], squared_error("r.value", 3.0), ticks=20, window=window)({"r.slope": 0.25})
    assert at.loss == pytest.approx(sum((0.25 * (t + 1) - 3) ** 2 for t in range(20)) / 20, rel=1e-12)
    expected = sum(2 * (0.25 * (t + 1) - 3) * (t % window + 1) for t in range(20)) / 20
    assert at.gradient["r.slope"] == pytest.approx(expected, rel=1e-12)


def test_the_gradient_goes_through_loops_and_routes():
    """y_t = g·(1 + y_{t−1}), y_{−1} = 0, and a route scales g by 1 + 2·0.1: dy_1/dg = c(1 + 2cg)."""
    graph = {
        "nodes": [node("one", "gen.value", value=1.0), node("mix", "t.add", gain=0.5)],
        "edges": [edge("one.value", "mix.a"), edge("mix.sum", "mix.b", delay=1, init=0)],
        "routes": [{"src": "one.value", "dst": "mix.gain", "mode": "scale", "depth": 0.2}],
    }
    registry = _with_values()
    last = Loss(("mix.sum",), lambda traces: traces["mix.sum"].values[-1])
    at = gradient(graph, ["mix.gain"], last, registry, ticks=2, window=2)({"mix.gain": 0.5})
    # The route speaks from tick 1 on.
    assert at.loss == pytest.approx(0.6 * (1 + 0.5))
    assert at.gradient["mix.gain"] == pytest.approx(1.2 * (1 + 2 * 0.5))
    both = gradient(graph, ["mix.gain", "one.value"], last, registry, ticks=2, window=2)
    found = both({"mix.gain": 0.5, "one.value": 1.0}).gradient["one.value"]
    step = 1e-6
    ends = [both({"mix.gain": 0.5, "one.value": 1.0 + sign * step}).loss for sign in (1, -1)]
    assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


CHAIN = GraphSpec.parse(
    {
        "nodes": [
            node("level", "gen.value", value=0.3),
            node("map", "util.encode", mode="range_map", out_low=-1.0, out_high=2.0),
            node("field", "ebm.gaussian", N=1, graph="none", lam=0.5, chains=2, T=0.2),
            node("up", "util.encode", mode="project", N=6, gain=0.4),
            node("array", "osc.array", N=6, topology="ring", degree=2, speed=5.2, coupling=0.4, noise=0.05),
            node("shape", "util.encode", mode="standard"), node("pid", "ctl.pid", Kp=0.8, Ki=2.0, Kd=0.02),
            node("wide", "util.encode", mode="project", N=4, gain=0.2),
            node("rossler", "osc.array", N=4, cell="rossler", topology="all_to_all", speed=10.3),
            node("out", "util.encode", mode="amplitude"),
        ],
        "edges": [
            edge("level.value", "map.value"), edge("map.value", "field.input"), edge("field.x", "up.value"),
            edge("up.value", "array.force"), edge("array.x", "shape.value"),
            edge("shape.value", "pid.measurement", reduce="index 2"), edge("pid.control", "wide.value"),
            edge("wide.value", "rossler.force"), edge("rossler.state", "out.value", reduce="x"),
            edge("out.value", "array.coupling_mod", reduce="max", delay=1, init=0),
        ],
        "routes": [{"src": "pid.error", "dst": "rossler.coupling", "depth": 0.1, "transform": {"curve": "s"}}],
    }
)  # fmt: skip
CHAIN_PARAMS = {
    "level.value": 0.3, "field.b": 0.1, "field.T": 0.2, "up.gain": 0.4, "array.coupling": 0.4, "array.alpha": 15.6,
    "array.noise": 0.05, "array.speed": 5.2, "pid.Kp": 0.8, "pid.Ki": 2.0, "pid.Kd": 0.02, "wide.gain": 0.2,
    "rossler.coupling": 0.2, "rossler.c": 5.7, "rossler.speed": 10.3,
}  # fmt: skip


def test_a_chain_of_ten_nodes_against_finite_differences():
    weights = torch.tensor([0.3, -1.0, 0.7, 0.2], dtype=torch.float64)
    loss = Loss(("out.value",), lambda traces: (traces["out.value"].values @ weights).square().mean())
    at = gradient(CHAIN, list(CHAIN_PARAMS), loss, None, ticks=8, window=8, seed=5)
    found = at(CHAIN_PARAMS).gradient
    assert min(abs(value) for value in found.values()) > 0
    for target, value in CHAIN_PARAMS.items():
        step = 1e-5 * max(abs(value), 0.1)
        ends = [at({**CHAIN_PARAMS, target: value + sign * step}).loss for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * step)
        assert found[target] == pytest.approx(expected, rel=1e-4), target


def test_what_stands_between_parameters_and_loss_is_said_before_anything_runs():
    graph = {
        "nodes": [
            node("a", "t.ramp"), node("mix", "t.add"), node("c", "t.collect"), node("lone", "t.ramp"),
            node("host", "t.hosted"), node("fuse", "t.fuse"), node("n", "t.noise"),
        ],
        "edges": [
            edge("a.value", "host.x"), edge("host.y", "mix.a"), edge("a.value", "fuse.x"), edge("mix.sum", "c.held"),
        ],
        "routes": [
            {"src": "a.value", "dst": "mix.gain", "mode": "gate"}, {"src": "mix.sum", "dst": "fuse.steps"},
        ],
    }  # fmt: skip
    plan = Plan.of(GraphSpec.parse(graph), _with_values())

    def places(params, port):
        with pytest.raises(GraphRejected) as rejected:
            LossGradient(plan, params, squared_error(port, 0.0), ticks=3)
        assert all(problem.mend for problem in rejected.value.problems)
        return [problem.place for problem in rejected.value.problems]

    assert places(["a.slope"], "mix.sum") == ["nodes.host", "routes a.value => mix.gain"]
    assert places(["a.slope"], "fuse.y") == ["nodes.host", "routes mix.sum => fuse.steps", "routes a.value => mix.gain"]
    assert places(["lone.slope"], "mix.sum") == ["lone.slope"]
    assert places(["n.N", "fuse.steps", "nobody.x"], "mix.sum") == ["n.N", "fuse.steps", "nobody.x"]
    assert places(["a.slope"], "c.seen") == ["c.seen"]
    assert places(["a.slope"], "mix.volume") == ["mix.volume"]
    assert places([], "mix.sum") == ["fit"]
    # A node in Python that is only looked at by nobody is in nobody's way.
    assert LossGradient(plan, ["a.slope"], squared_error("a.value", 0.0), ticks=3)({"a.slope": 1.0}).loss > 0


def test_a_fit_finds_the_slope_and_stays_in_its_range():
    steps = []
    found = fit(RAMP, ["r.slope"], squared_error("r.value", [2.0 * (t + 1) for t in range(10)]), ticks=10, steps=150,
                registry=REGISTRY, on_step=steps.append)  # fmt: skip
    assert found.params["r.slope"] == pytest.approx(2.0, abs=0.01)
    assert found.graph.nodes[0].params["slope"] == found.params["r.slope"]
    assert found.history == tuple(steps)
    assert found.loss == min(step.loss for step in steps) < 0.01 * steps[0].loss
    held = fit(RAMP, ["r.slope"], squared_error("r.value", [20.0 * (t + 1) for t in range(10)]), ticks=10, steps=150,
               rate=0.05, registry=REGISTRY)  # fmt: skip
    assert held.params["r.slope"] == pytest.approx(10.0)


def test_a_fit_recovers_the_frequency_of_an_oscillator():
    """Van der Pol's μ from an orbit that it made."""

    def graph(mu):
        return GraphSpec.parse(
            {"nodes": [node("v", "osc.array", cell="vanderpol", N=3, topology="none", init="lattice", init_scale=1.5,
                            speed=5.0, dt=0.02, mu=mu)]}
        )  # fmt: skip

    watch: list[torch.Tensor] = []
    keep = Loss(("v.x",), lambda traces: watch.append(traces["v.x"].values.detach()) or traces["v.x"].values.sum())
    gradient(graph(1.3), ["v.mu"], keep, None, ticks=30, window=30)({"v.mu": 1.3})
    aim = squared_error("v.x", watch[0].tolist())
    found = fit(graph(0.6), ["v.mu"], aim, ticks=30, window=30, steps=40, rate=0.03)
    assert found.params["v.mu"] == pytest.approx(1.3, abs=0.02)


def test_what_is_not_finite_is_refused_with_its_parameters():
    broken = Loss(("r.value",), lambda traces: traces["r.value"].values.sum() * float("inf"))
    with pytest.raises(AttractorError, match=r"not finite at .*r\.slope"):
        gradient(RAMP, ["r.slope"], broken, ticks=3)({"r.slope": 1.0})
    for nonsense in ({"ticks": 0}, {"ticks": 3, "window": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            gradient(RAMP, ["r.slope"], broken, **nonsense)
    with pytest.raises(ValueError, match="above 0"):
        fit(RAMP, ["r.slope"], broken, ticks=3, rate=0.0, registry=REGISTRY)


def test_every_evaluation_begins_anew():
    graph = {"nodes": [node("r", "t.ramp"), node("h", "t.hosted")], "edges": [edge("r.value", "h.x")]}
    at = gradient(graph, ["r.slope"], squared_error("r.value", 1.0), _with_values(), ticks=9)
    first = at({"r.slope": 0.5})
    at({"r.slope": 0.75})
    assert at({"r.slope": 0.5}) == first
    assert at._program.nodes["h"].state_dict() == {"seen": 9}
    # A random start is drawn again, and is the same.
    array = {"nodes": [node("a", "osc.array", N=3, topology="all_to_all", speed=5.0)]}
    at = gradient(array, ["a.coupling"], squared_error("a.x", 0.0), None, ticks=3)
    assert at({"a.coupling": 0.2}) == at({"a.coupling": 0.2})


def test_known_evaluations_are_taken_over_and_the_fit_goes_on_as_if_never_broken_off():
    aim = squared_error("r.value", 6.0)
    terms = {"ticks": 12, "steps": 20, "registry": REGISTRY}
    whole = fit(RAMP, ["r.slope"], aim, **terms)
    again: list[object] = []
    continued = fit(RAMP, ["r.slope"], aim, known=whole.history[:13], on_step=again.append, **terms)
    assert continued == whole
    assert again == list(whole.history[13:])
    with pytest.raises(ValueError, match="evaluation 0 is of"):
        fit(RAMP, ["r.slope"], aim, known=whole.history[1:], **terms)


def test_a_fit_stays_within_its_bounds_and_ends_on_the_one_that_is_nearest():
    """value_t = slope·(t + 1) with the aim far above: the smallest loss is at the upper bound."""
    found = fit(RAMP, ["r.slope"], squared_error("r.value", 9.0), ticks=5, steps=60, rate=0.1,
                bounds={"r.slope": (0.25, 0.75)}, registry=REGISTRY)  # fmt: skip
    assert found.params["r.slope"] == 0.75
    assert all(0.25 <= one.params["r.slope"] <= 0.75 for one in found.history)


def test_bounds_that_make_no_sense_are_refused():
    bounds = {"r.slope": (0.6, 0.9), "r.nothing": (0.0, 1.0)}
    with pytest.raises(GraphRejected) as rejected:
        fit(RAMP, ["r.slope"], squared_error("r.value", 1.0), ticks=5, bounds=bounds, registry=REGISTRY)
    assert sorted(problem.place for problem in rejected.value.problems) == ["r.nothing", "r.slope"]
    with pytest.raises(GraphRejected, match="not below"):
        fit(RAMP, ["r.slope"], squared_error("r.value", 1.0), ticks=5, bounds={"r.slope": (0.9, 0.1)},
            registry=REGISTRY)  # fmt: skip


def _with_values():
    """The sample kinds, gen.value, and a node in Python with an output of real numbers."""
    from attractor.node import ABSENT, HostNode
    from attractor.nodes.gen_value import Value
    from attractor.port import Port
    from attractor.registry import Registry

    class Hosted(HostNode):
        kind, title, category, summary = "t.hosted", "Hosted", "test", "Counts."
        inputs = (Port("x", "scalar"),)
        outputs = (Port("y", "scalar"),)
        seen = 0

        def step(self, inputs, params, ctx):
            self.seen += 1
            assert not inputs["x"].requires_grad
            return {"y": torch.tensor(float(self.seen), dtype=ctx.dtype) if inputs["x"] is not ABSENT else ABSENT}

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    return Registry([*REGISTRY.kinds().values(), Value, Hosted])
