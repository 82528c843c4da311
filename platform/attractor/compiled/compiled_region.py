"""A region that has been compiled, and its way through a block of ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from attractor.block_pass import BlockPass, LoopPass, ProgramState
from attractor.compiled.compiler import compiled
from attractor.compiled.live import Base
from attractor.compiled.region import Region, Slot
from attractor.compiled.trace import Trace, Tracer
from attractor.compiled.untraceable import TooLarge
from attractor.node import ABSENT, Block
from attractor.philox import ticks_ahead

MAX_OPERATIONS: Final = 1500
"""Operations in one program, which bounds the time of its compilation: about a minute on one core."""


def traced(region: Region, state: ProgramState, base: Base, device: torch.device, silent: frozenset[int]) -> Trace:
    """A tick of a region.

    Raises:
        Untraceable: a node of the region cannot be part of a program.
        TooLarge: it has too many operations.
    """
    trace = Tracer(region, state, base, device, silent).trace()
    if trace.operations > MAX_OPERATIONS:
        raise TooLarge(f"it has {trace.operations} operations a tick, compiled are up to {MAX_OPERATIONS}")
    return trace


class CompiledRegion:
    """A region with its program, which computes one tick."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.region = trace.region
        self._call = compiled(trace)
        self._given: list[Any] = list(trace.examples)
        self._changed = [trace.slots.index(slot) for slot in trace.changed]
        drawn = max([trace.examples[place].numel() for place, _ in trace.draws], default=0)
        self.most = ticks_ahead(drawn)
        self._holds = True
        self._version = -1

    def ready(self, base: Base, version: int) -> bool:
        """Whether the program is right for the base values, of which `version` tells when they changed."""
        if version != self._version:
            self._version = version
            self._holds = self.trace.live.holds(base)
            if self._holds:
                for place, tensor in self.trace.prologue.inputs(base):
                    self._given[place] = tensor
        return self._holds

    def compute(
        self, state: ProgramState, first: int, ticks: int, outside: Mapping[int, Sequence[Any]],
        foreign: Mapping[int, Sequence[Any]],
    ) -> list[Sequence[torch.Tensor]]:  # fmt: skip
        """Ticks from `first` on, until all is done or something is not well, and the state moved on by as many.

        Args:
            ticks: at most `most`, so that what is drawn for them is not more than is drawn ahead anyway.
            outside: by edge, what comes in at each of the ticks.
            foreign: by route, what its source said last before each.

        Returns:
            for each tick that was computed, what the ports say, packed.
        """
        trace, given, changed = self.trace, self._given, self._changed
        for place, slot in enumerate(trace.slots):
            given[place] = entering(state, slot).contiguous()
        at = len(trace.slots)
        feeds: list[tuple[int, Sequence[Any]]] = [
            (at + n, [value.contiguous() for value in outside[index]]) for n, index in enumerate(trace.outside)
        ]
        for index, raws in foreign.items():
            feeds.append((trace.slots.index(("source", index, "")), [raw.contiguous() for raw in raws]))
        feeds += [(place, draw(first, ticks).unbind(0)) for place, draw in trace.draws]
        feeds.append((at + len(trace.outside), torch.arange(first, first + ticks).unbind(0)))
        count = len(changed)
        said: list[Sequence[torch.Tensor]] = []
        for k in range(ticks):
            for place, values in feeds:
                given[place] = values[k]
            out = self._call(*given)
            if not bool(out[-1]):
                break
            for place, value in zip(changed, out, strict=False):
                given[place] = value
            said.append(out[count:-1])
        if said:
            for place in changed:
                _leave(state, trace.slots[place], given[place])
            for index, raws in foreign.items():
                state.sources[index] = raws[len(said) - 1]
        return said

    def run(self, block: BlockPass, version: int) -> None:
        """Take a block through the region."""
        RegionPass(block, self, version).run()


def entering(state: ProgramState, slot: Slot) -> torch.Tensor:
    part, name, key = slot
    if part == "node":
        value = state.nodes[str(name)][key]
    elif part == "smoothed":
        value = torch.as_tensor(state.smoothed[int(name)], dtype=torch.float64)
    else:
        value = {"delayed": state.delayed, "held": state.held, "source": state.sources}[part][int(name)]
    made: torch.Tensor = value
    return made


def _fits(value: Any, example: torch.Tensor) -> bool:
    """Whether a value may enter the program, which looks at neither the sizes of its inputs nor their types."""
    return isinstance(value, torch.Tensor) and value.shape == example.shape and value.dtype == example.dtype


def _leave(state: ProgramState, slot: Slot, value: torch.Tensor) -> None:
    part, name, key = slot
    if part == "node":
        # A new mapping: whoever holds the state of before keeps it.
        state.nodes[str(name)] = {**state.nodes[str(name)], key: value}
    elif part == "smoothed":
        state.smoothed[int(name)] = value.item() if value.dim() == 0 else value
    else:
        {"delayed": state.delayed, "held": state.held, "source": state.sources}[part][int(name)] = value


class RegionPass(LoopPass):
    """One block of ticks through a compiled region.

    Whether a tick is computed by the program or by the interpreter depends on what is present before it, on what comes
    in during it and on the base values: never on where a block begins, so that blocks of any length compute the same.
    """

    def __init__(self, block: BlockPass, compiled_region: CompiledRegion, version: int) -> None:
        super().__init__(block, compiled_region.region.plans)
        self.compiled = compiled_region
        self.region = compiled_region.region
        self.version = version
        self.said: list[Sequence[torch.Tensor]] = []
        self.interpreted = False

    def run(self) -> None:
        k = 0
        try:
            while k < self.block.ticks:
                done = self._computed(k)
                if done == 0:
                    self._flush()
                    self.interpreted = True
                    for plan in self.plans:
                        self.step(plan, k)
                    self.hand_on(k)
                    done = 1
                k += done
        finally:
            self._close()

    def _computed(self, k: int) -> int:
        """Compute tick k, and those after it, by the program; returns how many were computed."""
        block, trace = self.block, self.compiled.trace
        if k >= block.whole or not self.compiled.ready(block.base, self.version) or self._fires(k):
            return 0
        if k > 0:
            # What the program itself has said is in the state already.
            for influence in self.region.influences if self.interpreted else self.region.foreign:
                spoken = self.raw(influence, k - 1)
                if spoken is not ABSENT:
                    block.state.sources[influence.index] = spoken
        if self.region.present(block.state) != trace.pattern:
            return 0
        if not all(
            _fits(entering(block.state, slot), example)
            for slot, example in zip(trace.slots, trace.examples, strict=False)
        ):
            return 0
        ticks = min(self._expected(k), self.compiled.most)
        foreign = {influence.index: self._raws(influence, k, ticks) for influence in self.region.foreign}
        for index, raws in foreign.items():
            example = trace.examples[trace.slots.index(("source", index, ""))]
            ticks = min(ticks, next((j for j, raw in enumerate(raws) if not _fits(raw, example)), ticks))
        if ticks == 0:
            return 0
        outside = {index: self.outside[index][k : k + ticks] for index in trace.outside}
        said = self.compiled.compute(block.state, block.first + k, ticks, outside, foreign)
        self.said += said
        if self.interpreted:
            self._flush()
        return len(said)

    def _fires(self, k: int) -> bool:
        return k == 0 and any(node in self.region.names for node, _ in self.block.triggers)

    def _expected(self, k: int) -> int:
        """For how many ticks, from tick k on, what the program expects comes in from elsewhere, and nothing else."""
        trace = self.compiled.trace
        coming = [(self.outside[index], trace.examples[len(trace.slots) + n]) for n, index in enumerate(trace.outside)]
        silent = [self.outside[index] for index in trace.absent]
        for j in range(k, self.block.whole):
            if any(lane[j] is not ABSENT for lane in silent):
                return j - k
            # A value of another shape is a failure, which the interpreter puts into words.
            if any(not _fits(lane[j], example) for lane, example in coming):
                return j - k
        return self.block.whole - k

    def _raws(self, influence: Any, k: int, ticks: int) -> list[Any]:
        """What the source of a route said last before each tick."""
        raws = [self.block.state.sources[influence.index]]
        for j in range(k, k + ticks - 1):
            spoken = self.block._raw(influence, j)
            raws.append(raws[-1] if spoken is ABSENT else spoken)
        return raws

    def _flush(self) -> None:
        """Write out tick by tick what the program has said."""
        if not self.said:
            return
        ports = self.compiled.trace.spoken
        packed = self._stacked()
        for port, lane in self.lanes.items():
            if port in ports:
                lane.extend(ports[port].unpacked(packed).unbind(0))
            else:
                lane.extend([ABSENT] * len(self.said))
        self.said = []

    def _close(self) -> None:
        if self.interpreted or not self.said:
            self._flush()
            self.block._keep(self.lanes)
            return
        ports = self.compiled.trace.spoken
        packed = self._stacked()
        for port in self.lanes:
            if port in ports:
                self.block.values[port] = Block.of(ports[port].unpacked(packed))
            else:
                self.block.values[port] = Block.constant(ABSENT, len(self.said))

    def _stacked(self) -> list[torch.Tensor]:
        return [torch.stack(tensors) for tensors in zip(*self.said, strict=True)]
