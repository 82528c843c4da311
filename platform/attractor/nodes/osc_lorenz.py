"""The Lorenz system."""

from __future__ import annotations

from attractor.oscillators import CELLS
from attractor.oscillators.single import FORCE, RESET, SingleOscillator, integration, signals, start
from attractor.parameter import Parameter


class LorenzSystem(SingleOscillator):
    """Convection in three modes; chaotic at the defaults."""

    kind = "osc.lorenz"
    title = "Lorenz system"
    summary = "Lorenz's model of convection: two lobes that are visited in chaotic order."
    equation = "dx = σ(y − x) + force; dy = x(ρ − z) − y; dz = xy − βz"
    references = ("Lorenz 1963, J. Atmos. Sci. 20:130",)
    inputs = (FORCE, RESET)
    outputs = signals("x", "y", "z")
    params = (
        Parameter("sigma", "float", 10.0, min=0, max=30, live=True, doc="Prandtl number σ."),
        Parameter("rho", "float", 28.0, min=0, max=100, live=True, doc="Reduced Rayleigh number ρ."),
        Parameter("beta", "float", 8.0 / 3.0, min=0.1, max=10, live=True, doc="Aspect factor β."),
        start("x0", 1.0),
        start("y0", 1.0),
        start("z0", 1.0),
        *integration(0.005),
    )
    cell = CELLS["lorenz"]
    starts = ("x0", "y0", "z0")
    own = {"sigma": "sigma", "rho": "rho", "lorenz_beta": "beta"}
