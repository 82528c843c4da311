"""Program: order, delays, ABSENT, modulation, blame; and that the length of a block changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sample_nodes import REGISTRY, edge, node

from attractor import GraphSpec, NodeFailed, Plan, Registry, Session
from attractor.node import HostNode, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port


def plan(*nodes, edges=(), routes=()):
    return Plan.of(GraphSpec.parse({"nodes": list(nodes), "edges": list(edges), "routes": list(routes)}), REGISTRY)


def watch(graph, port, ticks, block, seed=1):
    """Every value of a port, tick by tick."""
    session = Session(graph, seed=seed, ticks=ticks, block=block)
    session.subscribe(*port.split("."))
    values = {}
    for report in session:
        for frame in report.frames:
            values |= dict(zip(frame.ticks.tolist(), torch.as_tensor(frame.data).tolist(), strict=True))
    return values, session.result()


RECURSION = (
    node("a", "t.ramp", slope=0.5), node("mix", "t.add", gain=0.5), node("sum", "t.accumulate"),
)  # fmt: skip
RECURSION_EDGES = (edge("a.value", "mix.a"), edge("mix.sum", "sum.x"), edge("sum.y", "mix.b", delay=1, init=2))


def test_a_feedback_loop_is_the_recursion_it_stands_for():
    values, _ = watch(plan(*RECURSION, edges=RECURSION_EDGES), "sum.y", 20, 7)
    y, total = 0.0, 2.0
    for tick in range(20):
        drive = 0.5 * (tick + 1)
        y += 0.5 * (drive + total)
        total = y
        assert values[tick] == pytest.approx(y, rel=1e-6)


def test_a_delay_outside_a_loop_shifts_by_one_tick():
    graph = plan(node("a", "t.ramp"), node("b", "t.add"), edges=[edge("a.value", "b.a", delay=1, init=-5)])
    values, _ = watch(graph, "b.sum", 6, 4)
    assert list(values.values()) == [-5, 1, 2, 3, 4, 5]


@given(st.integers(1, 40))
def test_the_length_of_a_block_changes_no_value_and_no_hash(block):
    graph = plan(
        *RECURSION, node("n", "t.noise", N=3), node("s", "t.scale"), node("t", "t.sometimes"), node("c", "t.collect"),
        edges=[*RECURSION_EDGES, edge("n.x", "s.x"), edge("t.value", "c.held", delay=1, init=-1),
               edge("t.value", "c.skipped"), edge("sum.y", "c.many"), edge("s.y", "c.many", reduce="rms")],
        routes=[{"src": "t.value", "dst": "s.factor", "mode": "add", "depth": 0.1, "transform": {"smooth_ms": 50}},
                {"src": "sum.y", "dst": "mix.gain", "mode": "scale", "depth": -1e-3}],
    )  # fmt: skip
    once, again = watch(graph, "s.y", 50, 50), watch(graph, "s.y", 50, block)
    assert again[0] == once[0]
    assert again[1].tables == once[1].tables
    assert again[1].result_hash == once[1].result_hash


def test_absent_is_held_or_skipped_as_the_port_declares():
    graph = plan(
        node("t", "t.sometimes"),
        node("c", "t.collect"),
        edges=[edge("t.value", "c.held"), edge("t.value", "c.skipped")],
    )
    result = Session(graph, ticks=6, block=4).run()
    rows = result.tables["c.seen"]["rows"]
    assert [row[1] for row in rows] == [None, 1, 1, 1, 4, 4]
    assert [row[2] for row in rows] == [None, 1, None, None, 4, None]


def test_a_variadic_port_keeps_the_order_of_its_edges():
    graph = plan(
        node("a", "t.ramp", slope=1), node("b", "t.ramp", slope=2), node("c", "t.collect"),
        edges=[edge("b.value", "c.many"), edge("a.value", "c.many")],
    )  # fmt: skip
    result = Session(graph, ticks=2).run()
    assert [row[3] for row in result.tables["c.seen"]["rows"]] == [[2, 1], [4, 2]]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        # Ramp 1, 2, 3, … modulates the gain (base 1, range [0, 2]) of add(1·ramp) one tick late.
        ({"mode": "add", "depth": 0.25}, [1, 1.25, 1.5, 1.75, 2, 2]),
        ({"mode": "scale", "depth": 0.5}, [1, 1.5, 2, 2, 2, 2]),
        ({"mode": "replace", "depth": 1, "transform": {"gain": 0.1}}, [1, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"mode": "gate", "threshold": 2}, [1, 0, 0, 1, 1, 1]),
        ({"mode": "add", "transform": {"invert": True, "gain": 0.5}}, [1, 0.5, 0, 0, 0, 0]),
        ({"mode": "add", "transform": {"range": {"source": [1, 6], "target": [-1, 0]}}}, [1, 0, 0.2, 0.4, 0.6, 0.8]),
        ({"mode": "add", "transform": {"offset": -1, "gain": 0.5}}, [1, 0.5, 1, 1.5, 2, 2]),
    ],
)
def test_modulation_modes_are_clamped_and_never_write_the_base(route, expected):
    graph = plan(
        node("a", "t.ramp"), node("one", "t.ramp", slope=0), node("b", "t.add"),
        edges=[edge("a.value", "b.a")], routes=[{"src": "a.value", "dst": "b.gain", **route}],
    )  # fmt: skip
    values, _ = watch(graph, "b.sum", 6, 4)
    assert [values[t] / (t + 1) for t in range(6)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize(
    ("parameter", "routes"),
    [
        # e^1000 is infinite in float32, and ∞ − ∞ is no number.
        ("gain", [{"mode": "add", "transform": {"curve": "exp", "range": {"source": [0, 1], "target": [0, 1000]}}},
                  {"mode": "add", "depth": -1,
                   "transform": {"curve": "exp", "range": {"source": [0, 1], "target": [0, 1000]}}}]),
        # Temperatures are positive: there is no lowest one to clamp to.
        ("T", [{"mode": "add", "depth": -0.5}]),
        # Positive, and 0 in single precision.
        ("T", [{"mode": "replace", "transform": {"gain": 1e-50}}]),
    ],
)  # fmt: skip
def test_a_route_to_no_legal_value_names_node_and_tick(parameter, routes, block):
    class Warm(REGISTRY.get("t.add")):
        kind = "t.warm"
        params = (*REGISTRY.get("t.add").params, Parameter("T", "float", 1.0, min=0, max=20, open_min=True, live=True))

    document = {
        "nodes": [node("a", "t.ramp"), node("w", "t.warm")],
        "edges": [edge("a.value", "w.a")],
        "routes": [{"src": "a.value", "dst": f"w.{parameter}", **route} for route in routes],
    }
    registry = Registry([*REGISTRY.kinds().values(), Warm])
    with pytest.raises(NodeFailed, match=f"w.{parameter}") as failed:
        Session(Plan.of(GraphSpec.parse(document), registry), ticks=9, block=block).run()
    # The ramp is 1 at tick 0, 2 at tick 1, and is read a tick late.
    assert (failed.value.node, failed.value.tick) == ("w", 2 if routes[0].get("depth") == -0.5 else 1)


def test_smoothing_is_the_one_pole_filter():
    graph = plan(
        node("a", "t.ramp", slope=0), node("src", "t.ramp", slope=1), node("b", "t.ramp", slope=0),
        routes=[{"src": "src.value", "dst": "b.slope", "transform": {"smooth_ms": 20, "gain": 1}}],
    )  # fmt: skip
    values, _ = watch(graph, "b.value", 8, 3)
    keep = torch.exp(torch.tensor(-0.5, dtype=torch.float64)).item()
    smooth, total = None, 0.0
    for tick in range(8):
        if tick:
            smooth = tick if smooth is None else keep * smooth + (1 - keep) * tick
            total += smooth
        assert values[tick] == pytest.approx(total, rel=1e-5)


def test_a_value_that_is_not_finite_stops_the_run_with_node_and_tick():
    graph = plan(node("bad", "t.breaks", at=5), node("b", "t.add"), edges=[edge("bad.value", "b.a")])
    with pytest.raises(NodeFailed) as failed:
        Session(graph, ticks=20, block=4).run()
    assert (failed.value.node, failed.value.tick) == ("bad", 5)


def test_the_origin_is_blamed_not_the_node_that_choked_on_it():
    class Picky(REGISTRY.get("t.add")):
        kind = "t.picky"

        def step(self, state, inputs, params, ctx):
            if torch.isnan(inputs["a"]):
                raise ctx.fail("cannot add this.", "Give numbers.")
            return super().step(state, inputs, params, ctx)

    registry = Registry([*REGISTRY.kinds().values(), Picky])
    document = {
        "nodes": [node("bad", "t.breaks", at=5), node("b", "t.picky")],
        "edges": [edge("bad.value", "b.a"), edge("b.sum", "b.b", delay=1, init=0)],
    }
    with pytest.raises(NodeFailed) as failed:
        Session(Plan.of(GraphSpec.parse(document), registry), ticks=20, block=8).run()
    assert (failed.value.node, failed.value.tick) == ("bad", 5)


@pytest.mark.parametrize("block", [1, 8, 32])
def test_in_a_loop_the_first_to_say_nan_is_blamed(block):
    """`early` stands first in the order of a tick, and gets the NaN of `late` back a tick later."""

    class Late(REGISTRY.get("t.add")):
        kind = "t.late"

        def step(self, state, inputs, params, ctx):
            return state, {"sum": torch.tensor(float("nan")) if ctx.tick >= 5 else 1.0 * inputs["a"]}

    registry = Registry([*REGISTRY.kinds().values(), Late])
    document = {
        "nodes": [node("early", "t.add"), node("late", "t.late"), node("a", "t.ramp")],
        "edges": [
            edge("a.value", "early.a"),
            edge("early.sum", "late.a"),
            edge("late.sum", "early.b", delay=1, init=0),
        ],
    }
    with pytest.raises(NodeFailed) as failed:
        Session(Plan.of(GraphSpec.parse(document), registry), ticks=20, block=block).run()
    assert (failed.value.node, failed.value.tick) == ("late", 5)


def test_a_complex_value_that_is_not_finite_stops_the_run():
    class Light(TensorNode):
        kind, title, category, summary = "t.light", "Light", "test", "Goes out."
        outputs = (Port("a", "cfield", (2,)),)

        def step(self, state, inputs, params, ctx):
            return state, {"a": torch.full((2,), complex(0, float("nan")) if ctx.tick == 3 else 1j)}

    document = {"nodes": [node("l", "t.light")]}
    with pytest.raises(NodeFailed) as failed:
        Session(Plan.of(GraphSpec.parse(document), Registry([Light])), ticks=8).run()
    assert (failed.value.node, failed.value.tick) == ("l", 3)


@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("block", [1, 4])
def test_a_delayed_edge_starts_with_a_value_of_what_arrives(looped, block):
    """The reducer comes before the delay: the start value is one number, though a vector leaves the source."""
    nodes = [node("n", "t.noise", N=4), node("s", "t.scale", factor=1), node("b", "t.add", gain=1)]
    edges = [edge("n.x", "s.x"), edge("s.y", "b.a", delay=1, init=7, reduce="index 2")]
    routes = [{"src": "b.sum", "dst": "s.factor", "depth": 0}] if looped else []
    graph = plan(*nodes, edges=edges, routes=routes)
    assert len(graph.components) == (2 if looped else 3)
    noise, _ = watch(graph, "n.x", 6, block)
    values, _ = watch(graph, "b.sum", 6, block)
    assert [values[tick] for tick in range(6)] == [7] + [noise[tick][2] for tick in range(5)]


def test_a_delayed_edge_starts_in_the_kind_of_its_port():
    seen = []

    class Watch(REGISTRY.get("t.add")):
        kind = "t.watch"
        inputs = (Port("a", "cat", (1, 1)),)

        def step(self, state, inputs, params, ctx):
            seen.append(inputs["a"].dtype)
            return state, {"sum": torch.zeros(())}

    class Class(TensorNode):
        kind, title, category, summary = "t.class", "Class", "test", "Class 1."
        outputs = (Port("c", "cat", (1, 1)),)

        def step(self, state, inputs, params, ctx):
            return state, {"c": torch.ones(1, 1, dtype=torch.int64)}

    document = {"nodes": [node("c", "t.class"), node("w", "t.watch")], "edges": [edge("c.c", "w.a", delay=1, init=0)]}
    Session(Plan.of(GraphSpec.parse(document), Registry([Class, Watch])), ticks=3).run()
    assert seen == [torch.int64] * 3


def test_graphs_of_one_hash_have_one_result_however_they_are_written():
    """Edges, routes and nodes in another order are the same graph, also to the route that acts last."""
    nodes = [*RECURSION, node("d", "t.add")]
    edges = [*RECURSION_EDGES, edge("sum.y", "d.a"), edge("a.value", "d.b", delay=1, init=3)]
    routes = [
        {"src": source, "dst": "d.gain", "mode": "replace", "transform": {"gain": gain, "smooth_ms": 20}}
        for source, gain in (("a.value", 0.1), ("sum.y", 0.01), ("mix.sum", 0.05))
    ]
    one, other = plan(*nodes, edges=edges, routes=routes), plan(*nodes[::-1], edges=edges[::-1], routes=routes[::-1])
    assert one.spec.content_hash == other.spec.content_hash
    results = [Session(graph, ticks=20, block=7).run() for graph in (one, other)]
    assert results[0].outputs == results[1].outputs
    assert results[0].result_hash == results[1].result_hash


@pytest.mark.parametrize(("how", "text"), [("raise", "RuntimeError: gave way"), ("fail", "cannot go on")])
def test_whatever_a_node_raises_names_node_and_tick(how, text):
    with pytest.raises(NodeFailed, match=text) as failed:
        Session(plan(node("bad", "t.breaks", at=3, how=how)), ticks=20, block=8).run()
    assert (failed.value.node, failed.value.tick) == ("bad", 3)


@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize(
    ("out", "text"),
    [({"valu": torch.zeros(())}, "'valu'"), (None, "NoneType"), ({"value": torch.zeros(7)}, "shape \\[7\\]")],
)
@pytest.mark.parametrize("base", [TensorNode, HostNode])
def test_outputs_that_the_plan_does_not_know_are_refused(base, out, text, looped):
    class Odd(base):
        kind, title, category, summary = "t.odd", "Odd", "test", "Says what it should not."
        inputs = (Port("x", "scalar", optional=True),)
        outputs = (Port("value", "scalar"),)

        def step(self, *args):
            return (args[0], out) if base is TensorNode else out

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    edges = [edge("o.value", "o.x", delay=1, init=0)] if looped else []
    document = {"nodes": [node("o", "t.odd")], "edges": edges}
    with pytest.raises(NodeFailed, match=text) as failed:
        Session(Plan.of(GraphSpec.parse(document), Registry([Odd])), ticks=4, block=1).run()
    assert (failed.value.node, failed.value.tick) == ("o", 0)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["nan", "raise", "fail"])), min_size=1, max_size=4),
    st.booleans(),
    st.integers(2, 20),
)
def test_the_length_of_a_block_changes_no_failure(breaks, looped, block):
    """The node that breaks first is reported, and of those of one tick the first in order."""
    nodes, edges = [node("a", "t.ramp", slope=0.01)], []
    for number, (at, how) in enumerate(breaks):
        nodes += [node(f"b{number}", "t.breaks", at=at, how=how), node(f"s{number}", "t.add", gain=1)]
        edges.append(edge(f"b{number}.value", f"s{number}.a"))
        if looped:
            edges.append(edge(f"s{number}.sum", f"s{number}.b", delay=1, init=0))
    # A route that leaves the range of its parameter is a failure of the node too.
    routes = [{"src": "a.value", "dst": "s0.gain", "depth": 1e308, "transform": {"gain": 1e308}}]
    graph = plan(*nodes, edges=edges, routes=routes)
    said = []
    for length in (1, block, 20):
        with pytest.raises(NodeFailed) as failed:
            Session(graph, ticks=20, block=length).run()
        said.append((failed.value.node, failed.value.tick, failed.value.message))
    assert said[0] == said[1] == said[2]
    assert said[0][1] <= min(at for at, _ in breaks)


@pytest.mark.parametrize("block", [1, 8])
def test_a_route_switches_a_switch_at_one_half_and_rounds_a_whole_number(block):
    class Switched(REGISTRY.get("t.add")):
        kind = "t.switched"
        params = (
            *REGISTRY.get("t.add").params,
            Parameter("on", "bool", True, live=True),
            Parameter("n", "int", 1, min=0, max=3, live=True),
        )

        def step(self, state, inputs, params, ctx):
            assert type(params["on"]) is bool
            assert type(params["n"]) is int
            return state, {"sum": torch.tensor(float(params["on"]) + 10.0 * params["n"])}

    document = {
        "nodes": [node("a", "t.ramp"), node("w", "t.switched")],
        "edges": [edge("a.value", "w.a")],
        # The ramp is t + 1, read a tick late: on = [1 − 0.2·t ≥ ½], n = round(1 + 0.4·t) up to 3.
        "routes": [{"src": "a.value", "dst": "w.on", "depth": -0.2}, {"src": "a.value", "dst": "w.n", "depth": 0.4}],
    }
    graph = Plan.of(GraphSpec.parse(document), Registry([*REGISTRY.kinds().values(), Switched]))
    values, _ = watch(graph, "w.sum", 7, block)
    assert [values[t] for t in range(7)] == [11, 11, 21, 20, 30, 30, 30]
