"""The two-input gates and their truth tables."""

from __future__ import annotations

from typing import Final

import torch

ROWS: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Truth-table rows (A, B); the index of a row is 2A + B."""

TRUTH: Final[dict[str, tuple[bool, bool, bool, bool]]] = {
    "AND": (False, False, False, True),
    "OR": (False, True, True, True),
    "XOR": (False, True, True, False),
    "NAND": (True, True, True, False),
    "NOR": (True, False, False, False),
    "XNOR": (True, False, False, True),
}
"""Output of every gate at every row."""

NAMES: Final = tuple(TRUTH)

FAMILY: Final = {"AND": "AND", "NAND": "AND", "OR": "OR", "NOR": "OR", "XOR": "XOR", "XNOR": "XOR"}
"""A gate and its complement are one family: an inverter turns either into the other."""


def truth_tensor() -> torch.Tensor:
    """Truth tables of all gates, shape (6, 4), bool."""
    return torch.tensor([TRUTH[name] for name in NAMES])


def row_of(bits: torch.Tensor) -> torch.Tensor:
    """Row index 2A + B of bits of shape (..., 2)."""
    whole = bits.long()
    return 2 * whole[..., 0] + whole[..., 1]
