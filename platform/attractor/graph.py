"""GraphSpec: a graph as data. Its canonical JSON has a content hash, which is the graph's identity everywhere."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from attractor.errors import GraphRejected, Problem

# Bounds that are checked before a document is looked at more closely, so that a hostile one costs nothing.
MAX_NODES: Final = 2_000
MAX_EDGES: Final = 20_000
MAX_ROUTES: Final = 2_000

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}\.[A-Za-z][A-Za-z0-9_]{0,63}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSpec(_Part):
    """One node: an id, a kind, its parameters; title and position are for people and no part of the identity."""

    id: Identifier
    kind: Annotated[str, Field(min_length=1, max_length=100)]
    title: Annotated[str, Field(max_length=200)] | None = None
    params: dict[str, JsonValue] = {}
    pos: tuple[Finite, Finite] | None = None


class EdgeSpec(_Part):
    """One edge ``node.port -> node.port``; `delay` 1 makes it a unit delay that starts with `init`."""

    src: Reference
    dst: Reference
    delay: Literal[0, 1] = 0
    init: JsonValue = None
    reduce: Annotated[str, Field(max_length=20)] | None = None
    resample: Annotated[str, Field(max_length=20)] | None = None


class RangeMap(_Part):
    """A linear map of one interval onto another."""

    source: tuple[Finite, Finite]
    target: tuple[Finite, Finite]


class Transform(_Part):
    """What a route does to its source: y = gain·curve(x) + offset, after the range map, inverted, smoothed."""

    offset: Finite = 0.0
    gain: Finite = 1.0
    curve: Literal["lin", "exp", "s"] = "lin"
    invert: bool = False
    smooth_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = 0.0
    range: RangeMap | None = None


class RouteSpec(_Part):
    """One modulation route ``node.port => node.param``, read one tick late."""

    src: Reference
    dst: Reference
    transform: Transform = Transform()
    mode: Literal["add", "scale", "replace", "gate"] = "add"
    depth: Finite = 1.0
    threshold: Finite = 0.0
    reduce: Annotated[str, Field(max_length=20)] | None = None


class AudioSpec(_Part):
    """The audio of a graph: `fs` samples a second, in blocks of `B`."""

    fs: Annotated[int, Field(ge=1, le=768_000)] = 48_000
    B: Annotated[int, Field(ge=1, le=65_536)] = 256

    @property
    def rate(self) -> Fraction:
        """Blocks a second."""
        return Fraction(self.fs, self.B)


class GraphSpec(_Part):
    """Nodes, edges and modulation routes, and the settings of its audio."""

    nodes: tuple[NodeSpec, ...]
    edges: tuple[EdgeSpec, ...] = ()
    routes: tuple[RouteSpec, ...] = ()
    audio: AudioSpec = AudioSpec()

    @classmethod
    def parse(cls, document: Any) -> GraphSpec:
        """The graph in a JSON document.

        Raises:
            GraphRejected: the document does not have the schema; every fault is listed with its place.
        """
        problems = _oversize(document)
        if problems:
            raise GraphRejected(problems)
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise GraphRejected([_problem(document, dict(fault)) for fault in error.errors()]) from None

    def replace(self, changes: Mapping[str, Any]) -> GraphSpec:
        """The same graph with some base values changed: ``{"array.coupling": 0.3}``.

        Raises:
            GraphRejected: a reference names no node of the graph.
        """
        nodes = {node.id: node for node in self.nodes}
        problems = []
        for reference, value in changes.items():
            name, _, parameter = reference.partition(".")
            if name not in nodes or not parameter or "." in parameter:
                problems.append(Problem(reference, "names no parameter of this graph.", 'Write it as "node.param".'))
                continue
            node = nodes[name]
            nodes[name] = node.model_copy(update={"params": {**node.params, parameter: value}})
        if problems:
            raise GraphRejected(problems)
        # Not `model_copy`: it would take the cached hash of this graph along.
        return GraphSpec(
            nodes=tuple(nodes[node.id] for node in self.nodes), edges=self.edges, routes=self.routes, audio=self.audio
        )

    def document(self) -> dict[str, Any]:
        """The JSON document, with titles and positions."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def canonical_json(self) -> str:
        """What the graph computes, in one spelling: sorted, numbers normalised, without titles and positions.

        The order of edges is kept where it means something: among the edges of one port.
        """
        nodes = [
            {"id": node.id, "kind": node.kind, "params": _normal(node.params)}
            for node in sorted(self.nodes, key=lambda node: node.id)
        ]
        edges = [
            _normal(self.edges[number].model_dump(mode="json", exclude_defaults=True)) for number in self.edge_order()
        ]
        routes = [
            _normal(self.routes[number].model_dump(mode="json", exclude_defaults=True)) for number in self.route_order()
        ]
        audio = self.audio.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(
            {"nodes": nodes, "edges": edges, "routes": routes, **({"audio": audio} if audio else {})},
            sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False,
        )  # fmt: skip

    def edge_order(self) -> list[int]:
        """Numbers of the edges in the order of the canonical JSON, which is also the order in which they count."""
        return sorted(range(len(self.edges)), key=lambda number: self.edges[number].dst)

    def route_order(self) -> list[int]:
        """Numbers of the routes in the order of the canonical JSON, which is also the order in which they act."""
        return sorted(range(len(self.routes)), key=lambda number: (self.routes[number].dst, self.routes[number].src))

    @cached_property
    def content_hash(self) -> str:
        """``sha256:…`` of the canonical JSON."""
        return "sha256:" + hashlib.sha256(self.canonical_json().encode()).hexdigest()


def _normal(value: Any) -> Any:
    """Numbers in one spelling: 1.0 and 1 are the same graph."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    return value


def _oversize(document: Any) -> list[Problem]:
    if not isinstance(document, Mapping):
        return [Problem("graph", "is not a JSON object.", 'Give {"nodes": […], "edges": […], "routes": […]}.')]
    problems = []
    for part, limit in (("nodes", MAX_NODES), ("edges", MAX_EDGES), ("routes", MAX_ROUTES)):
        items = document.get(part)
        if isinstance(items, list | tuple) and len(items) > limit:
            problems.append(
                Problem(
                    part,
                    f"{len(items):,} {part} are more than a graph may have ({limit:,}).",
                    "Split the graph, or use one array node in place of many single ones.",
                )
            )
    return problems


def _problem(document: Any, fault: dict[str, Any]) -> Problem:
    """A pydantic fault as a problem; nodes are named by their id, not by their number."""
    # In a deep value the spot itself says nothing that its parameter does not say.
    where = list(fault["loc"])[:12]
    parts: list[str] = []
    for depth, step in enumerate(where):
        if isinstance(step, int):
            if depth == 1 and where[0] == "nodes":
                node = document["nodes"][step]
                name = node.get("id") if isinstance(node, Mapping) else None
                if isinstance(name, str) and name:
                    parts.append(f".{_short(name)}")
                    continue
            parts.append(f"[{step}]")
        else:
            parts.append(f".{_short(step)}" if parts else _short(step))
    message = str(fault["msg"])
    pattern = (fault.get("ctx") or {}).get("pattern", "")
    if fault["type"] == "string_pattern_mismatch":
        form = '"node.port" with exactly one dot' if "\\." in pattern else "a letter, then letters, digits or _"
        return Problem("".join(parts), f"{_short(repr(fault['input']))} is not of the right form.", f"Write {form}.")
    mend = {
        "missing": "Add it.",
        "extra_forbidden": "Remove it, or correct its spelling.",
    }.get(fault["type"], "Correct the value.")
    return Problem("".join(parts) or "graph", f"{message}.", mend)


def _short(text: Any) -> str:
    """Part of a place or a message, never long."""
    whole = str(text)
    return whole if len(whole) <= 60 else whole[:57] + "…"
