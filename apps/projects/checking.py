"""Graphs as they come in, checked by the engine. Importing this module imports torch."""

from typing import Any

from apps.workspaces import plans
from attractor import GraphRejected, GraphSpec, Plan, Problem

MAX_PARAMS = 200
"""Parameters given to one node: no kind has nearly as many, and each unknown one would be a problem of its own."""


def checked(document: Any) -> tuple[GraphSpec, Plan]:
    """The graph in a JSON document and its plan.

    Raises:
        GraphRejected: with every problem, its place and the mend; also when it has more nodes than allowed, or one of
            them has more parameters than any kind.
    """
    _refuse_too_much(document)
    spec = GraphSpec.parse(document)
    return spec, Plan.of(spec)


def _refuse_too_much(document: Any) -> None:
    allowed = plans.quotas().nodes
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
    for number, node in enumerate(nodes if isinstance(nodes, list) else ()):
        params = node.get("params") if isinstance(node, dict) else None
        if isinstance(params, dict) and len(params) > MAX_PARAMS:
            place, message = f"nodes[{number}].params", f"{len(params)} parameters are more than any kind of node has."
            raise GraphRejected([Problem(place, message, f"Give at most {MAX_PARAMS}.")])
