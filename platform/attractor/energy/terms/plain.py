"""Terms without a name of their own: fields, pairs, groups, tables."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from attractor.energy.couplings import Couplings
from attractor.energy.spin_model import SpinModel
from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, products_of_spins, spins


class Unary(TermSettings):
    """E = −Σ_i h_i s_i."""

    bias: list[float] = Field([0.0], min_length=1)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (len(self.bias),)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        n = len(self.bias)
        return spins(np.zeros((n, n)), np.asarray(self.bias))


class Pairwise(TermSettings):
    """E = −Σ_(i,j) w_ij s_i s_j over the named pairs."""

    N: int = Field(2, ge=2, le=16384)
    pairs: list[tuple[int, int]] = [(0, 1)]
    weights: list[float] = [1.0]

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (self.N,)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        weights = torch.tensor(self.weights, dtype=torch.float64)
        couplings = Couplings.of_edges(self.N, np.array(self.pairs, dtype=np.int64).reshape(-1, 2), weights)
        return EnergyTerm(SpinModel.of(couplings))


class HigherOrder(TermSettings):
    """E = −Σ_g w_g Π_{i∈g} s_i over named groups of three or more."""

    N: int = Field(3, ge=3, le=16384)
    groups: list[list[int]] = [[0, 1, 2]]
    weights: list[float] = [1.0]

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (self.N,)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        if len(self.groups) != len(self.weights):
            raise ValueError(f"{len(self.groups)} groups have {len(self.weights)} weights; give one for each group")
        none = Couplings.of_edges(self.N, np.zeros((0, 2), dtype=np.int64), torch.zeros(0, dtype=torch.float64))
        terms = [
            (np.array([group], dtype=np.int64), torch.tensor([weight], dtype=torch.float64))
            for group, weight in zip(self.groups, self.weights, strict=True)
        ]
        return EnergyTerm(SpinModel.of(none, terms=terms))


class Table(TermSettings):
    """E = energies[b_0, …], b_i = 0 for s_i = −1 and 1 for +1: any function of a few spins, at most 20."""

    order: Literal["last unit fastest"] = "last unit fastest"
    energies: list[float] = Field([0.0, 0.0], min_length=2)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        n = (len(self.energies) - 1).bit_length()
        if len(self.energies) != 1 << n:
            raise ValueError(f"{len(self.energies)} energies are not one for each of 2^N states")
        return (n,)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        (n,) = self.units()
        return products_of_spins(as_array(self.energies, (None,), "energies").reshape((2,) * n))
