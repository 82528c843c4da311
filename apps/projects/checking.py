"""Graphs as they come in, checked by the engine. Importing this module imports torch."""

from typing import Any

from django.conf import settings

from attractor import GraphRejected, GraphSpec, Plan, Problem


def checked(document: Any) -> tuple[GraphSpec, Plan]:
    """The graph in a JSON document and its plan.

    Raises:
        GraphRejected: with every problem, its place and the mend; also when it has more nodes than allowed.
    """
    _refuse_too_many_nodes(document)
    spec = GraphSpec.parse(document)
    return spec, Plan.of(spec)


def _refuse_too_many_nodes(document: Any) -> None:
    allowed = settings.ATTRACTOR.quotas.nodes
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if isinstance(nodes, list) and len(nodes) > allowed:
        raise GraphRejected(
            [
                Problem(
                    "nodes",
                    f"{len(nodes)} nodes are more than the {allowed} that a graph may have here.",
                    "Split the graph, or ask the operator for a higher quotas.nodes.",
                )
            ]
        )
