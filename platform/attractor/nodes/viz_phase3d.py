"""The phase-space view."""

from __future__ import annotations

from attractor.node import ViewNode
from attractor.parameter import Parameter
from attractor.port import Port


class PhaseSpace(ViewNode):
    """Trails in phase space: of every unit of a state, or of one point given by its coordinates."""

    kind = "viz.phase3d"
    title = "Phase space"
    summary = "Draws orbits in three dimensions."
    inputs = (
        Port("state", "state3", optional=True, doc="States of many units, [N, 3], or [N, 2] drawn in a plane."),
        Port("x", "scalar", optional=True, doc="First coordinate of a single point."),
        Port("y", "scalar", optional=True, doc="Second coordinate of a single point."),
        Port("z", "scalar", optional=True, doc="Third coordinate of a single point."),
    )
    params = (
        Parameter("trail", "int", 500, min=1, max=20000, unit="tick", doc="Length of the trail."),
        Parameter("colour", "choice", "velocity", choices=("velocity", "time"), doc="What the colour shows."),
    )
