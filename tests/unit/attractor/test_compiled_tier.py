"""The compiled tier: the same meaning as plain torch, whatever is compiled and however long a block is.

Most tests carry out the traced graph itself, operation by operation, in place of what inductor makes of it: the trace,
its inputs and the way through a block are then all that can differ from plain torch, and must not differ in one bit.
"""

from __future__ import annotations

import os
import time
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sample_nodes import REGISTRY, edge, node

from attractor import Axis, GraphSpec, NodeFailed, Plan, Registry, Session, Sweep
from attractor.compiled import compiled_region
from attractor.compiled.compiler import prune
from attractor.compiled.region import stages
from attractor.compiled.trace import Packing
from attractor.control import ControlChange
from attractor.node import ABSENT, HostNode, TensorNode
from attractor.parameter import Parameter
from attractor.philox import RandomStream
from attractor.port import Port
from attractor.program import Program
from attractor.tier import Tier
from attractor.toolchain import missing_compiler


class Orbit(TensorNode):
    """A driven rotation with noise: it draws, decides by a live number, and checks what it computes."""

    kind, title, category, summary = "t.orbit", "Orbit", "test", "Turns."
    inputs = (Port("force", "scalar", optional=True), Port("reset", "scalar", optional=True, when_absent="skip"))
    outputs = (Port("x", "vector", ("N",)), Port("r", "scalar"), Port("never", "scalar"))
    params = (
        Parameter("N", "int", 3, min=1),
        Parameter("angle", "float", 0.1, live=True),
        Parameter("noise", "float", 0.01, min=0, live=True),
        Parameter("steps", "int", 2, min=1, max=9, live=True),
        Parameter("guard", "float", 1e3, live=True),
    )

    def initial_state(self, ctx):
        return {"x": ctx.random.normal(self.settings["N"], lane=5).clone(), "ticks": torch.zeros((), dtype=torch.int64)}

    def step(self, state, inputs, params, ctx):
        x = state["x"] if inputs["reset"] is ABSENT else 0.0 * state["x"] + inputs["reset"]
        turn = torch.tensor([params["angle"], 2.0 * params["angle"]]).sum()
        for _ in range(params["steps"]):
            x = x - params["angle"] / params["steps"] * x.roll(1) * turn
        if params["noise"] > 0:
            x = x + params["noise"] * ctx.random.normal(self.settings["N"])
        if inputs["force"] is not ABSENT:
            x = x + 0.01 * torch.as_tensor(inputs["force"])
        ctx.require(
            x.abs().amax() <= params["guard"], lambda: ctx.fail(f"|x| is {float(x.abs().amax()):.3f}.", "Less.")
        )
        return {"x": x, "ticks": state["ticks"] + 1}, {"x": x, "r": x.square().mean(), "never": ABSENT}


KINDS = Registry([*REGISTRY.kinds().values(), Orbit])
NODES = [
    node("o", "t.orbit"), node("p", "t.orbit", N=2, noise=0), node("ramp", "t.ramp", slope=0.01),
    node("mix", "t.add", gain=0.5), node("t", "t.sometimes"), node("c", "t.collect"), node("s", "t.scale"),
    node("late", "t.orbit", N=5), node("show", "t.show"),
]  # fmt: skip
EDGES = [
    edge("o.r", "mix.a"), edge("mix.sum", "o.force", delay=1, init=0.5), edge("ramp.value", "mix.b"),
    edge("t.value", "p.reset"), edge("o.x", "s.x"), edge("s.y", "p.force", reduce="rms"),
    edge("o.never", "c.skipped"), edge("p.r", "c.many"), edge("s.y", "c.many", reduce="index 1"),
    edge("p.x", "late.force", reduce="max", delay=1, init=1), edge("s.y", "show.x"),
]  # fmt: skip
ROUTES = [
    {"src": "t.value", "dst": "s.factor", "depth": 0.1, "transform": {"smooth_ms": 50}},
    {"src": "mix.sum", "dst": "o.angle", "depth": 0.02, "transform": {"curve": "s"}},
    {"src": "p.r", "dst": "late.angle", "mode": "gate", "threshold": 0.2},
]


def plan(nodes=NODES, edges=EDGES, routes=ROUTES, registry=KINDS):
    return Plan.of(GraphSpec.parse({"nodes": list(nodes), "edges": list(edges), "routes": list(routes)}), registry)


@pytest.fixture
def traced_only(monkeypatch):
    """Carry out the traced graphs themselves, which look at their inputs as little as what inductor makes of them does;
    returns the list of them."""
    traces = []

    def carried_out(trace):
        traces.append(trace)

        def call(*inputs):
            for value, example in zip(inputs, trace.examples, strict=True):
                assert (value.shape, value.dtype) == (example.shape, example.dtype)
                assert value.is_contiguous()
            return trace.graph(*inputs)

        return call

    monkeypatch.setattr(compiled_region, "compiled", carried_out)
    return traces


@pytest.fixture(scope="module")
def whole():
    return Session(plan(), seed=3, ticks=60, tier="eager").run()


@pytest.mark.parametrize("block", [1, 13, 60])
def test_a_traced_graph_is_plain_torch_bit_for_bit(whole, traced_only, block):
    session = Session(plan(), seed=3, ticks=60, block=block, tier="compiled")
    assert {name for trace in traced_only for name in trace.region.names} == {"o", "p", "ramp", "mix", "s", "late"}
    result = session.run()
    assert result.outputs == whole.outputs
    assert result.tables == whole.tables
    assert result.result_hash == whole.result_hash
    assert "c (it runs in Python)" in result.tier_reason
    assert "t (it decides in Python by the tick" in result.tier_reason


def test_frames_of_a_compiled_port_are_those_of_plain_torch(traced_only):
    seen = []
    for tier in ("eager", "compiled"):
        session = Session(plan(), seed=3, ticks=40, block=16, tier=tier)
        for port in (("o", "x"), ("show", "x"), ("o", "never")):
            session.subscribe(*port)
        seen.append([(f.node, f.ticks.tolist(), f.data.tolist()) for report in session for f in report.frames])
    assert seen[0] == seen[1]
    assert len(seen[0]) == 6


@pytest.mark.parametrize(
    ("target", "value", "still"),
    # A number that is computed with is an input; a number that is decided by is a condition, as long as it comes out.
    [("o.angle", 0.12, True), ("mix.gain", 1.5, True), ("o.noise", 0.5, True), ("p.noise", 0.1, False),
     ("o.steps", 3, False)],
)  # fmt: skip
def test_a_live_change_needs_no_new_program(traced_only, target, value, still):
    results, said = [], 0
    for tier in ("eager", "compiled"):
        session = Session(plan(), seed=3, ticks=48, block=16, tier=tier)
        said = len(traced_only)
        reports = iter(session)
        next(reports)
        session.set_control(target, value)
        for _ in reports:
            pass
        results.append(session.result())
    assert results[0].result_hash == results[1].result_hash
    assert len(traced_only) == said
    ready = [r.ready(session._program.base, 99) for r in session._program.compiled.regions.values()]
    assert all(ready) == still


@pytest.mark.parametrize(("guard", "block"), [(1.9, 3), (2.5, 16), (3.0, 8)])
def test_a_failure_in_a_region_is_that_of_plain_torch(traced_only, guard, block):
    """The check is made outside the program; the report names the tick all the same, for every length of a block."""
    graph = plan(
        [node("ramp", "t.ramp", slope=1), node("o", "t.orbit", guard=guard)], [edge("ramp.value", "o.force")], []
    )
    said = []
    for tier, length in (("eager", 1), ("compiled", 1), ("compiled", block)):
        with pytest.raises(NodeFailed) as failed:
            Session(graph, seed=3, ticks=100, block=length, tier=tier).run()
        said.append((failed.value.node, failed.value.tick, failed.value.message))
    assert said[0] == said[1] == said[2]


def test_a_value_that_is_not_finite_in_a_region_names_node_and_tick(traced_only):
    class Root(REGISTRY.get("t.add")):
        kind = "t.root"

        def step(self, state, inputs, params, ctx):
            return state, {"sum": (5.0 - inputs["a"]).sqrt()}

    nodes = [node("a", "t.ramp"), node("r", "t.root"), node("b", "t.add")]
    graph = plan(nodes, [edge("a.value", "r.a"), edge("r.sum", "b.a")], [], Registry([*KINDS.kinds().values(), Root]))
    with pytest.raises(NodeFailed, match="not finite") as failed:
        Session(graph, ticks=20, block=16, tier="compiled").run()
    # The ramp is 6 at tick 5.
    assert (failed.value.node, failed.value.tick) == ("r", 5)


class Stops(HostNode):
    """Hands a number on, in Python, and gives way at a tick."""

    kind, title, category, summary = "t.stops", "Stops", "test", "Stops."
    inputs = (Port("x", "scalar", optional=True),)
    outputs = (Port("y", "scalar"),)
    params = (Parameter("at", "int", 5, min=0), Parameter("how", "choice", "fail", choices=("fail", "nan")))

    def step(self, inputs, params, ctx):
        if ctx.tick >= params["at"]:
            if params["how"] == "nan":
                return {"y": torch.tensor(float("nan"))}
            raise ctx.fail("it stops.", "Go on.")
        return {"y": torch.zeros(()) if inputs["x"] is ABSENT else inputs["x"]}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def several_that_fail(rng):
    """Fuses that blow and nodes in Python that stop, fed by one another and by ramps; many of them at the same tick."""
    ticks = (3, 9, 9, 9, 14)
    nodes = [node("r0", "t.ramp"), node("r1", "t.ramp")]
    edges, spoken = [], ["r0.value", "r1.value"]
    for number in range(rng.randint(2, 7)):
        name, at = f"n{number}", rng.choice(ticks)
        if rng.random() < 0.5:
            nodes.append(node(name, "t.stops", at=at, how=rng.choice(("fail", "fail", "nan"))))
        else:
            # Of a ramp t + 1, whole or passed on by fuses, it blows at about that tick.
            nodes.append(node(name, "t.fuse", limit=at + 0.8, rate=0))
        edges.append(edge(rng.choice(spoken), f"{name}.x"))
        spoken.append(f"{name}.y")
    rng.shuffle(nodes)
    return nodes, edges


# With these seeds a part of the plan that a tier takes out of order fails, in one way or the other.
@pytest.mark.parametrize("seed", [0, 1, 3, 8, 13])
def test_of_several_failures_every_tier_and_block_blames_the_same(traced_only, seed):
    nodes, edges = several_that_fail(Random(seed))
    failing = plan(nodes, edges, (), Registry([*KINDS.kinds().values(), Stops]))
    blamed = set()
    for tier in ("eager", "compiled"):
        for block in (1, 32):
            with pytest.raises(NodeFailed) as failed:
                Session(failing, ticks=30, block=block, tier=tier).run()
            blamed.add((failed.value.node, failed.value.tick, str(failed.value)))
    assert len(blamed) == 1


@pytest.mark.parametrize("how", ["fail", "nan"])
@pytest.mark.parametrize("block", [1, 32])
@pytest.mark.parametrize("tier", ["eager", "compiled"])
def test_the_first_in_the_order_is_blamed_also_where_a_region_is_computed_before_it(traced_only, tier, block, how):
    """Both fail at tick 9; without compilation `stop` is computed first, and with it the region of `fuse` is."""
    nodes = [node("stop", "t.stops", at=9, how=how), node("ramp", "t.ramp"), node("fuse", "t.fuse", limit=9.5, rate=-1)]
    failing = plan(nodes, [edge("ramp.value", "fuse.x")], (), Registry([*KINDS.kinds().values(), Stops]))
    assert failing.order[0] == "stop"
    session = Session(failing, ticks=30, block=block, tier=tier)
    if tier == "compiled":
        assert session._program.compiled.stages[0].region
    with pytest.raises(NodeFailed) as failed:
        session.run()
    assert (failed.value.node, failed.value.tick) == ("stop", 9)
    alone = plan(nodes[1:], [edge("ramp.value", "fuse.x")], ())
    with pytest.raises(NodeFailed) as failed:
        Session(alone, ticks=30, block=block, tier=tier).run()
    assert (failed.value.node, failed.value.tick) == ("fuse", 9)


def test_a_fired_trigger_reaches_a_node_of_a_region(traced_only):
    class Latch(REGISTRY.get("t.accumulate")):
        kind = "t.latch"
        inputs = (Port("x", "scalar"), Port("fire", "trigger", optional=True, when_absent="skip"))

        def step(self, state, inputs, params, ctx):
            y = state["y"] + (inputs["x"] if inputs["fire"] is ABSENT else 1000.0)
            return {"y": y}, {"y": y}

    registry = Registry([*KINDS.kinds().values(), Latch])
    graph = plan([node("a", "t.ramp"), node("l", "t.latch")], [edge("a.value", "l.x")], [], registry)
    results = []
    for tier in ("eager", "compiled"):
        session = Session(graph, ticks=32, block=16, tier=tier)
        reports = iter(session)
        next(reports)
        session.trigger("l.fire")
        next(reports)
        results.append(session.result())
    assert results[0].outputs["l.y"] > 1000
    assert results[0].result_hash == results[1].result_hash


def test_a_run_resumes_in_the_compiled_tier(traced_only, whole, tmp_path):
    session = Session(plan(), seed=3, ticks=60, block=17, tier="compiled")
    next(iter(session))
    resumed = Session.restore(session.checkpoint(tmp_path), plan())
    resumed.block = 11
    result = resumed.run()
    assert result.tier == "compiled"
    assert result.result_hash == whole.result_hash


@given(st.data())
def test_stages_keep_the_order_of_a_plan_and_have_as_few_regions_as_can_be(data):
    count = data.draw(st.integers(1, 8))
    nodes = [node(f"n{i}", "t.collect") if data.draw(st.booleans()) else node(f"n{i}", "t.add") for i in range(count)]
    names = [item["id"] for item in nodes]
    numeric = [i for i in range(count) if nodes[i]["kind"] == "t.add"]
    nodes.append(node("zero", "t.ramp"))
    edges = []
    for i in range(count):
        sources = [j for j in numeric if j < i]
        source = f"n{data.draw(st.sampled_from(sources))}.sum" if sources and data.draw(st.booleans()) else "zero.value"
        edges.append(edge(source, f"n{i}.{'a' if i in numeric else 'held'}"))
    graph = plan(nodes, edges, [])
    blocked = {name: "" for name in names if data.draw(st.booleans())}
    made = stages(graph, blocked)
    order = [name for stage in made for name in stage.nodes]
    assert sorted(order) == sorted(graph.order)
    for e in graph.edges:
        assert order.index(e.source[0]) < order.index(e.target[0])
    for stage in made:
        assert stage.region == (not any(name in blocked for name in stage.nodes))
    # A chain of blocked and free nodes in turn needs a region for each stretch; nothing needs more.
    assert sum(stage.region for stage in made) <= len(blocked) + 1


@pytest.mark.parametrize(("request_", "rest"), [("compiled", "eager"), ("compiled+kernels", "kernels")])
def test_without_a_compiler_the_run_says_so_and_goes_on(monkeypatch, request_, rest):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    missing_compiler.cache_clear()
    try:
        result = Session(plan(), seed=3, ticks=4, tier=request_).run()
    finally:
        missing_compiler.cache_clear()
    assert result.tier == rest
    assert f"in place of {request_}, because there is no g++: install it" in result.tier_reason


def test_the_cost_rule_goes_by_the_length_of_the_run_alone():
    graph = plan()
    chosen = [Tier.choose("auto", graph, ticks) for ticks in (100, 10_000, 100_000_000)]
    assert [tier.name for tier in chosen] == ["eager", "kernels", "compiled+kernels"]
    assert all("cost rule" in tier.reason for tier in chosen)


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path):
    for number in range(6):
        path = tmp_path / f"{number % 2}" / f"{number}.so"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        used = time.time() - 86_400 + 60 * number
        os.utime(path, (used, used))
    young = tmp_path / "0" / "young.so"
    young.write_bytes(bytes(500))
    prune(tmp_path, 800)
    assert sorted(path.name for path in tmp_path.rglob("*.so")) == ["3.so", "4.so", "5.so", "young.so"]
    # What another process may be making is left alone, also when it is too much.
    prune(tmp_path, 0)
    assert [path.name for path in tmp_path.rglob("*.so")] == ["young.so"]


@pytest.mark.parametrize("changed", [8, 9])
@pytest.mark.parametrize("block", [1, 8, 9, 12])
def test_a_live_change_leaves_what_was_said_before_as_it_was(traced_only, changed, block):
    """A number that a program hands on as it is must not be that program's own input of the next tick."""
    nodes = [node("v", "gen.value", value=1.0), node("pid", "ctl.pid"), node("set", "gen.value", value=0.5)]
    edges = [edge("v.value", "pid.measurement", delay=1, init=0), edge("set.value", "pid.setpoint")]
    graph = plan(nodes, edges, [], Registry.default())
    controls = [ControlChange(changed, "v.value", 5.0)]
    whole = Session(graph, seed=0, ticks=12, tier="eager", controls=controls).run()
    assert Session(graph, 0, 12, block, tier="compiled", controls=controls).run().result_hash == whole.result_hash
    assert {name for trace in traced_only for name in trace.region.names} == {"v", "pid", "set"}


def test_a_node_remembers_nothing_of_a_trace(traced_only):
    """The array keeps tables for its kernel; those of a trace hold symbols, with which no tick can be computed."""
    nodes = [node("a", "osc.array", N=6, coupling=0.1, mod_depth=0.01), node("g", "ebm.gaussian", N=6)]
    edges = [edge("a.x", "g.input"), edge("g.x", "a.modulation", delay=1, init=0)]
    graph = plan(nodes, edges, [], Registry.default())
    for tier in ("eager", "kernels"):
        compiled = "compiled" if tier == "eager" else "compiled+kernels"
        hashes = {Session(graph, 3, 20, 7, tier=one).run().result_hash for one in (tier, compiled)}
        assert len(hashes) == 1


def test_what_comes_from_outside_is_expected_in_the_precision_of_the_program(traced_only):
    """Inductor looks at sizes, not at types: numbers of another one would be read as garbage."""
    program = Program(plan(), 0, "cpu", Tier("compiled", "asked for"), dtype=torch.float64)
    program.run(program.initial_state(), 0, 9)
    coming = []
    for trace in traced_only:
        first = len(trace.slots)
        coming += trace.examples[first : first + len(trace.outside)]
    assert any(trace.outside for trace in traced_only)
    assert {value.dtype for value in coming} == {torch.float64}


def test_a_node_that_reads_a_draw_or_a_live_number_is_interpreted(traced_only):
    class Reader(TensorNode):
        kind, title, category, summary = "t.reads", "Reads", "test", "Reads numbers out of tensors."
        outputs = (Port("y", "scalar"),)
        params = (Parameter("g", "float", 1.0, live=True), Parameter("draws", "bool", False))

        def step(self, state, inputs, params, ctx):
            g = torch.as_tensor(params["g"], dtype=ctx.dtype)
            y = float(ctx.random.uniform(1)[0].item()) if self.settings["draws"] else g.item()
            return state, {"y": torch.tensor(y)}

    for draws in (True, False):
        graph = plan([node("r", "t.reads", draws=draws)], [], [], Registry([Reader]))
        changes = [ControlChange(4, "r.g", 7.0)]
        eager, compiled = (Session(graph, 1, 8, tier=tier, controls=changes).run() for tier in ("eager", "compiled"))
        assert eager.result_hash == compiled.result_hash


def test_kernels_that_do_not_wait_for_each_other_are_called_once(traced_only):
    """Arrays side by side are one call: not one that waits, is driven when the others are not, or has another size."""
    nodes = [node(f"a{i}", "osc.array", N=8, coupling=0.1 * i, mod_depth=0.1) for i in range(4)]
    nodes.append(node("other", "osc.array", N=9))
    edges = [edge("a0.x", "a3.modulation"), edge("a3.x", "a1.modulation", delay=1, init=0.5)]
    graph = plan(nodes, edges, [], Registry.default())
    changes = [ControlChange(9, "a2.coupling", 0.4)]
    hashes = {
        Session(graph, 3, 20, 7, tier=tier, controls=changes).run().result_hash
        for tier in ("kernels", "compiled+kernels")
    }
    assert len(hashes) == 1
    calls = [
        n for t in traced_only for n in t.graph.graph.nodes if n.target is torch.ops.attractor.ode_ensemble.default
    ]
    assert sorted(call.meta["val"].shape[1] for call in calls) == [1, 1, 1, 2]


def test_what_follows_from_live_numbers_alone_is_computed_when_they_change(traced_only):
    class Table(TensorNode):
        kind, title, category, summary = "t.table", "Table", "test", "Adds what it works out from a number."
        inputs = (Port("x", "scalar"),)
        outputs = (Port("y", "scalar"),)
        params = (Parameter("g", "float", 0.5, live=True),)

        def prepare(self, ctx):
            self.grid = torch.arange(5.0)

        def step(self, state, inputs, params, ctx):
            return state, {"y": inputs["x"] + torch.erfinv(params["g"] * self.grid / 5.0).sum()}

    registry = Registry([*KINDS.kinds().values(), Table])
    graph = plan([node("a", "t.ramp"), node("t", "t.table")], [edge("a.value", "t.x")], [], registry)
    changes = [ControlChange(4, "t.g", 0.9)]
    eager, compiled = (Session(graph, 1, 8, tier=tier, controls=changes).run() for tier in ("eager", "compiled"))
    assert eager.result_hash == compiled.result_hash
    assert eager.outputs["t.y"] > Session(graph, 1, 8).run().outputs["t.y"]
    (trace,) = traced_only
    assert "t" in trace.region.names
    inside, ahead = ([str(one.target) for one in g.graph.nodes] for g in (trace.graph, trace.prologue._graph))
    assert not any("erfinv" in target for target in inside)
    assert any("erfinv" in target for target in ahead)


def test_an_operation_with_several_results_follows_from_live_numbers_alone(traced_only):
    class Sorts(TensorNode):
        kind, title, category, summary = "t.sorts", "Sorts", "test", "Adds the middle one of three numbers."
        inputs = (Port("x", "scalar"),)
        outputs = (Port("y", "scalar"),)
        params = (Parameter("g", "float", 0.5, live=True),)

        def step(self, state, inputs, params, ctx):
            g = torch.as_tensor(params["g"], dtype=ctx.dtype)
            return state, {"y": inputs["x"] + torch.stack([g, 1.0 - g, 2.0 * g]).sort().values[1]}

    registry = Registry([*KINDS.kinds().values(), Sorts])
    graph = plan([node("a", "t.ramp"), node("s", "t.sorts")], [edge("a.value", "s.x")], [], registry)
    changes = [ControlChange(4, "s.g", 0.1)]
    eager, compiled = (Session(graph, 1, 8, tier=tier, controls=changes).run() for tier in ("eager", "compiled"))
    assert eager.result_hash == compiled.result_hash
    assert "s" in traced_only[0].region.names


def test_a_view_may_be_needed_inside_and_ahead(traced_only):
    class Row(TensorNode):
        kind, title, category, summary = "t.row", "Row", "test", "Adds a row, and what it works out from it."
        inputs = (Port("x", "scalar"),)
        outputs = (Port("y", "scalar"),)
        params = (Parameter("g", "float", 0.5, live=True),)

        def step(self, state, inputs, params, ctx):
            row = (torch.arange(3.0) * params["g"]).unsqueeze(0)
            return state, {"y": (inputs["x"] + row).sum() + torch.erfinv(row / 3.0).sum()}

    registry = Registry([*KINDS.kinds().values(), Row])
    graph = plan([node("a", "t.ramp"), node("r", "t.row")], [edge("a.value", "r.x")], [], registry)
    eager, compiled = (Session(graph, 1, 8, tier=tier).run() for tier in ("eager", "compiled"))
    assert eager.result_hash == compiled.result_hash
    assert "r" in traced_only[0].region.names


@pytest.mark.parametrize("tier", ["eager", "compiled"])
def test_nothing_is_held_of_an_edge_over_which_nothing_comes(traced_only, tier):
    graph = plan([node("a", "t.orbit"), node("b", "t.orbit")], [edge("a.never", "b.force")], [])
    session = Session(graph, 1, 8, tier=tier)
    session.run()
    assert session._state.held == {}


@pytest.mark.parametrize("block", [1, 6, 7, 20])
def test_a_route_remembers_what_a_source_of_another_region_said_last(traced_only, block):
    """`t` is interpreted and speaks now and then; a block may begin and end while it is silent."""
    routes = [{"src": "t.value", "dst": "r.slope", "depth": 0.1}]
    graph = plan([node("t", "t.sometimes"), node("r", "t.ramp")], [], routes)
    once = Session(graph, 1, 20, tier="eager").run()
    assert Session(graph, 1, 20, block, tier="compiled").run().result_hash == once.result_hash
    assert any("r" in trace.region.names for trace in traced_only)


def test_a_component_of_a_vector_enters_a_program_densely(traced_only):
    """In a batch it is a column, whose numbers do not lie side by side."""

    class Alternates(TensorNode):
        kind, title, category, summary = "t.alternates", "Alternates", "test", "Changes its sign."
        outputs = (Port("y", "vector", (3,)),)
        params = (Parameter("g", "float", 0.5, live=True),)

        def step(self, state, inputs, params, ctx):
            sign = -1.0 if ctx.tick % 2 else 1.0
            y = torch.as_tensor(params["g"], dtype=ctx.dtype)[..., None] * torch.tensor([sign, 2.0, 3.0])
            return state, {"y": y.expand(*ctx.batch, 3)}

    registry = Registry([*KINDS.kinds().values(), Alternates])
    document = {
        "nodes": [node("v", "t.alternates"), node("r", "t.ramp")], "edges": [],
        "routes": [{"src": "v.y", "dst": "r.slope", "reduce": "index 0"}],
    }  # fmt: skip
    spec, axis = GraphSpec.parse(document), Axis("v.g", (0.1, 0.2, 0.3))
    eager, compiled = (
        [
            outcome.result.outputs["r.value"]
            for outcome in Sweep(spec, [axis], ticks=9, tier=tier, exact=False, registry=registry).run()
        ]
        for tier in ("eager", "compiled")
    )
    assert eager == compiled
    assert [trace.region.names for trace in traced_only] == [("r",)]


@pytest.mark.parametrize("block", [1, 8])
def test_numbers_of_another_precision_are_left_to_the_interpreter(traced_only, block):
    class Precise(HostNode):
        kind, title, category, summary = "t.precise", "Precise", "test", "Speaks in double precision."
        outputs = (Port("y", "scalar"),)

        def step(self, inputs, params, ctx):
            return {"y": torch.tensor(0.1 * ctx.tick, dtype=torch.float64)}

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            assert state == {}

    registry = Registry([*KINDS.kinds().values(), Precise])
    graph = plan([node("h", "t.precise"), node("a", "t.accumulate")], [edge("h.y", "a.x")], [], registry)
    eager, compiled = (Session(graph, 1, 12, block, tier=tier).run() for tier in ("eager", "compiled"))
    assert eager.result_hash == compiled.result_hash
    assert any("a" in trace.region.names for trace in traced_only)


def test_no_more_is_drawn_at_once_than_is_drawn_ahead_anyway(traced_only, monkeypatch):
    drawn = []
    normal = RandomStream.normal

    def counted(self, tick, n, lane=0, ticks=None):
        drawn.append(n * (ticks or 1))
        return normal(self, tick, n, lane, ticks)

    monkeypatch.setattr(RandomStream, "normal", counted)
    graph = plan([node("n", "t.noise", N=30_000)], [], [])
    hashes = {Session(graph, 1, 20, 20, tier=tier).run().result_hash for tier in ("eager", "compiled")}
    assert len(hashes) == 1
    assert 30_000 < max(drawn) <= 1 << 18


def test_tensors_that_a_node_writes_into_stay_two(traced_only):
    """They are equal when they are made, and no more when they are read."""

    class Writes(TensorNode):
        kind, title, category, summary = "t.writes", "Writes", "test", "Fills tensors before it reads them."
        inputs = (Port("x", "scalar"),)
        outputs = (Port("y", "scalar"),)
        params = (Parameter("g", "float", 0.5, live=True),)

        def step(self, state, inputs, params, ctx):
            row, other, ones = torch.zeros(3), torch.zeros(3), torch.tensor([1.0, 1.0, 1.0])
            row[1].fill_(1.0)
            other[2].fill_(5.0)
            again = torch.tensor([1.0, 1.0, 1.0]).mul_(2.0)
            g = torch.as_tensor(params["g"], dtype=ctx.dtype)
            return state, {"y": inputs["x"] + (row * g + other * ones + again).sum()}

    registry = Registry([*KINDS.kinds().values(), Writes])
    graph = plan([node("a", "t.ramp"), node("w", "t.writes")], [edge("a.value", "w.x")], [], registry)
    eager, compiled = (Session(graph, 1, 8, tier=tier).run() for tier in ("eager", "compiled"))
    assert eager.outputs["w.y"] == 8.0 + 0.5 + 5.0 + 6.0
    assert eager.result_hash == compiled.result_hash
    assert any("w" in trace.region.names for trace in traced_only)


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no C++ compiler")
def test_a_compiled_run_is_plain_torch_within_rounding_and_the_same_for_every_block():
    nodes = [one for one in NODES if one["id"] in {"o", "ramp", "mix"}]
    ids = {one["id"] for one in nodes}
    edges = [one for one in EDGES if {one["src"].split(".")[0], one["dst"].split(".")[0]} <= ids]
    small = plan(nodes, edges, [ROUTES[1]])
    whole = Session(small, seed=3, ticks=60, tier="eager").run()
    results = [Session(small, seed=3, ticks=60, block=block, tier="compiled").run() for block in (1, 13, 60)]
    assert len({result.result_hash for result in results}) == 1
    assert "nodes compiled: 3," in results[0].tier_reason
    for name, value in whole.outputs.items():
        assert torch.allclose(torch.tensor(results[0].outputs[name]), torch.tensor(value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ticks", [1, 3])
def test_complex_values_may_lie_anywhere_among_what_a_tick_says(ticks):
    said = torch.arange(7.0 * ticks).view(ticks, 7)
    packing = Packing(number=0, start=1, stop=5, shape=(2,), is_complex=True)
    assert packing.unpacked([said]).tolist() == [
        [complex(7 * tick + 1, 7 * tick + 2), complex(7 * tick + 3, 7 * tick + 4)] for tick in range(ticks)
    ]
