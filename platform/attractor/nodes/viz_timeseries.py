"""The time-series view."""

from __future__ import annotations

from attractor.node import ViewNode
from attractor.parameter import Parameter
from attractor.port import Port


class TimeSeries(ViewNode):
    """Curves over time: one for every scalar, one for every element of a vector."""

    kind = "viz.timeseries"
    title = "Time series"
    summary = "Draws scalars and vectors over time."
    inputs = (
        Port(
            "series",
            "any",
            variadic=True,
            optional=True,
            among=("scalar", "vector", "prob", "signal", "trigger"),
            doc="Scalars and vectors, each a set of curves.",
        ),
    )
    params = (
        Parameter("history", "int", 1000, min=2, max=100_000, unit="tick", doc="Length of the time axis."),
        Parameter("legend", "text", "", doc="Names of the curves in the order of the edges, separated by commas."),
    )
