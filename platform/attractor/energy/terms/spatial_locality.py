"""Activity that keeps together in space."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, occupations


class SpatialLocality(TermSettings):
    """E = λ Σ_{i<j} (d_ij/ℓ)·n_i n_j with n = (1 + s)/2 ∈ {0, 1}: what is on shall be near.

    The definition has |s_i s_j|, which for s = ±1 is always 1 and would change nothing; the occupation number n is what
    the product is meant to count.
    """

    data_shape: ClassVar[tuple[str, ...]] = ("units", "coordinates")

    positions: list[list[float]] = Field([[0.0], [1.0]], min_length=1, description="a row of coordinates for each unit")
    ell: float = Field(1.0, gt=0, description="ℓ, in the unit of the positions")
    lam: float = Field(1.0, ge=0)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (len(self.positions) if data is None else data[0],)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        at = as_array(self.positions if data is None else data, (None, None), "positions")
        distance = np.linalg.norm(at[:, None, :] - at, axis=-1)
        return occupations(self.lam * distance / self.ell, np.zeros(len(at)))
