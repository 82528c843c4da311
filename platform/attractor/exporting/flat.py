"""Values of ports as flat columns of numbers, for formats that have no arrays; tables as arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa

from attractor.recording.column import Array, Column


def flat_names(one: Column) -> list[str]:
    """A name for every number of a value: ``osc.x[3]``, ``f.e[0,1].re``."""
    places = itertools.product(*(range(size) for size in one.shape))
    names = [f"{one.name}[{','.join(map(str, place))}]" if place else one.name for place in places]
    return [f"{name}.{part}" for name in names for part in ("re", "im")] if one.dtype.kind == "c" else names


def flat_values(one: Column, data: Array) -> Array:
    """The numbers of values, shape (n, …), as shape (n, numbers of a value)."""
    rows = np.ascontiguousarray(data).reshape(len(data), one.elements)
    return rows.view(np.float32) if one.dtype.kind == "c" else rows


def arrays_of(table: pa.Table) -> dict[str, Array]:
    """The columns of a table: numbers as int64 or float64 (NaN where there is none), all else as texts."""
    found: dict[str, Array] = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_integer(column.type) and not column.null_count:
            found[name] = column.to_numpy().astype(np.int64)
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            found[name] = np.array([np.nan if one is None else one for one in column.to_pylist()], np.float64)
        else:
            texts: list[Any] = ["" if one is None else str(one) for one in column.to_pylist()]
            found[name] = np.array(texts, dtype=np.str_)
    return found
