"""Resamplers: what stands on an edge between nodes of different rates, and the running mean of spins.

They work on what arrives, after the conversion and the delay of the edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from attractor.clock import Pace
from attractor.kinds import KINDS
from attractor.node import ABSENT

Memory = dict[str, Any]

UP: Final = ("hold", "linear")
"""From a slower rate to a faster one; the first is the default."""
DOWN: Final = ("last", "mean")
"""From a faster rate to a slower one; the first is the default."""
EVENT: Final = "any"
"""Of triggers, in both directions."""


class ResamplerRefused(ValueError):
    """No such resampler can stand there; `mend` says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def resampler_name(chosen: str | None, kind: str, source: Pace, target: Pace) -> str | None:
    """The resampler of an edge that carries `kind`; None between equal rates.

    Args:
        chosen: the edge's own choice, None for the default.
        source, target: the paces of its ends.

    Raises:
        ResamplerRefused: the choice is unknown, or impossible here.
    """
    if source == target:
        if chosen is not None:
            raise ResamplerRefused("both ends have the same rate.", "Remove `resample` from the edge.")
        return None
    if kind == "trigger":
        possible: tuple[str, ...] = (EVENT,)
    else:
        possible = UP if target.every else DOWN
        if not _may_be_averaged(kind, possible):
            possible = possible[:1]
    if chosen is None:
        return possible[0]
    if chosen not in possible:
        way = "a slower rate to a faster one" if target.every else "a faster rate to a slower one"
        known = chosen in (*UP, *DOWN, EVENT)
        what = f"cannot take a {kind} from {way}" if known else "is unknown"
        mend = " or ".join(f'"{name}"' for name in possible)
        raise ResamplerRefused(f"the resampler {chosen!r} {what}.", f'Set "resample" to {mend}, or leave it out.')
    return chosen


def _may_be_averaged(kind: str, way: tuple[str, ...]) -> bool:
    """Spins and categories have no average, and that of the waves in two blocks of samples means nothing."""
    dtype = KINDS[kind].dtype if kind in KINDS else None
    if dtype is None or (kind == "signal" and way == DOWN):
        return False
    return dtype.is_floating_point or dtype.is_complex


@dataclass(frozen=True, slots=True)
class Resampler:
    """A resampler, which sees every tick of the run.

    ===========  =======================================================================================
    ``hold``     what the source said in its latest tick (zero-order hold)
    ``linear``   the straight line between its last two values, one of its periods late; a tick in which
                 it says nothing repeats its last value, and until it has a second one the first stands
    ``last``     the last value since the target's latest tick
    ``mean``     the mean of the values since the target's latest tick
    ``any``      whether the trigger was true since the target's latest tick
    ===========  =======================================================================================
    """

    name: str
    source: Pace
    target: Pace

    @property
    def lasting(self) -> bool:
        """Whether something arrives in every tick once the source has spoken."""
        return self.name in UP

    def step(self, memory: Memory, item: Any, tick: int) -> tuple[Memory, Any]:
        """One tick of the run.

        Args:
            memory: what the tick before handed on, {} at first; it is not changed.
            item: what the source said, ABSENT in ticks that are none of its rate.
            tick: of the run.

        Returns:
            what is handed on, and what arrives: ABSENT in ticks that are none of the target's rate.
        """
        match self.name:
            case "hold":
                if self.source.due(tick):
                    memory = {"last": item}
                return memory, memory["last"]
            case "linear":
                return self._line(memory, item, tick)
        if item is not ABSENT:
            memory = self._gathered(memory, item)
        if not memory or not self.target.due(tick):
            return memory, ABSENT
        return {}, memory["sum"] / memory["count"] if self.name == "mean" else memory["last"]

    def _line(self, memory: Memory, item: Any, tick: int) -> tuple[Memory, Any]:
        if self.source.due(tick):
            before = memory.get("last", ABSENT)
            last = before if item is ABSENT else item
            memory = {"before": last if before is ABSENT else before, "last": last}
        before, last = memory["before"], memory["last"]
        return memory, ABSENT if last is ABSENT else before + self.source.phase(tick) * (last - before)

    def _gathered(self, memory: Memory, item: Any) -> Memory:
        if not memory:
            return {"sum": item, "count": 1} if self.name == "mean" else {"last": item}
        match self.name:
            case "mean":
                return {"sum": memory["sum"] + item, "count": memory["count"] + 1}
            case "any":
                return {"last": memory["last"] | item}
        return {"last": item}


@dataclass(frozen=True, slots=True)
class RunningMean:
    """The mean of all that has arrived since the run began, each value of the source counted once.

    mₜ = mₜ₋₁ + (xₜ − mₜ₋₁)/t, in double precision, so that the mean of a long run does not lose what is added last.

    Args:
        then: what leads the mean to another rate, None between equal ones.
    """

    then: Resampler | None

    @property
    def lasting(self) -> bool:
        """Whether something arrives in every tick once the source has spoken."""
        return self.then is not None and self.then.lasting

    def step(self, memory: Memory, item: Any, tick: int) -> tuple[Memory, Any]:
        """One tick of the run, as `Resampler.step`."""
        own: Memory = {key: memory[key] for key in ("average", "seen") if key in memory}
        if item is not ABSENT:
            seen = own.get("seen", 0) + 1
            value = item.double()
            before = own.get("average", value)
            own = {"average": before + (value - before) / seen, "seen": seen}
            item = own["average"].to(item.dtype)
        if self.then is None:
            return own, item
        rest, arrives = self.then.step({key: memory[key] for key in memory if key not in own}, item, tick)
        return own | rest, arrives
