"""What `--quality` and `--set` change in a graph."""

from __future__ import annotations

import json
from typing import Any

from attractor.errors import AttractorError
from attractor.graph import GraphSpec
from attractor.quality import with_quality


def changed(graph: GraphSpec, quality: str | None, assignments: list[str]) -> GraphSpec:
    """The graph with `--quality` and `--set`. Raises AttractorError for what cannot be."""
    if quality:
        graph = with_quality(graph, quality)
    return graph.replace(dict(map(_assignment, assignments)))


def _assignment(text: str) -> tuple[str, Any]:
    target, equals, value = text.partition("=")
    if not equals:
        raise AttractorError(f'"{text}" is no assignment: write --set node.param=value')
    try:
        return target, json.loads(value)
    except ValueError:
        return target, value
