"""Patterns stored in couplings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, spins


class Hebbian(TermSettings):
    """E = −Σ_{i<j} J_ij s_i s_j with J_ij = (1/P) Σ_μ ξ^μ_i ξ^μ_j, or with given weights (STDP), (W + Wᵀ)/2.

    Hopfield's own factor is 1/N; 1/P keeps the couplings between −1 and 1 whatever the number of units.
    """

    data_shape: ClassVar[tuple[str, ...]] = ("units", "units")
    reference: ClassVar[str] = "Hopfield 1982, PNAS 79:2554"

    patterns: list[list[int]] = Field([], description="P rows of N values −1 or +1")
    weights: list[list[float]] = Field([], description="N rows of N weights, in place of patterns")

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        n = data[0] if data is not None else len(self.patterns[0]) if self.patterns else len(self.weights)
        if n == 0:
            raise ValueError("nothing is stored: give `patterns`, or `weights`, or connect `data`")
        return (n,)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        (n,) = self.units(None if data is None else data.shape)
        if data is not None or not self.patterns:
            weights = as_array(self.weights if data is None else data, (n, n), "weights")
            return spins((weights + weights.T) / 2.0, np.zeros(n))
        patterns = as_array(self.patterns, (None, n), "patterns")
        if not np.isin(patterns, (-1, 1)).all():
            raise ValueError("a pattern holds a value that is neither −1 nor +1")
        return spins(patterns.T @ patterns / len(patterns), np.zeros(n))
