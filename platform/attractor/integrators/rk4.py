"""The classical Runge–Kutta method of order 4 (Kutta 1901)."""

from __future__ import annotations

import torch

from attractor.integrators.slope import Slope


def rk4(f: Slope, s: torch.Tensor, h: float) -> torch.Tensor:
    """The state a step of length h after s. Local error O(h⁵); differentiable."""
    k1 = f(s)
    k2 = f(s, k1, 0.5 * h)
    k3 = f(s, k2, 0.5 * h)
    k4 = f(s, k3, h)
    slope = torch.add(k1, k4).add(k2 + k3, alpha=2.0)
    return torch.add(s, slope, alpha=h / 6.0)
