"""The Van der Pol oscillator."""

from __future__ import annotations

from attractor.oscillators import CELLS
from attractor.oscillators.single import FORCE, RESET, SingleOscillator, integration, signals, start
from attractor.parameter import Parameter


class VanDerPolOscillator(SingleOscillator):
    """A limit cycle: damping that is negative at small amplitudes."""

    kind = "osc.vanderpol"
    title = "Van der Pol oscillator"
    summary = "An oscillator with a limit cycle, from nearly harmonic (small μ) to relaxation (large μ)."
    equation = "dx = v; dv = μ(1 − x²)v − ω0²x + force"
    references = ("Van der Pol 1926, Phil. Mag. 2:978",)
    inputs = (FORCE, RESET)
    outputs = signals("x", "v")
    params = (
        Parameter("mu", "float", 1.0, min=0, max=20, live=True, doc="Nonlinearity μ."),
        Parameter(
            "omega0", "float", 1.0, unit="rad/unit", min=0.01, max=100, live=True,
            doc="Angular frequency ω0 of the linear oscillator.",
        ),
        start("x0", 1.0),
        start("v0", 0.0),
        *integration(0.01),
    )  # fmt: skip
    cell = CELLS["vanderpol"]
    starts = ("x0", "v0")
    own = {"mu": "mu", "omega0": "omega0"}
