"""Step plans: what a tick needs to know of every node, looked up once when a program is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from attractor.clock import Clock, Pace
from attractor.conversions import converter
from attractor.graph import RouteSpec
from attractor.node import Context, HostNode, Node
from attractor.parameter import Parameter
from attractor.port import Port, Rate
from attractor.resampling import Resampler, RunningMean
from attractor.wiring import PlannedEdge, PlannedNode, PlannedRoute


@dataclass(frozen=True, slots=True)
class Arrival:
    """One edge as its target sees it.

    Attributes:
        index, source: as in `PlannedEdge`.
        delay: whether it hands on what its source said in the tick before, of the source's own ticks.
        hold: whether the port shows the last value while the source says nothing.
        convert: the conversion on the way, None when there is none.
        edge: the planned edge itself.
        pace: of the source.
        resampler: what leads from the source's rate to the target's, or takes the mean over its ticks; None when
            neither is wanted.
    """

    index: int
    source: tuple[str, str]
    delay: bool
    hold: bool
    convert: Callable[[Any], Any] | None
    edge: PlannedEdge
    pace: Pace
    resampler: Resampler | RunningMean | None

    @classmethod
    def of(cls, edge: PlannedEdge, port: Port, source: Pace, target: Pace) -> Arrival:
        resampler = None if edge.resample is None else Resampler(edge.resample, source, target)
        averaged = edge.conversion.name == "running_mean"
        return cls(
            edge.index, edge.source, bool(edge.delay), port.when_absent == "hold", converter(edge.conversion), edge,
            source, RunningMean(resampler) if averaged else resampler,
        )  # fmt: skip

    @property
    def lasting(self) -> bool:
        """Whether something arrives in every tick once the source has spoken."""
        return self.hold or (self.resampler is not None and self.resampler.lasting)


@dataclass(frozen=True, slots=True)
class Inlet:
    """One input port: its name, whether it is variadic, and the edges that lead to it."""

    name: str
    variadic: bool
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True)
class Influence:
    """One modulation route as its target sees it.

    Attributes:
        index, source: as in `PlannedRoute`.
        spec: mode, depth and transform.
        convert: the conversion of its source, None when there is none.
        keep: share of the smoothed value that survives a tick; 0 without smoothing.
    """

    index: int
    source: tuple[str, str]
    spec: RouteSpec
    convert: Callable[[Any], Any] | None
    keep: float

    @classmethod
    def of(cls, route: PlannedRoute, dt: float) -> Influence:
        smooth = route.spec.transform.smooth_ms
        keep = math.exp(-dt * 1e3 / smooth) if smooth > 0 else 0.0
        return cls(route.index, route.source, route.spec, converter(route.conversion), keep)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One node as a tick sees it.

    Attributes:
        name: id of the node; place: its place in the order of a tick.
        host: whether it is a `HostNode`.
        pace: its rate.
        modulated: the routes to its parameters, in the order in which they act, by parameter.
    """

    name: str
    place: int
    node: Node
    ctx: Context
    host: bool
    pace: Pace
    inlets: tuple[Inlet, ...]
    outputs: tuple[str, ...]
    modulated: tuple[tuple[Parameter, tuple[Influence, ...]], ...]

    @classmethod
    def of(
        cls, planned: PlannedNode, place: int, node: Node, ctx: Context, routes: Collection[PlannedRoute],
        rates: Mapping[str, Rate], clock: Clock,
    ) -> StepPlan:  # fmt: skip
        """The step plan of a node.

        Args:
            rates: of all nodes.
        """
        pace = ctx.pace

        def arrivals(port: Port) -> tuple[Arrival, ...]:
            edges = planned.inputs.get(port.name, ())
            return tuple(Arrival.of(edge, port, clock.pace(rates[edge.source[0]]), pace) for edge in edges)

        inlets = tuple(Inlet(port.name, port.variadic, arrivals(port)) for port in planned.cls.inputs)
        by_parameter: dict[str, list[Influence]] = {}
        declared: Mapping[str, Parameter] = {route.target[1]: route.parameter for route in routes}
        for route in routes:
            by_parameter.setdefault(route.target[1], []).append(Influence.of(route, ctx.dt))
        modulated = tuple((declared[name], tuple(influences)) for name, influences in by_parameter.items())
        outputs = tuple(port.name for port in planned.cls.outputs)
        return cls(planned.id, place, node, ctx, isinstance(node, HostNode), pace, inlets, outputs, modulated)
