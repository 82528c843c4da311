"""Schedules of the two logic inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.logic_gate_detector.oscillators import Array

SAMPLES: Final = 200
PREROLL: Final = 48


@dataclass(frozen=True, slots=True)
class Schedule:
    """Two-level inputs of n recordings: `a` and `b` in {0, 1}, shape (n, ticks), of which the last `samples` are
    recorded.
    """

    a: Array
    b: Array
    preroll: int = PREROLL
    samples: int = SAMPLES

    @property
    def ticks(self) -> int:
        return self.preroll + self.samples


def draw_schedule(n: int, rng: np.random.Generator) -> Schedule:
    """Random schedules that visit all four rows at least twice in the recorded window.

    A window has 8 to 12 steps. Every step is early or late by up to a quarter of its length, and each input
    switches up to two samples off the step (jitter), so that the two never switch at exactly the same time for
    long.
    """
    ticks = PREROLL + SAMPLES
    steps = rng.integers(8, 13, n)
    length = SAMPLES / steps
    count = 12 + 8
    before = np.floor(PREROLL / length).astype(np.int64) + 1  # steps that begin before the window
    index = np.arange(count)
    # Two of each row, then random rows, shuffled inside the window; the pre-roll takes random rows.
    rows = rng.integers(0, 4, (n, count))
    for i in range(n):
        inside = np.concatenate([np.repeat(np.arange(4), 2), rng.integers(0, 4, steps[i] - 8)])
        rows[i, before[i] : before[i] + steps[i]] = rng.permutation(inside)
    # Step k begins at `edges[k]`; the first step of the window begins at the pre-roll's end.
    edges = PREROLL + (index[None, :] - before[:, None]) * length[:, None]
    edges = edges + rng.uniform(-0.25, 0.25, edges.shape) * length[:, None]
    time = np.arange(ticks)
    inputs: list[Array] = []
    for bit in (1, 0):
        jittered = edges + rng.uniform(-2.0, 2.0, edges.shape)
        step = (jittered[:, :, None] <= time).sum(axis=1) - 1
        row = np.take_along_axis(rows, np.clip(step, 0, count - 1), axis=1)
        inputs.append(((row >> bit) & 1).astype(np.float64))
    return Schedule(a=inputs[0], b=inputs[1])
