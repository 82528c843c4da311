"""What a live control may name: a live parameter, or a trigger input that nothing is connected to."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from attractor.errors import ControlRejected, Problem
from attractor.node import Node
from attractor.parameter import ParameterRefused

Kinds = Mapping[str, type[Node]]


def legal_change(kinds: Kinds, target: str, value: Any) -> tuple[str, str, Any]:
    """Node, parameter and the value in the parameter's own type.

    Args:
        kinds: node id → kind, for the nodes of the graph.
        target: ``"array.coupling"``.
        value: as it came from outside.

    Raises:
        ControlRejected: not a live parameter of this graph, or not a legal value of it.
    """
    node, _, name = target.partition(".")
    kind = kinds.get(node)
    parameter = kind.parameter(name) if kind else None
    if parameter is None or not parameter.live:
        live = [f"{each}.{p.name}" for each, cls in kinds.items() for p in cls.params if p.live]
        raise ControlRejected(
            Problem(target, "is not a live parameter of this graph.", f"Live are: {', '.join(live) or 'none'}.")
        )
    try:
        return node, name, parameter.validate(value)
    except ParameterRefused as refused:
        raise ControlRejected(Problem(target, str(refused), refused.mend)) from None


def legal_trigger(kinds: Kinds, connected: Container[str], target: str) -> tuple[str, str]:
    """Node and port of a trigger input that may be fired by hand.

    Args:
        kinds: node id → kind, for the nodes of the graph.
        connected: inputs (``"search.restart"``) that an edge leads to.
        target: ``"search.restart"``.

    Raises:
        ControlRejected: there is no such free trigger input.
    """
    node, _, name = target.partition(".")
    kind = kinds.get(node)
    port = kind.port(name, kind.inputs) if kind else None
    if port is None or port.kind != "trigger" or target in connected:
        raise ControlRejected(
            Problem(target, "is not a free trigger input of this graph.", "Name an unconnected trigger input.")
        )
    return node, name
