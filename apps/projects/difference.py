"""What differs between two graph documents: their parts and settings, not their text.

Titles and positions are compared too. Whatever else differs changes the content hash, and nothing else does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Part = Mapping[str, Any]

FOR_PEOPLE: Final = frozenset({"title", "pos"})
"""Settings of a node that do not change what the graph computes."""

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One setting. `old` is there unless it was added, `new` unless it was removed (the default counts then)."""

    field: str
    change: Literal["added", "removed", "changed"]
    values: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"field": self.field, "change": self.change, **self.values}


@dataclass(frozen=True, slots=True)
class Changed:
    """A part that both graphs have, by what names it, and the settings that differ."""

    name: Mapping[str, str]
    changes: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**self.name, "changes": [change.as_dict() for change in self.changes]}


@dataclass(frozen=True, slots=True)
class Parts:
    """The difference in nodes, edges or routes. `reordered`: ports whose edges come in another order."""

    added: list[Part] = field(default_factory=list)
    removed: list[Part] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "added": self.added,
            "removed": self.removed,
            "changed": [one.as_dict() for one in self.changed],
            "reordered": self.reordered,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two graphs."""

    nodes: Parts
    edges: Parts
    routes: Parts
    audio: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        parts = {"nodes": self.nodes, "edges": self.edges, "routes": self.routes}
        return {
            **{name: part.as_dict() for name, part in parts.items()},
            "audio": [change.as_dict() for change in self.audio],
        }

    @property
    def computes_the_same(self) -> bool:
        """Whether nothing differs but titles and positions."""
        parts = (self.nodes, self.edges, self.routes)
        changes = [change for part in parts for one in part.changed for change in one.changes]
        return not (
            self.audio
            or any(part.added or part.removed or part.reordered for part in parts)
            or any(change.field not in FOR_PEOPLE for change in changes)
        )


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """What must be done to the old document to get the new one. Both are documents of `GraphVersion`."""
    return Difference(
        nodes=_nodes(old["nodes"], new["nodes"]),
        edges=_links(old.get("edges", ()), new.get("edges", ()), ordered=True),
        routes=_links(old.get("routes", ()), new.get("routes", ()), ordered=False),
        audio=_changes(old.get("audio", {}), new.get("audio", {})),
    )


def _nodes(old: Sequence[Part], new: Sequence[Part]) -> Parts:
    before, after = ({node["id"]: node for node in nodes} for nodes in (old, new))
    found = Parts(
        added=[node for node in new if node["id"] not in before],
        removed=[node for node in old if node["id"] not in after],
    )
    for name in before.keys() & after.keys():
        changes = _changes(_settings(before[name]), _settings(after[name]))
        if changes:
            found.changed.append(Changed({"id": name}, changes))
    found.changed.sort(key=lambda one: one.name["id"])
    return found


def _settings(node: Part) -> dict[str, Any]:
    own = {key: value for key, value in node.items() if key not in ("id", "params")}
    return {**own, **{f"params.{name}": value for name, value in node.get("params", {}).items()}}


def _links(old: Sequence[Part], new: Sequence[Part], *, ordered: bool) -> Parts:
    """Edges or routes. Several between the same ends are told apart by their order."""
    before, after = _by_ends(old), _by_ends(new)
    found = Parts()
    for ends in sorted(before.keys() | after.keys()):
        was, now = before[ends], after[ends]
        both = min(len(was), len(now))
        found.removed.extend(was[both:])
        found.added.extend(now[both:])
        for one, other in zip(was, now, strict=False):
            changes = _changes(_without_ends(one), _without_ends(other))
            if changes:
                found.changed.append(Changed({"src": ends[1], "dst": ends[0]}, changes))
    if ordered:
        was_into, now_into = _sources(old), _sources(new)
        for port in sorted(was_into.keys() & now_into.keys()):
            same_edges = sorted(was_into[port]) == sorted(now_into[port])
            if same_edges and was_into[port] != now_into[port]:
                found.reordered.append(port)
    return found


def _by_ends(links: Iterable[Part]) -> defaultdict[tuple[str, str], list[Part]]:
    found = defaultdict(list)
    for link in links:
        found[link["dst"], link["src"]].append(link)
    return found


def _sources(edges: Iterable[Part]) -> dict[str, list[str]]:
    """Where the edges into each port come from, in their order."""
    found = defaultdict(list)
    for edge in edges:
        found[edge["dst"]].append(edge["src"])
    return found


def _without_ends(link: Part) -> dict[str, Any]:
    return {key: value for key, value in link.items() if key not in ("src", "dst")}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    found = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if was is _ABSENT:
            found.append(Change(name, "added", {"new": now}))
        elif now is _ABSENT:
            found.append(Change(name, "removed", {"old": was}))
        elif not same(was, now):
            found.append(Change(name, "changed", {"old": was, "new": now}))
    return tuple(found)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one value to the content hash: 1.0 is 1 there, and true is not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    one, other = _number(one), _number(other)
    return type(one) is type(other) and bool(one == other)


def _number(value: Any) -> Any:
    # Floats of 2^53 and more keep their own spelling in the hash.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
