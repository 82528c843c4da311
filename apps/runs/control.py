"""Whether a running graph has what a command names. Importing this module imports torch."""

from typing import Any

from attractor import GraphSpec, Registry
from attractor.control import Kinds, legal_change, legal_trigger


def check_control(spec: dict[str, Any], target: str, value: Any) -> Any:
    """The value in the parameter's own type. Raises `ControlRejected` unless it is a legal live change."""
    return legal_change(_kinds(GraphSpec.parse(spec)), target, value)[2]


def check_trigger(spec: dict[str, Any], target: str) -> None:
    """Raises `ControlRejected` unless the target is a trigger input that nothing is connected to."""
    graph = GraphSpec.parse(spec)
    legal_trigger(_kinds(graph), {edge.dst for edge in graph.edges}, target)


def _kinds(graph: GraphSpec) -> Kinds:
    """The kinds of a checked graph's nodes; one that has gone from the registry since has nothing to control."""
    registry = Registry.default()
    return {node.id: kind for node in graph.nodes if (kind := registry.get(node.kind)) is not None}
