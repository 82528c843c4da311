"""A picture in few colours, without specks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, categories, grid_pairs


class PixelCoherence(TermSettings):
    """E = −J Σ_(i,j) δ(c_i, c_j) + Σ_i U_i(c_i) over 4-neighbours, U the squared distance of colours to the picture."""

    data_shape: ClassVar[tuple[str, ...]] = ("pixels", "channels")
    reference: ClassVar[str] = "Geman & Geman 1984; Potts 1952"

    rows: int = Field(2, ge=1, le=256)
    columns: int = Field(2, ge=1, le=256)
    palette: list[list[float]] = Field([[0.0], [1.0]], min_length=2, max_length=64)
    J: float = 1.0
    picture: list[list[float]] = Field([], description="rows·columns colours, row-major; empty: no picture")

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (self.rows * self.columns, len(self.palette))

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        n, k = self.units()
        palette = as_array(self.palette, (k, None), "palette")
        distance = np.zeros((n, k))
        if data is not None or self.picture:
            picture = as_array(self.picture if data is None else data, (n, palette.shape[1]), "picture")
            distance = np.square(picture[:, None, :] - palette).sum(-1)
        return categories(distance, grid_pairs(self.rows, self.columns), -self.J * np.eye(k))
