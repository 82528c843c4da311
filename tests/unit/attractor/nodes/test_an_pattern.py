"""The pattern finder tick by tick."""

import math

import numpy as np
import pytest
import torch

from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.an_pattern import RecurringPattern


def feed(node, values):
    return [node(signal=torch.tensor(float(v), dtype=torch.float64)) for v in values]


def spoken(outputs):
    return [tick for tick, out in enumerate(outputs) if out["confidence"] is not ABSENT]


def wave(n, period=25.0, offset=0.0):
    return np.sin(2 * math.pi * np.arange(n) / period) + offset


def test_silent_until_the_window_is_full_and_between_hops(bench):
    outputs = feed(bench(RecurringPattern, window=100, hop=7), wave(130))
    assert spoken(outputs) == [99, 106, 113, 120, 127]
    assert all(outputs[0][port.name] is ABSENT for port in RecurringPattern.outputs)


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_period_in_seconds_with_confidence(bench, offset):
    out = feed(bench(RecurringPattern, window=200, seconds=0.02), wave(200, 25.0, offset))[-1]
    assert float(out["period"]) == pytest.approx(25 * 0.02, rel=0.02)
    assert 0.95 < float(out["confidence"]) <= 1.0
    assert float(out["count"]) == 1.0


def test_white_noise_has_no_confidence_and_no_motif(bench):
    node = bench(RecurringPattern, window=100, hop=100, threshold=0.9)
    outputs = [out for out in feed(node, np.random.default_rng(0).normal(size=3000)) if out["confidence"] is not ABSENT]
    assert len(outputs) == 30
    assert max(float(out["confidence"]) for out in outputs) < 0.8
    assert sum(out["period"] is ABSENT for out in outputs) > 24
    assert all(float(out["confidence"]) == 0.0 for out in outputs if out["period"] is ABSENT)
    assert sum(float(out["count"]) for out in outputs) == 0


SHAPES = {
    "saw": np.concatenate([np.linspace(-3, 3, 10), np.linspace(-3, 3, 10)]),
    "bump": 4 * np.hanning(20),
}


def test_motifs_keep_their_numbers(bench):
    """Two shapes in turn, between them noise: each has its own number when it ends the window, always the same."""
    rng = np.random.default_rng(1)
    values, ends = [], {}
    for k in range(16):
        values += list(rng.normal(size=20))
        name = "saw" if k % 2 else "bump"
        values += list(SHAPES[name] + rng.normal(scale=0.05, size=20))
        ends[len(values) - 1] = name
    node = bench(RecurringPattern, window=200, motif=20, hop=1, threshold=0.95)
    outputs = feed(node, values)
    seen = {"saw": set(), "bump": set()}
    for tick, name in ends.items():
        if outputs[tick]["pattern_id"] is not ABSENT:
            assert outputs[tick]["pattern_id"].shape == (1, 1)
            assert outputs[tick]["pattern_id"].dtype == torch.int64
            assert float(outputs[tick]["count"]) == 2.0
            seen[name].add(int(outputs[tick]["pattern_id"]))
    assert len(seen["saw"]) == len(seen["bump"]) == 1
    assert seen["saw"] != seen["bump"]
    assert 0 not in seen["saw"] | seen["bump"]
    # In the middle of the noise nothing known has just ended.
    assert int(outputs[max(ends) - 22 - 5]["pattern_id"]) == 0


def test_threshold_is_live(bench):
    rng = np.random.default_rng(4)
    values = np.tile(rng.normal(size=40), 5) + rng.normal(scale=0.35, size=200)
    node = bench(RecurringPattern, window=200, threshold=0.6)
    assert float(feed(node, values)[-1]["count"]) > 0
    strict = bench(RecurringPattern, window=200, threshold=0.6)
    strict.params = strict.params | {"threshold": 0.999}
    assert float(feed(strict, values)[-1]["count"]) == 0


def test_goes_on_from_its_state_and_does_not_touch_it(bench):
    values = wave(260) + 0.1 * np.random.default_rng(5).normal(size=260)
    whole = feed(bench(RecurringPattern, window=100), values)
    first = bench(RecurringPattern, window=100)
    head = feed(first, values[:150])
    kept = {name: value.clone() for name, value in first.state.items()}
    second = bench(RecurringPattern, window=100)
    second.state, second.tick = first.state, 150
    both = head + feed(second, values[150:])
    for name, value in kept.items():
        torch.testing.assert_close(first.state[name], value, atol=0, rtol=0)
    for a, b in zip(whole, both, strict=True):
        assert all(a[name] is b[name] or torch.equal(a[name], b[name]) for name in a)


def test_a_batch_is_its_runs(bench):
    values = np.stack([wave(120), wave(120, 14.0), np.random.default_rng(6).normal(size=120)])
    node = bench(RecurringPattern, window=120, batch=(3,))
    together = [node(signal=torch.from_numpy(column)) for column in values.T][-1]
    for k in range(3):
        alone = feed(bench(RecurringPattern, window=120), values[k])[-1]
        for name in ("confidence", "count", "pattern_id"):
            torch.testing.assert_close(together[name][k], alone[name])
        expected = 0.0 if alone["period"] is ABSENT else float(alone["period"])
        assert float(together["period"][k]) == pytest.approx(expected)


def test_motif_must_fit_the_window():
    with pytest.raises(ShapeProblem) as refused:
        RecurringPattern.validate(RecurringPattern.defaults() | {"window": 50})
    assert refused.value.port == "motif"
