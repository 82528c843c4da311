"""R̂ and bulk-ESS against the values of arviz 0.23.4 (an independent implementation), and against known laws."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from attractor.statistics.convergence import bulk_ess, mean_ranks, r_hat, rank_normalised

# seed, chains, draws, φ, shift of the chains against each other; arviz: R̂ and ESS of the series, and of its signs.
ARVIZ = [
    (1, 4, 200, 0.0, 0.0, 1.0100997205665552, 834.085900151714, 1.00192880605717, 834.9997221400079),
    (2, 4, 200, 0.9, 0.0, 1.0627090408919877, 78.92588201498404, 1.0407204371056937, 109.97080068908699),
    (3, 8, 1001, -0.6, 0.0, 1.001023212765594, 31224.71989593555, 0.9993316601582315, 16883.30506901194),
    (4, 3, 37, 0.3, 0.5, 1.148439804778526, 26.56394599325233, 1.0773094482058465, 53.67771473420867),
    (5, 4, 500, 0.99, 0.3, 1.3289922705405184, 10.508856742624308, 1.1911189464471506, 17.5610000675724),
    (6, 1, 400, 0.7, 0.0, None, 74.92780350598836, None, 94.6048178839395),
    (7, 2, 10, 0.5, 0.0, 1.0876746735016407, 13.346719124532731, 0.9470848414844876, 17.745803357314152),
]


def autoregressive(seed, chains, n, phi, shift=0.0):
    x = lfilter([1.0], [1.0, -phi], np.random.default_rng(seed).standard_normal((chains, n)), axis=-1)
    return x + shift * np.arange(chains)[:, None]


@pytest.mark.parametrize("case", ARVIZ, ids=lambda case: f"phi={case[3]}")
def test_values_of_arviz(case):
    x = autoregressive(*case[:5])
    for draws, expected, size in ((x, case[5], case[6]), (np.sign(x), case[7], case[8])):
        if expected is not None:
            assert float(r_hat(draws)) == pytest.approx(expected, rel=1e-8)
        assert float(bulk_ess(draws)) == pytest.approx(size, rel=1e-8)


def test_quantities_are_judged_one_by_one():
    x = np.stack([autoregressive(seed, 4, 100, phi) for seed, phi in ((1, 0.0), (2, 0.9), (3, -0.5))])
    np.testing.assert_allclose(r_hat(x), [r_hat(q) for q in x])
    np.testing.assert_allclose(bulk_ess(x), [bulk_ess(q) for q in x])


def test_only_ranks_count():
    """A monotone map changes no rank; without ranks, the infinite variance of this Cauchy series would hide all."""
    x = autoregressive(3, 4, 300, 0.4)
    cauchy = np.tan(np.pi * (norm.cdf(x / x.std()) - 0.5))
    np.testing.assert_allclose(bulk_ess(cauchy), bulk_ess(x))


def test_ranks_become_normal_scores_with_ties_at_their_mean():
    scores = rank_normalised(np.array([[3.0, 1.0], [1.0, 7.0]]))
    expected = norm.ppf((np.array([[3.0, 1.5], [1.5, 4.0]]) - 0.375) / 4.25)
    np.testing.assert_allclose(scores, expected)


def test_the_obsolete_bound_would_let_a_bad_chain_pass():
    """One of four chains half a deviation off: 1.1 passes it, 1.01 does not."""
    x = np.random.default_rng(0).standard_normal((4, 1000))
    assert float(r_hat(x)) < 1.01
    x[0] += 0.5
    assert 1.01 < float(r_hat(x)) < 1.1


def test_chains_of_one_mean_and_different_widths_disagree():
    """The folded version sees what the means cannot show."""
    x = np.random.default_rng(1).standard_normal((4, 1000)) * np.array([1.0, 1.0, 1.0, 3.0])[:, None]
    assert float(r_hat(x)) > 1.05


def test_chains_that_stand_still_apart_have_no_bound():
    x = np.repeat([[1.0], [-1.0]], 50, axis=1)
    assert math.isinf(float(r_hat(x)))


def test_what_never_varies_is_not_said_to_converge():
    x = np.ones((4, 50))
    assert math.isnan(float(r_hat(x)))
    assert math.isnan(float(bulk_ess(x)))


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="at least 4"):
        r_hat(np.zeros((2, 3)))


def test_a_drifting_chain_is_seen_within_itself():
    """One chain, judged by its halves."""
    drift = np.random.default_rng(2).standard_normal((1, 400)) + np.linspace(0, 3, 400)
    assert float(r_hat(drift)) > 1.2


@pytest.mark.parametrize("shape", [(7,), (3, 10), (2, 3, 50), (5, 1)])
def test_ranks_are_those_of_scipy(shape):
    rng = np.random.default_rng(4)
    numbers, tied = rng.normal(size=shape), rng.integers(0, 5, shape).astype(np.float64)
    broken = np.where(rng.random(shape) < 0.1, np.nan, numbers)
    for values in (numbers, tied, broken):
        np.testing.assert_array_equal(mean_ranks(values), rankdata(values, axis=-1))
