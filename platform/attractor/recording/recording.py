"""A recording as one file: put together of segments, and read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attractor.recording.column import Array, Column
from attractor.recording.table import columns_of, facts_of, group_rows, values_of

PART_BYTES: Final = 2**22
"""Cells of a part, about."""


def join(segments: Sequence[Path], into: Path) -> int:
    """Write the rows of segments, which follow each other, as one recording; how many rows it has.

    The file does not show where one segment ended and the next began.
    """
    known = pq.read_schema(segments[0])
    size, rows = group_rows(columns_of(known)), 0
    with pq.ParquetWriter(into, known, compression="zstd", use_dictionary=False) as writer:
        waiting = known.empty_table()
        for path in segments:
            with pq.ParquetFile(path) as segment:
                for group in range(segment.num_row_groups):
                    more = segment.read_row_group(group, use_threads=False)
                    waiting = pa.concat_tables([waiting, more.replace_schema_metadata(known.metadata)])
                    while waiting.num_rows >= size:
                        writer.write_table(waiting.slice(0, size).combine_chunks(), row_group_size=size)
                        waiting, rows = waiting.slice(size), rows + size
                    waiting = waiting.combine_chunks()
        if waiting.num_rows or not rows:
            writer.write_table(waiting, row_group_size=size)
    return rows + int(waiting.num_rows)


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a recording.

    Attributes:
        ticks, t: of the rows, shape (n,); t in seconds.
        values: by column, which rows have a value, shape (n,), and the values, shape (k, …).
    """

    ticks: Array
    t: Array
    values: dict[str, tuple[Array, Array]]


class Recording:
    """A recording in a Parquet file. Use it in a `with` statement.

    Args:
        source: its path, or the open file, which stays open; only what is asked for is read of it.

    Raises:
        ValueError: the file holds no recording.
    """

    def __init__(self, source: Path | IO[bytes]) -> None:
        try:
            self._file = pq.ParquetFile(source)
        except pa.ArrowException as error:
            raise ValueError(f"it is no Parquet file: {error}") from error
        self.facts: dict[str, Any] = facts_of(self._file.schema_arrow)
        self.columns = columns_of(self._file.schema_arrow)
        self.rows = int(self._file.metadata.num_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def column(self, name: str) -> Column:
        """Raises KeyError: there is none of this name."""
        found = {one.name: one for one in self.columns}
        return found[name]

    def parts(self, columns: Sequence[Column] | None = None) -> Iterator[Part]:
        """The rows in order, some at a time."""
        wanted = list(self.columns if columns is None else columns)
        names = ["tick", "t", *(one.name for one in wanted)]
        for group in range(self._file.num_row_groups):
            rows = self._file.read_row_group(group, columns=names, use_threads=False).combine_chunks()
            for batch in rows.to_batches(group_rows(wanted, PART_BYTES)):
                yield Part(
                    batch.column("tick").to_numpy(),
                    batch.column("t").to_numpy(),
                    {one.name: values_of(one, batch.column(one.name)) for one in wanted},
                )

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """The rows in order as Arrow, some at a time, and once nothing when there are none."""
        for group in range(self._file.num_row_groups):
            yield self._file.read_row_group(group, columns=list(names), use_threads=False)
        if not self._file.num_row_groups:
            yield self._file.read(columns=list(names), use_threads=False)

    def series(self, name: str) -> tuple[Array, Array]:
        """Ticks and values of one column, whole: shapes (k,) and (k, …)."""
        one = self.column(name)
        parts = [(part.ticks[part.values[name][0]], part.values[name][1]) for part in self.parts([one])]
        if not parts:
            return np.zeros(0, np.int64), np.zeros((0, *one.shape), one.dtype)
        return np.concatenate([ticks for ticks, _ in parts]), np.concatenate([data for _, data in parts])
