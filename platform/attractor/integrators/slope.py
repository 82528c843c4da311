"""What an integrator asks of the field it integrates."""

from __future__ import annotations

from typing import Protocol

import torch


class Slope(Protocol):
    """f in ṡ = f(s)."""

    def __call__(self, s: torch.Tensor, k: torch.Tensor | None = None, alpha: float = 0.0) -> torch.Tensor:
        """f(s), or f(s + alpha·k) when k is given: a field may then place the argument where it needs it."""
