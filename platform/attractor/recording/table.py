"""The columns of a recording as Arrow: one row a tick, null where a port said nothing or was not taken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from attractor.recording.column import Array, Column

FORMAT: Final = 1
_KEY: Final = b"attractor"

GROUP_BYTES: Final = 2**24
"""Cells of a row group, about, those without a value too: what is held of a recording at once."""


def group_rows(columns: Iterable[Column], held: int = GROUP_BYTES) -> int:
    """Rows of a row group. It follows from the columns alone, so that the same values are the same file.

    Args:
        held: bytes that the cells of so many rows take, with and without a value.
    """
    return max(1, held // (16 + sum(one.elements * one.dtype.itemsize for one in columns)))


def schema(columns: Sequence[Column], facts: Mapping[str, Any]) -> pa.Schema:
    """The schema of a recording: `tick`, `t` in seconds, and a field for each port, which says what it is.

    Args:
        facts: JSON-able, of the run: `tick_seconds` among them.
    """
    fields = [pa.field("tick", pa.int64(), False), pa.field("t", pa.float64(), False, {b"unit": b"s"})]
    for one in columns:
        said = {_KEY: json.dumps(one.as_dict(), sort_keys=True).encode(), b"unit": one.unit.encode()}
        fields.append(pa.field(one.name, _type(one), True, said))
    return pa.schema(fields, {_KEY: json.dumps({**facts, "format": FORMAT}, sort_keys=True).encode()})


def facts_of(found: pa.Schema) -> dict[str, Any]:
    """What a schema says of its run. Raises ValueError when it is of no recording that this version reads."""
    document = json.loads((found.metadata or {}).get(_KEY, b"{}"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"it is no recording of format {FORMAT}")
    return document


def columns_of(found: pa.Schema) -> list[Column]:
    """The columns that a schema has beside tick and time."""
    return [Column.of_dict(json.loads(field.metadata[_KEY])) for field in found if _KEY in (field.metadata or {})]


def tables(known: pa.Schema, values: Mapping[str, tuple[Array, Array]]) -> Iterator[pa.Table]:
    """Rows of a recording, a row group at a time: a cell without a value takes as much as one with.

    Args:
        values: by column, ticks of shape (n,), growing, and values of shape (n, …).
    """
    columns = columns_of(known)
    said = [ticks for ticks, _ in values.values() if len(ticks)]
    ticks = np.unique(np.concatenate(said)) if said else np.zeros(0, np.int64)
    seconds = ticks * facts_of(known)["tick_seconds"]
    size = group_rows(columns)
    for first in range(0, len(ticks), size):
        some = ticks[first : first + size]
        arrays: list[pa.Array] = [pa.array(some, pa.int64()), pa.array(seconds[first : first + size], pa.float64())]
        for one in columns:
            own, data = values.get(one.name, (np.zeros(0, np.int64), np.zeros((0, *one.shape), one.dtype)))
            within = slice(*np.searchsorted(own, [some[0], some[-1] + 1]))
            rows = np.searchsorted(some, own[within])
            arrays.append(_array(one, rows, np.asarray(data[within], one.dtype), len(some)))
        yield pa.Table.from_arrays(arrays, schema=known)


def values_of(one: Column, chunk: pa.Array) -> tuple[Array, Array]:
    """Which rows of a column's array have a value, shape (n,), and these values, shape (k, …)."""
    present = np.asarray(chunk.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    chunk = chunk.drop_null()
    flat = chunk if not one.shape and one.kind != "cfield" else chunk.flatten()
    data = flat.to_numpy(zero_copy_only=False)
    data = data.view(np.complex64) if one.dtype.kind == "c" else data.astype(one.dtype, copy=False)
    return present, data.reshape(len(chunk), *one.shape)


def _type(one: Column) -> pa.DataType:
    if one.dtype.kind == "c":
        return pa.list_(pa.float32(), 2 * one.elements)
    element = pa.from_numpy_dtype(one.dtype)
    return pa.list_(element, one.elements) if one.shape else element


def _array(one: Column, rows: Array, data: Array, total: int) -> pa.Array:
    absent = np.ones(total, dtype=bool)
    absent[rows] = False
    full = np.zeros((total, *one.shape), one.dtype)
    full[rows] = data
    if not one.shape and one.dtype.kind != "c":
        return pa.array(full, pa.from_numpy_dtype(one.dtype), mask=absent)
    flat = full.reshape(-1)
    flat = flat.view(np.float32) if one.dtype.kind == "c" else flat
    size = _type(one).list_size
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), size, mask=pa.array(absent))
