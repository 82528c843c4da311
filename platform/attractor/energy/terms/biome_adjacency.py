"""Biomes that fit their neighbours and their place."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, categories, grid_pairs


class BiomeAdjacency(TermSettings):
    """E = −Σ_(i,j) M(b_i, b_j) + Σ_i U_i(b_i) over 4-neighbours, U_i(b) = Σ_q ((x_iq − c_bq)/w_bq)²/2.

    x_i are height, moisture and temperature of cell i, c_b and w_b what biome b likes and how widely; the adjacency
    table M is the preset's, from a published source.
    """

    data_shape: ClassVar[tuple[str, ...]] = ("cells", "quantities")

    rows: int = Field(2, ge=1, le=256)
    columns: int = Field(2, ge=1, le=256)
    M: list[list[float]] = Field([[1.0, 0.0], [0.0, 1.0]], min_length=2, max_length=64)
    centres: list[list[float]] = Field([], description="K rows of preferred height, moisture, temperature")
    widths: list[list[float]] = Field([], description="K rows of tolerances, > 0")
    cells: list[list[float]] = Field([], description="rows·columns rows of height, moisture, temperature")

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (self.rows * self.columns, len(self.M))

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        n, k = self.units()
        table = as_array(self.M, (k, k), "M")
        if not np.array_equal(table, table.T):
            raise ValueError("the adjacency table M is not symmetric: a pair of cells has no order")
        cost = np.zeros((n, k))
        if data is not None or self.cells:
            cells = as_array(self.cells if data is None else data, (n, None), "cells")
            centres = as_array(self.centres, (k, cells.shape[1]), "centres")
            widths = as_array(self.widths, (k, cells.shape[1]), "widths")
            if not (widths > 0).all():
                raise ValueError("a tolerance in `widths` is not positive")
            cost = 0.5 * np.square((cells[:, None, :] - centres) / widths).sum(-1)
        return categories(cost, grid_pairs(self.rows, self.columns), -table)
