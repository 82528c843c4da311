"""The Lorenz system (Lorenz 1963)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from attractor.oscillators.cell import Cell, Rows
from attractor.parameter import Parameter


class Lorenz(Cell):
    """dx = σ(y − x) + force; dy = x(ρ − z) − y; dz = xy − βz.

    The phase is the angle of (u − √(2β(ρ−1)), z − (ρ−1)) with u = √(x² + y²): both lobes fold onto one, and the orbit
    turns about a single centre (Pikovsky, Rosenblum, Osipov & Kurths 1997). For ρ ≤ 1 the centre is the origin.
    """

    name = "lorenz"
    components = ("x", "y", "z")
    features = 2
    start = (1.0, 1.0, 1.0)
    params: ClassVar[tuple[Parameter, ...]] = (
        Parameter("sigma", "float", 10.0, min=0, max=30, live=True, doc="Lorenz: Prandtl number σ."),
        Parameter("rho", "float", 28.0, min=0, max=100, live=True, doc="Lorenz: reduced Rayleigh number ρ."),
        Parameter(
            "lorenz_beta", "float", 8.0 / 3.0, min=0.1, max=10, live=True,
            doc="Lorenz: aspect factor β (`beta` is Chua's).",
        ),
    )  # fmt: skip

    def nonlinear(self, s: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.mul(s.narrow(-2, 0, 1), s.narrow(-2, 1, 2), out=out)

    def coefficients(self, p: Mapping[str, Any]) -> Rows:
        sigma = p["sigma"]
        return (
            (-sigma, sigma, 0.0, 0.0, 0.0),
            (p["rho"], -1.0, 0.0, 0.0, -1.0),
            (0.0, 0.0, -p["lorenz_beta"], 1.0, 0.0),
        )

    def phase_vector(self, s: torch.Tensor, p: Mapping[str, Any]) -> torch.Tensor:
        height = torch.as_tensor(p["rho"], dtype=s.dtype).sub(1.0).clamp(min=0.0)
        centre = (2.0 * p["lorenz_beta"] * height).sqrt()
        x, y, z = s.unbind(-2)
        return torch.stack((torch.hypot(x, y) - centre, z - height), dim=-2)
