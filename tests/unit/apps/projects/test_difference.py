"""Differences between graphs, against the engine's hash and against doing what they say."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.projects.difference import Parts, difference, same
from attractor import GraphSpec

NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, -0.0, 0.5, 2.0**53, 1e22, 10**22, "1", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=4,
)
PORTS = st.sampled_from(["a.x", "a.y", "b.x", "c.z"])
NODES = st.lists(
    st.fixed_dictionaries(
        {"id": NAMES, "kind": st.sampled_from(["osc.array", "gen.value"])},
        optional={
            "params": st.dictionaries(st.sampled_from(["N", "speed"]), VALUES, max_size=2),
            "title": st.sampled_from(["", "T"]),
            "pos": st.tuples(st.integers(0, 1), st.integers(0, 1)),
        },
    ),
    max_size=4,
    unique_by=lambda node: node["id"],
)
EDGES = st.lists(
    st.fixed_dictionaries({"src": PORTS, "dst": PORTS}, optional={"delay": st.sampled_from([0, 1]), "init": VALUES}),
    max_size=5,
)
ROUTES = st.lists(
    st.fixed_dictionaries({"src": PORTS, "dst": PORTS}, optional={"depth": st.sampled_from([0.5, 1, 2])}), max_size=4
)
GRAPHS = st.fixed_dictionaries(
    {"nodes": NODES, "edges": EDGES, "routes": ROUTES}, optional={"audio": st.sampled_from([{}, {"B": 128}])}
)


def document(graph: Any) -> dict[str, Any]:
    """As a version keeps it: what the engine writes, through JSON."""
    written: dict[str, Any] = json.loads(json.dumps(GraphSpec.parse(graph).document()))
    return written


@settings(max_examples=400)
@given(GRAPHS, GRAPHS, st.randoms())
def test_it_is_empty_for_graphs_of_one_hash_and_for_no_others(old: Any, other: Any, random: Any) -> None:
    shuffled = copy.deepcopy(old)
    random.shuffle(shuffled["nodes"])
    random.shuffle(shuffled["edges"])
    random.shuffle(shuffled["routes"])
    for new in (other, shuffled, {**old, "edges": other["edges"]}, {**old, "nodes": shuffled["nodes"]}):
        equal = GraphSpec.parse(old).content_hash == GraphSpec.parse(new).content_hash
        assert difference(document(old), document(new)).computes_the_same == equal


def applied(old: list[Any], parts: Parts) -> list[str]:
    """The old parts after what the difference says, as sorted texts."""
    left = copy.deepcopy(old)
    for part in parts.removed:
        left.remove(part)
    for changed in parts.changed:
        ends = dict(changed.name)
        # Of several between the same ends the one that has the old values.
        (part, *_) = [one for one in left if ends.items() <= one.items() and has(one, changed.changes)]
        for change in changed.changes:
            inside, _, name = change.field.rpartition(".")
            settings = part.setdefault(inside, {}) if inside else part
            if change.change == "removed":
                del settings[name]
            else:
                settings[name] = change.values["new"]
    return sorted(map(canonical, [*left, *parts.added]))


def has(part: Any, changes: Any) -> bool:
    for change in changes:
        inside, _, name = change.field.rpartition(".")
        settings = part.get(inside, {}) if inside else part
        if (change.change == "added") == (name in settings):
            return False
        if name in settings and not same(settings[name], change.values["old"]):
            return False
    return True


def canonical(value: Any) -> str:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not (key == "params" and item == {})}
        return "{" + ",".join(f"{key}:{canonical(kept[key])}" for key in sorted(kept)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return json.dumps(value)


@settings(max_examples=300)
@given(GRAPHS, GRAPHS)
def test_doing_what_it_says_gives_the_new_parts(old: Any, new: Any) -> None:
    before, after = document(old), document(new)
    found = difference(before, after)
    for name in ("nodes", "edges", "routes"):
        expected = sorted(map(canonical, after.get(name, [])))
        assert applied(before.get(name, []), getattr(found, name)) == expected


def test_a_setting_is_named_with_its_old_and_its_new_value() -> None:
    old = {"nodes": [{"id": "a", "kind": "k", "params": {"N": 16, "speed": 1.0}}, {"id": "b", "kind": "k"}]}
    new = {"nodes": [{"id": "a", "kind": "k", "params": {"N": 32, "dt": 0.1}, "title": "A"}, {"id": "c", "kind": "k"}]}
    found = difference(old, new).as_dict()["nodes"]
    assert found["added"] == [{"id": "c", "kind": "k"}]
    assert found["removed"] == [{"id": "b", "kind": "k"}]
    assert found["changed"] == [
        {
            "id": "a",
            "changes": [
                {"field": "params.N", "change": "changed", "old": 16, "new": 32},
                {"field": "params.dt", "change": "added", "new": 0.1},
                {"field": "params.speed", "change": "removed", "old": 1.0},
                {"field": "title", "change": "added", "new": "A"},
            ],
        }
    ]


def test_the_order_of_edges_into_one_port_is_told() -> None:
    edges = [{"src": "a.x", "dst": "c.in"}, {"src": "b.x", "dst": "c.in"}]
    found = difference({"nodes": [], "edges": edges}, {"nodes": [], "edges": edges[::-1]})
    assert found.edges.reordered == ["c.in"]
    assert not found.computes_the_same


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert not same({"a": [True]}, {"a": [1]})
    assert same({"a": [1.0]}, {"a": [1]})
