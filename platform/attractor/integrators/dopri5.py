"""The fifth-order method of Dormand & Prince (1980), at a fixed step."""

from __future__ import annotations

from typing import Final

import torch

from attractor.integrators.slope import Slope

# Rows of the Butcher tableau: the weights of the slopes so far in each next stage, the last row is the result.
STAGES: Final = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)


def dopri5(f: Slope, s: torch.Tensor, h: float) -> torch.Tensor:
    """The state a step of length h after s. Local error O(h⁶); differentiable. The embedded error estimate is not
    used: the step is the caller's."""
    slopes: list[torch.Tensor] = []
    at = s
    for weights in STAGES:
        slopes.append(f(at))
        at = s
        for weight, slope in zip(weights, slopes, strict=True):
            if weight:
                at = torch.add(at, slope, alpha=h * weight)
    return at
