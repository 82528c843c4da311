"""The Van der Pol oscillator (Van der Pol 1926)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from attractor.oscillators.cell import Cell, Rows
from attractor.parameter import Parameter


class VanDerPol(Cell):
    """dx = v; dv = μ(1 − x²)v − ω0²x + force. Two components; the phase is the angle of (x, −v/ω0)."""

    name = "vanderpol"
    components = ("x", "v")
    start = (1.0, 0.0)
    driven = 1
    params: ClassVar[tuple[Parameter, ...]] = (
        Parameter("mu", "float", 1.0, min=0, max=20, live=True, doc="Van der Pol: nonlinearity μ."),
        Parameter(
            "omega0", "float", 1.0, unit="rad/unit", min=0.01, max=100, live=True,
            doc="Van der Pol: angular frequency ω0 of the linear oscillator.",
        ),
    )  # fmt: skip

    def nonlinear(self, s: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.mul(s.narrow(-2, 0, 1).square(), s.narrow(-2, 1, 1), out=out)

    def coefficients(self, p: Mapping[str, Any]) -> Rows:
        mu, omega = p["mu"], p["omega0"]
        return ((0.0, 1.0, 0.0), (-omega * omega, mu, -mu))

    def phase_vector(self, s: torch.Tensor, p: Mapping[str, Any]) -> torch.Tensor:
        x, v = s.unbind(-2)
        return torch.stack((x, -v / p["omega0"]), dim=-2)
