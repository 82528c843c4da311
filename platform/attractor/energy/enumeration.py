"""Exact sums over all states of a small model: what samplers and trainers are held against."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from attractor.energy.energy_model import EnergyModel
from attractor.energy.potts_model import PottsModel
from attractor.energy.spin_model import SpinModel

MAX_STATES: Final = 1 << 20
"""Largest number of states that is enumerated: 20 spins."""


@dataclass(frozen=True, eq=False)
class Enumeration:
    """The law of a model without continuous units, state by state, in double precision.

    Attributes:
        states: (S, N) int64: −1, +1 of spins, 0 … K − 1 of categories; the last unit varies fastest.
        energies: (..., S).
        log_z: ln Σ exp(−E/T), of batch shape.
        probabilities: (..., S).
    """

    states: torch.Tensor
    energies: torch.Tensor
    log_z: torch.Tensor
    probabilities: torch.Tensor

    def mean(self) -> torch.Tensor:
        """⟨v_i⟩, (..., N)."""
        return self.probabilities @ self.states.double()

    def correlation(self) -> torch.Tensor:
        """⟨v_i v_j⟩, (..., N, N), not connected."""
        v = self.states.double()
        return torch.einsum("...s,si,sj->...ij", self.probabilities, v, v)

    def marginals(self, count: int) -> torch.Tensor:
        """P(c_i = a) of categories a = 0 … count − 1: (..., N, count)."""
        return torch.einsum("...s,sia->...ia", self.probabilities, self._indicator(count))

    def pair_marginals(self, count: int) -> torch.Tensor:
        """P(c_i = a, c_j = b): (..., N, N, count, count)."""
        on = self._indicator(count)
        return torch.einsum("...s,sia,sjb->...ijab", self.probabilities, on, on)

    def mean_energy(self) -> torch.Tensor:
        """⟨E⟩, of batch shape."""
        return (self.probabilities * self.energies).sum(-1)

    def _indicator(self, count: int) -> torch.Tensor:
        return torch.nn.functional.one_hot(self.states, count).double()


def is_enumerable(model: EnergyModel) -> bool:
    """Whether `enumerated` takes the model: no continuous unit, and at most `MAX_STATES` states."""
    if isinstance(model, SpinModel):
        return not model.continuous.any() and 2**model.size <= MAX_STATES
    return isinstance(model, PottsModel) and model.states**model.size <= MAX_STATES


def enumerated(model: EnergyModel) -> Enumeration:
    """All states of a model with their probabilities.

    Raises:
        ValueError: the model has continuous units, or more than `MAX_STATES` states.
    """
    if not is_enumerable(model):
        raise ValueError(
            f"a model of {model.size} units is not enumerated: only spins and categories with at most {MAX_STATES} "
            "states are; sample it instead"
        )
    levels: list[int] = [-1, 1] if isinstance(model, SpinModel) else list(range(getattr(model, "states", 0)))
    states = torch.from_numpy(np.array(list(itertools.product(levels, repeat=model.size)), dtype=np.int64))
    energies = model.energy(states.to(model.temperature.device)).double().cpu()
    logits = -energies / model.temperature.double().cpu().unsqueeze(-1)
    log_z = torch.logsumexp(logits, -1)
    return Enumeration(states, energies, log_z, torch.exp(logits - log_z.unsqueeze(-1)))
