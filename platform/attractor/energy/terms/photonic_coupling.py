"""Waveguides that interfere."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, spins


class PhotonicCoupling(TermSettings):
    """E = −κ Σ_{i<j} cos(k(n_i − n_j)L) s_i s_j, k = 2π/λ: the phase between two waveguides after the length L.

    Without the length L the argument would be in 1/m, about 10⁶, and its cosine arbitrary.
    """

    reference: ClassVar[str] = "Yariv 1973, IEEE J. Quantum Electron. 9:919"

    index: list[float] = Field([1.5, 1.5], min_length=2, description="effective index of each waveguide")
    length: float = Field(1e-3, gt=0, le=10, description="m, L")
    wavelength: float = Field(1.55e-6, gt=0, le=1e-3, description="m, in vacuum")
    kappa: float = Field(1.0, description="κ, energy")

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (len(self.index),)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        n = np.asarray(self.index)
        phase = 2.0 * math.pi / self.wavelength * np.subtract.outer(n, n) * self.length
        return spins(self.kappa * np.cos(phase), np.zeros(len(n)))
