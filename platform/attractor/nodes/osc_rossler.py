"""The Rössler system."""

from __future__ import annotations

from attractor.oscillators import CELLS
from attractor.oscillators.single import FORCE, RESET, SingleOscillator, integration, signals, start
from attractor.parameter import Parameter


class RosslerSystem(SingleOscillator):
    """One folded band; chaotic at the defaults."""

    kind = "osc.rossler"
    title = "Rössler system"
    summary = "Rössler's spiral with a fold: chaos with a nearly constant frequency."
    equation = "dx = −y − z + force; dy = x + ay; dz = b + z(x − c)"
    references = ("Rössler 1976, Phys. Lett. A 57:397",)
    inputs = (FORCE, RESET)
    outputs = signals("x", "y", "z")
    params = (
        Parameter("a", "float", 0.2, min=0, max=1, live=True, doc="a."),
        Parameter("b", "float", 0.2, min=0, max=2, live=True, doc="b."),
        Parameter("c", "float", 5.7, min=1, max=20, live=True, doc="c."),
        start("x0", 1.0),
        start("y0", 1.0),
        start("z0", 0.0),
        *integration(0.01),
    )
    cell = CELLS["rossler"]
    starts = ("x0", "y0", "z0")
    own = {"a": "a", "b": "b", "c": "c"}
