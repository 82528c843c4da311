"""Held-out verification: how often does a site read the right bit in trials it has never seen?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import betaincinv

from attractor.gates.search import Sites
from attractor.gates.truth import truth_tensor


@dataclass(slots=True)
class Tally:
    """Counts of correct readouts per site and truth-table row.

    Attributes:
        correct: shape (S, 4), int64; trials: shape (4,), int64.
    """

    correct: torch.Tensor
    trials: torch.Tensor

    @classmethod
    def empty(cls, sites: int) -> Tally:
        return cls(torch.zeros(sites, 4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))

    def add(self, sites: Sites, responses: torch.Tensor, row: int) -> None:
        """Count one trial: responses (L, N) to the inputs of `row`."""
        expected = truth_tensor()[sites.gate, row]
        self.correct[:, row] += sites.readout(responses) == expected
        self.trials[row] += 1

    def rates(self) -> torch.Tensor:
        """Share of correct trials per site and row, shape (S, 4); NaN where a row has had no trial."""
        return self.correct / self.trials

    def verified(self, rate: float) -> torch.Tensor:
        """Sites whose *every* row is right in at least `rate` of its trials, shape (S,). A row without trials fails."""
        return (self.rates() >= rate).all(-1)


def clopper_pearson(
    correct: torch.Tensor, trials: torch.Tensor, level: float = 0.95
) -> tuple[torch.Tensor, torch.Tensor]:
    """Exact two-sided confidence interval of a binomial proportion (Clopper & Pearson 1934).

    Args:
        correct, trials: counts that broadcast against each other.

    Returns:
        lower and upper end, float64; (0, 1) where there are no trials.
    """
    k, n = np.broadcast_arrays(correct.numpy(), trials.numpy())
    tail = (1 - level) / 2
    # Quantiles of the beta distribution, as scipy.stats.beta.ppf gives them, whose import takes half a second.
    with np.errstate(invalid="ignore"):
        low = np.where(k == 0, 0.0, betaincinv(k, n - k + 1, tail))
        high = np.where(k == n, 1.0, betaincinv(k + 1, n - k, 1 - tail))
    return torch.from_numpy(low), torch.from_numpy(high)
