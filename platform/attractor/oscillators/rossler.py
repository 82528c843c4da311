"""The Rössler system (Rössler 1976)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from attractor.oscillators.cell import Cell, Rows
from attractor.parameter import Parameter


class Rossler(Cell):
    """dx = −y − z + force; dy = x + ay; dz = b + z(x − c). The phase is the angle of (x, y) about the origin
    (Rosenblum, Pikovsky & Kurths 1996)."""

    name = "rossler"
    components = ("x", "y", "z")
    start = (1.0, 1.0, 0.0)
    params: ClassVar[tuple[Parameter, ...]] = (
        Parameter("a", "float", 0.2, min=0, max=1, live=True, doc="Rössler: a."),
        Parameter("b", "float", 0.2, min=0, max=2, live=True, doc="Rössler: b."),
        Parameter("c", "float", 5.7, min=1, max=20, live=True, doc="Rössler: c."),
    )

    def nonlinear(self, s: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.mul(s.narrow(-2, 0, 1), s.narrow(-2, 2, 1), out=out)

    def coefficients(self, p: Mapping[str, Any]) -> Rows:
        return (
            (0.0, -1.0, -1.0, 0.0),
            (1.0, p["a"], 0.0, 0.0),
            (0.0, 0.0, -p["c"], 1.0),
        )

    def constants(self, p: Mapping[str, Any]) -> Sequence[Any]:
        return (0.0, 0.0, p["b"])

    def phase_vector(self, s: torch.Tensor, p: Mapping[str, Any]) -> torch.Tensor:
        return s.narrow(-2, 0, 2)
