"""The gradient of a Boltzmann machine's log-likelihood, and what stands in for it.

A fully visible machine E = −Σ_{i<j} J_ij s_i s_j − Σ h_i s_i has ∂ ln L/∂J_ij ∝ ⟨s_i s_j⟩_data − ⟨s_i s_j⟩_model and
∂ ln L/∂h_i ∝ ⟨s_i⟩_data − ⟨s_i⟩_model (Ackley, Hinton & Sejnowski 1985); ln L is concave.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from attractor.energy.couplings import Couplings
from attractor.energy.interaction_graph import InteractionGraph
from attractor.energy.spin_model import SpinModel


@dataclass(frozen=True, slots=True)
class SpinMoments:
    """⟨s_i s_j⟩, (..., N, N) with a zero diagonal, and ⟨s_i⟩, (..., N)."""

    pair: torch.Tensor
    mean: torch.Tensor

    @classmethod
    def of(
        cls, spins: torch.Tensor, weights: torch.Tensor | None = None, dtype: torch.dtype = torch.float32
    ) -> SpinMoments:
        """Moments of spins (..., C, N), each row with the same weight, or with `weights` (..., C) that sum to 1."""
        s = spins.to(dtype if weights is None else weights.dtype)
        if weights is None:
            pair, mean = s.mT @ s / s.shape[-2], s.mean(-2)
        else:
            weighted = s * weights.unsqueeze(-1)
            pair, mean = s.mT @ weighted, weighted.sum(-2)
            # Rounding may tell (i, j) from (j, i).
            pair = 0.5 * (pair + pair.mT)
        return cls(pair - torch.diag_embed(pair.diagonal(dim1=-2, dim2=-1)), mean)

    def minus(self, other: SpinMoments) -> SpinMoments:
        """The difference."""
        return SpinMoments(self.pair - other.pair, self.mean - other.mean)

    def norm(self) -> torch.Tensor:
        """√(Σ_{i<j} pair² + Σ mean²), of batch shape."""
        return (0.5 * self.pair.square().sum((-2, -1)) + self.mean.square().sum(-1)).sqrt()


def machine(pair: torch.Tensor, bias: torch.Tensor, temperature: torch.Tensor | float) -> SpinModel:
    """The model of couplings J (..., N, N) and biases h (..., N), every pair of units an edge.

    Pairs that happen to be 0 are edges too: the structure, and with it the order of a sweep, stays the same while J is
    learned.
    """
    couplings = Couplings(bias.shape[-1], None, pair)
    couplings.__dict__["graph"] = _complete(bias.shape[-1])
    return SpinModel.of(couplings, bias, temperature)


@lru_cache(maxsize=8)
def _complete(size: int) -> InteractionGraph:
    return InteractionGraph.complete(size)


def pseudo_likelihood_gradient(model: SpinModel, spins: torch.Tensor) -> SpinMoments:
    """Gradient of the mean over rows of Σ_i ln P(s_i | others) (Besag 1975), times T; spins (..., C, N).

    ∂/∂J_ij = ⟨s_i s_j⟩·2 − ⟨tanh(f_i/T) s_j + tanh(f_j/T) s_i⟩,  ∂/∂h_i = ⟨s_i − tanh(f_i/T)⟩.
    """
    s = spins.to(model.bias.dtype)
    rest = s - torch.tanh(model.local_field(s) / model.temperature[..., None, None])
    cross = s.mT @ rest / s.shape[-2]
    pair = cross + cross.mT
    return SpinMoments(pair - torch.diag_embed(pair.diagonal(dim1=-2, dim2=-1)), rest.mean(-2))


@dataclass(frozen=True, slots=True)
class Empirical:
    """Distinct rows of a data set and their shares.

    Args:
        rows: (S, N) spins.
        shares: (S,), summing to 1.
    """

    rows: torch.Tensor
    shares: torch.Tensor

    @classmethod
    def of(cls, spins: torch.Tensor) -> Empirical:
        """The empirical distribution of spins (M, N)."""
        rows, counts = torch.unique(spins, dim=0, return_counts=True)
        return cls(rows, counts.double() / len(spins))

    def divergence(self, model: SpinModel, log_z: torch.Tensor) -> torch.Tensor:
        """KL(data ‖ model) = Σ p ln p + ⟨E⟩_data/T + ln Z, in nats. Exact when ln Z is.

        Args:
            model: without leading dimensions.
        """
        energy = (self.shares * model.energy(self.rows).double()).sum()
        return (self.shares * self.shares.log()).sum() + energy / model.temperature.double() + log_z
