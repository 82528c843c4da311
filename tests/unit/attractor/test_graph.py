"""GraphSpec: parsing with every fault named, canonical JSON and identity."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_nodes import edge, node

from attractor import GraphRejected, GraphSpec

GRAPH = {
    "nodes": [node("b", "t.add", gain=1.5), node("a", "t.ramp")],
    "edges": [edge("a.value", "b.a"), edge("b.sum", "b.b", delay=1, init=0)],
}


def test_identity_ignores_order_titles_positions_and_the_spelling_of_numbers():
    other = {
        "edges": [dict(e) for e in reversed(GRAPH["edges"])],
        "nodes": [
            {"id": "a", "kind": "t.ramp", "title": "A", "pos": [3, 4]},
            {"id": "b", "kind": "t.add", "params": {"gain": 1.50}},
        ],
    }
    assert GraphSpec.parse(GRAPH).content_hash == GraphSpec.parse(other).content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": [node("b", "t.add", gain=1.25), node("a", "t.ramp")]},
        {"nodes": [node("b", "t.scale", gain=1.5), node("a", "t.ramp")]},
        {"edges": GRAPH["edges"][:1]},
        {"routes": [{"src": "a.value", "dst": "b.gain"}]},
    ],
)
def test_identity_changes_with_meaning(change):
    assert GraphSpec.parse(GRAPH).content_hash != GraphSpec.parse({**GRAPH, **change}).content_hash


def test_the_order_of_edges_into_one_port_is_meaning():
    def spec(*sources):
        return GraphSpec.parse(
            {"nodes": [node("c", "t.collect")], "edges": [edge(f"{s}.value", "c.many") for s in sources]}
        )

    assert spec("a", "b").content_hash != spec("b", "a").content_hash


def test_canonical_json_survives_a_round_trip():
    spec = GraphSpec.parse(GRAPH)
    assert GraphSpec.parse(json.loads(spec.canonical_json())).content_hash == spec.content_hash
    assert GraphSpec.parse(spec.document()) == spec


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value_in_canonical_json(value):
    spec = GraphSpec.parse({"nodes": [node("a", "t.ramp", slope=value)]})
    assert json.loads(spec.canonical_json())["nodes"][0]["params"]["slope"] == value


def test_every_fault_of_the_document_is_listed_with_its_place():
    document = {
        "nodes": [{"id": "a", "kind": "t.ramp", "colour": "red"}, {"id": "1x", "kind": "t.ramp"}, {"id": "b"}],
        "edges": [edge("a.value.mean", "b.a"), edge("a", "b.a"), edge("a.value", "b.a", delay=2)],
        "extra": 1,
    }
    with pytest.raises(GraphRejected) as rejected:
        GraphSpec.parse(document)
    places = {problem.place for problem in rejected.value.problems}
    assert places == {
        "nodes.a.colour", "nodes.1x.id", "nodes.b.kind", "edges[0].src", "edges[1].src", "edges[2].delay", "extra",
    }  # fmt: skip
    assert all(problem.message and problem.mend for problem in rejected.value.problems)


@pytest.mark.parametrize("document", [None, [], "graph", 3])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(GraphRejected, match="JSON object"):
        GraphSpec.parse(document)


def test_a_hundred_thousand_nodes_are_refused_before_anything_else():
    document = {"nodes": [{"nonsense": i} for i in range(100_000)]}
    with pytest.raises(GraphRejected) as rejected:
        GraphSpec.parse(document)
    assert [problem.place for problem in rejected.value.problems] == ["nodes"]
    assert "100,000" in rejected.value.problems[0].message


def test_replace_changes_base_values_and_names_what_is_not_there():
    spec = GraphSpec.parse(GRAPH).replace({"a.slope": 3})
    assert {n.id: n.params for n in spec.nodes} == {"b": {"gain": 1.5}, "a": {"slope": 3}}
    with pytest.raises(GraphRejected) as rejected:
        GraphSpec.parse(GRAPH).replace({"z.slope": 3, "a": 1})
    assert {problem.place for problem in rejected.value.problems} == {"z.slope", "a"}


def test_a_replaced_graph_has_a_hash_of_its_own():
    spec = GraphSpec.parse(GRAPH)
    before = spec.content_hash
    changed = spec.replace({"a.slope": 3})
    assert changed.content_hash != before
    assert changed.content_hash == GraphSpec.parse(changed.document()).content_hash
