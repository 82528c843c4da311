"""The autocorrelation of a series, and the period it shows."""

from __future__ import annotations

import math
from statistics import NormalDist

import torch


def autocorrelation(x: torch.Tensor) -> torch.Tensor:
    """Unbiased, mean-removed autocorrelation at the lags 0 … n/2, of a series (n,).

    r_k = [Σ_t (x_t − x̄)(x_{t+k} − x̄)/(n − k)] / [Σ_t (x_t − x̄)²/n]. A constant series has none: zeros, r_0 too.
    """
    n = len(x)
    centred = x - x.mean()
    power = centred.square().mean()
    lags = n // 2 + 1
    if float(power) <= (1e-6 * float(x.abs().max())) ** 2:
        return torch.zeros(lags, dtype=x.dtype, device=x.device)
    spectrum = torch.fft.rfft(centred, 2 * n)
    sums = torch.fft.irfft(spectrum.abs().square(), 2 * n)[:lags]
    r: torch.Tensor = sums / (n - torch.arange(lags, device=x.device)) / power
    return r


def significance(n: int, k: int) -> float:
    """The value that r_k of n samples of white noise exceeds anywhere among the n/2 lags with probability 0.05.

    Bartlett's √(n − k)/(n − k) for the standard deviation of the unbiased estimate, Bonferroni over the lags.
    """
    return NormalDist().inv_cdf(1.0 - 0.05 / (n // 2)) / math.sqrt(n - k)


def first_period(x: torch.Tensor) -> tuple[float, float] | None:
    """The period of x in samples and the autocorrelation there, or None when nothing in x repeats significantly.

    The first local maximum after the first zero of r that is significant, refined by a parabola through three points.
    The first, not the largest: the largest may be any multiple of the period.
    """
    n = len(x)
    r = autocorrelation(x).tolist()
    below = next((k for k, value in enumerate(r) if value <= 0.0), None)
    if below is None:
        return None
    for k in range(max(below, 1), len(r) - 1):
        if r[k - 1] < r[k] >= r[k + 1] and r[k] > significance(n, k):
            return _vertex(r[k - 1], r[k], r[k + 1], k)
    return None


def _vertex(left: float, top: float, right: float, k: int) -> tuple[float, float]:
    bend = left - 2.0 * top + right
    shift = 0.5 * (left - right) / bend if bend else 0.0
    return k + shift, top - 0.25 * (left - right) * shift
