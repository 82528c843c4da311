"""Kuramoto's order parameter."""

from __future__ import annotations

import torch


def order_parameter(phase_vector: torch.Tensor) -> torch.Tensor:
    """r = |(1/N) Σ exp(iθ_j)| in [0, 1] (Kuramoto 1984).

    Args:
        phase_vector: (..., 2, N); θ_j is the angle of column j. A zero column has no phase and counts as 0.

    Returns:
        (...).
    """
    unit = torch.nn.functional.normalize(phase_vector, dim=-2)
    r: torch.Tensor = torch.linalg.vector_norm(unit.mean(-1), dim=-1)
    return r
