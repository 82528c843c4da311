"""The points of a sweep, or the iterations of a fit, as a table. Call it inside the workspace's scope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from apps.runs.models import Run
from apps.runs.points import points

if TYPE_CHECKING:
    import pyarrow as pa

CELL_BYTES = 40
"""What a cell takes at most, about: a number as text, or a hash shared by few columns."""
AT_ONCE = 1000


def table_bytes(run: Run) -> int:
    """What the table may take in any format, about."""
    one = points(run).first()
    cells = 8 if one is None else 8 + len(one.params) + len(one.metrics)
    return (run.points_done + run.points_failed) * cells * CELL_BYTES + 2**20


def point_table(run: Run) -> pa.Table:
    """A row for every point, in order: index, state, seed, a column for every parameter and every metric, error, hash.

    A parameter that is a number is one, others are as JSON writes them; a metric that a port did not say is null. Where
    a metric has the name of a parameter its column ends in ``(metric)``.
    """
    import pyarrow as pa

    rows = list(points(run).iterator(AT_ONCE))
    params = list(dict.fromkeys(name for row in rows for name in row.params))
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns: dict[str, Any] = {
        "index": pa.array([row.index for row in rows], pa.int64()),
        "state": pa.array([str(row.state) for row in rows], pa.string()),
        "seed": pa.array([row.seed for row in rows], pa.int64()),
    }
    for name in params:
        columns[name] = _values([row.params.get(name) for row in rows])
    for name in metrics:
        shown = f"{name} (metric)" if name in columns else name
        columns[shown] = pa.array([row.metrics.get(name) for row in rows], pa.float64())
    columns["error"] = pa.array([None if row.error is None else row.error["message"] for row in rows], pa.string())
    columns["result_hash"] = pa.array([row.result_hash for row in rows], pa.string())
    return pa.table(columns)


def _values(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())
