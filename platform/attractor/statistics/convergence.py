"""Whether several Markov chains agree, and how many independent draws they are worth.

Rank-normalised split-R̂ and bulk-ESS: Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, Bayesian Analysis 16:667.
Draws are float64 arrays (..., C, n): C chains of n draws each; leading axes are quantities treated one by one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Draws = npt.NDArray[np.float64]

MIN_DRAWS: Final = 4
"""Fewest draws a chain must have: its halves need two each."""


def r_hat(draws: Draws) -> Draws:
    """Rank-normalised split-R̂, the larger of its bulk (location) and folded (scale) versions.

    Chains agree when it is below 1.01; the older bound of 1.1 is much too generous.

    Args:
        draws: (..., C, n), C ≥ 1, n ≥ 4. An odd draw in the middle is left out.

    Returns:
        (...). NaN where nothing ever varied: such a quantity says nothing about convergence.

    Raises:
        ValueError: fewer than four draws a chain.
    """
    halves = _split(draws)
    folded = np.abs(halves - np.median(halves, axis=(-2, -1), keepdims=True))
    bulk = _plain_r_hat(rank_normalised(halves))
    scale = _plain_r_hat(rank_normalised(folded))
    larger: Draws = np.where(_varies(halves), np.fmax(bulk, scale), np.nan)
    return larger


def bulk_ess(draws: Draws) -> Draws:
    """Effective sample size of all chains together for the bulk of the distribution.

    Autocorrelations of all chains are combined, and summed over Geyer's initial monotone sequence (Geyer 1992).

    Args:
        draws: (..., C, n), n ≥ 4.

    Returns:
        (...), at most C·n·log10(C·n). NaN where nothing ever varied.

    Raises:
        ValueError: fewer than four draws a chain.
    """
    halves = _split(draws)
    found: Draws = np.where(_varies(halves), _ess(rank_normalised(halves)), np.nan)
    return found


def rank_normalised(draws: Draws) -> Draws:
    """Normal scores of the pooled ranks: Φ⁻¹((r − 3/8)/(S + 1/4)), ties at their mean rank (Blom 1958)."""
    *lead, chains, n = draws.shape
    ranks = mean_ranks(draws.reshape(*lead, chains * n))
    scores = ndtri((ranks - 0.375) / (chains * n + 0.25))
    shaped: Draws = scores.reshape(draws.shape)
    return shaped


def mean_ranks(values: Draws) -> Draws:
    """Ranks from 1 on along the last axis, equal values at the mean of theirs; NaN throughout where one is NaN.

    What scipy.stats.rankdata gives, whose import takes half a second.
    """
    order = np.argsort(values, axis=-1, kind="stable")
    ascending = np.take_along_axis(values, order, axis=-1)
    first = np.ones(values.shape, dtype=np.bool_)
    first[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    starts = np.flatnonzero(first)
    counts = np.diff(starts, append=values.size)
    of_each = np.repeat(starts % values.shape[-1] + (counts + 1) / 2, counts).reshape(values.shape)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, of_each, axis=-1)
    kept: Draws = np.where(np.isnan(values).any(-1, keepdims=True), np.nan, ranks)
    return kept


def _split(draws: Draws) -> Draws:
    """Every chain as two: (..., C, n) -> (..., 2C, n // 2)."""
    n = draws.shape[-1]
    if n < MIN_DRAWS:
        raise ValueError(f"{n} draws a chain cannot be judged; give at least {MIN_DRAWS}")
    half = n // 2
    return np.concatenate((draws[..., :half], draws[..., n - half :]), axis=-2)


def _varies(draws: Draws) -> npt.NDArray[np.bool_]:
    varies: npt.NDArray[np.bool_] = draws.max(axis=(-2, -1)) > draws.min(axis=(-2, -1))
    return varies


def _plain_r_hat(draws: Draws) -> Draws:
    """√((n − 1)/n + B/(nW)): variance between the chains' means against the variance within chains."""
    n = draws.shape[-1]
    between = draws.mean(-1).var(-1, ddof=1)
    # Rounding gives a constant chain a variance; it has none.
    still = draws.max(-1) == draws.min(-1)
    within = np.where(still, 0.0, draws.var(-1, ddof=1)).mean(-1)
    # Chains that stand still in different places disagree without bound.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Draws = np.sqrt((n - 1) / n + between / within)
    return ratio


def _ess(draws: Draws) -> Draws:
    chains, n = draws.shape[-2:]
    covariance = _autocovariance(draws).mean(-2)
    within = covariance[..., :1] * n / (n - 1)
    total = covariance[..., :1] + draws.mean(-1).var(-1, ddof=1)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1.0 - (within - covariance) / total
    rho[..., 0] = 1.0
    # Pairs (ρ_2k, ρ_2k+1) until the first that is not positive; at the last lag but one the series ends in any case.
    count = max(1, (n - 1) // 2)
    pairs = rho[..., : 2 * count].reshape(*rho.shape[:-1], count, 2).sum(-1)
    positive = np.logical_and.accumulate(pairs > 0.0, axis=-1)
    positive[..., -1] = False
    kept = np.where(positive, np.minimum.accumulate(pairs, axis=-1), 0.0).sum(-1)
    # The even term after the last kept pair lowers the variance of the estimate for antithetic chains.
    after = 2 * positive.sum(-1)
    extra = np.take_along_axis(rho, after[..., None], axis=-1)[..., 0]
    tau = -1.0 + 2.0 * kept + np.maximum(extra, 0.0)
    size = chains * n
    effective: Draws = size / np.maximum(tau, 1.0 / np.log10(size))
    return effective


def _autocovariance(draws: Draws) -> Draws:
    """Biased autocovariance of every chain about its own mean, lags 0 … n − 1."""
    n = draws.shape[-1]
    centred = draws - draws.mean(-1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n)
    covariance: Draws = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[..., :n] / n
    return covariance
