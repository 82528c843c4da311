"""Budgets and shapes of a neural architecture."""

from __future__ import annotations

from functools import reduce

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import (
    EnergyTerm,
    Numbers,
    TermSettings,
    as_array,
    refuse_large_table,
    table_over_all,
)


class ArchitectureConstraint(TermSettings):
    """E = M·[max(0, P − P_max)/P_max + max(0, F − F_max)/F_max + number of incompatible choices].

    P and F are the sums over decisions of parameters and operations of the option taken. A budget binds all decisions
    at once, so the term is one table over all of them.
    """

    parameters: list[list[float]] = Field([[0.0, 0.0]], min_length=1, description="one row a decision, K options each")
    flops: list[list[float]] = Field([], description="as `parameters`; empty: not bounded")
    parameter_budget: float = Field(1e6, gt=0)
    flop_budget: float = Field(1e9, gt=0)
    incompatible: list[tuple[int, int, int, int]] = Field(
        [], description="(decision i, option a, decision j, option b): a at i does not fit b at j"
    )
    big_m: float = Field(100.0, gt=0)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (len(self.parameters), len(self.parameters[0]))

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        n, k = self.units()
        refuse_large_table(k, n)
        energy = self._excess(as_array(self.parameters, (n, k), "parameters"), self.parameter_budget)
        if self.flops:
            energy = energy + self._excess(as_array(self.flops, (n, k), "flops"), self.flop_budget)
        for i, a, j, b in self.incompatible:
            if i == j or not (min(i, j) >= 0 and max(i, j) < n and min(a, b) >= 0 and max(a, b) < k):
                raise ValueError(f"({i}, {a}, {j}, {b}) names no two options of two of the {n} decisions")
            where: list[slice | int] = [slice(None)] * n
            where[i], where[j] = a, b
            energy[tuple(where)] += 1.0
        return table_over_all(self.big_m * energy)

    @staticmethod
    def _excess(costs: Numbers, budget: float) -> Numbers:
        """max(0, Σ − budget)/budget of every joint choice, one axis a decision."""
        total = reduce(np.add.outer, costs)
        excess: Numbers = np.maximum(0.0, total - budget) / budget
        return excess
