"""WAV: one signal as 32-bit floating-point samples, which come back exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from scipy.io import wavfile

from attractor.recording.column import Column
from attractor.recording.recording import Recording

ONLY: Final = "signals of which every block was recorded, and numbers, at a whole number of samples a second"


def takes(one: Column) -> bool:
    return _rate(one) is not None


def _rate(one: Column) -> int | None:
    """Samples a second; None when there is no such number."""
    if one.kind == "signal" and one.every == 1 and one.fs is not None:
        rate = one.fs
    elif one.kind == "scalar":
        rate = one.rate / one.every
    else:
        return None
    return round(rate) if rate >= 1 and abs(rate - round(rate)) < 1e-9 * rate else None


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write one column. Ticks at which the port said nothing are silent.

    Raises:
        ValueError: nothing was recorded of it.
    """
    (one,) = columns
    rate = _rate(one)
    total = 0
    step = 1.0 / (recording.facts["tick_seconds"] * one.rate) * (1 if one.kind == "signal" else one.every)
    for part in recording.parts([one]):
        said = part.ticks[part.values[one.name][0]]
        if len(said):
            total = round(float(said[-1]) / step) + 1
    if not total or rate is None:
        raise ValueError(f"nothing was recorded of {one.name}")
    raw = into.with_suffix(".raw")
    try:
        samples = np.memmap(raw, np.float32, "w+", shape=(total, one.elements))
        done = 0
        for part in recording.parts([one]):
            present, data = part.values[one.name]
            places = np.rint(part.ticks[present] / step).astype(np.int64)
            samples[places] = data.reshape(len(data), one.elements)
            done += len(part.ticks)
            progress(done / max(1, recording.rows))
        wavfile.write(into, rate, samples.reshape(-1))
    finally:
        raw.unlink(missing_ok=True)
