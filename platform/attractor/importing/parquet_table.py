"""Parquet: columns of numbers, booleans, texts, and lists of numbers of one length."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attractor.importing.report import MOST_COLUMNS, Found, Report

FOOTER: Final = 2**22
GROUPS: Final = 100_000
BATCH_BYTES: Final = 2**22
_FORMAT: Final = 1


def check(path: Path, report: Report) -> None:
    """Check types, sizes and every number; `unit` of a field's metadata is its unit."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, size - 8))
        tail = file.read(8)
    if size < 12 or head != b"PAR1" or tail[4:] != b"PAR1":
        report.say("file", "is no Parquet file: its marks are missing.", "Write it anew.")
        return
    (footer,) = struct.unpack("<I", tail[:4])
    if footer > min(size - 12, FOOTER):
        report.say("file", f"says its description has {footer:,} bytes.", "Write it anew, in fewer parts.")
        return
    try:
        with pq.ParquetFile(
            path, thrift_string_size_limit=FOOTER, thrift_container_size_limit=GROUPS, page_checksum_verification=True
        ) as table:
            _check(table, report)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        report.say("file", f"cannot be read: {str(error)[:300]}.", "Write it anew.")


def _check(table: pq.ParquetFile, report: Report) -> None:
    rows = table.metadata.num_rows
    fields = list(table.schema_arrow)
    if len(fields) > MOST_COLUMNS:
        report.say("file", f"has {len(fields)} columns; {MOST_COLUMNS} are allowed.", "Split it.")
        return
    said = (table.schema_arrow.metadata or {}).get(b"attractor")
    if said is not None:
        version = json.loads(said).get("format")
        if version != _FORMAT:
            report.say("file", f"is a recording of format {version!r}; {_FORMAT} is read here.", "Update Attractor.")
    width, taken = 0, []
    for one in fields:
        found = _kind(one.type)
        if found is None:
            report.say(
                f"column {one.name}", f"has the type {one.type}, which is not taken.", "Make numbers or texts of it."
            )
            continue
        kind, dtype, shape = found
        width += int(np.prod(shape)) * (np.dtype(dtype).itemsize if kind != "text" else 16)
        unit = (one.metadata or {}).get(b"unit", b"").decode("utf-8", "replace")
        report.add(Found(one.name, kind, dtype, (rows, *shape), unit))
        taken.append(one.name)
    names = [one.name for one in fields]
    for name in {name for name in names if names.count(name) > 1}:
        report.say(f"column {name}", "is there twice.", "Give every column a name of its own.")
    packed = sum(table.metadata.row_group(n).total_byte_size for n in range(table.metadata.num_row_groups))
    if report.total or not report.fits(max(packed, rows * width), "file"):
        return
    row = 0
    for batch in table.iter_batches(max(1, BATCH_BYTES // max(1, width)), columns=taken, use_threads=False):
        for one in report.columns:
            if one.kind not in ("number", "complex"):
                continue
            column = batch.column(one.name)
            if column.null_count and not report.allows_nan(one.name):
                # Nothing is no number that is wrong; it is left out.
                column = column.filter(column.is_valid())
            if len(one.shape) > 1:
                column = column.flatten()
            values = column.to_numpy(zero_copy_only=False)
            report.numbers(one.name, values.reshape(-1, *one.shape[1:]) if len(one.shape) > 1 else values, row)
        row += batch.num_rows


def _kind(found: pa.DataType) -> tuple[str, str, tuple[int, ...]] | None:
    """Kind, type of an element, and shape of a value; None when it is not taken."""
    if pa.types.is_fixed_size_list(found):
        inner = _kind(found.value_type)
        return None if inner is None or inner[2] or inner[0] == "text" else (inner[0], inner[1], (found.list_size,))
    if pa.types.is_boolean(found):
        return "bool", "bool", ()
    if pa.types.is_integer(found) or pa.types.is_floating(found):
        return "number", str(np.dtype(found.to_pandas_dtype())), ()
    if pa.types.is_string(found) or pa.types.is_large_string(found):
        return "text", "str", ()
    return None
