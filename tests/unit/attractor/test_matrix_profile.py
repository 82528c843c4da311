"""The matrix profile against a brute-force computation, and motifs against what was planted."""

import numpy as np
import pytest
import torch

from attractor.matrix_profile import matrix_profile, motifs


def series(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def brute_force(x, m):
    windows = [x[i : i + m] for i in range(len(x) - m + 1)]
    z = [(w - w.mean()) / w.std() for w in windows]
    zone = int(np.ceil(m / 2))
    return [min(np.linalg.norm(z[i] - z[j]) for j in range(len(z)) if abs(i - j) >= zone) for i in range(len(z))]


@pytest.mark.parametrize(("n", "m"), [(60, 8), (81, 13)])
def test_profile_is_the_definition(n, m):
    x = np.cumsum(np.random.default_rng(2).normal(size=n)) + 50
    np.testing.assert_allclose(matrix_profile(series(x), m).numpy(), brute_force(x, m), atol=1e-6)


def planted(seed=0, noise=0.05):
    """Noise with a saw at 20, 120 and a bump at 60, 160, each of length 20."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=1.0, size=220)
    saw = np.concatenate([np.linspace(-3, 3, 10), np.linspace(-3, 3, 10)])
    bump = 4 * np.hanning(20)
    for place, shape in ((20, saw), (60, bump), (120, 2 * saw + 1), (160, bump - 3)):
        x[place : place + 20] = shape + rng.normal(scale=noise, size=20)
    return x


def test_two_planted_motifs_are_found_whatever_their_size_and_offset():
    found = motifs(series(planted()), 20, 0.95, 10)
    places = [motif.places for motif in found]
    np.testing.assert_allclose(sorted(places), [(20, 120), (60, 160)], atol=1)
    assert all(motif.similarity > 0.95 for motif in found)
    assert found[0].similarity >= found[1].similarity


def test_no_more_motifs_than_asked_for():
    assert len(motifs(series(planted()), 20, 0.95, 1)) == 1


def test_all_occurrences_join_one_motif():
    t = np.arange(200)
    found = motifs(series(np.sin(2 * np.pi * t / 25)), 25, 0.99, 10)
    assert len(found) == 1
    assert len(found[0].places) >= 6
    assert min(np.diff(found[0].places)) >= 13


def test_noise_and_flat_stretches_hold_no_motif():
    rng = np.random.default_rng(3)
    assert motifs(series(rng.normal(size=200)), 20, 0.9, 10) == []
    assert motifs(series(np.full(200, 5.1)), 20, 0.5, 10) == []
