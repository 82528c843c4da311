"""NPZ: for every port an array `node.port` and its ticks `node.port:ticks`; no pickles."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from attractor.exporting.flat import arrays_of
from attractor.recording.column import Array, Column
from attractor.recording.recording import Recording


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write columns of a recording, one after the other; `tick_seconds` turns ticks into seconds."""
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        _array(archive, "tick_seconds", np.array(recording.facts["tick_seconds"]))
        for n, one in enumerate(columns):
            ticks = [part.ticks[part.values[one.name][0]] for part in recording.parts([one])]
            said = np.concatenate(ticks) if ticks else np.zeros(0, np.int64)
            _array(archive, f"{one.name}:ticks", said.astype(np.int64))
            with archive.open(f"{one.name}.npy", "w", force_zip64=True) as stream:
                head: dict[str, Any] = {
                    "descr": np.lib.format.dtype_to_descr(one.dtype), "fortran_order": False,
                    "shape": (len(said), *one.shape),
                }  # fmt: skip
                np.lib.format.write_array_header_2_0(stream, head)
                for part in recording.parts([one]):
                    stream.write(np.ascontiguousarray(part.values[one.name][1]).tobytes())
            progress((n + 1) / len(columns))


def write_table(table: pa.Table, into: Path) -> None:
    """Write a table: an array for every column; texts as arrays of Unicode."""
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays_of(table).items():
            _array(archive, name, values)


def _array(archive: zipfile.ZipFile, name: str, values: Array) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, values, allow_pickle=False)
