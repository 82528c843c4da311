"""check: every problem of a graph at once."""

from __future__ import annotations

from typing import Any

from attractor.errors import GraphRejected, Problem
from attractor.graph import GraphSpec
from attractor.problem_finder import find
from attractor.registry import Registry


def check(graph: GraphSpec | Any, registry: Registry | None = None) -> list[Problem]:
    """The problems of a graph, or of a JSON document that should be one. An empty list means that it can run.

    Nothing is ever substituted: an unknown kind, port, parameter, unit, a value out of range, shapes that do not fit
    and a cycle without a delay are each reported with their place and the mend.
    """
    if not isinstance(graph, GraphSpec):
        try:
            graph = GraphSpec.parse(graph)
        except GraphRejected as rejected:
            return list(rejected.problems)
    return find(graph, registry or Registry.default()).problems
