"""The sums of samples against numpy, merged and taken apart in any way."""

import numpy as np
import pytest
import torch

from attractor.statistics.moments import Moments


def sums(x):
    return Moments.of(torch.from_numpy(x))


def samples(seed, n, offset=0.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)) @ rng.standard_normal((3, 3)) + offset


@pytest.mark.parametrize(("lengths", "seed"), [([1], 0), ([1] * 9, 1), ([7, 1, 3], 2), ([40, 2, 40], 3)])
def test_stretches_merge_to_the_whole(lengths, seed):
    x = samples(seed, sum(lengths) + 2)
    total = Moments.none((), 3, torch.device("cpu")).merged(sums(x[:2]))
    start = 2
    for length in lengths:
        total = total.merged(sums(x[start : start + length]))
        start += length
    np.testing.assert_allclose(total.mean, x.mean(0), atol=1e-12)
    np.testing.assert_allclose(total.covariance(), np.cov(x.T), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(total.second_moment(), x.T @ x / len(x), rtol=1e-9, atol=1e-12)


def test_taking_off_is_the_inverse_of_merging():
    x = samples(1, 50)
    rest = sums(x).without(sums(x[:20]))
    np.testing.assert_allclose(rest.mean, x[20:].mean(0), atol=1e-12)
    np.testing.assert_allclose(rest.covariance(), np.cov(x[20:].T), rtol=1e-9)
    nothing = sums(x).without(sums(x))
    assert float(nothing.weight) == 0.0
    assert not nothing.scatter.any()


def test_a_large_offset_cancels_nothing():
    """Σx² − (Σx)²/n would have lost every digit."""
    x = samples(2, 400, offset=1e8)
    total = Moments.none((), 3, torch.device("cpu"))
    for row in x:
        total = total.merged(sums(row[None]))
    np.testing.assert_allclose(total.covariance(), np.cov(x.T), rtol=1e-6)


def test_correlation_of_what_varies_and_of_what_does_not():
    x = samples(3, 100)
    x[:, 1] = 0.1
    r = sums(x).correlation()
    assert float(r[0, 2]) == np.clip(float(r[0, 2]), -1, 1)
    np.testing.assert_allclose(r[0, 2], np.corrcoef(x[:, 0], x[:, 2])[0, 1], rtol=1e-12)
    np.testing.assert_allclose(r[1], 0.0)
    np.testing.assert_allclose(r[:, 1], 0.0)
