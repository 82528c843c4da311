"""CSV (RFC 4180, UTF-8): a row for every tick, a column for every number.

Numbers are written with as many digits as bring the same number back. A text that a spreadsheet would take for a
formula is written with an apostrophe in front.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from attractor.exporting.flat import flat_names, flat_values
from attractor.recording.column import Array, Column
from attractor.recording.recording import Recording

MOST_ELEMENTS: Final = 1024
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def takes(one: Column) -> bool:
    return one.elements <= MOST_ELEMENTS


def write(recording: Recording, columns: Sequence[Column], into: Path, progress: Callable[[float], None]) -> None:
    """Write columns of a recording; where a port said nothing the cells are empty."""
    with into.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["tick", "t", *(harmless(name) for one in columns for name in flat_names(one))])
        done = 0
        for part in recording.parts(columns):
            cells: list[list[list[str]]] = []
            for one in columns:
                present, data = part.values[one.name]
                said = iter(_texts(flat_values(one, data)))
                nothing = [""] * len(flat_names(one))
                cells.append([next(said) if there else nothing for there in present.tolist()])
            for n, (tick, t) in enumerate(zip(part.ticks.tolist(), part.t.tolist(), strict=True)):
                rows.writerow([tick, repr(t), *(cell for column in cells for cell in column[n])])
            done += len(part.ticks)
            progress(done / max(1, recording.rows))


def write_table(table: pa.Table, into: Path) -> None:
    """Write a table."""
    with into.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([harmless(name) for name in table.column_names])
        for batch in table.to_batches(1000):
            columns = [column.to_pylist() for column in batch.columns]
            rows.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else harmless(str(value))


def _texts(rows: Array) -> list[list[str]]:
    if rows.dtype == np.bool_:
        return [["true" if one else "false" for one in row] for row in rows.tolist()]
    if rows.dtype.kind == "f":
        # The shortest digits that are this number in its own precision.
        return [[str(one) for one in row] for row in rows]
    return [[str(one) for one in row] for row in rows.tolist()]
