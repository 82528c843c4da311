"""The compiled parts of a plan: which nodes are compiled together, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch

from attractor.block_pass import ProgramState
from attractor.compiled.compiled_region import CompiledRegion, traced
from attractor.compiled.live import Base
from attractor.compiled.region import Region, Stage, obstacle, stages
from attractor.compiled.trace import Trace
from attractor.compiled.untraceable import TooLarge, Untraceable
from attractor.plan import Component, Plan
from attractor.step_plan import StepPlan

MAX_OPERATIONS: Final = 20_000
"""Operations that are compiled for one plan, which bounds the time until its first tick to some minutes."""


@dataclass(slots=True)
class CompiledPlan:
    """The stages of a tick in order, the compiled regions among them, and why the other nodes are interpreted.

    Attributes:
        regions: the compiled region of a stage, by the stage's place.
        interpreted: reasons by node.
    """

    stages: tuple[Stage, ...] = ()
    regions: dict[int, CompiledRegion] = field(default_factory=dict)
    interpreted: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, plan: Plan, steps: Mapping[str, StepPlan], state: ProgramState, base: Base, device: torch.device
    ) -> CompiledPlan:
        """Trace and compile as much of a plan as can be.

        Args:
            state: the state before the first tick; it is not changed.
        """
        blocked = {
            name: reason
            for name, step in steps.items()
            if (reason := obstacle(step, plan.nodes[name].kinds)) is not None
        }
        while True:
            try:
                made, traces = _traced(plan, steps, state, base, device, blocked)
            except Untraceable as untraceable:
                blocked[untraceable.node] = untraceable.reason
                continue
            break
        regions = {place: CompiledRegion(trace) for place, trace in traces.items()}
        return cls(made, regions, blocked)

    def summary(self) -> str:
        """What is compiled and what is not, in a sentence for the manifest."""
        count = sum(len(self.stages[place].nodes) for place in self.regions)
        said = f"nodes compiled: {count}, in as few programs as their order allows ({len(self.regions)})"
        views = ("it is a view",)
        rest = [f"{name} ({reason})" for name, reason in sorted(self.interpreted.items()) if reason not in views]
        return said + (f"; interpreted: {', '.join(rest)}" if rest else "")


def _traced(
    plan: Plan, steps: Mapping[str, StepPlan], state: ProgramState, base: Base, device: torch.device,
    blocked: Mapping[str, str],
) -> tuple[tuple[Stage, ...], dict[int, Trace]]:  # fmt: skip
    """The stages, and the traces of the regions among them by place. Raises `Untraceable` with the node in the way."""
    made: list[Stage] = []
    traces: dict[int, Trace] = {}
    spoken: set[tuple[str, str]] = set()
    known: set[str] = set()
    operations = 0
    waiting = list(stages(plan, blocked))[::-1]
    while waiting:
        stage = waiting.pop()
        if stage.region:
            region = Region.of([steps[name] for name in _tick_order(stage.components, plan)])
            silent = frozenset(
                a.index
                for a in region.outside
                if (a.source not in spoken if a.source[0] in known else not a.lasting)
            )  # fmt: skip
            try:
                trace = traced(region, state, base, device, silent)
            except TooLarge as large:
                if len(stage.components) == 1:
                    raise Untraceable(large.reason, stage.nodes[0]) from large
                half = len(stage.components) // 2
                parts = (stage.components[:half], stage.components[half:])
                waiting += [Stage(part, region=True) for part in parts[::-1]]
                continue
            operations += trace.operations
            if operations > MAX_OPERATIONS:
                raise Untraceable(f"the plan has more operations than are compiled ({MAX_OPERATIONS})", stage.nodes[0])
            traces[len(made)] = trace
            known.update(region.names)
            spoken.update(trace.spoken)
        made.append(stage)
    return tuple(made), traces


def _tick_order(components: tuple[Component, ...], plan: Plan) -> list[str]:
    """The nodes of some components in the order of a tick."""
    inside = {name for component in components for name in component.nodes}
    return [name for name in plan.order if name in inside]
