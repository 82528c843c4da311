"""Plan: a checked graph with everything decided that can be decided before it runs.

Components in order (a component is a feedback loop, or one node), explicit unit delays, shapes and kinds of every port,
the conversion on every edge, and an estimate of memory and work (quotas are checked against it before a run is queued).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from attractor.clock import Clock
from attractor.errors import GraphRejected
from attractor.graph import GraphSpec
from attractor.port import Shape
from attractor.problem_finder import Findings, find
from attractor.registry import Registry
from attractor.strong_components import strong_components
from attractor.wiring import PlannedEdge, PlannedNode, PlannedRoute

DEFAULT_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Component:
    """A strongly connected component: its nodes in the order of a tick; `loop` when it must be stepped tick by tick."""

    nodes: tuple[str, ...]
    loop: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of this plan will take: bytes of memory beyond the interpreter, operations per tick."""

    nodes: int
    memory_bytes: int
    flops_per_tick: float

    def as_dict(self) -> dict[str, float]:
        return {"nodes": self.nodes, "memory_bytes": self.memory_bytes, "flops_per_tick": self.flops_per_tick}


@dataclass(frozen=True, slots=True)
class Plan:
    """See the module. Make one with `Plan.of`."""

    spec: GraphSpec
    nodes: Mapping[str, PlannedNode]
    edges: tuple[PlannedEdge, ...]
    routes: tuple[PlannedRoute, ...]
    components: tuple[Component, ...]
    estimate: Estimate
    clock: Clock

    @classmethod
    def of(cls, spec: GraphSpec, registry: Registry | None = None) -> Plan:
        """The plan of a graph.

        Raises:
            GraphRejected: the graph cannot run; every problem is listed.
        """
        findings = find(spec, registry or Registry.default())
        if findings.problems:
            raise GraphRejected(findings.problems)
        return cls._from(spec, findings)

    @classmethod
    def _from(cls, spec: GraphSpec, findings: Findings) -> Plan:
        nodes = findings.planned
        return cls(
            spec=spec,
            nodes=nodes,
            edges=tuple(findings.edges),
            routes=tuple(findings.routes),
            components=_components(nodes, findings.edges, findings.routes),
            estimate=_estimate(nodes, findings.edges, findings.clock),
            clock=findings.clock,
        )

    @property
    def order(self) -> tuple[str, ...]:
        """Every node in the order in which a tick computes them."""
        return tuple(node for component in self.components for node in component.nodes)

    @property
    def delays(self) -> tuple[PlannedEdge, ...]:
        """The edges with a unit delay."""
        return tuple(edge for edge in self.edges if edge.delay)

    @property
    def resampled(self) -> tuple[PlannedEdge | PlannedRoute, ...]:
        """The edges and routes between nodes of different rates."""
        links: tuple[PlannedEdge | PlannedRoute, ...] = (*self.edges, *self.routes)
        return tuple(link for link in links if link.resample is not None)


def _components(
    nodes: Mapping[str, PlannedNode], edges: Sequence[PlannedEdge], routes: Sequence[PlannedRoute]
) -> tuple[Component, ...]:
    """Strongly connected components over *all* connections (a delayed one closes a loop just as well), in order."""
    links = [(edge.source[0], edge.target[0]) for edge in edges]
    links += [(route.source[0], route.target[0]) for route in routes]
    members = strong_components(list(nodes), links)
    label = {node: number for number, inside in enumerate(members) for node in inside}
    itself = {label[a] for a, b in links if a == b}

    between: TopologicalSorter[int] = TopologicalSorter({number: set() for number in range(len(members))})
    within: list[TopologicalSorter[str]] = [TopologicalSorter({node: set() for node in inside}) for inside in members]
    for a, b in links:
        if label[a] != label[b]:
            between.add(label[b], label[a])
    for edge in edges:
        source, target = edge.source[0], edge.target[0]
        if not edge.delay and source != target and label[source] == label[target]:
            within[label[target]].add(target, source)
    return tuple(
        Component(tuple(within[number].static_order()), len(members[number]) > 1 or number in itself)
        for number in between.static_order()
    )


def _estimate(nodes: Mapping[str, PlannedNode], edges: Sequence[PlannedEdge], clock: Clock) -> Estimate:
    costs = [node.cls.cost(node.params, node.shapes) for node in nodes.values()]
    # The values of every output port over one block stay alive until the block ends.
    held = sum(4 * _elements(node.shapes[port.name]) for node in nodes.values() for port in node.cls.outputs)
    delayed = sum(4 * _elements(edge.shape) for edge in edges)
    memory = sum(cost.bytes for cost in costs) + DEFAULT_BLOCK * held + delayed
    shares = [float(clock.rates[node.cls.rate()] / clock.rate) for node in nodes.values()]
    flops = sum(cost.flops * share for cost, share in zip(costs, shares, strict=True))
    return Estimate(len(nodes), int(memory), flops)


def _elements(shape: Shape) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
