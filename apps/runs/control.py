"""Whether a running graph has what a command names. Importing this module imports torch."""

from typing import Any

from attractor import GraphSpec, Problem, Registry
from attractor.errors import ControlRejected
from attractor.parameter import ParameterRefused


def check_control(spec: dict[str, Any], target: str, value: Any) -> Any:
    """The value in the parameter's own type. Raises `ControlRejected` unless it is a legal live change."""
    graph = GraphSpec.parse(spec)
    kinds = {node.id: Registry.default().get(node.kind) for node in graph.nodes}
    name, _, parameter_name = target.partition(".")
    kind = kinds.get(name)
    parameter = kind.parameter(parameter_name) if kind else None
    if parameter is None or not parameter.live:
        live = [f"{node}.{p.name}" for node, cls in kinds.items() if cls for p in cls.params if p.live]
        raise ControlRejected(
            Problem(target, "is not a live parameter of this graph.", f"Live are: {', '.join(live) or 'none'}.")
        )
    try:
        return parameter.validate(value)
    except ParameterRefused as refused:
        raise ControlRejected(Problem(target, str(refused), refused.mend)) from None


def check_trigger(spec: dict[str, Any], target: str) -> None:
    """Raises `ControlRejected` unless the target is a trigger input that nothing is connected to."""
    graph = GraphSpec.parse(spec)
    name, _, port_name = target.partition(".")
    kind = next((Registry.default().get(node.kind) for node in graph.nodes if node.id == name), None)
    port = kind.port(port_name, kind.inputs) if kind else None
    if port is None or port.kind != "trigger" or any(edge.dst == target for edge in graph.edges):
        raise ControlRejected(
            Problem(target, "is not a free trigger input of this graph.", "Name an unconnected trigger input.")
        )
