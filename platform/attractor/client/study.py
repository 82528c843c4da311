"""Sweeps as notebooks write them: axes in short forms, points as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attractor.client.types import NewSweep, RunPoint

if TYPE_CHECKING:
    import pandas as pd

Axes = Mapping[str, Sequence[Any] | Mapping[str, Any]]
"""`node.param`, or `seed`, and what it takes: values one by one, or {min, max} with {steps, scale} of a grid."""


def sweep_of(
    graph: object, axes: Axes, sampling: str = "grid", points: int | None = None,
    metrics: Iterable[str | Mapping[str, Any]] = (), seed: int | None = None, ticks: int | None = None,
) -> NewSweep:  # fmt: skip
    """The request for a sweep.

    Args:
        metrics: `node.port` for its last value, or {port, reduce, start}; the server's choice when empty.
    """
    said = [
        {"target": target, **values} if isinstance(values, Mapping) else {"target": target, "values": list(values)}
        for target, values in axes.items()
    ]
    measured = [{"port": one} if isinstance(one, str) else dict(one) for one in metrics]
    wanted = {
        "graph": graph, "axes": said, "sampling": sampling, "points": points, "metrics": measured or None,
        "seed": seed, "ticks": ticks,
    }  # fmt: skip
    return NewSweep.model_validate({name: value for name, value in wanted.items() if value is not None})


def row_of(point: RunPoint) -> dict[str, Any]:
    """A point as one row: its number, parameters, seed, metrics, and what went wrong (None: nothing)."""
    return {
        "point": point.index, **point.params, "seed": point.seed, **point.metrics,
        "error": None if point.error is None else f"{point.error.message} {point.error.mend}",
    }  # fmt: skip


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a pandas DataFrame with the points' numbers as its index (needs pandas)."""
    import pandas as pd

    return pd.DataFrame(rows).set_index("point") if rows else pd.DataFrame()
