"""The search for gates: which unit, read at which lag against which threshold, computes which Boolean function?

A *site* is (unit, lag, gate, threshold): the readout is 1 where the response exceeds the threshold. Every gate is read
directly; reading NAND as the opposite of AND would count the same threshold twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attractor.gates.truth import truth_tensor


@dataclass(frozen=True, slots=True)
class Sites:
    """Candidate sites, one entry each.

    Attributes:
        gate: index into `NAMES`; lag, unit: where the response is read. int64, shape (S,).
        threshold: readout threshold, same unit as the response. float32, shape (S,).
        margin: gap between the two classes in the training trials, over their joint spread; in (0, 1].
    """

    gate: torch.Tensor
    lag: torch.Tensor
    unit: torch.Tensor
    threshold: torch.Tensor
    margin: torch.Tensor

    def __len__(self) -> int:
        return len(self.gate)

    def readout(self, responses: torch.Tensor) -> torch.Tensor:
        """What every site reads in a trial: responses (..., L, N) to bools (..., S)."""
        return responses[..., self.lag, self.unit] > self.threshold


def search(responses: torch.Tensor, rows: torch.Tensor) -> Sites:
    """The sites that separate the rows of a gate without an error in the training trials.

    The threshold lies in the middle of the gap between the lowest response that should read 1 and the highest that
    should read 0.

    Args:
        responses: shape (T, L, N): T trials, L lags, N units.
        rows: truth-table row of every trial, shape (T,), int64.

    Raises:
        ValueError: a row has no trial.
    """
    lowest, highest = [], []
    for row in range(4):
        chosen = responses[rows == row]
        if not len(chosen):
            raise ValueError(f"row {row:02b} has no training trial")
        lowest.append(chosen.amin(0))
        highest.append(chosen.amax(0))
    low, high = torch.stack(lowest), torch.stack(highest)
    spread = high.amax(0) - low.amin(0)

    found: list[tuple[torch.Tensor, ...]] = []
    for gate, truth in enumerate(truth_tensor()):
        ones, zeros = low[truth].amin(0), high[~truth].amax(0)
        gap = ones - zeros
        lag, unit = torch.nonzero(gap > 0, as_tuple=True)
        middle = (ones + zeros)[lag, unit] / 2
        margin = gap[lag, unit] / spread[lag, unit]
        found.append((torch.full_like(lag, gate), lag, unit, middle, margin))
    return Sites(*(torch.cat(parts) for parts in zip(*found, strict=True)))
