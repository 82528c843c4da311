"""The integrated autocorrelation time of a series (Sokal 1996, Monte Carlo methods in statistical mechanics).

τ_int = 1 + 2 Σ_{t≥1} ρ(t): n successive draws determine a mean as well as n/τ_int independent ones. (Sokal's own symbol
is half of it.) The sum over all lags of an estimated ρ does not converge: it ends at the smallest M ≥ c·τ_int(M)/2.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Series = npt.NDArray[np.float64]

WINDOW: Final = 5.0
"""c: for an exponential decay the lags left out hold e⁻⁵ of the sum."""


def autocorrelation_time(series: Series, c: float = WINDOW) -> Series:
    """τ_int of quantities watched in several chains of one law, in draws.

    Args:
        series: (..., C, n): C independent chains of n ≥ 2 draws; their autocovariances about the common mean are
            averaged.
        c: width of the window.

    Returns:
        (...). NaN where it cannot be told: nothing varied, or no window closed within half the series, which is
        then too short for its own autocorrelation. It is never below 0 (antithetic draws go below 1).
    """
    chains, n = series.shape[-2:]
    centred = series - series.mean(axis=(-2, -1), keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n)
    sums = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[..., : n // 2 + 1].sum(-2)
    covariance = sums / (chains * (n - np.arange(n // 2 + 1)))
    constant = series.max(axis=(-2, -1)) == series.min(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = covariance / covariance[..., :1]
    tau = 2.0 * np.cumsum(rho, axis=-1) - 1.0
    closed = np.arange(tau.shape[-1]) >= np.maximum(0.5 * c * tau, 1.0)
    first = closed.argmax(-1)
    found = np.take_along_axis(tau, first[..., None], axis=-1)[..., 0]
    usable = closed.any(-1) & ~constant
    times: Series = np.where(usable, np.maximum(found, 0.0), np.nan)
    return times
