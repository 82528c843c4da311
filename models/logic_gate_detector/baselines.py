"""What the network has to beat: a truth-table decoder, template correlation, the majority class, and two classical
learners.

The two hand-made decoders have settings (smoothing, thresholds, statistic, rejection level), which `tune` picks on
recordings of the training families.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.logic_gate_detector.classes import GATES, NONE, TRUTH
from models.logic_gate_detector.data import MAX_LAG, THRESHOLDS, Labels, Series
from models.logic_gate_detector.inputs import SAMPLES
from models.logic_gate_detector.oscillators import Array
from models.metrics import macro_f1

WIDTHS: Final = (1, 3, 5, 7, 9, 13)
STATISTICS: Final = ("vote", "weakest row", "mean of rows")
SPANS: Final = {"whole swing": tuple((np.arange(9) + 0.5) / 9), "middle third": THRESHOLDS}
LAGS: Final = range(MAX_LAG + 1)


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder with its settings.

    Attributes:
        method: "truth table" or "template".
        width: samples of the centred moving average that is taken of all three series first.
        span: where thresholds of the output are tried, a key of SPANS (truth table only).
        statistic: share of right samples: of all, of the worst row, or the mean over rows (truth table only).
        reject: a best score under this is "none".
    """

    method: str
    width: int
    span: str
    statistic: str
    reject: float

    def settings(self) -> dict[str, Any]:
        """What `tune` has chosen, JSON-able."""
        return {"width": self.width, "span": self.span, "statistic": self.statistic, "reject": round(self.reject, 4)}

    def predict(self, series: Series) -> Labels:
        """Class of each recording of (n, 3, 200)."""
        if self.method == "template":
            return decide(template_scores(series, self.width), self.reject)
        scores = truth_table_scores(series, self.width, SPANS[self.span])
        return decide(scores[STATISTICS.index(self.statistic)], self.reject)


def decide(scores: Array, reject: float) -> Labels:
    """The best of six gates, or none where its score is under `reject`."""
    return np.where(scores.max(axis=1) >= reject, scores.argmax(axis=1), NONE).astype(np.int64)


def smoothed(series: Series, width: int) -> Array:
    """Centred moving average over `width` samples (odd); the ends average over what there is."""
    if width == 1:
        return series.astype(np.float64)
    half = width // 2
    total = np.cumsum(np.pad(series.astype(np.float64), ((0, 0), (0, 0), (1, 0))), axis=2)
    at = np.arange(series.shape[2])
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, series.shape[2])
    return np.asarray((total[:, :, high] - total[:, :, low]) / (high - low))


def input_rows(series: Array) -> npt.NDArray[np.int8]:
    """Truth-table row 2A + B of every sample of smoothed inputs, by the two-means threshold of each input: (n, 200)."""
    low, high = np.percentile(series[:, :2], (10, 90), axis=2)
    threshold = (low + high) / 2.0
    for _ in range(10):
        above = series[:, :2] > threshold[:, :, None]
        count = above.sum(axis=2)
        total = series[:, :2].sum(axis=2)
        upper = (series[:, :2] * above).sum(axis=2)
        mean_high = upper / np.maximum(count, 1)
        mean_low = (total - upper) / np.maximum(series.shape[2] - count, 1)
        threshold = (mean_high + mean_low) / 2.0
    bits = (series[:, :2] > threshold[:, :, None]).astype(np.int8)
    return np.asarray(2 * bits[:, 0] + bits[:, 1], dtype=np.int8)


def truth_table_scores(series: Series, width: int, span: Sequence[float]) -> Array:
    """Threshold and vote: how well each gate's truth table holds at the best of 15 lags and of the thresholds in
    `span`.

    Returns:
        (3, n, 6) for the three `STATISTICS`.
    """
    calm = smoothed(series, width)
    rows = input_rows(calm)
    output = calm[:, 2]
    low, high = np.percentile(output, (4, 96), axis=1)
    cuts = low[:, None] + (high - low)[:, None] * np.array(span)
    binary = (output[:, MAX_LAG:, None] > cuts[:, None, :]).astype(np.float32)
    best = np.zeros((3, len(series), len(GATES)))
    for lag in LAGS:
        seen = rows[:, MAX_LAG - lag : SAMPLES - lag]
        onehot = (seen[:, None, :] == np.arange(4)[:, None]).astype(np.float32)
        time = onehot.sum(axis=2)[:, :, None]
        highs = onehot @ binary  # (n, row, threshold): samples above the threshold
        for gate, truth in enumerate(TRUTH):
            right = np.where(truth[:, None], highs, time - highs)
            share = right / np.maximum(time, 1.0)
            for k, score in enumerate((right.sum(axis=1) / time.sum(axis=1), share.min(axis=1), share.mean(axis=1))):
                best[k, :, gate] = np.maximum(best[k, :, gate], score.max(axis=1))
    return best


def template_scores(series: Series, width: int) -> Array:
    """Pearson correlation of the output with each gate of the thresholded inputs, at the best of 15 lags: (n, 6)."""
    calm = smoothed(series, width)
    rows = input_rows(calm)
    output = calm[:, 2, MAX_LAG:]
    output = output - output.mean(axis=1, keepdims=True)
    output = output / np.maximum(np.sqrt((output**2).sum(axis=1, keepdims=True)), 1e-12)
    best = np.full((len(series), len(GATES)), -1.0)
    for lag in LAGS:
        seen = rows[:, MAX_LAG - lag : SAMPLES - lag]
        for gate, truth in enumerate(TRUTH):
            template = truth[seen].astype(np.float64)
            template -= template.mean(axis=1, keepdims=True)
            norm = np.maximum(np.sqrt((template**2).sum(axis=1)), 1e-12)
            best[:, gate] = np.maximum(best[:, gate], (template * output).sum(axis=1) / norm)
    return best


def tune(method: str, series: Series, labels: Labels, false_gates: float = 1.0) -> Decoder:
    """The settings of a decoder with the best macro-F1 on these recordings.

    Args:
        method: "truth table" or "template".
        series: (n, 3, 200).
        labels: (n,).
        false_gates: settings that call more than this share of the recordings without a gate one are left out.

    Raises:
        ValueError: no setting has so few false gates.
    """
    best, chosen = -1.0, None
    without = labels == NONE
    for width in WIDTHS:
        for span, statistic, scores in _candidates(method, series, width):
            for reject in np.unique(np.quantile(scores.max(axis=1), np.linspace(0.0, 0.9, 91))):
                predicted = decide(scores, float(reject))
                reached = macro_f1(labels, predicted)
                if reached > best and (predicted[without] != NONE).mean() <= false_gates:
                    best, chosen = reached, Decoder(method, width, span, statistic, float(reject))
    if chosen is None:
        raise ValueError(f"no setting of the {method} decoder has at most {false_gates:.1%} false gates")
    return chosen


def _candidates(method: str, series: Series, width: int) -> Iterator[tuple[str, str, Array]]:
    if method == "template":
        yield "", "correlation", template_scores(series, width)
        return
    for span, levels in SPANS.items():
        for statistic, scores in zip(STATISTICS, truth_table_scores(series, width, levels), strict=True):
            yield span, statistic, scores


def conditional_means(series: Series, width: int = 5, lags: Sequence[int] = (0, 4, 8)) -> Array:
    """Features of the classical learners: mean and standard deviation of the standardised output in each row, at
    three lags.

    Returns:
        (n, 8·lags); a row that never occurs gives zeros.
    """
    calm = smoothed(series, width)
    rows = input_rows(calm)
    output = series[:, 2].astype(np.float64)
    output = output - output.mean(axis=1, keepdims=True)
    output = output / np.maximum(output.std(axis=1, keepdims=True), 1e-12)
    columns = []
    for lag in lags:
        y, seen = output[:, lag:], rows[:, : SAMPLES - lag]
        for row in range(4):
            mask = seen == row
            count = np.maximum(mask.sum(axis=1), 1)
            mean = (y * mask).sum(axis=1) / count
            variance = ((y - mean[:, None]) ** 2 * mask).sum(axis=1) / count
            columns += [mean, np.sqrt(variance)]
    return np.stack(columns, axis=1)


def classical_learners(seed: int) -> dict[str, Any]:
    """Logistic regression and random forest of scikit-learn (a development requirement), untrained."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic regression on conditional means": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random forest on conditional means": RandomForestClassifier(300, random_state=seed, n_jobs=2),
    }
