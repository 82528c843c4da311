"""The stochastic Heun method for ds = f(s) dt + σ dW with additive noise."""

from __future__ import annotations

import math
from typing import Any

import torch

from attractor.integrators.slope import Slope


def stochastic_heun(f: Slope, s: torch.Tensor, h: float, sigma: Any, z: torch.Tensor) -> torch.Tensor:
    """The state a step of length h after s: an Euler–Maruyama predictor and a trapezoidal corrector.

    A two-stage stochastic Runge–Kutta method (Kloeden & Platen 1992, ch. 15); with additive noise its strong order is 1
    and its weak order 2, and Itô and Stratonovich agree.

    Args:
        sigma: noise per √unit, a number or a tensor that broadcasts against s.
        z: standard normal numbers of the shape of s.
    """
    scale = sigma * math.sqrt(h)
    kick = z * (scale.to(z.dtype) if isinstance(scale, torch.Tensor) else scale)
    slope = f(s)
    kicked = s + kick
    return torch.add(kicked, slope + f(kicked, slope, h), alpha=0.5 * h)
