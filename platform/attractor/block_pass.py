"""One block of ticks on its way through the components of a plan: the interpreter of the eager tier.

A node outside every feedback loop receives the whole block at once; a loop is stepped tick by tick. What a run
computes is the same for every length of a block and in every tier, and so is what it reports when it fails: a failure
at tick f shortens the block to the ticks before f, which is all that blocks of one tick would have computed. Only nodes
that come before the failed one in the order of the plan, and were not computed before it because a tier takes them in
another order, go through tick f as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from attractor.conversions import convert_block
from attractor.errors import AttractorError, NodeFailed
from attractor.modulation import effective, number_of, transformed
from attractor.node import (
    ABSENT,
    Block,
    Context,
    HostNode,
    State,
    TensorNode,
    ViewNode,
    refuse_undeclared,
    tick_of,
)
from attractor.parameter import Parameter, ParameterRefused
from attractor.resampling import Memory
from attractor.step_plan import Arrival, Influence, StepPlan

Values = dict[tuple[str, str], Block]
Lanes = dict[tuple[str, str], list[Any]]


@dataclass(slots=True)
class ProgramState:
    """Everything that one tick hands to the next, apart from the insides of host nodes.

    Attributes:
        nodes: state of every tensor node.
        held: per edge, the last value that was not ABSENT (ports that hold).
        delayed: per delayed edge, what its source said in the tick before (of its own rate), converted.
        sources: per route, the last value of its source.
        smoothed: per smoothing route, its transformed value in the tick before.
        resampled: per resampler, what it remembers.
    """

    nodes: dict[str, State] = field(default_factory=dict)
    held: dict[int, Any] = field(default_factory=dict)
    delayed: dict[int, Any] = field(default_factory=dict)
    sources: dict[int, Any] = field(default_factory=dict)
    smoothed: dict[int, Any] = field(default_factory=dict)
    resampled: dict[int, Memory] = field(default_factory=dict)


def remember(last: dict[tuple[str, str], Any], values: Values) -> None:
    """Take up into `last` what every port has said last in a block."""
    for key, block in values.items():
        spoken = block.last
        if spoken is ABSENT:
            spoken = next((item for item in reversed(block.items) if item is not ABSENT), ABSENT)
        if spoken is not ABSENT:
            last[key] = spoken


class BlockPass:
    """One block of ticks.

    Args:
        state: the state before tick `first`; it is changed in place.
        first, ticks: the block.
        triggers: unconnected trigger inputs that fire at tick `first`.
        base: base values of the parameters, by node.
        device: where tensors live.
    """

    def __init__(
        self, state: ProgramState, first: int, ticks: int, triggers: frozenset[tuple[str, str]],
        base: Mapping[str, Mapping[str, Any]], device: torch.device,
    ) -> None:  # fmt: skip
        self.state = state
        self.first = first
        self.ticks = ticks
        # After a failure: the ticks before it, and the place in the order before which nodes go through its tick too.
        self.whole, self.limit = ticks, 0
        self.triggers = triggers
        self.base = base
        self.device = device
        self.values: Values = {}

    def fail(self, tick: int, place: int) -> None:
        """Shorten the block after the failure of the node at some place of the order."""
        self.whole, self.limit = max(0, tick - self.first), place

    def enter(self, place: int) -> bool:
        """Turn to nodes of which the first in the order has this place; false when they have nothing to compute."""
        self.ticks = self.whole + (place < self.limit)
        return self.ticks > 0

    def reaches(self, plan: StepPlan, k: int) -> bool:
        """Whether a node goes through tick k of the block."""
        return k < self.whole or plan.place < self.limit

    def single(self, plan: StepPlan) -> None:
        """A node outside every loop: all of its ticks in the block at once."""
        inputs: dict[str, Any] = {}
        ticks = self._ticks_of(plan)
        for inlet in plan.inlets:
            blocks = tuple(self.arriving(arrival) for arrival in inlet.arrivals)
            if inlet.variadic:
                inputs[inlet.name] = blocks
            elif blocks:
                inputs[inlet.name] = blocks[0]
            else:
                inputs[inlet.name] = self._unconnected(plan, inlet.name)
        if isinstance(plan.node, ViewNode):
            self._show(plan, inputs, ticks)
            return
        params: list[Mapping[str, Any]] = []
        refused: NodeFailed | None = None
        try:
            if plan.modulated:
                own = set(ticks)
                for k in range(self.ticks):
                    self.listen(plan, k, self._raw)
                    if k in own:
                        params.append(self.params(plan, k))
            else:
                params = [self.base[plan.name]] * len(ticks)
        except NodeFailed as failure:
            # The node itself may fail in a tick before this one.
            refused = failure
            ticks = ticks[: len(params)]
        if params:
            self._compute(plan, {port: _taken(lane, ticks) for port, lane in inputs.items()}, params, ticks)
        else:
            self._say(plan, {}, ticks, self.ticks if refused is None else refused.tick - self.first)
        if refused is not None:
            raise refused

    def _ticks_of(self, plan: StepPlan) -> Sequence[int]:
        """The places in the block of the ticks in which a node is computed."""
        pace = plan.pace
        if pace.every:
            return range(self.ticks)
        own = range(pace.before(self.first), pace.before(self.first + self.ticks))
        return [pace.moment(tick) - self.first for tick in own]

    def _compute(
        self, plan: StepPlan, inputs: Mapping[str, Any], params: Sequence[Mapping[str, Any]], ticks: Sequence[int]
    ) -> None:
        """The ticks of a node in the block, of which `ticks` are the places."""
        node, ctx = plan.node, plan.ctx
        if not isinstance(node, TensorNode):
            self._one_by_one(plan, inputs, params, ticks)
            return
        said = len(ctx.events)
        ctx.tick = plan.pace.before(self.first)
        try:
            new, out = guarded(ctx, node.step_block, self.state.nodes[plan.name], inputs, params, ctx)
            refuse_undeclared(node, out, ctx)
        except NodeFailed:
            # A block does not tell what came before its failure; single ticks do, and name the right one.
            del ctx.events[said:]
            self._one_by_one(plan, inputs, params, ticks)
            raise
        self.state.nodes[plan.name] = new
        self._say(plan, out, ticks, self.ticks)

    def _one_by_one(
        self, plan: StepPlan, inputs: Mapping[str, Any], params: Sequence[Mapping[str, Any]], ticks: Sequence[int]
    ) -> None:
        lanes: Lanes = {(plan.name, port): [] for port in plan.outputs}
        first = plan.pace.before(self.first)
        done = 0
        try:
            for k, effective_params in enumerate(params):
                self._call(plan, first + k, tick_of(inputs, k), effective_params, lanes)
                done += 1
        finally:
            said = {port: Block(lane) for (_, port), lane in lanes.items()}
            self._say(plan, said, ticks[:done], self.ticks if done == len(params) else ticks[done])

    def _say(self, plan: StepPlan, out: Mapping[str, Block], ticks: Sequence[int], length: int) -> None:
        """Keep what a node has said in the ticks at some places, for the first `length` ticks of the block."""
        for port in plan.outputs:
            own = out.get(port) or Block.constant(ABSENT, len(ticks))
            self.values[(plan.name, port)] = own if plan.pace.every else _spread(own, ticks, length)

    def _call(
        self, plan: StepPlan, tick: int, inputs: Mapping[str, Any], params: Mapping[str, Any], lanes: Lanes
    ) -> None:
        """One tick of one node, counted at its own rate."""
        node, ctx = plan.node, plan.ctx
        ctx.tick = tick
        if isinstance(node, HostNode):
            out = guarded(ctx, node.step, _constants(inputs), _constants(params), ctx)
        else:
            assert isinstance(node, TensorNode)
            self.state.nodes[plan.name], out = guarded(ctx, node.step, self.state.nodes[plan.name], inputs, params, ctx)
        refuse_undeclared(node, out, ctx)
        for port in plan.outputs:
            lanes[(plan.name, port)].append(out.get(port, ABSENT))

    def _show(self, plan: StepPlan, inputs: Mapping[str, Any], ticks: Sequence[int]) -> None:
        """A view repeats what reaches it."""

        def shown(lane: Block) -> Block:
            return lane if plan.pace.every else _spread(_taken(lane, ticks), ticks, self.ticks)

        for inlet in plan.inlets:
            block = inputs[inlet.name]
            if isinstance(block, tuple):
                for slot, lane in enumerate(block):
                    self.values[(plan.name, f"{inlet.name}[{slot}]")] = shown(lane)
            elif inlet.arrivals:
                self.values[(plan.name, inlet.name)] = shown(block)

    def _unconnected(self, plan: StepPlan, port: str) -> Block:
        return Block([self.fired(plan, port), *[ABSENT] * (self.ticks - 1)])

    def fired(self, plan: StepPlan, port: str) -> Any:
        """What an unconnected input receives in the first tick of the block: true where a trigger is fired by hand."""
        if (plan.name, port) not in self.triggers:
            return ABSENT
        return torch.ones(plan.ctx.batch, dtype=torch.bool, device=self.device)

    def arriving(self, arrival: Arrival) -> Block:
        """What comes in over an edge during the block, from a source that is already computed."""
        block = convert_block(arrival.edge.conversion, self.values[arrival.source].head(self.ticks))
        index = arrival.index
        if arrival.delay:
            block = self._delayed(arrival, block)
        if arrival.resampler is not None:
            block = Block([self.resampled(arrival, item, k) for k, item in enumerate(block.items)])
        if not arrival.hold:
            return block
        if not block.complete:
            last = self.state.held.get(index, ABSENT)
            filled = []
            for item in block.items:
                last = last if item is ABSENT else item
                filled.append(last)
            block = Block(filled)
        # As tick by tick: of an edge over which nothing has ever come, nothing is held.
        if block.last is not ABSENT:
            self.state.held[index] = block.last
        return block

    def _delayed(self, arrival: Arrival, block: Block) -> Block:
        """A block of the source, one of its ticks later."""
        delayed, index = self.state.delayed, arrival.index
        if arrival.pace.every:
            items = [delayed[index], *block.items[:-1]]
            delayed[index] = block.last
            return Block(items)
        items = [ABSENT] * len(block)
        for k, item in enumerate(block.items):
            if arrival.pace.due(self.first + k):
                items[k], delayed[index] = delayed[index], item
        return Block(items)

    def resampled(self, arrival: Arrival, item: Any, k: int) -> Any:
        """What the resampler of an edge makes of what its source says in tick k of the block."""
        assert arrival.resampler is not None
        memory = self.state.resampled.get(arrival.index, {})
        self.state.resampled[arrival.index], arrives = arrival.resampler.step(memory, item, self.first + k)
        return arrives

    def _raw(self, influence: Influence, k: int) -> Any:
        return _converted(influence.convert, self.values[influence.source].items[k])

    def loop(self, plans: Sequence[StepPlan]) -> None:
        """Nodes of a feedback loop, in the order of the delay-free edges: tick by tick."""
        LoopPass(self, plans).run()

    def listen(self, plan: StepPlan, k: int, raw_of: Callable[[Influence, int], Any]) -> None:
        """Take up for tick k of the block what the sources of a node's routes have said in the tick before."""
        if k == 0:
            return
        for _, influences in plan.modulated:
            for influence in influences:
                spoken = raw_of(influence, k - 1)
                if spoken is not ABSENT:
                    self.state.sources[influence.index] = spoken

    def params(self, plan: StepPlan, k: int) -> Mapping[str, Any]:
        """Effective parameters of a node at tick k of the block, after `listen`."""
        base = self.base[plan.name]
        if not plan.modulated:
            return base
        state = self.state
        changed: dict[str, Any] | None = None
        for parameter, influences in plan.modulated:
            entries = []
            for influence in influences:
                index = influence.index
                raw = state.sources.get(index)
                if raw is None:
                    continue
                raw = self.number(raw)
                value = transformed(influence.spec.transform, raw, state.smoothed.get(index), influence.keep)
                if influence.keep > 0.0:
                    state.smoothed[index] = value
                entries.append((influence.spec, raw, value))
            if not entries:
                continue
            if changed is None:
                changed = dict(base)
            changed[parameter.name] = self.effective(plan, k, parameter, base[parameter.name], entries)
        return base if changed is None else changed

    def number(self, raw: Any) -> Any:
        """The value of a route's source as routes compute with it."""
        return number_of(raw)

    def effective(self, plan: StepPlan, k: int, parameter: Parameter, base: Any, entries: Sequence[Any]) -> Any:
        """The effective value of one parameter at tick k of the block."""
        try:
            return effective(parameter, base, entries, plan.ctx.dtype)
        except ParameterRefused as refused:
            raise NodeFailed(
                plan.name, self.first + k, f"{plan.name}.{parameter.name}: {refused}", refused.mend
            ) from refused

    def close(self, plans: Collection[StepPlan]) -> None:
        """Keep the last value of every route's source for the first tick of the next block."""
        for plan in plans:
            for _, influences in plan.modulated:
                for influence in influences:
                    spoken = _converted(influence.convert, self.values[influence.source].last)
                    if spoken is not ABSENT:
                        self.state.sources[influence.index] = spoken

    def _keep(self, lanes: Lanes) -> None:
        for key, lane in lanes.items():
            self.values[key] = Block(lane)


class LoopPass:
    """One block of ticks through the nodes of a feedback loop."""

    def __init__(self, block: BlockPass, plans: Sequence[StepPlan]) -> None:
        self.block = block
        self.plans = plans
        self.lanes: Lanes = {(plan.name, port): [] for plan in plans for port in plan.outputs}
        self.outside: dict[int, list[Any]] = {}
        self.returning: list[Arrival] = []
        for plan in plans:
            if not block.reaches(plan, 0):
                continue
            for inlet in plan.inlets:
                for arrival in inlet.arrivals:
                    if arrival.source not in self.lanes:
                        self.outside[arrival.index] = self.coming(arrival)
                    elif arrival.delay:
                        self.returning.append(arrival)

    def coming(self, arrival: Arrival) -> list[Any]:
        """What comes in from outside, tick by tick."""
        return self.block.arriving(arrival).items

    def run(self) -> None:
        try:
            for k in range(self.block.ticks):
                for plan in self.plans:
                    self.step(plan, k)
                self.hand_on(k)
        finally:
            self.block._keep(self.lanes)

    def step(self, plan: StepPlan, k: int) -> None:
        """One tick of one node."""
        block, tick = self.block, self.block.first + k
        if k >= block.whole and not block.reaches(plan, k):
            return
        if plan.modulated:
            block.listen(plan, k, self.raw)
        if not plan.pace.every:
            if not plan.pace.due(tick):
                self._pass_over(plan, k)
                return
            tick = plan.pace.before(tick)
        inputs: dict[str, Any] = {}
        for inlet in plan.inlets:
            arrivals = inlet.arrivals
            if inlet.variadic:
                inputs[inlet.name] = tuple([self.arrived(arrival, k) for arrival in arrivals])
            elif arrivals:
                inputs[inlet.name] = self.arrived(arrivals[0], k)
            else:
                inputs[inlet.name] = block.fired(plan, inlet.name) if k == 0 else ABSENT
        block._call(plan, tick, inputs, block.params(plan, k), self.lanes)

    def _pass_over(self, plan: StepPlan, k: int) -> None:
        """A tick of the run that is none of the node's. What it does not take goes into the resamplers on the way."""
        for inlet in plan.inlets:
            for arrival in inlet.arrivals:
                if arrival.resampler is not None:
                    self.arrived(arrival, k)
        for port in plan.outputs:
            self.lanes[(plan.name, port)].append(ABSENT)

    def arrived(self, arrival: Arrival, k: int) -> Any:
        """What an edge hands to its target in tick k."""
        outside = self.outside.get(arrival.index)
        if outside is not None:
            return outside[k]
        state = self.block.state
        if arrival.delay:
            said = arrival.pace.every or arrival.pace.due(self.block.first + k)
            item = state.delayed[arrival.index] if said else ABSENT
        else:
            item = _converted(arrival.convert, self.lanes[arrival.source][-1])
        if arrival.resampler is not None:
            item = self.block.resampled(arrival, item, k)
        if arrival.hold:
            if item is ABSENT:
                return state.held.get(arrival.index, ABSENT)
            state.held[arrival.index] = item
        return item

    def hand_on(self, k: int) -> None:
        """What the delayed edges inside the loop hand on after tick k to the next tick of their source."""
        delayed = self.block.state.delayed
        for arrival in self.returning:
            if arrival.pace.every or arrival.pace.due(self.block.first + k):
                delayed[arrival.index] = _converted(arrival.convert, self.lanes[arrival.source][-1])

    def raw(self, influence: Influence, k: int) -> Any:
        """What the source of a route said in tick k, converted."""
        lane = self.lanes.get(influence.source)
        return self.block._raw(influence, k) if lane is None else _converted(influence.convert, lane[k])


def guarded(ctx: Context, call: Callable[..., Any], *args: Any) -> Any:
    """Run a node's own code; whatever it raises carries the node and the tick."""
    try:
        return call(*args)
    except AttractorError:
        raise
    except Exception as error:
        raise NodeFailed(
            ctx.node, ctx.moment, f"{type(error).__name__}: {error}.", "This is a fault of the node's code: report it."
        ) from error


def _converted(convert: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if convert is None or value is ABSENT else convert(value)


def _taken(lane: Any, ticks: Sequence[int]) -> Any:
    """The ticks at some places of a block, or of several."""
    if isinstance(lane, tuple):
        return tuple(_taken(each, ticks) for each in lane)
    return lane.head(len(ticks)) if isinstance(ticks, range) else Block([lane.items[k] for k in ticks])


def _spread(own: Block, ticks: Sequence[int], length: int) -> Block:
    """A block of `length` ticks with those of `own` at some places, and silence at the others."""
    items: list[Any] = [ABSENT] * length
    for k, item in zip(ticks, own.items, strict=True):
        items[k] = item
    return Block(items)


def _constants(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values without their gradients, which end at a node in Python."""
    if not torch.is_grad_enabled():
        return values
    return {name: _constant(value) for name, value in values.items()}


def _constant(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_constant(item) for item in value)
    return value.detach() if isinstance(value, torch.Tensor) else value
