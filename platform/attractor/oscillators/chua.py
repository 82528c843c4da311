"""Chua's oscillator (Matsumoto 1984; Chua, Komuro & Matsumoto 1986)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from attractor.oscillators.cell import Cell, Rows
from attractor.parameter import Parameter


class Chua(Cell):
    """dx = α(y − x − f(x)) + force; dy = x − y + z; dz = −βy.

    f(x) = m1·x + ½(m0 − m1)(|x+1| − |x−1|), and ½(|x+1| − |x−1|) is x clamped to [−1, 1]. With m0 = m1 the diode is a
    resistor and the oscillator is linear: the negative control of `emergent_logic`.

    The phase is the angle of (z − z*, y·3.64/0.39) about the rest point P± = (±x*, 0, ∓x*) of the lobe that x is on,
    x* = (m1 − m0)/(1 + m1); the factor is the ratio of the attractor's half-widths in z and y. Where there is no outer
    rest point (|x*| ≤ 1) the centre is the origin. Mirrored orbits on opposite lobes are in antiphase.
    """

    name = "chua"
    components = ("x", "y", "z")
    start = (0.1, 0.0, 0.0)
    params: ClassVar[tuple[Parameter, ...]] = (
        Parameter("alpha", "float", 15.6, min=8, max=18, live=True, doc="Chua: ratio of the capacitors, α."),
        Parameter("beta", "float", 28.0, min=10, max=40, live=True, doc="Chua: β = R²C₂/L."),
        Parameter("m0", "float", -1.143, min=-2, max=0, live=True, doc="Chua: inner slope of the diode."),
        Parameter(
            "m1", "float", -0.714, min=-2, max=0, live=True,
            doc="Chua: outer slope of the diode; m0 = m1 makes the cell linear.",
        ),
    )  # fmt: skip
    aspect = 3.64 / 0.39

    def nonlinear(self, s: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.clamp(s.narrow(-2, 0, 1), -1.0, 1.0, out=out)

    def coefficients(self, p: Mapping[str, Any]) -> Rows:
        alpha, m1 = p["alpha"], p["m1"]
        return (
            (-alpha * (1.0 + m1), alpha, 0.0, -alpha * (p["m0"] - m1)),
            (1.0, -1.0, 1.0, 0.0),
            (0.0, -p["beta"], 0.0, 0.0),
        )

    def phase_vector(self, s: torch.Tensor, p: Mapping[str, Any]) -> torch.Tensor:
        m0, m1 = torch.as_tensor(p["m0"], dtype=s.dtype), torch.as_tensor(p["m1"], dtype=s.dtype)
        slope = 1.0 + m1
        centre = torch.where(slope == 0, 0.0, (m1 - m0) / torch.where(slope == 0, 1.0, slope))
        centre = torch.where(centre > 1.0, centre, 0.0)
        x, y, z = s.unbind(-2)
        return torch.stack((z + torch.sign(x) * centre, self.aspect * y), dim=-2)
