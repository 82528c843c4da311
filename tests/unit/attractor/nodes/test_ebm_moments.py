"""The accumulator of moments against numpy."""

import numpy as np
import pytest
import torch

from attractor.node import ABSENT, Block, ShapeProblem
from attractor.nodes.ebm_moments import MomentAccumulator

C, N = 4, 3


def stream(ticks, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ticks, C, N)) @ rng.standard_normal((N, N)) + 2.0


def accumulator(bench, **params):
    return bench(MomentAccumulator, shapes={"samples": (C, N)}, **params)


def feed(node, x):
    return [node(samples=torch.from_numpy(np.ascontiguousarray(row))) for row in x]


def spread(rows):
    return rows.reshape(-1, N)


@pytest.mark.parametrize("mode", ["window", "total"])
@pytest.mark.parametrize("ticks", [7, 20, 33, 64])
def test_moments_of_the_samples_that_count(bench, mode, ticks):
    x = stream(ticks)
    out = feed(accumulator(bench, mode=mode, window=20), x)[-1]
    counted = spread(x[-20:] if mode == "window" else x)
    np.testing.assert_allclose(out["mean"], counted.mean(0), rtol=1e-12)
    np.testing.assert_allclose(out["var"], counted.var(0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(out["corr"], np.corrcoef(counted.T), rtol=1e-10)
    assert float(out["count"]) == len(counted)


def test_fading_weights(bench):
    x = stream(40, seed=1)
    out = feed(accumulator(bench, mode="ema", window=10), x)[-1]
    weights = np.repeat((1 - 2 / 11) ** np.arange(39, -1, -1.0), C)
    mean = np.average(spread(x), axis=0, weights=weights)
    np.testing.assert_allclose(out["mean"], mean, rtol=1e-12)
    expected = np.average((spread(x) - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(out["var"], expected, rtol=1e-10)
    assert float(out["count"]) == pytest.approx(weights.sum())


@pytest.mark.parametrize("pairs", ["covariance", "second_moment"])
def test_other_pairs(bench, pairs):
    x = stream(30, seed=2)
    out = feed(accumulator(bench, mode="total", pairs=pairs), x)[-1]
    rows = spread(x)
    expected = np.cov(rows.T) if pairs == "covariance" else rows.T @ rows / len(rows)
    np.testing.assert_allclose(out["corr"], expected, rtol=1e-10)


def test_a_flash_long_past_leaves_nothing_behind(bench):
    """Taking a huge sample off a sum leaves its rounding error, until the ring closes."""
    x = stream(100, seed=3)
    x[5] *= 1e9
    out = feed(accumulator(bench, window=20), x)[-1]
    np.testing.assert_allclose(out["var"], spread(x[-20:]).var(0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(out["mean"], spread(x[-20:]).mean(0), rtol=1e-12)


def test_spins_and_vectors_and_silence(bench):
    node = bench(MomentAccumulator, shapes={"samples": (N,)}, mode="total")
    assert node()["mean"] is ABSENT
    spin = torch.tensor([1, -1, 1], dtype=torch.int8)
    first = node(samples=spin)
    assert first["var"] is ABSENT
    assert first["corr"] is ABSENT
    np.testing.assert_allclose(first["mean"], [1, -1, 1])
    second = node(samples=-spin)
    np.testing.assert_allclose(second["var"], [2, 2, 2])
    np.testing.assert_allclose(second["corr"], np.outer([1, -1, 1], [1, -1, 1]), atol=1e-12)
    assert float(node()["count"]) == 2.0


def test_frozen_spins_have_no_correlation(bench):
    out = accumulator(bench).run(5, samples=torch.ones(C, N, dtype=torch.int8))[-1]
    assert not out["var"].any()
    assert not out["corr"].any()


@pytest.mark.parametrize("mode", ["window", "total", "ema"])
def test_blocks_and_batches_change_nothing(bench, mode):
    x = np.stack([stream(35, seed=4), stream(35, seed=5)], axis=1)
    swept = bench(MomentAccumulator, shapes={"samples": (C, N)}, mode=mode, window=10, batch=(2,))
    together = feed(swept, x)[-1]
    for point in range(2):
        stepped = accumulator(bench, mode=mode, window=10)
        alone = feed(stepped, x[:, point])
        blocked = accumulator(bench, mode=mode, window=10)
        state, outputs = blocked.state, []
        for start in range(0, 35, 8):
            rows = x[start : start + 8, point]
            kept = {name: value.clone() for name, value in state.items()}
            blocked.ctx.tick = start
            following, out = blocked.node.step_block(
                state, {"samples": Block.of(torch.from_numpy(rows))}, [blocked.params] * len(rows), blocked.ctx
            )
            assert all(torch.equal(state[name], kept[name]) for name in kept)
            state = following
            outputs += out["corr"].items
        for name in ("mean", "var", "corr"):
            assert torch.equal(together[name][point], alone[-1][name])
        assert all(a is b or torch.equal(a, b) for a, b in zip(outputs, (o["corr"] for o in alone), strict=True))
        assert all(torch.equal(state[name], stepped.state[name]) for name in state)


def test_samples_of_other_shapes_are_refused():
    with pytest.raises(ShapeProblem):
        MomentAccumulator.shapes(MomentAccumulator.defaults(), {"samples": (2, 3, 4)})
