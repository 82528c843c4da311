"""Program: a plan as a function over a block of ticks, in the eager tier.

A node outside every feedback loop receives the whole block of K ticks at once; a loop is stepped tick by tick. Results
do not depend on K: a block only changes how many ticks are computed between two visits of the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch

from attractor.conversions import convert, convert_block
from attractor.errors import AttractorError, NodeFailed
from attractor.kinds import KINDS
from attractor.modulation import effective, transformed
from attractor.node import (
    ABSENT,
    Block,
    Context,
    Event,
    HostNode,
    Node,
    State,
    TensorNode,
    ViewNode,
    refuse_undeclared,
    tick_of,
)  # fmt: skip
from attractor.parameter import ParameterRefused
from attractor.plan import Component, Plan
from attractor.port import Shape
from attractor.tier import EAGER, Tier
from attractor.wiring import PlannedEdge, PlannedNode, PlannedRoute

TICK_SECONDS = 0.01
"""Length of a control tick: 100 Hz."""

Values = dict[tuple[str, str], Block]


@dataclass(slots=True)
class ProgramState:
    """Everything that one tick hands to the next, apart from the insides of host nodes.

    Attributes:
        nodes: state of every tensor node.
        held: per edge, the last value that was not ABSENT (ports that hold).
        delayed: per delayed edge, what its source said in the tick before, converted.
        sources: per route, the last value of its source.
        smoothed: per route, its transformed value in the tick before.
    """

    nodes: dict[str, State] = field(default_factory=dict)
    held: dict[int, Any] = field(default_factory=dict)
    delayed: dict[int, Any] = field(default_factory=dict)
    sources: dict[int, Any] = field(default_factory=dict)
    smoothed: dict[int, Any] = field(default_factory=dict)


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
        if tier.compiled:
            raise AttractorError(f"the tier {tier.name!r} is not part of this version: choose eager or kernels")
        self.plan = plan
        self.tier = tier
        self.device = torch.device(device)
        self.dtype = dtype
        self.batch = batch
        self.nodes: dict[str, Node] = {}
        self.contexts: dict[str, Context] = {}
        self.base: dict[str, dict[str, Any]] = {}
        self._routes: dict[str, list[PlannedRoute]] = {}
        for route in plan.routes:
            self._routes.setdefault(route.target[0], []).append(route)
        for planned in plan.nodes.values():
            self._prepare(planned, seed, base.get(planned.id, {}))

    def _prepare(self, planned: PlannedNode, seed: int | Sequence[int], base: Mapping[str, Any]) -> None:
        ctx = Context(planned.id, seed, TICK_SECONDS, self.device, self.dtype, self.batch, self.tier.kernels)
        refusal = planned.cls.batch_refusal(planned.params) if self.batch else None
        if refusal is not None:
            raise ctx.fail(f"it cannot run as a batch: {refusal}.", "Run the points one by one.")
        # A parameter that every point has its own value of is in `params` alone.
        common = {name: value for name, value in planned.params.items() if not isinstance(base.get(name), torch.Tensor)}
        node = planned.cls(planned.id, common, planned.shapes)
        with ctx.random.preparing():
            _guarded(ctx, node.prepare, ctx)
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
        """The same program for some points of its batch (B,); what the nodes have prepared is shared."""
        other = copy(self)
        other.batch = (len(points),)
        other.contexts = {name: ctx.narrowed(points) for name, ctx in self.contexts.items()}
        other.base = {
            node: {
                name: value[list(points)] if isinstance(value, torch.Tensor) else value for name, value in of.items()
            }
            for node, of in self.base.items()
        }
        return other

    def accept(self, node: str, base: Mapping[str, Any]) -> None:
        """Let a node refuse base values with which no run can begin.

        Args:
            base: numbers that differ from the program's own.

        Raises:
            NodeFailed: it does.
        """
        ctx = self.contexts[node]
        rounded = {name: self._rounded(value) for name, value in base.items()}
        _guarded(ctx, self.nodes[node].accept, {**self.base[node], **rounded}, ctx)

    def initial_state(self) -> ProgramState:
        """The state before tick 0."""
        state = ProgramState()
        for name, node in self.nodes.items():
            ctx = self.contexts[name]
            # A program that has run before begins anew, with the draws of tick 0.
            ctx.tick = 0
            if isinstance(node, TensorNode):
                state.nodes[name] = _guarded(ctx, node.initial_state, ctx)
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
        values: Values = {}
        pass_ = _Pass(self, state, first, ticks, triggers, values)
        for component in self.plan.components:
            try:
                pass_.component(component)
            except NodeFailed as failure:
                # The node that raised may only have been handed the fault of another one.
                self._refuse_non_finite(values, first, before=failure)
                raise
        self._refuse_non_finite(values, first)
        self._refuse_misshapen(values, first)
        pass_.close()
        return state, values

    def set_base(self, node: str, parameter: str, value: Any) -> None:
        """Set the base value of a live parameter (validated by the session): a number, or a tensor of batch shape.

        A float is rounded to the precision of the program. In a sweep it comes as a tensor of that precision, and a
        point of it must be the run with that value.
        """
        self.base[node] = {**self.base[node], parameter: self._rounded(value)}

    def _rounded(self, value: Any) -> Any:
        return torch.tensor(value, dtype=self.dtype).item() if isinstance(value, float) else value

    def fired(self) -> torch.Tensor:
        """What a trigger input receives when it is fired by hand."""
        return torch.ones(self.batch, dtype=torch.bool)

    def events(self) -> list[Event]:
        """What nodes said since the last call, in the order of ticks."""
        said = [event for ctx in self.contexts.values() for event in ctx.events]
        for ctx in self.contexts.values():
            ctx.events.clear()
        return sorted(said, key=lambda event: event.tick)

    def _refuse_non_finite(self, values: Values, first: int, before: NodeFailed | None = None) -> None:
        """Blame the node that was the first to say something that is not finite, if that was not after `before`."""
        found: list[tuple[int, int, str, str]] = []
        for place, name in enumerate(self.plan.order):
            for port in self.nodes[name].outputs:
                block = values.get((name, port.name))
                if block is not None and _maybe_non_finite(block):
                    # A loop hands its fault round: its first node in order need not be where it began.
                    found += [(k, place, name, port.name) for k in [_first_non_finite(block)] if k is not None]
        if not found:
            return
        k, _, name, output = min(found)
        if before is None or first + k <= before.tick:
            raise NodeFailed(
                name, first + k, f"the output {output!r} is not finite.",
                "Look at this node's inputs and parameters; a smaller step or gain usually mends it.",
            )  # fmt: skip

    def _refuse_misshapen(self, values: Values, first: int) -> None:
        """Hold the shapes that came out against those the plan was made with: once a block, for the newest values."""
        for name, planned in self.plan.nodes.items():
            for port in planned.cls.outputs:
                item = values[(name, port.name)].items[-1]
                expected = (*self.contexts[name].batch, *planned.shapes[port.name])
                if isinstance(item, torch.Tensor) and tuple(item.shape) != expected:
                    tick = first + len(values[(name, port.name)]) - 1
                    message = f"the output {port.name!r} has shape {list(item.shape)}, planned was {list(expected)}."
                    raise NodeFailed(name, tick, message, "This is a fault of the node's code: report it.")


def remember(last: dict[tuple[str, str], Any], values: Values) -> None:
    """Take up into `last` what every port has said last in a block."""
    for key, block in values.items():
        spoken = next((item for item in reversed(block.items) if item is not ABSENT), ABSENT)
        if spoken is not ABSENT:
            last[key] = spoken


class _Pass:
    """One block of ticks on its way through the components."""

    def __init__(
        self, program: Program, state: ProgramState, first: int, ticks: int,
        triggers: frozenset[tuple[str, str]], values: Values,
    ) -> None:  # fmt: skip
        self.program = program
        self.plan = program.plan
        self.state = state
        self.first = first
        self.ticks = ticks
        self.triggers = triggers
        self.values = values

    def component(self, component: Component) -> None:
        if component.loop:
            self.loop(component)
        else:
            self.single(self.plan.nodes[component.nodes[0]])

    def single(self, planned: PlannedNode) -> None:
        """A node outside every loop: the whole block at once."""
        name = planned.id
        node, ctx = self.program.nodes[name], self.program.contexts[name]
        inputs: dict[str, Any] = {}
        for port in planned.cls.inputs:
            edges = planned.inputs.get(port.name, ())
            blocks = tuple(self.arriving(edge, port.when_absent == "hold") for edge in edges)
            if port.variadic:
                inputs[port.name] = blocks
            elif blocks:
                inputs[port.name] = blocks[0]
            else:
                inputs[port.name] = self.unconnected(name, port.name)
        if isinstance(node, ViewNode):
            for port_name, block in inputs.items():
                if isinstance(block, tuple):
                    for slot, lane in enumerate(block):
                        self.values[(name, f"{port_name}[{slot}]")] = lane
                elif planned.inputs.get(port_name):
                    self.values[(name, port_name)] = block
            return
        params = [self.params(name, k, self.value) for k in range(self.ticks)]
        ctx.tick = self.first
        if isinstance(node, HostNode):
            self.host_block(node, ctx, inputs, params)
            return
        assert isinstance(node, TensorNode)
        new, out = _guarded(ctx, node.step_block, self.state.nodes[name], inputs, params, ctx)
        refuse_undeclared(node, out, ctx)
        self.state.nodes[name] = new
        for port in planned.cls.outputs:
            self.values[(name, port.name)] = out.get(port.name) or Block.constant(ABSENT, self.ticks)

    def host_block(self, node: HostNode, ctx: Context, inputs: Mapping[str, Any], params: Sequence[Any]) -> None:
        lanes: dict[str, list[Any]] = {port.name: [] for port in node.outputs}
        for k in range(self.ticks):
            ctx.tick = self.first + k
            out = _guarded(ctx, node.step, _constants(tick_of(inputs, k)), _constants(params[k]), ctx)
            refuse_undeclared(node, out, ctx)
            for port, lane in lanes.items():
                lane.append(out.get(port, ABSENT))
        for port, lane in lanes.items():
            self.values[(node.id, port)] = Block(lane)

    def unconnected(self, node: str, port: str) -> Block:
        items: list[Any] = [ABSENT] * self.ticks
        if (node, port) in self.triggers:
            items[0] = self.program.fired()
        return Block(items)

    def arriving(self, edge: PlannedEdge, hold: bool) -> Block:
        """What comes in over an edge during the block, from a source that is already computed."""
        block = convert_block(edge.conversion, self.values[edge.source])
        if edge.delay:
            items = [self.state.delayed[edge.index], *block.items[:-1]]
            self.state.delayed[edge.index] = block.items[-1]
            block = Block(items)
        if not hold:
            return block
        if not block.complete:
            last = self.state.held.get(edge.index, ABSENT)
            filled = []
            for item in block.items:
                last = last if item is ABSENT else item
                filled.append(last)
            block = Block(filled)
        self.state.held[edge.index] = block.items[-1]
        return block

    def value(self, node: str, port: str, k: int) -> Any:
        return self.values[(node, port)].items[k]

    def loop(self, component: Component) -> None:
        """A feedback loop: tick by tick, in the order of the delay-free edges."""
        inside = set(component.nodes)
        lanes: dict[tuple[str, str], list[Any]] = {
            (name, port.name): [] for name in component.nodes for port in self.program.nodes[name].outputs
        }
        outside: dict[int, Block] = {}
        for name in component.nodes:
            planned = self.plan.nodes[name]
            for port in planned.cls.inputs:
                for edge in planned.inputs.get(port.name, ()):
                    if edge.source[0] not in inside:
                        outside[edge.index] = self.arriving(edge, port.when_absent == "hold")

        def value(node: str, port: str, k: int) -> Any:
            lane = lanes.get((node, port))
            return self.values[(node, port)].items[k] if lane is None else lane[k]

        try:
            for k in range(self.ticks):
                for name in component.nodes:
                    self.step(self.plan.nodes[name], k, inside, outside, lanes, value)
                for name in component.nodes:
                    for edges in self.plan.nodes[name].inputs.values():
                        for edge in edges:
                            if edge.delay and edge.source[0] in inside:
                                self.state.delayed[edge.index] = convert(edge.conversion, lanes[edge.source][k])
        finally:
            for key, lane in lanes.items():
                self.values[key] = Block(lane)

    def step(
        self, planned: PlannedNode, k: int, inside: set[str], outside: Mapping[int, Block],
        lanes: Mapping[tuple[str, str], list[Any]], value: Callable[[str, str, int], Any],
    ) -> None:  # fmt: skip
        name = planned.id
        node, ctx = self.program.nodes[name], self.program.contexts[name]
        ctx.tick = self.first + k
        inputs: dict[str, Any] = {}
        for port in planned.cls.inputs:
            edges = planned.inputs.get(port.name, ())
            arrived = []
            for edge in edges:
                if edge.source[0] not in inside:
                    arrived.append(outside[edge.index].items[k])
                    continue
                delayed = self.state.delayed
                item = delayed[edge.index] if edge.delay else convert(edge.conversion, lanes[edge.source][k])
                if port.when_absent == "hold":
                    if item is ABSENT:
                        item = self.state.held.get(edge.index, ABSENT)
                    else:
                        self.state.held[edge.index] = item
                arrived.append(item)
            if port.variadic:
                inputs[port.name] = tuple(arrived)
            elif arrived:
                inputs[port.name] = arrived[0]
            else:
                fired = k == 0 and (name, port.name) in self.triggers
                inputs[port.name] = self.program.fired() if fired else ABSENT
        params = self.params(name, k, value)
        if isinstance(node, HostNode):
            out = _guarded(ctx, node.step, _constants(inputs), _constants(params), ctx)
        else:
            assert isinstance(node, TensorNode)
            new, out = _guarded(ctx, node.step, self.state.nodes[name], inputs, params, ctx)
            self.state.nodes[name] = new
        refuse_undeclared(node, out, ctx)
        for port in planned.cls.outputs:
            lanes[(name, port.name)].append(out.get(port.name, ABSENT))

    def params(self, name: str, k: int, value: Callable[[str, str, int], Any]) -> Mapping[str, Any]:
        """Effective parameters of a node at tick k of the block. Routes read their source one tick late."""
        base = self.program.base[name]
        routes = self.program._routes.get(name)
        if not routes:
            return base
        active: dict[str, list[tuple[Any, Any, Any]]] = {}
        for route in routes:
            if k > 0:
                raw = convert(route.conversion, value(*route.source, k - 1))
                if raw is not ABSENT:
                    self.state.sources[route.index] = raw
            raw = self.state.sources.get(route.index)
            if raw is None:
                continue
            smoothed = transformed(
                route.spec.transform, raw, self.state.smoothed.get(route.index), self.program.contexts[name].dt
            )
            self.state.smoothed[route.index] = smoothed
            active.setdefault(route.target[1], []).append((route.spec, raw, smoothed))
        if not active:
            return base
        changed = dict(base)
        for parameter, entries in active.items():
            declared = self.program.nodes[name].parameter(parameter)
            assert declared is not None
            try:
                changed[parameter] = effective(declared, base[parameter], entries)
            except ParameterRefused as refused:
                raise NodeFailed(name, self.first + k, f"{name}.{parameter}: {refused}", refused.mend) from refused
        return changed

    def close(self) -> None:
        """Keep the last value of every route's source for the first tick of the next block."""
        for route in self.plan.routes:
            raw = convert(route.conversion, self.values[route.source].items[-1])
            if raw is not ABSENT:
                self.state.sources[route.index] = raw


def _constants(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values without their gradients, which end at a node in Python."""
    if not torch.is_grad_enabled():
        return values
    return {name: _constant(value) for name, value in values.items()}


def _constant(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_constant(item) for item in value)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _guarded(ctx: Context, call: Callable[..., Any], *args: Any) -> Any:
    """Run a node's own code; whatever it raises carries the node and the tick."""
    try:
        return call(*args)
    except AttractorError:
        raise
    except Exception as error:
        raise NodeFailed(
            ctx.node, ctx.tick, f"{type(error).__name__}: {error}.", "This is a fault of the node's code: report it."
        ) from error


def _maybe_non_finite(block: Block) -> bool:
    tensors = [item for item in block.items if _may_be_non_finite(item)]
    if not tensors:
        return False
    # One sum per tick is enough to notice: a NaN or an infinity survives every sum.
    return not bool(torch.isfinite(torch.stack([tensor.sum() for tensor in tensors])).all())


def _first_non_finite(block: Block) -> int | None:
    return next(
        (k for k, item in enumerate(block.items) if _may_be_non_finite(item) and not torch.isfinite(item).all()), None
    )


def _may_be_non_finite(item: Any) -> bool:
    return isinstance(item, torch.Tensor) and (item.is_floating_point() or item.is_complex())
