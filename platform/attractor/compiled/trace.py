"""Traces: a region over a few ticks as one graph of torch operations.

The region is traced through the interpreter of the eager tier itself, so that there is one meaning only. What the
program must be given is kept beside the graph: the state, what comes in from elsewhere, the draws, the numbers that
stand for live parameters, and the constants of the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv
from torch.utils._python_dispatch import _disable_current_modes

from attractor.block_pass import BlockPass, LoopPass, ProgramState
from attractor.compiled.live import Base, Live, LiveBook, LiveMode
from attractor.compiled.region import Region, Slot
from attractor.compiled.traced_context import DrawBook, TracedContext
from attractor.compiled.untraceable import Untraceable
from attractor.errors import AttractorError
from attractor.kinds import KINDS
from attractor.modulation import combined, legal, refusals
from attractor.node import ABSENT
from attractor.parameter import Parameter
from attractor.step_plan import Arrival, Influence, StepPlan

Tensors = dict[Slot, torch.Tensor]
# A pattern that has not come to rest after so many ticks does not.
_MAX_TICKS = 6


@dataclass(frozen=True, slots=True)
class Trace:
    """A region over `ticks` ticks as a function of tensors.

    Its inputs are, in this order: `slots`, `outside` (one tensor (ticks, ...) for each edge), `foreign` (one tensor
    (ticks − 1, ...) for each route), the tick, and `feeds`. Its outputs are `changed`, then one tensor (ticks, ...)
    for each port of `spoken`, then whether all is well, bool ().

    Attributes:
        graph: the function.
        examples: inputs of the right shapes and types.
        pattern: what is present before a tick, and after it.
        absent: outside edges over which nothing may come.
        feeds: for each further input, how it is made: from the base values and the tick at which the program starts.
        live: what the program rests on about live parameters.
    """

    region: Region
    ticks: int
    graph: torch.fx.GraphModule
    examples: tuple[torch.Tensor, ...]
    slots: tuple[Slot, ...]
    pattern: frozenset[Slot]
    outside: tuple[int, ...]
    absent: frozenset[int]
    foreign: tuple[Influence, ...]
    changed: tuple[Slot, ...]
    spoken: tuple[tuple[str, str], ...]
    constants: tuple[tuple[int, torch.Tensor], ...]
    numbers: tuple[tuple[int, torch.Tensor, Callable[[Base], Any]], ...]
    draws: tuple[tuple[int, Callable[[int], torch.Tensor]], ...]
    live: LiveBook

    @property
    def operations(self) -> int:
        """How many operations the graph has: what its compilation costs grows with them."""
        return sum(node.op == "call_function" for node in self.graph.graph.nodes)


class _TracedBlock(BlockPass):
    """A block whose numbers are symbols."""

    checks: list[torch.Tensor]
    live: LiveBook

    def number(self, raw: Any) -> Any:
        return raw.double()

    def effective(self, plan: StepPlan, k: int, parameter: Parameter, base: Any, entries: Sequence[Any]) -> Any:
        if isinstance(base, Live):
            base = base.tensor(torch.float64, self.device)
        result = combined(base, entries)
        self.checks += [~bad.any() for bad, _, _ in refusals(parameter, result)]
        result = legal(parameter, result, plan.ctx.dtype)
        return result if result.dim() else Live(self.live, ("t", id(result)), None, result)


class _TracedLoop(LoopPass):
    """The nodes of a region, given what comes in from elsewhere."""

    def __init__(
        self, block: _TracedBlock, plans: Sequence[StepPlan], coming: Mapping[int, list[Any]],
        foreign: Mapping[int, list[Any]],
    ) -> None:  # fmt: skip
        self._coming = coming
        self._foreign = foreign
        super().__init__(block, plans)

    def coming(self, arrival: Arrival) -> list[Any]:
        return self._coming[arrival.index]

    def step(self, plan: StepPlan, k: int) -> None:
        try:
            super().step(plan, k)
        except Untraceable as untraceable:
            raise Untraceable(untraceable.reason, plan.name) from untraceable
        except AttractorError as error:
            cause = error.__cause__ or error
            if isinstance(cause, GuardOnDataDependentSymNode | DataDependentOutputException):
                raise Untraceable(
                    "it decides in Python by the tick, or by a value it has computed", plan.name
                ) from error
            reason = f"it cannot be traced ({type(cause).__name__}: {cause})"
            raise Untraceable(" ".join(reason.split())[:200], plan.name) from error

    def raw(self, influence: Influence, k: int) -> Any:
        given = self._foreign.get(influence.index)
        return super().raw(influence, k) if given is None else given[k]


class Tracer:
    """Traces one region.

    Args:
        region: what to trace.
        state: the state before the first tick.
        base: base values of the parameters.
        device: where tensors live.
        silent: outside edges over which nothing may come (the others always bring something).

    Raises:
        Untraceable: a node cannot be part of a program; it is named.
    """

    def __init__(
        self, region: Region, state: ProgramState, base: Base, device: torch.device, silent: frozenset[int]
    ) -> None:
        self.region = region
        self.device = device
        self.silent = silent
        self.batch = region.plans[0].ctx.batch
        self.dtype = region.plans[0].ctx.dtype
        self.base = base
        self.slots = self._settled(state)

    def _settled(self, state: ProgramState) -> Tensors:
        """Examples of what is present before a tick once the pattern has come to rest."""
        slots: Tensors = {
            ("node", plan.name, key): value
            for plan in self.region.plans
            for key, value in state.nodes[plan.name].items()
        }
        slots |= {("delayed", a.index, ""): state.delayed[a.index] for a in self.region.inside if a.delay}
        with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv(), static_shapes=True) as fake:
            now: Tensors = {slot: fake.from_tensor(value) for slot, value in slots.items()}
            for _ in range(_MAX_TICKS):
                after, _, _ = self._ticks(now, fake.from_tensor(torch.tensor(0)), 1, LiveBook(self.base), DrawBook())
                if after.keys() == now.keys():
                    self._same(now, after)
                    break
                now = after
            else:
                raise Untraceable("what it hands to the next tick does not come to rest", self.region.names[0])
        return {slot: _example(value) for slot, value in now.items()}

    def _same(self, before: Tensors, after: Tensors) -> None:
        for slot, value in after.items():
            old = before[slot]
            if value.shape != old.shape or value.dtype != old.dtype or value.device != old.device:
                node = str(slot[1]) if slot[0] == "node" else self.region.names[0]
                raise Untraceable("its state changes in shape or type from tick to tick", node)

    def trace(self, ticks: int) -> Trace:
        """The region over `ticks` ticks."""
        live, draws = LiveBook(self.base), DrawBook()
        slots = tuple(sorted(self.slots, key=repr))
        outside = tuple(a for a in self.region.outside if a.index not in self.silent)
        coming = [self._coming(arrival, ticks) for arrival in outside]
        foreign = self.region.foreign if ticks > 1 else ()
        raws = [self._raws(influence, ticks - 1) for influence in foreign]
        examples = [*(self.slots[slot] for slot in slots), *coming, *raws, torch.tensor(0)]
        said: dict[str, Any] = {}

        def program(*inputs: torch.Tensor) -> list[torch.Tensor]:
            at = iter(inputs)
            now = {slot: next(at) for slot in slots}
            arrive = {a.index: list(next(at).unbind(0)) for a in outside}
            given = {i.index: list(next(at).unbind(0)) for i in foreign}
            after, lanes, checks = self._ticks(now, next(at), ticks, live, draws, arrive, given)
            changed = tuple(slot for slot in slots if after[slot] is not now[slot])
            spoken = tuple(port for port, lane in lanes.items() if lane[0] is not ABSENT)
            stacks = [torch.stack(lanes[port]) for port in spoken]
            said.update(changed=changed, spoken=spoken)
            return [*(after[slot] for slot in changed), *stacks, _well(stacks, checks, self.device)]

        with torch.no_grad():
            graph = make_fx(program, tracing_mode="fake", _allow_non_fake_inputs=True)(*examples)
        constants, numbers, drawn = _lifted(graph, examples, live, draws)
        pattern = frozenset(slot for slot in slots if slot[0] != "node")
        return Trace(
            self.region, ticks, graph, tuple(examples), slots, pattern, tuple(a.index for a in outside), self.silent,
            tuple(foreign), said["changed"], said["spoken"], constants, numbers, drawn, live,
        )  # fmt: skip

    def _coming(self, arrival: Arrival, ticks: int) -> torch.Tensor:
        dtype = self._precise(KINDS[arrival.edge.target_kind].dtype)
        return torch.zeros((ticks, *self.batch, *arrival.edge.shape), dtype=dtype, device=self.device)

    def _raws(self, influence: Influence, ticks: int) -> torch.Tensor:
        return torch.zeros((ticks, *self.batch), dtype=self.dtype, device=self.device)

    def _precise(self, dtype: torch.dtype | None) -> torch.dtype | None:
        """The element type of a data kind in a run of this precision."""
        if dtype == torch.float32:
            return self.dtype
        return self.dtype.to_complex() if dtype == torch.complex64 else dtype

    def _ticks(
        self, now: Tensors, tick: torch.Tensor, ticks: int, live: LiveBook, draws: DrawBook,
        coming: Mapping[int, list[Any]] | None = None, foreign: Mapping[int, list[Any]] | None = None,
    ) -> tuple[Tensors, dict[tuple[str, str], list[Any]], list[torch.Tensor]]:  # fmt: skip
        """Carry out `ticks` ticks on symbols: what is present afterwards, what every port said, and the checks."""
        checks: list[torch.Tensor] = []
        state = ProgramState()
        parts: dict[str, Any] = {
            "delayed": state.delayed, "held": state.held, "source": state.sources, "smoothed": state.smoothed,
        }  # fmt: skip
        for a in self.region.inside:
            if a.delay:
                state.delayed[a.index] = ABSENT
        state.nodes = {plan.name: {} for plan in self.region.plans}
        for (part, name, key), value in now.items():
            if part == "node":
                state.nodes[str(name)][key] = value
            else:
                parts[part][name] = value
        plans = [
            replace(plan, node=_apart(plan.node), ctx=TracedContext(plan.ctx, tick, draws, checks))
            for plan in self.region.plans
        ]
        block = _TracedBlock(state, 0, ticks, frozenset(), self._live_base(live), self.device)
        block.checks, block.live = checks, live
        if coming is None:
            coming = {
                a.index: list(self._coming(a, ticks).unbind(0)) for a in self.region.outside
                if a.index not in self.silent
            }  # fmt: skip
            for influence in self.region.foreign:
                state.sources.setdefault(influence.index, self._raws(influence, 1)[0])
        silence = {index: [ABSENT] * ticks for index in self.silent}
        loop = _TracedLoop(block, plans, {**coming, **silence}, foreign or {})
        with LiveMode(lambda tensor: id(tensor) in live.inputs or draws.moves(tensor)):
            loop.run()
            # As after a block: a route reads in the next tick what its source says in this one.
            for influence in self.region.influences:
                lane = loop.lanes.get(influence.source)
                if lane is not None and lane[-1] is not ABSENT:
                    state.sources[influence.index] = loop.raw(influence, ticks - 1)
        self._steady(loop.lanes)
        after: Tensors = {
            ("node", name, key): value for name, inner in state.nodes.items() for key, value in inner.items()
        }
        inside_delayed = {a.index for a in self.region.inside if a.delay}
        for part, values in parts.items():
            for index, value in values.items():
                if value is not ABSENT and (part != "delayed" or index in inside_delayed):
                    after[(part, index, "")] = value
        return after, loop.lanes, checks

    def _live_base(self, live: LiveBook) -> dict[str, dict[str, Any]]:
        return {
            plan.name: {
                name: live.parameter(plan.name, name)
                if (declared := plan.node.parameter(name)) is not None and declared.live
                else value
                for name, value in self.base[plan.name].items()
            }
            for plan in self.region.plans
        }

    def _steady(self, lanes: Mapping[tuple[str, str], list[Any]]) -> None:
        for (node, port), lane in lanes.items():
            silent = [item is ABSENT for item in lane]
            if any(silent) and not all(silent):
                raise Untraceable(f"its output {port!r} speaks in some ticks only", node)
            if not silent[0] and not _is_tensor(lane[0]):
                raise Untraceable(f"its output {port!r} is no tensor", node)


def _lifted(
    graph: torch.fx.GraphModule, examples: list[torch.Tensor], live: LiveBook, draws: DrawBook
) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """Make every constant of a graph an input, appended to `examples`; tell what each stands for."""
    constants: list[tuple[int, torch.Tensor]] = []
    numbers: list[tuple[int, torch.Tensor, Callable[[Base], Any]]] = []
    drawn: list[tuple[int, Callable[[int], torch.Tensor]]] = []
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    inputs: dict[int, torch.fx.Node] = {}
    for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
        value = getattr(graph, node.target)
        if not isinstance(value, torch.Tensor):
            continue
        if id(value) not in inputs:
            with graph.graph.inserting_after(last):
                last = inputs[id(value)] = graph.graph.placeholder(f"given{len(inputs)}")
            place = len(examples)
            examples.append(value.contiguous())
            if id(value) in live.inputs:
                examples[-1] = examples[-1].clone()
                numbers.append((place, examples[-1], live.inputs[id(value)][1]))
            elif id(value) in draws.inputs:
                drawn.append((place, draws.inputs[id(value)][1]))
            else:
                constants.append((place, examples[-1]))
        node.replace_all_uses_with(inputs[id(value)])
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.graph.lint()
    graph.recompile()
    return tuple(constants), tuple(numbers), tuple(drawn)


def _well(stacks: Sequence[torch.Tensor], checks: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Whether every check holds and every value is finite: a NaN or an infinity survives every sum."""
    reals = [torch.view_as_real(stack) if stack.is_complex() else stack for stack in stacks]
    sums = [real.sum(dtype=torch.float32) for real in reals if real.is_floating_point()]
    flags = [*checks, torch.isfinite(torch.stack(sums)).all()] if sums else [*checks]
    return torch.stack(flags).all() if flags else torch.ones((), dtype=torch.bool, device=device)


def _apart(node: Any) -> Any:
    """A copy of a node that shares nothing with it: what it remembers of a trace are symbols, no numbers."""
    with _disable_current_modes():
        return deepcopy(node)


def _example(value: torch.Tensor) -> torch.Tensor:
    return torch.zeros(value.shape, dtype=value.dtype, device=value.device)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
