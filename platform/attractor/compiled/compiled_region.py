"""A region that has been compiled, and its way through a block of ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from attractor.block_pass import BlockPass, LoopPass, ProgramState
from attractor.compiled.compiler import Compiled, compiled
from attractor.compiled.live import Base
from attractor.compiled.region import Region
from attractor.compiled.trace import Trace, Tracer
from attractor.compiled.untraceable import TooLarge
from attractor.node import ABSENT, Block

MAX_TICKS: Final = 8
"""Ticks in one call. More of them only make the compilation longer."""
MAX_OPERATIONS: Final = 1500
"""Operations in one program, which bounds the time of its compilation: about a minute on one core."""


class CompiledTicks:
    """A region over a fixed number of ticks, ready to be called."""

    def __init__(self, trace: Trace, call: Compiled) -> None:
        self.trace = trace
        self.call = call
        self._given: list[Any] = list(trace.examples)
        self._holds = True
        self._version = -1

    def ready(self, base: Base, version: int) -> bool:
        """Whether the program is right for the base values, of which `version` tells when they changed."""
        if version != self._version:
            self._version = version
            self._holds = self.trace.live.holds(base)
            if self._holds:
                for place, tensor, evaluate in self.trace.numbers:
                    # A tensor of its own: the program may have handed the one before on, into the state or to a port.
                    number = torch.as_tensor(evaluate(base), dtype=tensor.dtype, device=tensor.device)
                    self._given[place] = number.contiguous()
        return self._holds

    def run(
        self, state: ProgramState, tick: int, outside: Mapping[int, torch.Tensor], foreign: Sequence[torch.Tensor]
    ) -> list[torch.Tensor] | None:
        """The ports of `trace.spoken`, and the state moved on; None, with nothing moved, when not all is well."""
        trace, given = self.trace, self._given
        at = 0
        for part, name, key in trace.slots:
            given[at] = _entering(state, part, name, key)
            at += 1
        for index in trace.outside:
            given[at] = outside[index]
            at += 1
        for raws in foreign:
            given[at] = raws
            at += 1
        given[at] = torch.tensor(tick)
        for place, draw in trace.draws:
            given[place] = draw(tick).contiguous()
        out = self.call(*given)
        if not bool(out[-1]):
            return None
        for (part, name, key), value in zip(trace.changed, out, strict=False):
            if part == "node":
                # A new mapping: whoever holds the state of before keeps it.
                state.nodes[str(name)] = {**state.nodes[str(name)], key: value}
            elif part == "smoothed":
                state.smoothed[int(name)] = value.item() if value.dim() == 0 else value
            else:
                {"delayed": state.delayed, "held": state.held, "source": state.sources}[part][int(name)] = value
        return list(out[len(trace.changed) : -1])


def _entering(state: ProgramState, part: str, name: int | str, key: str) -> torch.Tensor:
    if part == "node":
        value = state.nodes[str(name)][key]
    elif part == "smoothed":
        value = torch.as_tensor(state.smoothed[int(name)], dtype=torch.float64)
    else:
        value = {"delayed": state.delayed, "held": state.held, "source": state.sources}[part][int(name)]
    # The program was made for dense inputs.
    made: torch.Tensor = value.contiguous()
    return made


def traced(
    region: Region, state: ProgramState, base: Base, device: torch.device, silent: frozenset[int]
) -> tuple[Trace, Trace]:
    """A region over one tick, and over as many as one call shall compute.

    Raises:
        Untraceable: a node of the region cannot be part of a program.
        TooLarge: it has too many operations.
    """
    tracer = Tracer(region, state, base, device, silent)
    single = tracer.trace(1)
    if single.operations > MAX_OPERATIONS:
        raise TooLarge(f"it has {single.operations} operations a tick, compiled are up to {MAX_OPERATIONS}")
    ticks = min(MAX_TICKS, MAX_OPERATIONS // max(1, single.operations))
    return single, tracer.trace(ticks) if ticks > 1 else single


class CompiledRegion:
    """A region with its programs: one for single ticks, one for several at once."""

    def __init__(self, single: Trace, several: Trace) -> None:
        self.region = single.region
        self.ticks = several.ticks
        self.single = CompiledTicks(single, compiled(single))
        self.several = self.single if several is single else CompiledTicks(several, compiled(several))

    @property
    def spoken(self) -> frozenset[tuple[str, str]]:
        """The ports that speak at every tick."""
        return frozenset(self.single.trace.spoken)

    def run(self, block: BlockPass, version: int) -> None:
        """Take a block through the region."""
        RegionPass(block, self, version).run()


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
        self.pieces: list[tuple[int, list[torch.Tensor]]] = []
        self.interpreted = False
        self.settled = False

    def run(self) -> None:
        k = 0
        try:
            while k < self.block.ticks:
                done = self._programs(k)
                if done == 0:
                    self._flush()
                    self.interpreted, self.settled = True, False
                    for plan in self.plans:
                        self.step(plan, k)
                    self.hand_on(k)
                    done = 1
                k += done
        finally:
            self._close()

    def _programs(self, k: int) -> int:
        """Compute tick k, and those after it, by a program; returns how many were computed."""
        block = self.block
        if k >= block.whole or not self.compiled.single.ready(block.base, self.version) or self._fires(k):
            return 0
        if k > 0:
            for influence in self.region.foreign if self.settled else self.region.influences:
                spoken = self.raw(influence, k - 1)
                if spoken is not ABSENT:
                    block.state.sources[influence.index] = spoken
        if not self.settled and self.region.present(block.state) != self.compiled.single.trace.pattern:
            return 0
        several = self.compiled.ticks
        fits = k + several <= block.whole and self.compiled.several.ready(block.base, self.version)
        if fits and self._call(self.compiled.several, k, several):
            return several
        return 1 if self._call(self.compiled.single, k, 1) else 0

    def _fires(self, k: int) -> bool:
        return k == 0 and any(node in self.region.names for node, _ in self.block.triggers)

    def _call(self, program: CompiledTicks, k: int, ticks: int) -> bool:
        trace = program.trace
        coming: dict[int, torch.Tensor] = {}
        for index in trace.outside:
            items = self.outside[index][k : k + ticks]
            if any(item is ABSENT for item in items):
                return False
            coming[index] = torch.stack(items)
        if any(item is not ABSENT for index in trace.absent for item in self.outside[index][k : k + ticks]):
            return False
        foreign = [self._raws(influence, k, ticks) for influence in trace.foreign]
        said = program.run(self.block.state, self.block.first + k, coming, foreign)
        if said is None:
            return False
        self.settled = True
        self.pieces.append((ticks, said))
        if self.interpreted:
            self._flush()
        return True

    def _raws(self, influence: Any, k: int, ticks: int) -> torch.Tensor:
        last = self.block.state.sources[influence.index]
        raws = []
        for j in range(k, k + ticks - 1):
            spoken = self.block._raw(influence, j)
            last = last if spoken is ABSENT else spoken
            raws.append(last)
        return torch.stack(raws)

    def _flush(self) -> None:
        """Write out tick by tick what programs have said."""
        if not self.pieces:
            return
        ports = self.compiled.single.trace.spoken
        for ticks, piece in self.pieces:
            for port, stack in zip(ports, piece, strict=True):
                self.lanes[port].extend(stack.unbind(0))
            for port, lane in self.lanes.items():
                if port not in self.compiled.spoken:
                    lane.extend([ABSENT] * ticks)
        self.pieces = []

    def _close(self) -> None:
        if self.interpreted or not self.pieces:
            self._flush()
            self.block._keep(self.lanes)
            return
        ports = self.compiled.single.trace.spoken
        total = sum(ticks for ticks, _ in self.pieces)
        for port in self.lanes:
            self.block.values[port] = Block.constant(ABSENT, total)
        for number, port in enumerate(ports):
            stacks = [piece[number] for _, piece in self.pieces]
            self.block.values[port] = Block.of(stacks[0] if len(stacks) == 1 else torch.cat(stacks))
