"""Frames: what a watcher sees of a port, decimated in time and in elements to what he asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from attractor.composed import Composed
from attractor.node import ABSENT, Block


@dataclass(frozen=True, slots=True)
class Frame:
    """The values of a port over some ticks.

    Attributes:
        node, port: what was subscribed to; source: the output port it comes from.
        kind: data kind.
        tick, t: the last tick in it, and its time in seconds.
        ticks: shape (n,), int64.
        data: array of shape (n, …), or a list of n JSON-able objects (tables, texts, summaries of models).
        seq: number of the frame within its subscription.
    """

    node: str
    port: str
    source: str
    kind: str
    tick: int
    t: float
    ticks: np.ndarray[Any, np.dtype[np.int64]]
    data: Any
    seq: int


@dataclass(slots=True)
class Subscription:
    """A wish to see a port: every `every`-th value, at most `take` elements of the first axis, evenly spread."""

    node: str
    port: str
    source: str
    kind: str
    every: int
    take: int | None
    heard: int = 0
    seq: int = 0

    def frame(self, block: Block, first: int, seconds: Callable[[int], float]) -> Frame | None:
        """The frame of a block that starts at tick `first`; None when there is nothing to show."""
        ticks: list[int] = []
        items: list[Any] = []
        for k, item in enumerate(block.items):
            if item is ABSENT:
                continue
            if self.heard % self.every == 0:
                ticks.append(first + k)
                items.append(item)
            self.heard += 1
        if not items:
            return None
        self.seq += 1
        data: Any = items
        if isinstance(items[0], torch.Tensor):
            data = torch.stack([_spread(item, self.take) for item in items]).detach().cpu().numpy()
        else:
            # Objects are whole states of affairs: the newest says everything.
            newest = items[-1]
            ticks, data = ticks[-1:], [newest.summary() if isinstance(newest, Composed) else newest]
        return Frame(
            self.node, self.port, self.source, self.kind, ticks[-1], seconds(ticks[-1]),
            np.asarray(ticks, dtype=np.int64), data, self.seq,
        )  # fmt: skip


@dataclass(slots=True)
class Tap:
    """A wish to record a numeric port: of every `every` ticks of the run the first value, whole.

    Which values are taken follows from their ticks alone (`window` is that of the last one), so that a session which
    goes on takes what one takes that was never stopped.
    """

    node: str
    port: str
    source: str
    kind: str
    every: int
    window: int = -1
    seq: int = 0

    def frame(self, block: Block, first: int, seconds: Callable[[int], float]) -> Frame | None:
        """What is recorded of a block that starts at tick `first`; None when that is nothing."""
        ticks: list[int] = []
        items: list[torch.Tensor] = []
        for tick, item in enumerate(block.items, first):
            if item is not ABSENT and tick // self.every != self.window:
                self.window = tick // self.every
                ticks.append(tick)
                items.append(item)
        if not items:
            return None
        self.seq += 1
        data = torch.stack(items).detach().cpu().numpy()
        return Frame(
            self.node, self.port, self.source, self.kind, ticks[-1], seconds(ticks[-1]),
            np.asarray(ticks, dtype=np.int64), data, self.seq,
        )  # fmt: skip


def _spread(value: torch.Tensor, take: int | None) -> torch.Tensor:
    if take is None or value.dim() == 0 or value.shape[0] <= take:
        return value
    return value[torch.linspace(0, value.shape[0] - 1, take).long()]
