"""Parquet: a row for every tick, a column for every port; see `attractor.recording.table`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from attractor.recording.column import Column
from attractor.recording.recording import Recording


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write columns of a recording, with what the recording says of them."""
    names = ["tick", "t", *(one.name for one in columns)]
    done, writer = 0, None
    try:
        for group in recording.tables(names):
            writer = writer or pq.ParquetWriter(into, group.schema, compression="zstd")
            writer.write_table(group)
            done += group.num_rows
            progress(done / max(1, recording.rows))
    finally:
        if writer is not None:
            writer.close()


def write_table(table: pa.Table, into: Path) -> None:
    """Write a table as it is."""
    pq.write_table(table, into, compression="zstd")
