"""check: all problems at once, each with its place and the mend."""

from __future__ import annotations

import pytest
from sample_nodes import REGISTRY, edge, node

from attractor import GraphRejected, GraphSpec, Plan, check
from attractor.kinds import ConversionRefused, conversion

RAMP = node("a", "t.ramp")


def problems(*nodes, edges=(), routes=()):
    return check({"nodes": list(nodes), "edges": list(edges), "routes": list(routes)}, REGISTRY)


def places(*nodes, edges=(), routes=()):
    return sorted(problem.place for problem in problems(*nodes, edges=edges, routes=routes))


def test_a_sound_graph_has_no_problem():
    assert (
        problems(RAMP, node("b", "t.add"), edges=[edge("a.value", "b.a"), edge("b.sum", "b.b", delay=1, init=0)]) == []
    )


def test_an_empty_graph_is_a_problem():
    assert places() == ["nodes"]


def test_everything_is_said_at_once():
    found = problems(
        node("a", "t.ramp", slope=99, slop=1),
        node("b", "t.addd"),
        node("c", "t.add"),
        RAMP,
        edges=[edge("a.valu", "c.a"), edge("z.value", "c.b"), edge("a.value", "c.gain")],
        routes=[{"src": "a.value", "dst": "c.sum"}],
    )
    assert sorted(problem.place for problem in found) == [
        "edges[0].src", "edges[1].src", "edges[2].dst", "nodes.a", "nodes.a.params.slop", "nodes.a.params.slope",
        "nodes.b.kind", "routes[0].dst",
    ]  # fmt: skip
    said = {problem.place: problem for problem in found}
    assert "'t.add'" in said["nodes.b.kind"].mend
    assert "'slope'" in said["nodes.a.params.slop"].mend
    assert "[-10, 10] 1/tick" in said["nodes.a.params.slope"].mend
    assert "'value'" in said["edges[0].src"].mend


@pytest.mark.parametrize(
    "value", ["3", True, None, [1], 10.5, {"value": 1, "unit": "Hz"}, {"value": 1}, {"value": 99, "unit": "1/tick"}]
)
def test_a_value_of_the_wrong_type_unit_or_range_is_refused(value):
    assert places(node("a", "t.ramp", slope=value)) == ["nodes.a.params.slope"]


def test_a_value_may_name_its_unit():
    assert places(node("a", "t.ramp", slope={"value": 2, "unit": "1/tick"})) == []


def test_an_input_takes_one_edge_unless_it_is_variadic():
    two = [edge("a.value", "b.a"), edge("a.value", "b.a")]
    assert places(RAMP, node("b", "t.add"), edges=two) == ["edges[1].dst"]
    many = [edge("a.value", "c.many"), edge("a.value", "c.many")]
    assert places(RAMP, node("c", "t.collect"), edges=many) == []


def test_required_inputs_must_be_connected():
    assert places(node("b", "t.add")) == ["nodes.b.inputs.a"]


def test_a_view_without_a_source_is_a_problem():
    assert places(node("v", "t.show")) == ["nodes.v"]


def test_every_cycle_without_a_delay_is_printed():
    nodes = [node(name, "t.add") for name in "abcde"]
    edges = [
        edge("a.sum", "b.a"), edge("b.sum", "a.a"), edge("c.sum", "d.a"), edge("d.sum", "e.a"), edge("e.sum", "c.a"),
    ]  # fmt: skip
    found = [problem for problem in problems(*nodes, edges=edges) if problem.place == "edges"]
    assert len(found) == 2
    knots = [
        set(problem.message.removeprefix("a cycle without a delay: ").rstrip(".").split(" -> ")) for problem in found
    ]
    assert {frozenset(knot) for knot in knots} == {frozenset("ab"), frozenset("cde")}


def test_a_node_on_itself_needs_a_delay():
    assert places(node("a", "t.add"), edges=[edge("a.sum", "a.a")]) == ["edges"]


def test_a_delay_needs_a_start_value_and_nothing_else_has_one():
    nodes = [RAMP, node("b", "t.add")]
    assert places(*nodes, edges=[edge("a.value", "b.a", delay=1)]) == ["edges[0].init"]
    assert places(*nodes, edges=[edge("a.value", "b.a", init=1)]) == ["edges[0].init"]
    assert places(*nodes, edges=[edge("a.value", "b.a", delay=1, init="x")]) == ["edges[0].init"]
    assert places(*nodes, edges=[edge("a.value", "b.a", delay=1, init=[1, 2])]) == ["edges[0].init"]


def test_shapes_must_fit_also_over_a_delay():
    nodes = [node("n", "t.noise", N=4), node("m", "t.noise", N=5), node("s", "t.scale")]
    assert places(*nodes, edges=[edge("n.x", "s.x")]) == []
    assert places(*nodes, edges=[edge("n.x", "s.x", delay=1, init=[0] * 4)]) == []
    assert places(*nodes, edges=[edge("n.x", "s.x", delay=1, init=[0] * 5)]) == ["edges[0].init"]


def test_a_port_of_1e12_elements_is_refused_without_being_made():
    found = problems(node("n", "t.noise", N=10**12))
    assert [problem.place for problem in found] == ["nodes.n.x"]
    assert "1,000,000,000,000" in found[0].message


@pytest.mark.parametrize(
    ("source", "target", "reduce", "name"),
    [
        ("scalar", "scalar", None, "identity"), ("scalar", "signal", None, "hold"),
        ("signal", "scalar", "rms", "reduce"),
        ("vector", "scalar", "mean", "reduce"), ("vector", "scalar", "index 3", "reduce"),
        ("vector", "signal", "3", "reduce"),
        ("state3", "vector", "y", "axis"), ("spin", "prob", None, "running_mean"), ("table", "any", None, "identity"),
    ],
)  # fmt: skip
def test_the_conversions_of_the_contract(source, target, reduce, name):
    assert conversion(source, target, reduce).name == name


@pytest.mark.parametrize(
    ("source", "target", "reduce"),
    [
        ("vector", "scalar", None), ("vector", "scalar", "median"), ("signal", "scalar", None),
        ("state3", "vector", None),
        ("state3", "vector", "w"), ("scalar", "vector", None), ("vector", "state3", None), ("text", "scalar", None),
        ("scalar", "scalar", "mean"), ("scalar", "signal", "mean"), ("matrix", "vector", "mean"),
        ("table", "any", "mean"),
    ],
)  # fmt: skip
def test_anything_else_is_a_connection_error(source, target, reduce):
    with pytest.raises(ConversionRefused) as refused:
        conversion(source, target, reduce)
    assert refused.value.mend


def test_a_refused_conversion_names_both_ports():
    (found,) = problems(node("n", "t.noise"), node("b", "t.add"), edges=[edge("n.x", "b.a")])
    assert "n.x" in found.message
    assert "b.a" in found.message


def test_routes_are_checked():
    nodes = [RAMP, node("b", "t.add"), node("n", "t.noise"), node("c", "t.collect")]
    wired = [edge("a.value", "b.a"), edge("a.value", "c.held")]

    def route(src, dst, **more):
        return places(*nodes, edges=wired, routes=[{"src": src, "dst": dst, **more}])

    assert route("a.value", "b.gain") == []
    assert route("n.x", "b.gain", reduce="mean") == []
    assert route("n.x", "b.gain") == ["routes[0].src"]
    assert route("c.seen", "b.gain") == ["routes[0].src"]
    assert route("a.value", "n.N") == ["routes[0].dst"]
    assert route("a.value", "q.gain") == ["routes[0].dst"]
    empty = {"range": {"source": [1, 1], "target": [0, 1]}}
    assert route("a.value", "b.gain", transform=empty) == ["routes[0].transform.range"]


def test_a_plan_of_a_wrong_graph_is_refused_with_the_same_problems():
    document = {"nodes": [node("b", "t.add")]}
    with pytest.raises(GraphRejected) as rejected:
        Plan.of(GraphSpec.parse(document), REGISTRY)
    assert list(rejected.value.problems) == check(document, REGISTRY)


def test_the_plan_orders_components_and_names_delays():
    spec = GraphSpec.parse(
        {
            "nodes": [node("show", "t.show"), node("sum", "t.accumulate"), node("mix", "t.add"), RAMP],
            "edges": [
                edge("a.value", "mix.a"), edge("mix.sum", "sum.x"), edge("sum.y", "mix.b", delay=1, init=0),
                edge("sum.y", "show.series"),
            ],
        }
    )  # fmt: skip
    plan = Plan.of(spec, REGISTRY)
    assert [(set(c.nodes), c.loop) for c in plan.components] == [
        ({"a"}, False),
        ({"mix", "sum"}, True),
        ({"show"}, False),
    ]
    assert plan.order.index("mix") < plan.order.index("sum")
    assert [str(delayed) for delayed in plan.delays] == ["sum.y -[d]-> mix.b"]
    assert plan.estimate.nodes == 4
    assert plan.estimate.memory_bytes > 0
