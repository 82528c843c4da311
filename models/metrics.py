"""Metrics of classifiers, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def confusion(truth: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Counts (classes, classes): rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def macro_f1(truth: Labels, predicted: Labels) -> float:
    """Mean of the classes' F1 over all classes that occur in the truth or the prediction."""
    classes = int(max(truth.max(), predicted.max())) + 1
    counts = confusion(truth, predicted, classes)
    both = counts.sum(axis=0) + counts.sum(axis=1)
    seen = both > 0
    return float((2.0 * np.diag(counts)[seen] / both[seen]).mean())


def calibration_error(truth: Labels, probabilities: Probabilities, bins: int = 15) -> float:
    """Expected calibration error of the top class, equal-width bins (Naeini et al., AAAI 2015; Guo et al., ICML
    2017).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(bin_of, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))


def bootstrap(
    n: int, statistic: Callable[[npt.NDArray[np.int64]], float], rng: np.random.Generator, resamples: int = 1000
) -> tuple[float, float]:
    """95 % percentile interval of `statistic`, which is given the indices of a resample of n cases (Efron 1979)."""
    values = [statistic(rng.integers(0, n, n)) for _ in range(resamples)]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
