"""Means and second moments of samples, merged and taken apart without cancellation (Chan, Golub & LeVeque 1983).

The sums of a stretch of samples are its total weight W, its mean m and M = Σ w (x − m)(x − m)ᵀ. Two stretches make

    W = W_a + W_b,   m = m_a + δ·W_b/W,   M = M_a + M_b + δδᵀ·W_a·W_b/W,   δ = m_b − m_a,

Welford's update when b is one sample. All sums are kept in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of a stretch of samples of N quantities.

    Args:
        weight: (), total weight W.
        mean: (..., N).
        scatter: M, (..., N, N).
    """

    weight: torch.Tensor
    mean: torch.Tensor
    scatter: torch.Tensor

    @classmethod
    def none(cls, batch: tuple[int, ...], n: int, device: torch.device) -> Moments:
        """The sums of no samples."""
        kwargs: dict[str, Any] = {"dtype": torch.float64, "device": device}
        return cls(torch.zeros((), **kwargs), torch.zeros(*batch, n, **kwargs), torch.zeros(*batch, n, n, **kwargs))

    @classmethod
    def of(cls, samples: torch.Tensor) -> Moments:
        """The sums of samples (..., C, N), each of weight 1."""
        x = samples.double()
        mean = x.mean(-2)
        centred = x - mean.unsqueeze(-2)
        weight = torch.tensor(float(x.shape[-2]), dtype=torch.float64, device=x.device)
        return cls(weight, mean, centred.mT @ centred)

    def merged(self, other: Moments) -> Moments:
        """The sums of both stretches."""
        weight = self.weight + other.weight
        share = torch.where(weight > 0, other.weight / weight, 0.0)
        delta = other.mean - self.mean
        scatter = self.scatter + other.scatter + self.weight * share * _outer(delta)
        return Moments(weight, self.mean + share * delta, scatter)

    def without(self, other: Moments) -> Moments:
        """The sums of this stretch less a part of it. Rounding errors of the part stay behind."""
        weight = self.weight - other.weight
        if float(weight) <= 0.0:
            return Moments(weight * 0.0, self.mean * 0.0, self.scatter * 0.0)
        mean = self.mean + (self.mean - other.mean) * (other.weight / weight)
        scatter = self.scatter - other.scatter - _outer(other.mean - mean) * (weight * other.weight / self.weight)
        return Moments(weight, mean, scatter)

    def faded(self, keep: float) -> Moments:
        """The same samples at `keep` times their weight."""
        return Moments(keep * self.weight, self.mean, keep * self.scatter)

    def covariance(self, lost: float = 1.0) -> torch.Tensor:
        """M/(W − lost): unbiased at lost = 1, of the weighted samples themselves at 0. (..., N, N)."""
        return self.scatter / (self.weight - lost)

    def correlation(self) -> torch.Tensor:
        """Pearson's r, (..., N, N), zero in the row and column of a quantity that has not varied."""
        spread = self.scatter.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
        # What rounding leaves of a constant is no variation.
        moved = spread > 1e-12 * self.weight.sqrt() * self.mean.abs()
        inverse = torch.where(moved & (spread > 0), 1.0 / spread, 0.0)
        r = self.scatter * inverse.unsqueeze(-1) * inverse.unsqueeze(-2)
        return r.clamp(-1.0, 1.0)

    def second_moment(self) -> torch.Tensor:
        """⟨x xᵀ⟩, (..., N, N)."""
        return self.scatter / self.weight + _outer(self.mean)


def _outer(x: torch.Tensor) -> torch.Tensor:
    return x.unsqueeze(-1) * x.unsqueeze(-2)
