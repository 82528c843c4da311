"""Chua's oscillator."""

from __future__ import annotations

from typing import Any

from attractor.node import ABSENT, Inputs, Params, exact
from attractor.oscillators import CELLS
from attractor.oscillators.single import FORCE, RESET, SingleOscillator, integration, signals, start
from attractor.parameter import Parameter
from attractor.port import Port

ALPHA = Parameter("alpha", "float", 15.6, min=8, max=18, live=True, doc="Ratio of the capacitors, α.")


class ChuaOscillator(SingleOscillator):
    """A double scroll: an electronic circuit with one nonlinear resistor, the simplest that is chaotic."""

    kind = "osc.chua"
    title = "Chua oscillator"
    summary = "Chua's circuit: a rest point, a limit cycle or the double scroll, by α."
    equation = (
        "dx = α(y − x − f(x)) + force; dy = x − y + z; dz = −βy; f(x) = m1·x + ½(m0 − m1)(|x+1| − |x−1|); "
        "α is alpha·(1 + alpha_mod) inside the range of alpha"
    )
    references = ("Matsumoto 1984, IEEE Trans. CAS 31:1055", "Chua, Komuro & Matsumoto 1986, IEEE Trans. CAS 33:1072")
    inputs = (
        FORCE,
        Port("alpha_mod", "scalar", optional=True, doc="Effective α = alpha·(1 + alpha_mod), kept in alpha's range."),
        RESET,
    )
    outputs = signals("x", "y", "z")
    params = (
        ALPHA,
        Parameter("beta", "float", 28.0, min=10, max=40, live=True, doc="β = R²C₂/L."),
        Parameter("m0", "float", -1.143, min=-2, max=0, live=True, doc="Inner slope of the diode."),
        Parameter("m1", "float", -0.714, min=-2, max=0, live=True, doc="Outer slope of the diode."),
        start("x0", 0.1),
        start("y0", 0.0),
        start("z0", 0.0),
        *integration(0.005),
    )
    cell = CELLS["chua"]
    starts = ("x0", "y0", "z0")
    own = {"alpha": "alpha", "beta": "beta", "m0": "m0", "m1": "m1"}

    def field_params(self, params: Params, inputs: Inputs | None = None) -> dict[str, Any]:
        own = super().field_params(params)
        mod = ABSENT if inputs is None else inputs["alpha_mod"]
        if mod is not ABSENT:
            alpha = own["alpha"] * (1.0 + exact(mod))
            own["alpha"] = alpha.clamp(ALPHA.min, ALPHA.max)
        return own
