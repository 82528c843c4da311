"""PNG: rows of numbers over time as a picture, or the last picture of a field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from attractor.recording.column import Array, Column
from attractor.recording.recording import Recording

ONLY: Final = "rows of numbers (vector, prob), spins and categories of one chain, and flat fields and matrices"
MOST_PIXELS: Final = 4096
"""Of a side; of more, evenly spread ones are shown."""


def takes(one: Column) -> bool:
    if max(one.shape, default=0) > MOST_PIXELS or not one.elements:
        return False
    return one.kind in ("vector", "prob") or (
        one.kind in ("spin", "cat", "matrix", "field")
        and len(one.shape) == 2
        and (_over_time(one) or min(one.shape) > 1)
    )


def _over_time(one: Column) -> bool:
    return one.kind in ("vector", "prob") or (one.kind in ("spin", "cat") and one.shape[0] == 1)


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write one column as grey levels, 0 for its least and 65535 for its greatest value.

    Rows of numbers: time goes to the right, the first unit is on top. Fields, matrices and chains: the last value. The
    text chunks `min`, `max` and `unit` say what black and white are, `ticks` which ticks are shown.

    Raises:
        ValueError: nothing was recorded of it, or something that is no finite number, which has no grey level.
    """
    (one,) = columns
    picture, ticks = _picture(recording, one, progress)
    if not np.isfinite(picture).all():
        raise ValueError(f"{one.name} holds values that are not finite, which have no grey level")
    least, greatest = float(picture.min()), float(picture.max())
    span = greatest - least or 1.0
    grey = np.rint((picture.astype(np.float64) - least) / span * 65535).astype(np.uint16)
    said = PngInfo()
    facts = {"port": one.name, "unit": one.unit, "min": repr(least), "max": repr(greatest), "ticks": ticks}
    for name, text in facts.items():
        said.add_itxt(name, text)
    Image.fromarray(grey).save(into, "PNG", pnginfo=said)
    progress(1.0)


def _picture(recording: Recording, one: Column, progress: Callable[[float], None]) -> tuple[Array, str]:
    kept: list[Array] = []
    ticks: list[int] = []
    stride = max(1, -(-recording.rows // MOST_PIXELS))
    seen = done = 0
    for part in recording.parts([one]):
        present, data = part.values[one.name]
        said = part.ticks[present]
        if not _over_time(one):
            kept, ticks = ([data[-1]], [int(said[-1])]) if len(data) else (kept, ticks)
        else:
            first = -seen % stride
            kept.append(data[first::stride].reshape(-1, one.elements))
            ticks += said[first::stride].tolist()
            seen += len(data)
        done += len(part.ticks)
        progress(0.9 * done / max(1, recording.rows))
    if not ticks:
        raise ValueError(f"nothing was recorded of {one.name}")
    where = f"{ticks[0]} to {ticks[-1]}, {len(ticks)} of them"
    return (np.concatenate(kept).T if _over_time(one) else kept[0]), where
