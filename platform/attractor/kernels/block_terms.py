"""What the units of a block are coupled with, laid out so that plain torch adds it up in the order of the kernels.

The kernels add to the field of a unit one term after the other, in float32. A sum in another order would differ in its
last bits, and with it some day a draw. Rank r holds the r-th term of every unit that has so many: rank after rank is
the order of every unit, and within a rank all units are added at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch

_ACCUMULATED: Final = 16
"""Ranks of equal length from which numpy's running sum is faster than one call of torch for each."""


@dataclass(frozen=True, eq=False)
class BlockTerms:
    """The terms of the units of a block, rank by rank. The units of a block share no term.

    Attributes:
        units: (T,) place of the unit within the block. terms: (T,) number of its term.
        entries: (T, W) entries of the other units in the list of members; shorter terms are filled up with entry 0.
        there: (T, W) bool, whether it is an entry of the term.
        borders: first of every rank, and T.
    """

    units: torch.Tensor
    terms: torch.Tensor
    entries: torch.Tensor
    there: torch.Tensor
    borders: tuple[int, ...]

    @classmethod
    def of(cls, firsts: torch.Tensor, starts: torch.Tensor, low: int, high: int) -> BlockTerms:
        """The terms of the positions low … high − 1.

        Args:
            firsts: (free + 1,) first term of every position.
            starts: (terms + 1,) first entry of every term.
        """
        terms = torch.arange(int(firsts[low]), int(firsts[high]), device=firsts.device)
        units = torch.repeat_interleave(firsts[low : high + 1].diff())
        rank = terms - firsts[low:high][units]
        by_rank = torch.argsort(rank, stable=True)
        units, terms = units[by_rank], terms[by_rank]
        borders = (0, *torch.bincount(rank).cumsum(0).tolist())
        begin, length = starts[terms], starts[terms + 1] - starts[terms]
        within = torch.arange(int(length.max()) if len(length) else 0, device=starts.device)
        there = within < length[:, None]
        return cls(units, terms, torch.where(there, begin[:, None] + within, 0), there, borders)

    def added(self, field: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The field (B, U, …) of the block with the values (B, T, …) of its terms; `field` must not be used again."""
        return added_in_order(field, values, self.borders, self.units)


def added_in_order(
    field: torch.Tensor, values: torch.Tensor, borders: tuple[int, ...], units: torch.Tensor | None = None
) -> torch.Tensor:
    """A field (B, U, …) float32 plus values (B, T, …), added one rank after the other.

    Args:
        field: must not be used again.
        borders: first of every rank among the T values, and T; no rank is longer than the one before.
        units: (T,) the unit of every value, ascending within a rank; None: rank r has the first units, in order.
    """
    whole = 0
    while whole + 1 < len(borders) and borders[whole + 1] - borders[whole] == field.shape[1]:
        whole += 1
    if whole < _ACCUMULATED:
        whole = 0
    else:
        rows = values[:, : borders[whole]].reshape(values.shape[0], whole, *field.shape[1:])
        stack = torch.cat([field.unsqueeze(1), rows], dim=1)
        field = torch.from_numpy(np.add.accumulate(stack.cpu().numpy(), axis=1)[:, -1].copy()).to(field.device)
    for low, high in pairwise(borders[whole:]):
        field[:, slice(0, high - low) if units is None else units[low:high]] += values[:, low:high]
    return field
