"""The classical Runge–Kutta method of order 4 (Kutta 1901)."""

from __future__ import annotations

from collections.abc import Callable

import torch


def rk4(f: Callable[[torch.Tensor], torch.Tensor], s: torch.Tensor, h: float) -> torch.Tensor:
    """The state a step of length h after s. Local error O(h⁵); differentiable."""
    k1 = f(s)
    k2 = f(torch.add(s, k1, alpha=0.5 * h))
    k3 = f(torch.add(s, k2, alpha=0.5 * h))
    k4 = f(torch.add(s, k3, alpha=h))
    slope = torch.add(k1, k4).add(k2 + k3, alpha=2.0)
    return torch.add(s, slope, alpha=h / 6.0)
