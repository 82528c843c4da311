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
    if one.kind == "signal":
        return one.every == 1 and one.fs is not None and _whole(one.fs) is not None
    # A node that speaks more seldom than the run ticks may have another rate, which `write` knows.
    return one.kind == "scalar" and _whole(one.rate / one.every) is not None


def _whole(rate: float) -> int | None:
    """Samples a second as a whole number; None of what is none."""
    return round(rate) if rate >= 1 and abs(rate - round(rate)) < 1e-9 * rate else None


def _ticks_apart(one: Column, tick_seconds: float) -> float:
    """Ticks of the run from a value to the next. Raises ValueError: they are not evenly apart."""
    spoken = 1.0 / (tick_seconds * one.rate)
    if one.every == 1:
        return spoken
    apart = max(spoken, float(one.every))
    ratio = apart / min(spoken, float(one.every))
    if abs(ratio - round(ratio)) > 1e-9 * ratio:
        raise ValueError(f"{one.name} spoke every {spoken:g} ticks and was recorded every {one.every}: not evenly")
    return apart


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write one column. Ticks at which the port said nothing are silent.

    Raises:
        ValueError: nothing was recorded of it, or not at a whole number of samples a second.
    """
    (one,) = columns
    seconds = recording.facts["tick_seconds"]
    step = _ticks_apart(one, seconds)
    rate = _whole(one.elements / (step * seconds))
    if rate is None:
        raise ValueError(f"{one.name} has {one.elements / (step * seconds):g} samples a second, no whole number")
    total = 0
    for part in recording.parts([one]):
        said = part.ticks[part.values[one.name][0]]
        if len(said):
            total = round(float(said[-1]) / step) + 1
    if not total:
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
