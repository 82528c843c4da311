"""Takes what a session recorded, block by block, and writes it in segments of whole ticks."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from attractor.frame import Frame
from attractor.recording.column import Array, Column
from attractor.recording.table import schema, tables


@dataclass(frozen=True, slots=True)
class Segment:
    """The ticks `first` … `until` - 1 of a recording, in a file.

    Attributes:
        content: SHA-256 of the file, in hexadecimal.
        last: the last tick that was recorded of each port up to here, in this segment or one before it.
        raw: bytes of the values in it, whatever their form in the file takes.
    """

    path: Path
    content: str
    first: int
    until: int
    rows: int
    size: int
    last: Mapping[str, int]
    raw: int


class Recorder:
    """Holds what was recorded since the last segment.

    `take` belongs to the thread of the session, `cut` to any, one at a time.

    Args:
        columns: what is recorded.
        facts: of the run, see `table.schema`.
        first: the tick that the next segment begins with.
        last: as of the last segment.
    """

    def __init__(
        self, columns: Sequence[Column], facts: Mapping[str, Any], first: int = 0, last: Mapping[str, int] | None = None
    ) -> None:
        self.columns = list(columns)
        self.held_bytes = self._values = 0
        self._schema = schema(columns, facts)
        self.first = self._until = first
        self._last = dict(last or {})
        self._held: dict[str, list[tuple[Array, Array]]] = {one.name: [] for one in columns}
        self._lock = threading.Lock()

    def last(self, name: str) -> int | None:
        """The last tick that was recorded of a port."""
        return self._last.get(name)

    def take(self, frames: Iterable[Frame], until: int) -> None:
        """Take what was recorded in the ticks before `until`."""
        with self._lock:
            for frame in frames:
                name = f"{frame.node}.{frame.port}"
                self._held[name].append((frame.ticks, frame.data))
                self._last[name] = int(frame.ticks[-1])
                self.held_bytes += frame.data.nbytes + frame.ticks.nbytes
                self._values += frame.data.nbytes
            self._until = until

    def cut(self, folder: Path) -> Segment | None:
        """Write what is held as a segment into a folder; None when no tick has passed since the last.

        What cannot be written is lost, and `first` stays: it tells from where on.
        """
        with self._lock:
            first, until, last = self.first, self._until, dict(self._last)
            if first == until:
                return None
            held, self._held = self._held, {one.name: [] for one in self.columns}
            raw, self.held_bytes, self._values = self._values, 0, 0
        found = tables(
            self._schema,
            {
                name: (np.concatenate([ticks for ticks, _ in parts]), np.concatenate([data for _, data in parts]))
                for name, parts in held.items()
                if parts
            },
        )
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{first}-{until}.parquet"
        rows = 0
        with pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=False) as writer:
            for one in found:
                writer.write_table(one)
                rows += one.num_rows
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        self.first = until
        return Segment(path, content, first, until, rows, path.stat().st_size, last, raw)
