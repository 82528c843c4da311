"""check: all problems at once, each with its place and the mend."""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_nodes import REGISTRY, edge, node

from attractor import GraphRejected, GraphSpec, Plan, Preset, Registry, Session, check, problem_finder
from attractor.kinds import ConversionRefused, conversion
from attractor.node import TensorNode
from attractor.port import Port
from attractor.strong_components import strong_components

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
        ("state3", "vector", "y", "axis"), ("table", "any", None, "identity"),
    ],
)  # fmt: skip
def test_the_conversions_of_the_contract(source, target, reduce, name):
    assert conversion(source, target, reduce).name == name


@pytest.mark.parametrize(
    ("source", "target", "reduce"),
    [
        ("vector", "scalar", None), ("vector", "scalar", "median"), ("signal", "scalar", None),
        ("state3", "vector", None),
        ("state3", "vector", "w"), ("spin", "prob", "mean"), ("prob", "spin", None), ("scalar", "vector", None),
        ("vector", "state3", None), ("text", "scalar", None),
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


def test_an_input_of_several_kinds_refuses_the_others():
    wave = {"id": "w", "kind": "field.source", "params": {"size": [8, 8], "positions": [[4, 4]]}}
    moments = {"id": "m", "kind": "ebm.moments", "params": {}}
    value = {"id": "v", "kind": "gen.value", "params": {"type": "text", "text": "what"}}
    chua = {"id": "c", "kind": "osc.chua", "params": {}}

    def said(source, reduce=None):
        graph = {"nodes": [wave, moments, value, chua], "edges": [edge(source, "m.samples", reduce=reduce)]}
        return [problem for problem in check(graph, Registry.default()) if problem.place == "edges[0]"]

    (found,) = said("v.value")
    assert "a text cannot enter" in found.message
    assert "spin" in found.mend
    (found,) = said("c.state")
    assert "state3" in found.message
    assert said("c.state", reduce="x") == []
    with pytest.raises(ValueError, match="among"):
        Port("x", "scalar", among=("vector",))
    with pytest.raises(ValueError, match="among"):
        Port("x", "any", among=("number",))


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


@pytest.mark.parametrize("init", [float("nan"), [1.0, float("inf")], 10**400, [[1], [2, 3]], [], {}, [None]])
def test_a_start_value_is_finite_numbers(init):
    assert places(RAMP, node("b", "t.add"), edges=[edge("a.value", "b.a", delay=1, init=init)]) == ["edges[0].init"]


def test_a_reducer_chooses_a_component_that_is_there():
    nodes = [node("n", "t.noise", N=4), node("b", "t.add")]
    assert places(*nodes, edges=[edge("n.x", "b.a", reduce="index 3")]) == []
    (found,) = problems(*nodes, edges=[edge("n.x", "b.a", reduce="index 4")])
    assert found.place == "edges[0].reduce"
    assert "index 3" in found.mend
    routes = [{"src": "n.x", "dst": "b.gain", "reduce": "9"}]
    assert places(*nodes, edges=[edge("n.x", "b.a", reduce="0")], routes=routes) == ["routes[0].reduce"]


def test_an_axis_that_the_cell_does_not_have_is_refused():
    nodes = [node("osc", "osc.array", cell="vanderpol", N=4, topology="none"), node("view", "viz.timeseries")]
    wired = {"nodes": nodes, "edges": [edge("osc.state", "view.series", reduce="z")]}
    (found,) = check(wired)
    assert found.place == "edges[0].reduce"
    assert '"y"' in found.mend


def test_what_is_no_number_cannot_be_delayed():
    nodes = [node("a", "ebm.factor"), node("b", "ebm.factor")]
    wired = {"nodes": nodes, "edges": [edge("a.factor", "b.model", delay=1, init=0)]}
    assert [problem.place for problem in check(wired)] == ["edges[0].delay"]


def test_a_size_that_nothing_fixes_is_refused():
    # Once every other node of the loop was left out of the plan, without a word.
    loop = [edge("s.y", "t.x", delay=1, init=0), edge("t.y", "s.x", delay=1, init=0)]
    assert places(node("s", "t.scale"), node("t", "t.scale"), edges=loop) == ["nodes.s.y", "nodes.t.y"]
    assert places(node("s", "t.scalee"), node("t", "t.scale"), edges=loop) == ["nodes.s.kind"]


def vectors(*sizes):
    return [
        {"id": f"v{i}", "kind": "gen.value", "params": {"type": "vector", "values": [0.5] * size}}
        for i, size in enumerate(sizes)
    ]


def test_sizes_that_come_back_over_a_delay_are_waited_for():
    """The encoder joins a size that it knows at once and one that it learns last."""
    chain = [node("enc", "util.encode", mode="range_map")]
    chain += [node(f"e{i}", "util.encode", mode="range_map") for i in range(4)]
    wires = [edge("v0.value", "enc.value"), edge("e3.value", "enc.value", delay=1, init=0)]
    wires += [edge(f"e{i}.value", f"e{i + 1}.value", delay=1, init=0) for i in range(3)]
    wires += [edge("v1.value", "e0.value", delay=1, init=0), edge("enc.value", "view.series")]
    for nodes in (chain, chain[::-1]):
        document = {"nodes": [*nodes, node("view", "viz.timeseries"), *vectors(2, 3)], "edges": wires}
        plan = Plan.of(GraphSpec.parse(document))
        assert plan.nodes["enc"].shapes["value"] == (5,)
        assert [edge.shape for edge in plan.edges if edge.target[0] == "view"] == [(5,)]
        assert Session(plan, ticks=3).run().complete


def test_a_size_that_feeds_itself_is_refused():
    wires = [edge("v0.value", "enc.value"), edge("enc.value", "enc.value", delay=1, init=0)]
    document = {"nodes": [node("enc", "util.encode", mode="range_map"), *vectors(2)], "edges": wires}
    assert [problem.place for problem in check(document)] == ["nodes.enc"]


def test_an_output_without_a_kind_is_a_problem_and_drops_no_node():
    class Mute(TensorNode):
        kind, title, category, summary = "t.mute", "Mute", "test", "Forgets its kind."
        outputs = (Port("value", "any"),)

        def step(self, state, inputs, params, ctx):
            return state, {}

    registry = Registry([*REGISTRY.kinds().values(), Mute])
    document = {
        "nodes": [node("m", "t.mute"), node("b", "t.add"), RAMP],
        "edges": [edge("m.value", "b.a")],
        "routes": [{"src": "m.value", "dst": "a.slope"}],
    }
    assert sorted(problem.place for problem in check(document, registry)) == ["edges[0]", "routes[0]"]


def test_many_edges_between_two_nodes_are_a_loop_all_the_same():
    nodes = [RAMP, node("mix", "t.add"), node("acc", "t.accumulate"), node("c", "t.collect")]
    wires = [edge("a.value", "mix.a"), edge("mix.sum", "acc.x"), edge("acc.y", "mix.b", delay=1, init=0)]
    wires += [edge("mix.sum", "c.many")] * 256
    plan = Plan.of(GraphSpec.parse({"nodes": nodes, "edges": wires}), REGISTRY)
    assert {frozenset(c.nodes): c.loop for c in plan.components} == {
        frozenset({"a"}): False, frozenset({"mix", "acc"}): True, frozenset({"c"}): False,
    }  # fmt: skip


def test_problems_are_the_same_in_every_process():
    program = (
        "import json; from attractor import check; print([str(p) for p in check({'nodes': "
        "[{'id': i, 'kind': 'util.encode'} for i in 'abcdefgh'], 'edges': "
        "[{'src': f'{i}.value', 'dst': f'{j}.value'} for i in 'abcdefgh' for j in 'abcdefgh']})])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_separate_cycles_are_all_found_in_one_round(monkeypatch):
    rounds = []
    monkeypatch.setattr(
        problem_finder, "strong_components", lambda *args: rounds.append(1) or strong_components(*args)
    )  # fmt: skip
    pairs = [(f"n{i}", f"n{i + 1}") for i in range(0, 200, 2)]
    wires = [edge(f"{a}.sum", f"{b}.a") for pair in pairs for a, b in (pair, pair[::-1])]
    found = problems(*[node(name, "t.add") for pair in pairs for name in pair], edges=wires)
    assert len(found) == 100
    assert len(rounds) == 2


def test_the_search_for_what_was_meant_is_bounded(monkeypatch):
    compared = []
    real = difflib.get_close_matches
    monkeypatch.setattr(
        difflib, "get_close_matches", lambda name, names, n: compared.append(len(names)) or real(name, names, n)
    )
    nodes = [node("n" * 60 + str(i), "t.ramp") for i in range(300)]
    found = problems(*nodes, edges=[edge("m" * 60 + f"{i}.value", f"{'n' * 60}0.value") for i in range(400)])
    assert sum(compared) <= problem_finder.MAX_GUESSES
    assert sum("there is no node" in problem.message for problem in found) == 400


PRESET = json.loads((Path(__file__).parents[3] / "presets" / "emergent_logic.json").read_text("utf-8"))


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE = [
    10**400, -(10**400), 10**5000, 2**63, 1e308, 1e-320, -1, 0, 1.5, True, None, "", "x" * 100_000, "\ud800", "nan",
    float("nan"), float("inf"), [], {}, [10**400], [float("nan")], [[1], [2, 3]], nested(200), nested(900),
    {"value": [], "unit": {}}, {"value": 10**400, "unit": ""}, {"value": 1, "unit": ["s"]}, "array.x", "A.b", (1, 2),
    {1: 2}, {None: 1},
]  # fmt: skip


def spots(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from spots(item, (*path, key))


SPOTS = [path for path in spots(PRESET) if path]
EXTRA = ["zz", "a.b", "delay", "init", "reduce", "\ud800"]


@given(
    st.lists(st.tuples(st.sampled_from(SPOTS), st.sampled_from(HOSTILE), st.sampled_from([None, *EXTRA])), max_size=3)
)
def test_whatever_a_document_holds_the_answer_is_a_list_of_problems(changes):
    document = copy.deepcopy(PRESET)
    for path, value, extra in changes:
        place = document
        try:
            for key in path if extra else path[:-1]:
                place = place[key]
            place[extra or path[-1]] = value
        except (TypeError, KeyError, IndexError):  # An earlier change has taken this spot away.
            continue
    found = check(document.get("graph"))
    assert all(problem.place and problem.message and problem.mend for problem in found)
    assert max((len(str(problem)) for problem in found), default=0) < 1000
    if not found:
        assert Plan.of(GraphSpec.parse(document["graph"])).spec.content_hash
    with contextlib.suppress(GraphRejected):
        Preset.parse(document).problems()
