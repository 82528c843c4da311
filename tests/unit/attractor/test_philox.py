"""The random streams, against Random123's known answers, an independent implementation, and the laws they claim."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from randomgen import Philox
from scipy import stats

from attractor.philox import RandomStream, philox, stream_key, uniforms

FULL = 0xFFFFFFFF


def stream(seed=7, node="osc"):
    return RandomStream(seed, node, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0, 0, 0, 0], (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([FULL] * 4, (FULL, FULL), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers_of_random123(counter, key, answer):
    words = philox(np.array(counter, dtype=np.uint64)[:, None], key)
    assert words[0].tolist() == answer


def test_agrees_with_an_independent_implementation():
    key = (0x12345678, 0x9ABCDEF0)
    peer = Philox(key=key[0] | key[1] << 32, counter=0, number=4, width=32)
    expected = peer.random_raw(64)
    # randomgen advances the counter before it draws.
    counter = np.zeros((4, 16), dtype=np.uint64)
    counter[0] = np.arange(1, 17)
    assert philox(counter, key).ravel().tolist() == [int(word) for word in expected]


def test_a_draw_depends_on_seed_node_tick_lane_and_element_alone():
    forward = stream()
    ahead = [forward.normal(tick, 10).clone() for tick in range(300)]
    for tick in (299, 0, 131):
        assert torch.equal(stream().normal(tick, 10), ahead[tick])
    # A longer draw begins with the shorter one: an element does not know how many there are.
    assert torch.equal(stream().normal(5, 1000)[:10], ahead[5])
    others = [stream(8).normal(5, 10), stream(7, "other").normal(5, 10), stream().normal(5, 10, lane=1)]
    for other in others:
        assert not torch.equal(other, ahead[5])


def test_ticks_beyond_32_bits_differ():
    assert not torch.equal(stream().uniform(1, 8), stream().uniform(1 + 2**32, 8))


def test_node_and_seed_do_not_run_together():
    assert stream_key(1, "2x") != stream_key(12, "x")


@pytest.mark.parametrize("seed", range(3))
def test_uniform_law(seed):
    u = stream(seed).uniform(3, 200_000).double().numpy()
    assert 0 < u.min() < u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("word", [0, 0xFF, 0x80000000, 0xFFFFFE00, FULL])
def test_no_word_gives_an_end_of_the_interval(monkeypatch, word):
    monkeypatch.setattr(RandomStream, "words", lambda *args: np.full((1, 4), word, dtype=np.uint32))
    u = stream().uniform(0, 4)
    assert 0 < float(u[0]) < 1
    assert float(u[0]) == pytest.approx(word / 2**32, abs=2**-24)
    assert torch.isfinite(stream().normal(0, 4)).all()


@pytest.mark.parametrize("seed", range(3))
def test_normal_law_within_and_across_ticks(seed):
    source = stream(seed)
    within = source.normal(3, 200_000).double().numpy()
    across = torch.stack([source.normal(tick, 3) for tick in range(20_000)]).double().numpy()
    assert stats.kstest(within, "norm").pvalue > 1e-4
    assert stats.kstest(across[:, 1], "norm").pvalue > 1e-4
    # Neither the two halves of a Box-Muller pair nor neighbours in time are correlated: |r| < 5 standard errors.
    assert abs(np.corrcoef(across[:, 0], across[:, 1])[0, 1]) < 5 / np.sqrt(20_000)
    assert abs(np.corrcoef(across[1:, 2], across[:-1, 2])[0, 1]) < 5 / np.sqrt(20_000)


def test_permutations_are_uniform():
    source = stream()
    orders = [tuple(source.permutation(tick, 4).tolist()) for tick in range(12_000)]
    counts = np.unique(np.array([int("".join(map(str, order))) for order in orders]), return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_draw_ends_where_its_counter_does():
    keys = np.array([[11, 13]])
    last = uniforms(keys, 0, 2**34 - 4, 4)
    counter = np.array([[2**32 - 1], [0], [0], [0]], dtype=np.uint64)
    words = philox(counter, (11, 13))[0]
    np.testing.assert_allclose(last[0], (words >> 8) * 2.0**-24, atol=2.0**-24)
    with pytest.raises(ValueError, match="17,179,869,185 random numbers"):
        uniforms(keys, 0, 2**34 - 4, 5)
    with pytest.raises(ValueError, match="do not fit into one draw"):
        RandomStream(0, "n", torch.device("cpu"), torch.float32).words(0, 2**34 + 1)
