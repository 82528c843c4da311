"""Program: a plan as a function over a block of ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from attractor.block_pass import BlockPass, ProgramState, Values, guarded
from attractor.errors import NodeFailed
from attractor.fault import earliest_fault
from attractor.kinds import KINDS
from attractor.modulation import rounded
from attractor.node import Context, Event, Node, TensorNode
from attractor.plan import Component, Plan
from attractor.port import Shape
from attractor.step_plan import StepPlan
from attractor.tier import EAGER, Tier
from attractor.wiring import PlannedNode

if TYPE_CHECKING:
    from attractor.compiled.compiled_plan import CompiledPlan


class Program:
    """The step function of a plan, prepared for one run, or for several that differ in live parameters and the seed.

    Args:
        plan: what to run.
        seed: run seed, or one for every point of the batch.
        device: where tensors live.
        tier: how it is carried out.
        batch: leading dimensions of all states and values: () for one run, (B,) for B of them.
        base: base values that differ from the plan's, ``{"array": {"coupling": value}}``: numbers, or tensors of batch
            shape.
        dtype: of floating-point values.

    Raises:
        AttractorError: a node cannot be prepared (missing weights, a time step that is too coarse).
    """

    def __init__(
        self, plan: Plan, seed: int | Sequence[int], device: torch.device | str = "cpu", tier: Tier = EAGER,
        batch: Shape = (), base: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.tier = tier
        self.device = torch.device(device)
        self.dtype = dtype
        self.batch = batch
        self.nodes: dict[str, Node] = {}
        self.contexts: dict[str, Context] = {}
        self.base: dict[str, dict[str, Any]] = {}
        self._version = 0
        for planned in plan.nodes.values():
            self._prepare(planned, seed, base.get(planned.id, {}))
        rates = {name: planned.cls.rate() for name, planned in plan.nodes.items()}
        self._steps = {
            name: StepPlan.of(
                plan.nodes[name], place, self.nodes[name], self.contexts[name],
                [route for route in plan.routes if route.target[0] == name], rates, plan.clock,
            )
            for place, name in enumerate(plan.order)
        }  # fmt: skip
        self._order = tuple(self._steps.values())
        self.compiled = self._compiled() if tier.compiled else None
        self._shapes = {name: planned.shapes for name, planned in plan.nodes.items()}

    def _prepare(self, planned: PlannedNode, seed: int | Sequence[int], base: Mapping[str, Any]) -> None:
        clock, rate = self.plan.clock, planned.cls.rate()
        ctx = Context(
            planned.id, seed, clock.seconds(rate), self.device, self.dtype, self.batch, self.tier.kernels,
            clock.pace(rate), self.plan.spec.audio.fs,
        )  # fmt: skip
        refusal = planned.cls.batch_refusal(planned.params) if self.batch else None
        if refusal is not None:
            raise ctx.fail(f"it cannot run as a batch: {refusal}.", "Run the points one by one.")
        # A parameter that every point has its own value of is in `params` alone.
        common = {name: value for name, value in planned.params.items() if not isinstance(base.get(name), torch.Tensor)}
        node = planned.cls(planned.id, common, planned.shapes)
        with ctx.random.preparing():
            guarded(ctx, node.prepare, ctx)
        self.nodes[planned.id] = node
        self.contexts[planned.id] = ctx
        self.base[planned.id] = dict(planned.params)
        for parameter in planned.cls.params:
            if parameter.live:
                self.set_base(planned.id, parameter.name, base.get(parameter.name, planned.params[parameter.name]))
        # The points of a batch are judged one by one, by whoever can leave one out.
        if not any(isinstance(value, torch.Tensor) for value in self.base[planned.id].values()):
            self.accept(planned.id, {})

    def narrowed(self, points: Sequence[int]) -> Program:
        """The same program for some points of its batch (B,); what the nodes have prepared is shared.

        Regions are compiled for one batch shape, and therefore anew.
        """
        other = copy(self)
        other.batch = (len(points),)
        other.contexts = {name: ctx.narrowed(points) for name, ctx in self.contexts.items()}
        other.base = {
            node: {
                name: value[list(points)] if isinstance(value, torch.Tensor) else value for name, value in of.items()
            }
            for node, of in self.base.items()
        }
        other._steps = {name: replace(step, ctx=other.contexts[name]) for name, step in self._steps.items()}
        other._order = tuple(other._steps.values())
        other.compiled = None if self.compiled is None else other._compiled()
        return other

    def accept(self, node: str, base: Mapping[str, Any]) -> None:
        """Let a node refuse base values with which no run can begin.

        Args:
            base: numbers that differ from the program's own.

        Raises:
            NodeFailed: it does.
        """
        ctx = self.contexts[node]
        own = {name: self._rounded(value) for name, value in base.items()}
        guarded(ctx, self.nodes[node].accept, {**self.base[node], **own}, ctx)

    def _compiled(self) -> CompiledPlan:
        # Imported here: torch's compiler takes seconds to load.
        from attractor.compiled.compiled_plan import CompiledPlan

        with torch.no_grad():
            return CompiledPlan.of(self.plan, self._steps, self.initial_state(), self.base, self.device)

    @property
    def tier_reason(self) -> str:
        """Why the program has its tier, and what of it is compiled."""
        return self.tier.reason if self.compiled is None else f"{self.tier.reason}; {self.compiled.summary()}"

    def _parts(self) -> Iterator[tuple[int, Callable[[BlockPass], None]]]:
        """What a block goes through, in order, each with the place of its first node."""
        if self.compiled is None:
            yield from map(self._interpreted, self.plan.components)
            return
        for place, stage in enumerate(self.compiled.stages):
            region = self.compiled.regions.get(place)
            # A program carries no gradient: whoever wants one is interpreted.
            if region is not None and not torch.is_grad_enabled():
                yield min(self._steps[name].place for name in stage.nodes), partial(region.run, version=self._version)
            else:
                yield from map(self._interpreted, stage.components)

    def _interpreted(self, component: Component) -> tuple[int, Callable[[BlockPass], None]]:
        plans = [self._steps[name] for name in component.nodes]
        if component.loop:
            return plans[0].place, lambda block: block.loop(plans)
        return plans[0].place, lambda block: block.single(plans[0])

    def initial_state(self) -> ProgramState:
        """The state before tick 0."""
        state = ProgramState()
        for name, node in self.nodes.items():
            ctx = self.contexts[name]
            # A program that has run before begins anew, with the draws of tick 0.
            ctx.tick = 0
            if isinstance(node, TensorNode):
                state.nodes[name] = guarded(ctx, node.initial_state, ctx)
        for edge in self.plan.delays:
            dtype = KINDS[edge.target_kind].dtype
            dtype = self.dtype if dtype == torch.float32 else dtype
            init = torch.as_tensor(edge.init, dtype=dtype, device=self.device)
            state.delayed[edge.index] = init.expand((*self.batch, *edge.shape)).clone()
        return state

    def run(
        self, state: ProgramState, first: int, ticks: int, triggers: frozenset[tuple[str, str]] = frozenset()
    ) -> tuple[ProgramState, Values]:
        """Ticks `first` … `first + ticks - 1`.

        Args:
            state: state before tick `first`; it is taken over and must not be used afterwards.
            triggers: unconnected trigger inputs that fire at tick `first`.

        Returns:
            the state after the block, and the values of every output port and of every input port of a view.

        Raises:
            NodeFailed: a node raised, or one of its outputs is not finite, not declared or not of the planned shape.
        """
        block = BlockPass(state, first, ticks, triggers, self.base, self.device)
        raised: NodeFailed | None = None
        for place, part in self._parts():
            if not block.enter(place):
                continue
            try:
                part(block)
            except NodeFailed as failure:
                # What is computed from here on is what may still fail before it.
                raised = failure
                block.fail(failure.tick, self._steps[failure.node].place)
        fault = earliest_fault(self._order, self._shapes, block.values, first, raised)
        if fault is not None:
            raise fault
        block.close(self._order)
        return state, block.values

    def set_base(self, node: str, parameter: str, value: Any) -> None:
        """Set the base value of a live parameter (validated by the session): a number, or a tensor of batch shape.

        A float is rounded to the precision of the program. In a sweep it comes as a tensor of that precision, and a
        point of it must be the run with that value.
        """
        self.base[node] = {**self.base[node], parameter: self._rounded(value)}
        self._version += 1

    def _rounded(self, value: Any) -> Any:
        return rounded(value, self.dtype) if isinstance(value, float) else value

    def events(self) -> list[Event]:
        """What nodes said since the last call, in the order of ticks."""
        said = [event for ctx in self.contexts.values() for event in ctx.events]
        for ctx in self.contexts.values():
            ctx.events.clear()
        return sorted(said, key=lambda event: event.tick)
