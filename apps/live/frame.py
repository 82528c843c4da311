"""One frame of a port on its way from the worker to a viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALAR = "scalar"
"""Value kind that travels as a `scalar` message: a plain list of numbers."""


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """Values of one port over `n` ticks.

    Attributes:
        run: id of the run.
        node, port: the port that was subscribed.
        kind: the port's data kind (`contract.md` section 1).
        source: the output port the values come from (`node.port`).
        ticks: int64 `[n]`, rising.
        t: seconds of simulated time at the last tick.
        data: array `[n, ...]`, or a list of `n` JSON-able objects for kinds without an array form.
        seq: number of the frame within its (run, node, port), from 1; a hole means frames were dropped.
    """

    run: str
    node: str
    port: str
    kind: str
    source: str
    ticks: NDArray[np.int64]
    t: float
    data: NDArray[Any] | list[Any]
    seq: int

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.port)

    @property
    def tick(self) -> int:
        """The last tick in the frame."""
        return int(self.ticks[-1])

    @property
    def nbytes(self) -> int:
        """Size of the values; objects count 256 bytes each, which bounds queues without encoding them."""
        if isinstance(self.data, np.ndarray):
            return int(self.data.nbytes)
        return 256 * len(self.data)

    def decimated(self, every: int, done: int) -> LiveFrame | None:
        """The first value of each window of `every` ticks (windows start at multiples of `every`), skipping windows
        up to the one numbered `done`; None when nothing is left. A port that speaks at every tick gives its
        multiples of `every`, one that speaks seldom loses nothing.
        """
        windows = self.ticks // every
        first = np.flatnonzero(np.diff(windows, prepend=done) > 0)
        if first.size == 0:
            return None
        return self if first.size == self.ticks.size else self._select(first)

    def taken(self, take: int | None) -> LiveFrame:
        """At most `take` elements along the first axis of each value, evenly spread from the first to the last."""
        if take is None or not isinstance(self.data, np.ndarray) or self.data.ndim < 2:
            return self
        count = self.data.shape[1]
        if count <= take:
            return self
        return replace(self, data=self.data[:, np.linspace(0, count - 1, take).astype(np.intp)])

    def newest(self, limit_bytes: int) -> LiveFrame:
        """The newest ticks whose values fit into `limit_bytes`, one tick at least."""
        n = len(self.ticks)
        if self.nbytes <= limit_bytes or n == 1:
            return self
        keep = max(1, limit_bytes * n // self.nbytes)
        return self._select(np.arange(n - keep, n))

    def numbered(self, seq: int) -> LiveFrame:
        """The same frame with another number."""
        return replace(self, seq=seq)

    def followed_by(self, later: LiveFrame) -> LiveFrame:
        """This frame with a later one of the same port appended; the later one alone if the shapes differ."""
        if isinstance(self.data, np.ndarray) and isinstance(later.data, np.ndarray):
            if self.data.shape[1:] != later.data.shape[1:] or self.data.dtype != later.data.dtype:
                return later
            data: NDArray[Any] | list[Any] = np.concatenate((self.data, later.data))
        elif isinstance(self.data, list) and isinstance(later.data, list):
            data = self.data + later.data
        else:
            return later
        return replace(later, ticks=np.concatenate((self.ticks, later.ticks)), data=data)

    def _select(self, rows: Sequence[int] | NDArray[np.intp]) -> LiveFrame:
        data = self.data[rows] if isinstance(self.data, np.ndarray) else [self.data[i] for i in rows]
        return replace(self, ticks=self.ticks[rows], data=data)
