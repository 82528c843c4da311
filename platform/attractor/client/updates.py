"""What a run tells those who follow it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FINAL = frozenset({"succeeded", "failed", "cancelled"})
"""States that a run never leaves."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, numbered without gaps from 1 and kept by the server.

    Attributes:
        kind: `status`, `log`, `error`, `control`, `metric` or `result`.
        tick: of the run's clock; None when it happened outside it.
        at: when, ISO 8601.
    """

    seq: int
    kind: str
    tick: int | None
    at: str
    payload: dict[str, Any] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether the run was over with it."""
        return self.kind == "status" and self.payload.get("state") in FINAL

    @property
    def text(self) -> str:
        """It in words."""
        payload = self.payload
        if self.kind == "status":
            return f"{payload.get('state', '')}" + (f": {payload['reason']}" if payload.get("reason") else "")
        if self.kind == "control":
            done = f"{payload.get('do')} {payload.get('target') or ''}".strip()
            return done + (f" = {payload['value']}" if "value" in payload else "")
        node = f"{payload['node']}: " if payload.get("node") else ""
        return f"{node}{payload.get('message', payload)}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run is; the newest is worth as much as all before it.

    Attributes:
        state: `queued`, `running` or a final one.
        progress: 0 to 1.
        eta_s: seconds left, as the worker estimates; None while nothing is known.
    """

    state: str
    tick: int
    progress: float
    eta_s: float | None
    ticks_per_s: float | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """Values of one port over `n` ticks.

    Attributes:
        kind: the port's data kind.
        ticks: int64 `[n]`, rising.
        t: seconds of simulated time at the last tick.
        values: array `[n, …]`, complex values as (re, im) in a last axis; a list of `n` objects for tables and texts.
        seq: number of the frame; a hole means that frames were dropped, which happens when they come too fast.
    """

    node: str
    port: str
    kind: str
    ticks: NDArray[np.int64]
    t: float
    values: NDArray[Any] | list[Any]
    seq: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the following itself: a port that cannot be watched, a connection that was lost."""

    message: str


Update = Event | Progress | Frame | Notice
