"""The clock of a run: its ticks, and which of them are ticks of a slower rate.

A run ticks at the faster of the rates that its nodes have. Tick j of a slower rate belongs to the time j/rate, and is
computed in the first tick of the run that does not begin before that time: nothing is known early, and tick 0 is a
tick of every rate. All of it is arithmetic of whole numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from attractor.port import Rate

CONTROL_RATE: Final = Fraction(100)
"""Control ticks a second."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate as seen from the ticks of a run: `own` ticks of the rate last as long as `ticks` of the run, in lowest
    terms, and own ≤ ticks. `every`: they are the same ticks."""

    ticks: int = 1
    own: int = 1
    # No property: it is asked several times for every node and tick.
    every: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", self.ticks == self.own)

    def before(self, tick: int) -> int:
        """How many ticks of the rate come before a tick of the run; if that is one of the rate, its own number."""
        return tick if self.every else (tick - 1) * self.own // self.ticks + 1

    def moment(self, own: int) -> int:
        """The tick of the run in which tick `own` of the rate is computed."""
        return own if self.every else -(-own * self.ticks // self.own)

    def due(self, tick: int) -> bool:
        """Whether a tick of the run is one of the rate."""
        return self.every or self.before(tick + 1) > self.before(tick)

    def phase(self, tick: int) -> float:
        """How much time has passed since the rate's latest tick, 0 … 1 of its period."""
        return tick * self.own % self.ticks / self.ticks


EVERY_TICK: Final = Pace()


@dataclass(frozen=True, slots=True)
class Clock:
    """The ticks of a run.

    Attributes:
        rate: ticks a second.
        rates: the rates of its nodes, in Hz.
    """

    rate: Fraction
    rates: Mapping[Rate, Fraction]

    @classmethod
    def of(cls, rates: Collection[Rate], audio: Fraction) -> Clock:
        """The clock of nodes with these rates, `audio` being the audio blocks a second."""
        hertz: dict[Rate, Fraction] = {"control": CONTROL_RATE, "audio": audio}
        own = {rate: hertz[rate] for rate in sorted(rates)} or {"control": CONTROL_RATE}
        return cls(max(own.values()), own)

    @property
    def tick_seconds(self) -> float:
        """Length of a tick."""
        return float(1 / self.rate)

    def pace(self, rate: Rate) -> Pace:
        """A rate as seen from the ticks of the run."""
        period = self.rate / self.rates[rate]
        return Pace(period.numerator, period.denominator)

    def seconds(self, rate: Rate) -> float:
        """From one tick of a rate to the next."""
        return float(1 / self.rates[rate])
