"""The resolved parts of a graph: its nodes, edges and routes with everything looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attractor.graph import RouteSpec
from attractor.kinds import Conversion
from attractor.node import Node
from attractor.parameter import Parameter
from attractor.port import Port, Shape


@dataclass(frozen=True, slots=True)
class PlannedEdge:
    """One edge, resolved.

    Attributes:
        index: its place in the canonical order of the graph's edges. State is kept under it, so that graphs of one
            hash have the same state, however their documents are ordered.
        slot: its place in a variadic port, None elsewhere.
        shape: of what arrives, after the conversion.
        resample: the resampler between nodes of different rates (`attractor.resampling`), None between equal ones.
    """

    index: int
    source: tuple[str, str]
    target: tuple[str, str]
    slot: int | None
    delay: int
    init: Any
    conversion: Conversion
    source_kind: str
    target_kind: str
    shape: Shape
    resample: str | None = None

    def __str__(self) -> str:
        on_it = ", ".join([*(["d"] if self.delay else []), *([self.resample] if self.resample else [])])
        arrow = f"-[{on_it}]->" if on_it else "->"
        return f"{'.'.join(self.source)} {arrow} {'.'.join(self.target)}"


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """One modulation route, resolved. `index` is its place in the canonical order of the graph's routes.

    A route reads the last value of its source, which between nodes of different rates is the resampler `resample`:
    ``hold`` to a faster rate, ``last`` to a slower one, None between equal ones.
    """

    index: int
    source: tuple[str, str]
    target: tuple[str, str]
    spec: RouteSpec
    parameter: Parameter
    conversion: Conversion
    resample: str | None = None

    def __str__(self) -> str:
        arrow = f"=[{self.resample}]=>" if self.resample else "=>"
        return f"{'.'.join(self.source)} {arrow} {'.'.join(self.target)}"


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """One node: its class, validated parameters, and the shapes and kinds of its ports."""

    id: str
    cls: type[Node]
    params: Mapping[str, Any]
    inputs: Mapping[str, Sequence[PlannedEdge]]
    shapes: Mapping[str, Shape]
    kinds: Mapping[str, str]

    def input_port(self, name: str) -> Port | None:
        return self.cls.port(name, self.cls.inputs)
