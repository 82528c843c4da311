"""Traces: a tick of a region as one graph of torch operations.

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
from torch._functorch.compile_utils import fx_graph_cse
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv
from torch.utils._python_dispatch import _disable_current_modes

from attractor.block_pass import BlockPass, LoopPass, ProgramState
from attractor.compiled.live import Base, Live, LiveBook, LiveMode
from attractor.compiled.merged_kernels import merge_kernels
from attractor.compiled.prologue import Prologue, written_into
from attractor.compiled.region import Region, Slot
from attractor.compiled.traced_context import DrawBook, TracedContext
from attractor.compiled.untraceable import Untraceable
from attractor.errors import AttractorError
from attractor.kinds import KINDS
from attractor.modulation import combined, legal, refusals
from attractor.node import ABSENT
from attractor.parameter import Parameter
from attractor.step_plan import Arrival, StepPlan

Tensors = dict[Slot, torch.Tensor]
Draw = tuple[int, Callable[[int, int], torch.Tensor]]
# Constants of more elements are not compared.
_COMPARED = 1 << 16
# A pattern that has not come to rest after so many ticks does not.
_MAX_TICKS = 6


@dataclass(frozen=True, slots=True)
class Packing:
    """Where a port lies in what a tick says: all values of one element type are one tensor, one after the other.

    Attributes:
        number: of the tensor.
        start, stop: its elements.
        shape: of the value; a complex one lies as pairs of reals.
    """

    number: int
    start: int
    stop: int
    shape: tuple[int, ...]
    is_complex: bool

    def unpacked(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """The port's values over K ticks, (K, *shape), of tensors (K, elements)."""
        values = tensors[self.number][:, self.start : self.stop]
        if self.is_complex:
            # A view as pairs begins at an even element, and so does the next tick's: not so among other ports' values.
            pairs = values.clone(memory_format=torch.contiguous_format)
            return torch.view_as_complex(pairs.view(len(values), *self.shape, 2))
        return values.view(len(values), *self.shape)


@dataclass(frozen=True, slots=True)
class Trace:
    """A tick of a region as a function of tensors.

    Its inputs are, in this order: `slots`, `outside`, the tick, and those of `prologue` and `draws`. Its outputs are
    `changed`, then what the ports of `spoken` say, packed, then whether all is well, bool ().

    Attributes:
        graph: the function.
        examples: inputs of the right shapes and types.
        pattern: what is present before a tick, and after it.
        absent: outside edges over which nothing may come.
        spoken: the ports that speak, and where their values lie.
        prologue: makes the inputs that change with the base values alone.
        draws: the place of each input that is drawn, and how: given a tick and a number of ticks, for all of these.
        live: what the program rests on about live parameters.
    """

    region: Region
    graph: torch.fx.GraphModule
    examples: tuple[torch.Tensor, ...]
    slots: tuple[Slot, ...]
    pattern: frozenset[Slot]
    outside: tuple[int, ...]
    absent: frozenset[int]
    changed: tuple[Slot, ...]
    spoken: Mapping[tuple[str, str], Packing]
    prologue: Prologue
    draws: tuple[Draw, ...]
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

    def __init__(self, block: _TracedBlock, plans: Sequence[StepPlan], coming: Mapping[int, list[Any]]) -> None:
        self._coming = coming
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
                after, _, _ = self._tick(now, fake.from_tensor(torch.tensor(0)), LiveBook(self.base), DrawBook())
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

    def trace(self) -> Trace:
        """A tick of the region."""
        live, draws = LiveBook(self.base), DrawBook()
        slots = tuple(sorted(self.slots, key=repr))
        outside = tuple(a for a in self.region.outside if a.index not in self.silent)
        examples = [*(self.slots[slot] for slot in slots), *map(self._coming, outside), torch.tensor(0)]
        said: dict[str, Any] = {}

        def program(*inputs: torch.Tensor) -> list[torch.Tensor]:
            at = iter(inputs)
            now = {slot: next(at) for slot in slots}
            coming = {a.index: next(at) for a in outside}
            after, lanes, checks = self._tick(now, next(at), live, draws, coming)
            changed = tuple(slot for slot in slots if after[slot] is not now[slot])
            values = {port: lane[0] for port, lane in lanes.items() if lane[0] is not ABSENT}
            packed, places = _packed(values)
            said.update(changed=changed, spoken=places)
            # What is handed on comes in again in the next tick: the program was made for dense inputs.
            return [*(after[slot].contiguous() for slot in changed), *packed, _well(packed, checks, self.device)]

        with torch.no_grad():
            graph = make_fx(program, tracing_mode="fake", _allow_non_fake_inputs=True)(*examples)
        graph, prologue, drawn = _lifted(graph, examples, live, draws)
        pattern = frozenset(slot for slot in slots if slot[0] != "node")
        return Trace(
            self.region, graph, tuple(examples), slots, pattern, tuple(a.index for a in outside), self.silent,
            said["changed"], said["spoken"], prologue, drawn, live,
        )  # fmt: skip

    def _coming(self, arrival: Arrival) -> torch.Tensor:
        dtype = self._precise(KINDS[arrival.edge.target_kind].dtype)
        return torch.zeros((*self.batch, *arrival.edge.shape), dtype=dtype, device=self.device)

    def _precise(self, dtype: torch.dtype | None) -> torch.dtype | None:
        """The element type of a data kind in a run of this precision."""
        if dtype == torch.float32:
            return self.dtype
        return self.dtype.to_complex() if dtype == torch.complex64 else dtype

    def _tick(
        self, now: Tensors, tick: torch.Tensor, live: LiveBook, draws: DrawBook,
        coming: Mapping[int, torch.Tensor] | None = None,
    ) -> tuple[Tensors, dict[tuple[str, str], list[Any]], list[torch.Tensor]]:  # fmt: skip
        """Carry out a tick on symbols: what is present afterwards, what every port said, and the checks."""
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
        block = _TracedBlock(state, 0, 1, frozenset(), self._live_base(live), self.device)
        block.checks, block.live = checks, live
        if coming is None:
            coming = {a.index: self._coming(a) for a in self.region.outside if a.index not in self.silent}
            for influence in self.region.foreign:
                raw = torch.zeros(self.batch, dtype=self.dtype, device=self.device)
                state.sources.setdefault(influence.index, raw)
        lanes = {index: [value] for index, value in coming.items()} | {index: [ABSENT] for index in self.silent}
        loop = _TracedLoop(block, plans, lanes)
        with LiveMode(lambda tensor: id(tensor) in live.inputs or draws.moves(tensor)):
            loop.run()
            # As after a block: a route reads in the next tick what its source says in this one.
            for influence in self.region.influences:
                lane = loop.lanes.get(influence.source)
                if lane is not None and lane[-1] is not ABSENT:
                    state.sources[influence.index] = loop.raw(influence, 0)
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
            if lane[0] is not ABSENT and not _is_tensor(lane[0]):
                raise Untraceable(f"its output {port!r} is no tensor", node)


def _packed(
    values: Mapping[tuple[str, str], torch.Tensor],
) -> tuple[list[torch.Tensor], dict[tuple[str, str], Packing]]:
    """Values as one tensor for each element type, and where each lies."""
    parts: dict[torch.dtype, list[torch.Tensor]] = {}
    lengths: dict[torch.dtype, int] = {}
    places: dict[tuple[str, str], Packing] = {}
    for port, value in values.items():
        real = torch.view_as_real(value) if value.is_complex() else value
        several = parts.setdefault(real.dtype, [])
        start = lengths.get(real.dtype, 0)
        lengths[real.dtype] = start + real.numel()
        several.append(real.reshape(-1))
        number = list(parts).index(real.dtype)
        places[port] = Packing(number, start, start + real.numel(), tuple(value.shape), value.is_complex())
    return [torch.cat(several) for several in parts.values()], places


def _lifted(
    graph: torch.fx.GraphModule, examples: list[torch.Tensor], live: LiveBook, draws: DrawBook
) -> tuple[torch.fx.GraphModule, Prologue, tuple[Draw, ...]]:
    """Make every constant of a graph an input, and take out of it what follows from constants and base values alone.

    The examples of the new inputs are appended to `examples`.
    """
    tensors: dict[str, torch.Tensor] = {}
    known: dict[Any, torch.fx.Node] = {}
    written = written_into(graph.graph)
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
        value = getattr(graph, node.target)
        if not isinstance(value, torch.Tensor):
            continue
        own = id(value) in live.inputs or id(value) in draws.inputs or node in written
        key = id(value) if own else _content(value)
        if key not in known:
            with graph.graph.inserting_after(last):
                last = known[key] = graph.graph.placeholder(f"given{len(known)}")
            last.meta["val"] = value
            tensors[last.name] = value
        node.replace_all_uses_with(known[key])
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    if written:
        # What is equal when it is made may be no more once somebody has written into one of the two.
        graph.recompile()
        functional = functionalize(graph, remove="mutations")
        graph = make_fx(functional, tracing_mode="fake")(*examples, *tensors.values())
        graph.graph.eliminate_dead_code()
    graph.graph = fx_graph_cse(graph.graph)
    merge_kernels(graph)
    entering = graph.graph.find_nodes(op="placeholder")[len(examples) :]
    given = list(zip(entering, tensors.values(), strict=True))
    drawn_as = {node: tensor for node, tensor in given if id(tensor) in draws.inputs}
    prologue = Prologue.taken_from(graph, [pair for pair in given if pair[0] not in drawn_as], live)
    drawn: list[Draw] = []
    for node in [node for node in graph.graph.nodes if node.op == "placeholder"][len(examples) :]:
        if node in drawn_as:
            drawn.append((len(examples), draws.inputs[id(drawn_as[node])][1]))
            examples.append(drawn_as[node].contiguous())
        else:
            examples.append(prologue.placed(node, len(examples)))
    for node in graph.graph.find_nodes(op="placeholder"):
        # The compiler goes by the examples.
        node.meta.pop("val", None)
    graph.graph.lint()
    graph.recompile()
    return graph, prologue, tuple(drawn)


def _content(value: torch.Tensor) -> Any:
    """What two constants have in common when one can stand for the other: nodes of one kind often have the same."""
    if value.numel() > _COMPARED or value.device.type != "cpu":
        return id(value)
    return value.dtype, value.shape, value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _well(packed: Sequence[torch.Tensor], checks: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Whether every check holds and every value is finite: a NaN or an infinity survives every sum."""
    sums = [values.sum(dtype=torch.float32) for values in packed if values.is_floating_point()]
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
