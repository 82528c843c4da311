"""Plan: a checked graph with everything decided that can be decided before it runs.

Components in order (a component is a feedback loop, or one node), explicit unit delays, shapes and kinds of every port,
the conversion on every edge, and an estimate of memory and work (quotas are checked against it before a run is queued).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final

from attractor.clock import Clock
from attractor.errors import GraphRejected
from attractor.fault import GATHERED
from attractor.graph import GraphSpec
from attractor.kinds import KINDS
from attractor.node import DEFAULT_BLOCK, Cost, ModelSize
from attractor.port import Shape
from attractor.problem_finder import Findings, find
from attractor.registry import Registry
from attractor.strong_components import strong_components
from attractor.wiring import PlannedEdge, PlannedNode, PlannedRoute


@dataclass(frozen=True, slots=True)
class Component:
    """A strongly connected component: its nodes in the order of a tick; `loop` when it must be stepped tick by tick."""

    nodes: tuple[str, ...]
    loop: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of this plan will take in the eager tier.

    Attributes:
        nodes: how many there are.
        memory_bytes: the most memory at once that the run takes beyond what the process had before: the prepared nodes,
            their states, the values of one default block, and what is taken in passing, as `Cost` says. A process that
            has never run a graph takes that of the interpreter and its libraries besides.
        flops_per_tick: operations per tick by the convention of `Cost`, once every window is full.

    Both are within a quarter of what is measured (``tests/unit/attractor/test_estimate.py`` names the graphs), as soon
    as they are large enough for the objects of the interpreter itself not to matter (about 1 MB, 10⁵ operations). They
    follow from the graph alone: the same plan has the same estimate everywhere. A sweep takes them once for every
    point that runs beside others, which is a bound where points of one seed share their draws.

    Parameters count as the graph sets them. A live change or a route may make a run take more: `noise` of an array that
    was silent, or its `speed`.

    Not covered: what torch and the interpreter take to be loaded; what the allocator of the C library keeps of what was
    freed, by which the process may be half as large again; frames, control logs and checkpoints; and the other tiers:
    kernels need no room for intermediate results, so that memory is a bound there, and a compiled region may keep other
    ones than plain torch. How large the values of an input make a work is not known before: where models, groups or
    graphs arrive while the run goes on, the largest ones that fit the ports are assumed, and of what is due when a
    trigger arrives, that it arrives in every tick.
    """

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
        components = _components(nodes, findings.edges, findings.routes)
        return cls(
            spec=spec,
            nodes=nodes,
            edges=tuple(findings.edges),
            routes=tuple(findings.routes),
            components=components,
            estimate=_estimate(nodes, findings.edges, components, findings.clock),
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


def _estimate(
    nodes: Mapping[str, PlannedNode], edges: Sequence[PlannedEdge], components: Sequence[Component], clock: Clock
) -> Estimate:
    costs = _costs(nodes, edges, components)
    loops = {name: number for number, component in enumerate(components) if component.loop for name in component.nodes}
    # A node that is slower than the clock is computed, and speaks, in a share of the ticks.
    shares = {name: float(clock.rates[node.cls.rate()] / clock.rate) for name, node in nodes.items()}
    flops = sum(cost.flops * shares[name] for name, cost in costs.items())
    kept = sum(cost.bytes for cost in costs.values())
    tick, checked = 0.0, 0.0
    for name, node in nodes.items():
        own = {port.name: _elements(node.shapes[port.name]) for port in node.cls.outputs}
        outputs = costs[name].outputs
        each = sum(n * _item(node.kinds[port]) for port, n in own.items()) if outputs is None else outputs
        spoken = costs[name].spoken * shares[name]
        tick += spoken * each + _OBJECT * len(own)
        for port, n in own.items():
            # Whether values are finite is seen by their sum; small ones are put together for it.
            if _is_float(node.kinds[port]):
                flops += spoken * n
                if n <= GATHERED and not costs[name].stacked:
                    checked = max(checked, DEFAULT_BLOCK * n * _item(node.kinds[port]))
    stacked: set[tuple[str, str]] = set()
    for edge in edges:
        source = nodes[edge.source[0]]
        n, item = _elements(source.shapes[edge.source[1]]), _item(edge.source_kind)
        kept += edge.delay * _elements(edge.shape) * _item(edge.target_kind)
        if edge.conversion.name in ("identity", "hold"):
            continue
        work = n * _REDUCING.get(edge.conversion.reduce or "", 0)
        if edge.conversion.name == "running_mean":
            # The mean of the chains as a probability, then that of the ticks.
            work = n + 6 * _elements(edge.shape)
        flops += shares[edge.source[0]] * work
        inside = edge.source[0] in loops and loops[edge.source[0]] == loops.get(edge.target[0])
        if not inside and not costs[edge.source[0]].stacked and edge.source not in stacked:
            # A block is converted as one tensor, which stays beside its values.
            stacked.add(edge.source)
            tick += n * item
    passing = max([checked, *(cost.scratch for cost in costs.values())], default=0.0)
    preparing = max((cost.preparing for cost in costs.values()), default=0.0)
    return Estimate(len(nodes), int(kept + max(preparing, DEFAULT_BLOCK * tick + passing)), flops)


def _costs(
    nodes: Mapping[str, PlannedNode], edges: Sequence[PlannedEdge], components: Sequence[Component]
) -> dict[str, Cost]:
    """The cost of every node, given the sizes of the models that reach it."""
    costs: dict[str, Cost] = {}
    sizes: dict[str, ModelSize] = {}
    for component in components:
        for name in component.nodes:
            node = nodes[name]
            models = {
                edge.target[1]: sizes[edge.source[0]]
                for edge in edges
                if edge.target[0] == name and edge.source_kind == "model" and edge.source[0] in sizes
            }
            costs[name] = node.cls.cost_with(node.params, node.shapes, models)
            size = node.cls.model_size(node.params, node.shapes, models)
            if size is not None:
                sizes[name] = size
    return costs


_OBJECT: Final = 600
"""Bytes of the objects of Python around a value."""

_REDUCING: Final = {"mean": 1, "rms": 2, "max": 1}
"""Operations of a conversion for each element that it reduces."""


def _item(kind: str) -> int:
    """Bytes of an element of a data kind; 0 for objects."""
    dtype = KINDS[kind].dtype if kind in KINDS else None
    return 0 if dtype is None else dtype.itemsize


def _is_float(kind: str) -> bool:
    dtype = KINDS[kind].dtype if kind in KINDS else None
    return dtype is not None and (dtype.is_floating_point or dtype.is_complex)


def _elements(shape: Shape) -> int:
    return math.prod(shape)
