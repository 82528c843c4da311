"""Regions: sets of tensor nodes that are compiled as one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attractor.block_pass import ProgramState
from attractor.kinds import is_numeric
from attractor.node import ABSENT, TensorNode, ViewNode
from attractor.plan import Component, Plan
from attractor.resampling import RunningMean
from attractor.step_plan import Arrival, Influence, StepPlan

# One thing that a tick hands to the next: ("node", id, key), or ("delayed", "held", "source" or "smoothed", index, "").
Slot = tuple[str, int | str, str]


@dataclass(frozen=True, slots=True)
class Region:
    """Nodes that are computed together, in the order of a tick.

    Attributes:
        outside: edges that come in from elsewhere; inside: the others.
        influences: routes to its nodes; foreign: those among them whose source lies elsewhere.
    """

    plans: tuple[StepPlan, ...]
    outside: tuple[Arrival, ...]
    inside: tuple[Arrival, ...]
    influences: tuple[Influence, ...]
    foreign: tuple[Influence, ...]

    @classmethod
    def of(cls, plans: Sequence[StepPlan]) -> Region:
        names = {plan.name for plan in plans}
        arrivals = [arrival for plan in plans for inlet in plan.inlets for arrival in inlet.arrivals]
        influences = [influence for plan in plans for _, several in plan.modulated for influence in several]
        return cls(
            tuple(plans),
            tuple(arrival for arrival in arrivals if arrival.source[0] not in names),
            tuple(arrival for arrival in arrivals if arrival.source[0] in names),
            tuple(influences),
            tuple(influence for influence in influences if influence.source[0] not in names),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(plan.name for plan in self.plans)

    def present(self, state: ProgramState) -> frozenset[Slot]:
        """Which of the things that may be absent are there."""
        delayed = (a.index for a in self.inside if a.delay and state.delayed[a.index] is not ABSENT)
        held = (a.index for a in self.inside if a.hold and state.held.get(a.index, ABSENT) is not ABSENT)
        sources = (i.index for i in self.influences if i.index in state.sources)
        smoothed = (i.index for i in self.influences if i.index in state.smoothed)
        return frozenset(
            [("delayed", i, "") for i in delayed] + [("held", i, "") for i in held]
            + [("source", i, "") for i in sources] + [("smoothed", i, "") for i in smoothed]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a tick: a component as the interpreter takes it, or a region of several."""

    components: tuple[Component, ...]
    region: bool

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(name for component in self.components for name in component.nodes)


def obstacle(plan: StepPlan, kinds: Mapping[str, str]) -> str | None:
    """Why a node cannot be part of a region, as far as its declaration tells; None when nothing speaks against it."""
    node = plan.node
    if isinstance(node, ViewNode):
        return "it is a view"
    if not isinstance(node, TensorNode):
        return "it runs in Python"
    if not plan.pace.every:
        return "its rate is not the clock's"
    if any(isinstance(arrival.resampler, RunningMean) for inlet in plan.inlets for arrival in inlet.arrivals):
        return "an edge to it keeps a mean over the ticks"
    if not all(is_numeric(kind) for kind in kinds.values()):
        return "it hands out objects"
    return None


def stages(plan: Plan, blocked: Mapping[str, str]) -> tuple[Stage, ...]:
    """The components of a plan in an order in which as many as possible of those that are not blocked stand together.

    The rank of a component is the largest number of changes, on any way that leads to it, from a blocked component to
    one that is not. Components of one rank that are not blocked have no blocked one between them: they are a region.
    """
    place = {name: number for number, component in enumerate(plan.components) for name in component.nodes}
    before: list[set[int]] = [set() for _ in plan.components]
    links = [(edge.source[0], edge.target[0]) for edge in plan.edges]
    links += [(route.source[0], route.target[0]) for route in plan.routes]
    for source_name, target_name in links:
        source, target = place[source_name], place[target_name]
        if source != target:
            before[target].add(source)
    free = [not any(name in blocked for name in component.nodes) for component in plan.components]
    rank: list[int] = []
    for number in range(len(plan.components)):
        rank.append(max((rank[s] + (free[number] and not free[s]) for s in before[number]), default=0))
    made: list[Stage] = []
    for level in range(max(rank, default=0) + 1):
        inside = [number for number in range(len(rank)) if rank[number] == level]
        together = tuple(plan.components[number] for number in inside if free[number])
        if together:
            made.append(Stage(together, region=True))
        made += [Stage((plan.components[number],), region=False) for number in inside if not free[number]]
    return tuple(made)
