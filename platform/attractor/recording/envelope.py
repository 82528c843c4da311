"""A long series in few points, with every minimum and maximum that could be seen: what a plot of it needs.

The axis is cut into intervals of one width, and of each the smallest and the largest value are kept, at their own
places. A line through these touches the same pixels as one through all values, as long as an interval is no wider than
a pixel (Jugel, Jerzak, Hackenbroich & Markl 2014, Proc. VLDB Endow. 7:797, there with the first and last values too).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from attractor.recording.column import Array, Column
from attractor.recording.recording import Part, Recording

FEWEST_POINTS: Final = 4
"""The two ends, and a minimum and a maximum."""


class Envelope:
    """Takes a series piece by piece; holds no more than twice `points` values of it.

    Args:
        begin, end: the ends of the axis; values lie between them.
        points: how many may be kept, at least `FEWEST_POINTS`. A series of no more is kept as it is.
    """

    def __init__(self, begin: float, end: float, points: int) -> None:
        if points < FEWEST_POINTS:
            raise ValueError(f"an envelope has {FEWEST_POINTS} points or more, not {points}")
        self.taken = 0
        self.not_finite = 0
        self._begin, self._most = begin, points
        self._intervals = (points - 2) // 2
        self._width = (end - begin) / self._intervals if end > begin else 1.0
        self._whole: list[tuple[Array, Array]] | None = []
        size = self._intervals
        self._low_y, self._high_y = np.full(size, np.inf), np.full(size, -np.inf)
        # NaN: nothing of the interval was taken. An interval without a finite value has a place and no extremes.
        self._low_x, self._high_x = np.full(size, np.nan), np.full(size, np.nan)
        self._ends: list[tuple[float, float]] = []

    @property
    def thinned(self) -> bool:
        """Whether there are fewer points than values were taken."""
        return self._whole is None

    def take(self, x: Array, y: Array) -> None:
        """Take the next values: places, growing from piece to piece, and values, both of shape (n,)."""
        if not len(x):
            return
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if not self.taken:
            self._ends = [(float(x[0]), float(y[0]))] * 2
        self._ends[1] = float(x[-1]), float(y[-1])
        self.taken += len(x)
        self.not_finite += int(np.count_nonzero(~np.isfinite(y)))
        if self._whole is None:
            self._fold(x, y)
            return
        if self.taken <= self._most:
            # A copy: what is given may be a view of a block that is much larger.
            self._whole.append((x.copy(), y.copy()))
            return
        held, self._whole = self._whole, None
        for piece in held:
            self._fold(*piece)
        self._fold(x, y)

    def points(self) -> tuple[list[float], list[float | None]]:
        """Places, growing, and values; None for what is not finite, where a line is broken."""
        if self._whole is not None:
            pairs = [(float(px), float(py)) for x, y in self._whole for px, py in zip(x, y, strict=True)]
        else:
            found: dict[float, float] = {}
            for k in np.flatnonzero(~np.isnan(self._low_x)):
                finite = np.isfinite(self._low_y[k])
                found[float(self._low_x[k])] = float(self._low_y[k]) if finite else float("nan")
                found[float(self._high_x[k])] = float(self._high_y[k]) if finite else float("nan")
            found |= dict(self._ends)
            pairs = sorted(found.items())
        return [px for px, _ in pairs], [py if np.isfinite(py) else None for _, py in pairs]

    def _fold(self, x: Array, y: Array) -> None:
        places = np.clip(((x - self._begin) / self._width).astype(np.int64), 0, self._intervals - 1)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(x)], strict=True):
            k = places[start]
            finite = start + np.flatnonzero(np.isfinite(y[start:stop]))
            if not len(finite):
                if np.isnan(self._low_x[k]):
                    self._low_x[k] = self._high_x[k] = x[start]
                continue
            low, high = finite[np.argmin(y[finite])], finite[np.argmax(y[finite])]
            if y[low] < self._low_y[k]:
                self._low_x[k], self._low_y[k] = x[low], y[low]
            if y[high] > self._high_y[k]:
                self._high_x[k], self._high_y[k] = x[high], y[high]


def elements_of(one: Column) -> int:
    """Of how many numbers one may be chosen: 1 of a signal, whose numbers follow each other in time."""
    return 1 if one.kind == "signal" else one.elements


def envelope(
    recording: Recording, one: Column, ticks: int, points: int, element: int = 0, *, seconds: bool = False
) -> Envelope:
    """One number of a column over the whole recording, read a row group at a time.

    A signal is the row of its samples, a complex number its magnitude, a trigger 0 or 1.

    Args:
        ticks: of the run that were recorded.
        points: how many are kept, at most.
        element: which number of a value, counted along its last axis first; of a signal 0.
        seconds: the axis is simulated time, in seconds; else ticks of the run, of which samples have fractions.

    Raises:
        ValueError: a value has no such element, or there are fewer points than `FEWEST_POINTS`.
    """
    if not 0 <= element < elements_of(one):
        raise ValueError(f"a value of {one.name} has {elements_of(one)} elements, and none of number {element}")
    tick = float(recording.facts["tick_seconds"])
    scale = tick if seconds else 1.0
    found = Envelope(0.0, (ticks - 1 + _lasts(one, tick)) * scale, points)
    for part in recording.parts([one]):
        found.take(*_series(part, one, element, scale, tick))
    return found


def _lasts(one: Column, tick: float) -> float:
    """Ticks of the run for which a value stands."""
    return 0.0 if one.fs is None else one.elements / (one.fs * tick)


def _series(part: Part, one: Column, element: int, scale: float, tick: float) -> tuple[Array, Array]:
    present, data = part.values[one.name]
    begins: Array = part.ticks[present].astype(np.float64)
    if one.fs is not None:
        samples: Array = np.arange(one.elements) / (one.fs * tick)
        return ((begins[:, None] + samples) * scale).reshape(-1), data.reshape(-1)
    values: Any = data.reshape(len(data), one.elements)[:, element]
    return begins * scale, np.abs(values) if one.dtype.kind == "c" else values
